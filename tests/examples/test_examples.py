"""Each program of ``examples/`` does what it says, on a small published release."""

from __future__ import annotations

import runpy
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from nightrank.flows.operate.export import export
from nightrank.storage.serving.cache import SearchCache
from nightrank.tasks.rerank.hosted.client import HostedReranker
from nightrank.tasks.rerank.hosted.plan import plan_hosted
from nightrank.tasks.rerank.hosted.spending import SpendingBySection
from nightrank.tasks.settings.ranking import RerankerSettings

if TYPE_CHECKING:
    from tests.support.collection import Collection

EXAMPLES = Path(__file__).parents[2] / "examples"
QUERY = "How do  bees make honey"


def names_of(program: str) -> dict[str, Any]:
    """What a program defines; nothing of it runs."""
    return runpy.run_path(str(EXAMPLES / program))


def best(published: Collection) -> list[str]:
    """The documents that the release answers QUERY with."""
    with SearchCache.open(published.workspace) as cache:
        found = cache.get(QUERY)
    assert found is not None
    return [result.document_id for result in found.results]


def test_the_look_up_service_answers_known_queries_and_refuses_others(
    published: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTRANK_WORKSPACE", str(published.workspace))
    with TestClient(names_of("lookup_service.py")["app"]) as client:
        found = client.get("/search", params={"q": QUERY})
        assert [result["document_id"] for result in found.json()["results"]] == best(published)
        assert client.get("/search", params={"q": "nobody asked this"}).status_code == 404
        assert client.get("/search", params={"q": QUERY, "filter": "{"}).status_code == 400
        assert client.get("/health").json() == {"release": found.json()["release"], "queries": len(published.log)}


def test_a_release_is_read_by_sql(published: Collection, capsys: pytest.CaptureFixture[str]) -> None:
    program = names_of("read_with_duckdb.py")
    program["main"](published.workspace)

    shown = capsys.readouterr().out
    assert "nDCG@10" in shown
    assert "black ink on paper" in shown
    answers = program["answers"](published.workspace, program["current_release"](published.workspace))
    assert sorted(answers.column("query").to_pylist()) == sorted(text.lower() for _, text, _ in published.log)


def test_a_reranker_of_ones_own_is_asked_by_the_settings_that_its_program_shows() -> None:
    program = names_of("reranker_server.py")
    server = program["serve"](port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        settings = RerankerSettings.model_validate({"model": "my-reranker", "hosted": {"api": "tei", "url": url}})
        plan = plan_hosted(settings)
        reranker = HostedReranker.connect(plan, SpendingBySection().under(plan.hosted))
        texts = ["Black tea is left to wilt.", "Coffee beans", "tea"]
        scores = reranker.score(["black tea"] * 3, texts, np.ones(3, dtype=np.int64))
        assert scores.tolist() == [1.0, 0.0, 0.5]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def exported(published: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small release as a SQLite file."""
    from pydantic import SecretStr

    file = tmp_path_factory.mktemp("exported") / "results.sqlite"
    export.fn(settings_file=str(published.settings_file), to=[SecretStr(str(file))])
    return file


def run_alone(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """``read_sqlite.py`` with an interpreter that finds the standard library and nothing else."""
    command = [sys.executable, "-I", "-S", EXAMPLES / "read_sqlite.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_an_exported_file_is_read_without_nightrank(published: Collection, exported: Path) -> None:
    done = run_alone(exported, QUERY)

    assert done.returncode == 0, done.stderr
    assert [line.split()[2] for line in done.stdout.splitlines()] == best(published)
    assert run_alone(exported, "nobody asked this").returncode == 1


def test_the_interpreter_of_that_test_does_not_find_nightrank() -> None:
    command = [sys.executable, "-I", "-S", "-c", "import nightrank"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "No module named 'nightrank'" in done.stderr


@pytest.mark.parametrize(
    "query",
    ["Read a CSV  file", "Stra\u00dfe", "\ufb01le \u00e9", "\u4f60\u597d", "", "\u0130\u200b \u0645\u200c\u0645"],
)
def test_the_example_makes_the_keys_that_nightrank_makes(query: str) -> None:
    from nightrank.storage.keys import query_key

    key_of = names_of("read_sqlite.py")["key_of"]
    assert key_of(query) == query_key(query)
    assert key_of(query, '{"type":"docs"}') == query_key(query, '{"type":"docs"}')
