"""A model judges a real release's pool, by a server that answers as such endpoints do, and fails as they do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.judge.inputs import judged_in
from nightrank.flows.judge.model import judge_by_model
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import GateRefused, InputError
from nightrank.tasks.judge.shown import why_advisory
from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.qrels import read_judgments, write_judgments
from tests.support.chat_server import MODEL, ChatServer, chat_server
from tests.support.collection import small_collection
from tests.support.hosted_server import KEY, Spoilt, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.flows.judge.model import JudgedByModel
    from tests.conftest import Command, Models
    from tests.support.collection import Collection

pytestmark = pytest.mark.long
VARIABLE = "NIGHTRANK_TEST_CHAT_KEY"


def says(question: str) -> str:
    """A grade that anybody can compute again: shared words."""
    query, _, document = question.partition("\n\nDocument:")
    shared = set(query.lower().split()[1:]) & set(document.lower().split())
    return str(min(3, len(shared)))


@pytest.fixture(scope="module")
def refreshed(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged") / "project"
    collection = small_collection(folder, embedder=models.embedder, reranker=models.reranker)
    refresh_plainly(collection.settings_file)
    return folder


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(says) as served:
        yield served


@pytest.fixture
def judged(
    refreshed: Path, server: ChatServer, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Collection:
    monkeypatch.setenv(VARIABLE, KEY)
    shutil.copytree(refreshed, tmp_path / "project")
    collection = small_collection(tmp_path / "project", embedder=models.embedder, reranker=models.reranker)
    collection.settings["judge"] = {
        "url": f"{server.url}/v1",
        "model": MODEL,
        "api_key_env": VARIABLE,
        "attempts": 2,
        "min_queries": 4,
        "min_kappa": 0.0,
        "min_tau": -1.0,
    }
    collection.write()
    return collection


def judge(collection: Collection, **changes: object) -> JudgedByModel:
    collection.settings["judge"] |= changes  # type: ignore[arg-type]
    collection.write()
    configuration = load_settings(collection.settings_file, anew=True)
    return judge_by_model(configuration, queries=50, releases=(), now=datetime(2026, 5, 1, tzinfo=UTC))


def test_the_pool_is_judged_once_and_written_as_what_it_is(judged: Collection, server: ChatServer) -> None:
    found = judge(judged)
    assert found.fault is None
    assert found.qrels is not None
    written = read_judgments(found.qrels, name="model.tsv", account=Account())
    assert {one.judged_by for one in written} == {"model"}
    assert len(written) == found.judged == found.found.pairs == len(server.paid) == found.found.requests
    assert set(server.paid.values()) == {1}
    honey = {one.document_id: one.grade for one in written if one.query_id == "q-honey"}
    assert honey["bees"] == 3
    assert all(sum(one.query_id == query for one in written) >= 10 for query, _, _ in judged.log)

    again = judge(judged)
    assert (again.found.answered, again.found.requests, again.judged) == (0, 0, found.judged)
    assert set(server.paid.values()) == {1}


def test_a_document_that_changed_is_asked_for_anew_and_no_other(judged: Collection, server: ChatServer) -> None:
    before = judge(judged)
    judged.document("bees")["text"] = "Bees carry nectar home, and make honey."
    judged.write()
    refresh_plainly(judged.settings_file)
    known = len(server.paid)
    after = judge(judged)
    new = list(server.paid)[known:]
    assert after.judged >= before.judged
    assert any("and make honey" in question for question in new)
    assert set(server.paid.values()) == {1}


@pytest.mark.parametrize(
    "faults",
    [
        [Status(500)],
        [Status(429, {"Retry-After": "0"})],
        [Spoilt(raw=lambda _: b"[" * 200_000)],
        [Spoilt(raw=lambda raw: raw[:40])],
        [None, Status(400), None, Status(400)],
    ],
)
def test_a_fault_here_and_there_changes_nothing_in_the_end(
    judged: Collection, server: ChatServer, faults: list[Status | Spoilt | None]
) -> None:
    server.faults = list(faults)
    judge(judged)
    found = judge(judged)
    assert (found.fault, found.found.left, found.found.failed) == (None, 0, [])
    assert set(server.paid.values()) == {1}


def test_what_was_judged_before_the_end_is_written_and_the_end_is_told(
    judged: Collection, server: ChatServer, nightrank: Command
) -> None:
    server.faults = [*[None] * 9, *[Status(401)] * 9]
    judged.settings["judge"]["concurrency"] = 1
    judged.write()
    ended = nightrank("judge", "--by", "model", "-c", judged.settings_file, "--json")
    assert ended.code == 2
    assert "refuses the key" in ended.err
    assert KEY not in ended.err + ended.out
    assert (ended.json["judged"], ended.json["answered"]) == (9, 9)
    configuration = load_settings(judged.settings_file, anew=True)
    assert len(judged_in(configuration, "model.tsv")) == 9
    server.faults.clear()
    assert judge(judged).found.answered == sum(server.paid.values()) - 9


def test_no_more_is_asked_than_a_run_may_pay_for(judged: Collection, server: ChatServer) -> None:
    counts: list[int] = []
    while not counts or counts[-1]:
        counts.append(judge(judged, max_requests=30).found.answered)
        assert counts[-1] <= 30
    assert sum(counts) == len(server.paid)
    assert set(server.paid.values()) == {1}


def test_answers_that_are_no_grade_are_told_kept_and_never_paid_for_again(
    judged: Collection, server: ChatServer
) -> None:
    server.says = lambda question: "It depends." if "honey" in question.partition("\n")[0] else says(question)
    found = judge(judged).found
    assert found.without_grade >= 10
    assert judge(judged).found.requests == 0
    assert set(server.paid.values()) == {1}


def test_after_a_kill_nothing_is_asked_twice(judged: Collection, server: ChatServer) -> None:
    judged.settings["judge"] |= {"requests_per_minute": 1200.0, "concurrency": 2}
    judged.write()
    command = [str(Path(sys.executable).with_name("nightrank")), "judge", "--by", "model", "-c"]
    process = subprocess.Popen([*command, str(judged.settings_file)], stderr=subprocess.DEVNULL, env={**os.environ})
    deadline = time.monotonic() + 120
    while len(server.paid) < 12 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.3)
    paid = sum(server.paid.values())
    assert 12 <= paid < 70
    found = judge(judged, requests_per_minute="none")
    assert found.fault is None
    # What was under way at the kill had not arrived: no more than the requests at once.
    assert sum(count - 1 for count in server.paid.values()) <= 2
    assert found.found.answered >= len(server.paid) - paid


def test_gates_rest_on_a_model_only_where_people_agree(judged: Collection, server: ChatServer) -> None:
    found = judge(judged)
    assert found.agreement is not None
    assert found.agreement.queries >= 4
    assert found.qrels is not None
    judged.settings["judgments"] = {"qrels": "judgments/model.tsv"}
    judged.settings["gates"]["best_stage"] = 0.0
    judged.write()
    assert why_advisory(found.qrels) == ""
    with pytest.raises(GateRefused, match=r"best_stage.*a model judged; agreement on 9 pairs of 6 queries"):
        refresh_plainly(judged.settings_file)

    fewer = judged_in(load_settings(judged.settings_file, anew=True), "model.tsv")[:-1]
    write_judgments(found.qrels, fewer)
    summary = refresh_plainly(judged.settings_file)
    assert (summary.published, summary.manifest.judged_by) == (True, "model")
    [gate] = [gate for gate in summary.manifest.gates if gate.name == "best_stage"]
    assert gate.passed
    assert (
        "it would fail, and advises alone, since a model judged and the agreement that is shown is of other"
        in gate.reason
    )


def test_what_people_judged_refuses_on_the_night_that_a_model_takes_over(judged: Collection) -> None:
    found = judge(judged, min_queries=1000)  # so that the model advises
    assert found.qrels is not None
    assert why_advisory(found.qrels)
    judged.settings["judgments"] = {"qrels": "judgments/model.tsv"}
    judged.settings["gates"]["margin"] = 0.02
    relevant = {document_id for _, document_id, grade in judged.qrels if grade > 0}
    for document in judged.documents:
        if document["_id"] in relevant:
            document |= {"title": "", "text": "Other words."}
    judged.write()
    with pytest.raises(GateRefused, match=r"non_inferiority: .* judged queries, by the judgments of the live release"):
        refresh_plainly(judged.settings_file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": "no-such-file.txt"}, "cannot be read"),
        ({"prompt": "corpus.jsonl"}, None),
        ({"api_key_env": "NO_SUCH_VARIABLE"}, "is not there"),
    ],
)
def test_settings_that_cannot_be_meant_are_told(
    judged: Collection, changes: dict[str, object], message: str | None
) -> None:
    if message is None:
        assert judge(judged, **changes).fault is None  # any text is instructions
        return
    try:
        fault = judge(judged, **changes).fault
    except InputError as error:
        fault = error
    assert fault is not None
    assert message in fault.message


def test_where_no_model_is_named_that_is_told(refreshed: Path, nightrank: Command) -> None:
    ended = nightrank("judge", "--by", "model", "-c", refreshed / "nightrank.toml")
    assert ended.code == 2
    assert "[judge].url is missing" in ended.err


def test_the_memo_holds_no_words_of_the_key(judged: Collection) -> None:
    judge(judged)
    held = b"".join(path.read_bytes() for path in judged.folder.rglob("*") if path.is_file())
    assert KEY.encode() not in held
    assert json.loads((judged.folder / "judgments" / "model.tsv.agreement.json").read_text())["model"] == MODEL
