"""What is installed takes one import name, and leaves those of others alone."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.collection import Collection

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-c", f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"]
    elsewhere = folder / "elsewhere.cfg"  # what a build leaves behind stays out of the working tree
    elsewhere.write_text(
        f"[build]\nbuild_base = {folder / 'build'}\n[egg_info]\negg_base = {folder}\n", encoding="utf-8"
    )
    environment = {**os.environ, "DIST_EXTRA_CONFIG": str(elsewhere)}
    subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_a_wheel_puts_one_name_beside_others(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name.partition("/")[0] for name in packed.namelist()}
        members = set(packed.namelist())
    assert names == {"nightrank", f"{'-'.join(wheel.stem.split('-')[:2])}.dist-info"}
    for needed in ("flows/demo/corpus.jsonl.gz", "tasks/report/template/report.css", "storage/errors.py"):
        assert f"nightrank/{needed}" in members
    assert [name for name in members if name.endswith("delta.safetensors")]


def test_a_project_with_packages_of_the_same_names_works_beside_it(
    wheel: Path, published: Collection, tmp_path: Path
) -> None:
    site = tmp_path / "site-packages"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    project = tmp_path / "front-end"
    for name in ("storage", "tasks", "flows"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text(f"WHOSE = 'the front end, {name}'\n", encoding="utf-8")
    (project / "main.py").write_text(
        "import sys\n"
        "import flows, storage, tasks\n"
        "from nightrank import FollowingCache, SearchCache, open_results\n"
        "print(flows.WHOSE, storage.WHOSE, tasks.WHOSE, sep='; ')\n"
        "with SearchCache.open(sys.argv[1]) as cache:\n"
        "    print(cache.get('black tea').results[0].document_id)\n"
        "print(sys.modules['nightrank'].__file__)\n",
        encoding="utf-8",
    )
    others = sysconfig.get_path("purelib")  # what Nightrank depends on
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), others])}
    command = [sys.executable, "main.py", str(published.workspace)]

    ended = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    whose, first, where = ended.stdout.splitlines()
    assert whose == "the front end, flows; the front end, storage; the front end, tasks"
    assert first
    assert Path(where).is_relative_to(site)
    shown = [sys.executable, "-m", "nightrank.flows.cli.app", "--help"]
    ended = subprocess.run(shown, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "refresh" in ended.stdout
