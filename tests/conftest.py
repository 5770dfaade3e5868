"""What tests share: the real collections, Prefect's API, a small collection, tiny models, the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import hypothesis
import pytest

from benchmarks.inputs.tiny_models import tiny_embedder, tiny_reranker, tiny_splade
from tests.support.collection import Collection, small_collection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.object_store import Bucket

STARTUP_SECONDS = 240  # Prefect's server on a machine that is busy with something else
PREFECT_HOME = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many histories of nights are tried."""
    parser.addoption("--histories", type=int, default=2, help="histories of nights to compare with rebuilds")


def pytest_configure(config: pytest.Config) -> None:
    """Before Prefect is imported: a home of its own, so that no profile or server of the user's is ever touched."""
    config.stash[PREFECT_HOME] = tempfile.mkdtemp(prefix="nightrank-tests-prefect-")
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ["PREFECT_HOME"] = config.stash[PREFECT_HOME]
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: more threads would only wait for each other
        os.environ["OMP_NUM_THREADS"] = "1"
    # How long an example takes says how busy the machine is, not whether the code is right.
    hypothesis.settings.register_profile(
        "nightrank", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("nightrank")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove Prefect's home again."""
    shutil.rmtree(config.stash[PREFECT_HOME], ignore_errors=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real collections beside the repository; tests that need it are skipped where it is absent."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real collections are not beside the repository (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """The address of a Prefect API for the whole session; flows in this process use it."""
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=STARTUP_SECONDS),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),  # its thread holds up every flow for a second
    ):
        yield str(PREFECT_API_URL.value())


@pytest.fixture(scope="session")
def store() -> Iterator[str]:
    """The address of an object store."""
    from tests.support.object_store import object_store

    with object_store() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(store: str) -> Bucket:
    """An empty bucket."""
    from tests.support.object_store import new_bucket

    return new_bucket(store)


@dataclass(frozen=True, slots=True)
class Models:
    """Folders of models that run in milliseconds."""

    embedder: Path
    reranker: Path
    splade: Path


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    return Models(
        tiny_embedder(folder / "embedder"), tiny_reranker(folder / "reranker"), tiny_splade(folder / "splade")
    )


@pytest.fixture
def collection(tmp_path: Path, models: Models) -> Collection:
    """A fresh copy of the small collection, nothing refreshed yet."""
    return small_collection(tmp_path / "project", embedder=models.embedder, reranker=models.reranker)


@pytest.fixture(scope="session")
def published(prefect_api: str, models: Models, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """The small collection with one published release; copy it before you change it."""
    from nightrank.flows.refresh import refresh

    folder = tmp_path_factory.mktemp("published") / "project"
    collection = small_collection(folder, embedder=models.embedder, reranker=models.reranker)
    collection.settings["evaluation"] = {"timed_queries": 1}
    collection.write()
    refresh(str(collection.settings_file))
    return collection


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as the one JSON object that it is."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


class Command(Protocol):
    """The command line, as ``nightrank(*arguments)``."""

    def __call__(self, *arguments: str | Path) -> Ended: ...


@pytest.fixture
def nightrank(prefect_api: str, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, run in this process."""
    from nightrank.flows.cli.app import main

    def run(*arguments: str | Path) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        assert isinstance(ended.value.code, int)
        written = capsys.readouterr()
        return Ended(ended.value.code, written.out, written.err)

    return run


class Program(Protocol):
    """The installed program in a process of its own, as ``program(*arguments, folder=...)``."""

    def __call__(self, *arguments: str | Path, folder: Path, environment: dict[str, str] | None = None) -> Ended: ...


@pytest.fixture
def program(prefect_api: str) -> Program:
    """The installed program, with the session's Prefect API."""
    executable = Path(sys.executable).with_name("nightrank")

    def run(*arguments: str | Path, folder: Path, environment: dict[str, str] | None = None) -> Ended:
        ended = subprocess.run(
            [executable, *arguments],
            cwd=folder,
            env={**os.environ, "PREFECT_API_URL": prefect_api, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run
