"""Gates that cannot be walked around: by fewer judgments, by many small losses, by queries that nobody judged."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.night.summary import Refused
from nightrank.storage.keys import digest
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.rollback import roll_back
from nightrank.storage.workspace.base import Workspace
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.snippets import answers
from tests.support.collection import LOOSE_GATES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nightrank.flows.night.summary import Summary
    from nightrank.storage.release.manifest import Gate
    from tests.conftest import Command
    from tests.end_to_end.conftest import Refresh
    from tests.support.collection import Collection

ALONE = 40  # documents that are each the one answer to a query of theirs


def gates_of(summary: Summary) -> dict[str, Gate]:
    return {gate.name: gate for gate in summary.manifest.gates}


def refused_of(collection: Collection, refresh: Refresh) -> dict[str, Gate]:
    with pytest.raises(Refused) as refused:
        refresh(collection)
    return {gate.name: gate for gate in refused.value.summary.refused}


def word(number: int) -> str:
    """A word of its own, that is no number."""
    return "".join(chr(ord("a") + int(place)) for place in digest(str(number)) if place.isdigit())[:9]


def judged_by_words(collection: Collection, count: int = ALONE) -> None:
    """A collection in which each of so many judged queries is one document's own word; BM25 alone answers."""
    collection.settings["retrieval"] = {"legs": ["bm25"]}
    collection.settings["reranker"] = {"model": "none"}
    collection.documents += [
        {"_id": f"alone-{number}", "title": "", "text": f"Of {word(number)} and nothing else."}
        for number in range(count)
    ]
    collection.log = [(f"q{number}", word(number), 1) for number in range(count)]
    collection.qrels = [(f"q{number}", f"alone-{number}", 1) for number in range(count)]
    collection.write()


def lose_text(collection: Collection, number: int) -> None:
    collection.document(f"alone-{number}")["text"] = "Nothing is said of it here any more."


@pytest.mark.long
def test_a_night_that_was_refused_does_not_pass_with_fewer_judgments(
    collection: Collection, refresh: Refresh, nightrank: Command
) -> None:
    judged_by_words(collection)
    collection.settings["gates"] = {"min_overlap": "none", "max_top1_changed": "none", "max_empty": "none"}
    whole = list(collection.qrels)
    refresh(collection)
    for number in range(10, ALONE):
        lose_text(collection, number)
    assert "non_inferiority" in refused_of(collection, refresh)

    collection.qrels = whole[:10]
    found = refused_of(collection, refresh)

    assert {"non_inferiority", "judgments"} <= found.keys()
    assert f"on {ALONE} judged queries, by the judgments of the live release: 1.0000 live, 0.2500 now" in (
        found["non_inferiority"].reason
    )
    assert "40 judged queries live, 10 of them now: 75.0% are gone, up to 20.0% may" in found["judgments"].reason
    rejected = FolderWorkspace(collection.workspace).release_ids()[-1]
    report = ReleaseFiles.of(FolderWorkspace(collection.workspace), rejected).report.path.read_text(encoding="utf-8")
    assert "by the judgments of the live release" in report
    assert "10 of them now: 75.0% are gone" in report
    accept = [argument for name in found for argument in ("--accept", name)]
    assert nightrank("refresh", "-c", collection.settings_file, "--json", *accept).json["published"] is True


@pytest.mark.long
def test_losing_a_few_judgments_with_what_they_are_about_is_no_loss(collection: Collection, refresh: Refresh) -> None:
    judged_by_words(collection)
    collection.settings["gates"] = {}
    refresh(collection)
    collection.remove("alone-3")
    collection.qrels = [row for row in collection.qrels if row[1] != "alone-3"]
    collection.log = [row for row in collection.log if row[0] != "q3"]

    gates = gates_of(refresh(collection))

    assert gates["judgments"].value == pytest.approx(1 / ALONE)
    assert gates["non_inferiority"].value == 0.0


class Clock:
    """A clock that a test sets, in place of ``datetime`` where a night asks for the time."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, 2, tzinfo=UTC)

    def now(self, _zone: object) -> datetime:
        return self.at

    def advance(self, **by: int) -> None:
        self.at += timedelta(**by)


@pytest.mark.slow
def test_small_losses_night_after_night_are_stopped_though_releases_are_pruned_and_live_on_after_a_rollback(
    collection: Collection, refresh: Refresh, nightrank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One document of 120 falls behind each night; only two releases are kept."""
    count = 120
    judged_by_words(collection, count)
    collection.settings["retention"] = {"keep": 2}
    collection.settings["gates"] = {}
    clock = Clock()
    monkeypatch.setattr("nightrank.flows.refresh.datetime", clock)
    first = refresh(collection).manifest.release_id
    for number in range(1, 10):
        clock.advance(days=1)
        collection.document(f"alone-{number}")["text"] = f"Of {word(number)} among other things, " * 2
        collection.documents += [  # two that say it better
            {"_id": f"better-{number}-{place}", "title": word(number), "text": word(number)} for place in (1, 2)
        ]
        try:
            summary = refresh(collection)
        except Refused as error:
            refused = error.summary
            break
    else:
        pytest.fail("nine nights passed")

    assert number == 8  # .0042 a night
    assert [gate.name for gate in refused.refused] == ["quality_drift"]
    workspace = FolderWorkspace(collection.workspace)
    assert first not in workspace.release_ids()
    [gate] = refused.refused
    assert f"on 120 judged queries: 1.0000 in {first}, the best of the last 30 days" in gate.reason

    before = next(name for name in workspace.release_ids() if name not in {summary.manifest.release_id})
    clock.advance(minutes=1)
    roll_back(workspace, before, now=clock.at, publish=Workspace.publish)
    assert "quality_drift" in refused_of(collection, refresh)  # the record went back with it, and says the same

    clock.advance(minutes=1)
    ended = nightrank("refresh", "-c", collection.settings_file, "--json", "--accept", "quality_drift")
    assert ended.json["published"] is True
    clock.advance(days=1)
    collection.document("tea")["shelf"] = 3
    after = gates_of(refresh(collection))["quality_drift"]
    assert after.passed  # what was given up on purpose is asked for no more
    assert after.value == 0.0


@pytest.mark.long
def test_a_night_on_which_nothing_changed_but_metadata_has_not_moved_at_all(
    collection: Collection, refresh: Refresh
) -> None:
    collection.settings["gates"] = {}
    refresh(collection)
    collection.document("tea")["shelf"] = 3

    gates = gates_of(refresh(collection))

    assert [gates[name].value for name in ("unrelated", "profile", "quality_drift", "top1_drift", "judgments")] == [
        0.0
    ] * 5
    assert gates["overlap_drift"].value == 1.0
    assert all(gate.passed for gate in gates.values())


def half_of_the_vocabulary(model: Path) -> None:
    """Take every second word from a tokenizer."""
    path = model / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    words: dict[str, int] = tokenizer["model"]["vocab"]
    special = {token["content"] for token in tokenizer["added_tokens"]}
    tokenizer["model"]["vocab"] = {
        word: number
        for word, number in words.items()
        if word in special or len(word.removeprefix("##")) == 1 or digest(word) < "8"
    }
    path.write_text(json.dumps(tokenizer), encoding="utf-8")


@pytest.mark.long
def test_a_tokenizer_that_lost_half_of_its_vocabulary_is_stopped_where_nothing_is_judged(
    collection: Collection, refresh: Refresh, tmp_path: Path
) -> None:
    from benchmarks.inputs.tiny_models import tiny_embedder

    del collection.settings["judgments"]
    whole, broken = tiny_embedder(tmp_path / "whole"), tiny_embedder(tmp_path / "broken")
    half_of_the_vocabulary(broken)
    collection.settings["embedder"] = {"model": str(whole)}
    collection.settings["gates"] = {**LOOSE_GATES, "max_shift": 0.3}
    refresh(collection)
    collection.settings["embedder"] = {"model": str(broken)}

    found = refused_of(collection, refresh)

    assert found.keys() == {"profile"}
    assert "tokens of the embedder in 100 characters live" in found["profile"].reason


@pytest.mark.long
def test_an_analysis_that_lost_half_of_its_terms_everywhere_is_stopped_where_nothing_is_judged(
    collection: Collection, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    del collection.settings["judgments"]
    collection.settings["gates"] = {**LOOSE_GATES, "max_shift": 0.3}
    refresh(collection)
    terms_of = Analyser.__call__

    def broken(self: Analyser, words: list[str], language: int, /) -> Sequence[str | None]:
        terms = terms_of(self, words, language)
        return [None if term is None or digest(term) < "8" else term for term in terms]

    monkeypatch.setattr(Analyser, "__call__", broken)
    monkeypatch.setattr("nightrank.flows.night.build.PIPELINE", "planted")  # everything is made anew

    found = refused_of(collection, refresh)

    assert found.keys() == {"profile"}
    assert "terms of BM25 in 100 characters live" in found["profile"].reason


@pytest.mark.long
def test_garbage_for_queries_that_nobody_judged_is_stopped(
    collection: Collection, refresh: Refresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where results are written, queries that nobody judged get those of another query."""
    judged_by_words(collection)
    collection.qrels = collection.qrels[:5]
    collection.settings["gates"] = {**LOOSE_GATES, "max_unrelated": 0.1, "max_shift": 0.3}
    refresh(collection)
    collection.document("tea")["shelf"] = 3
    rows_of = answers.answer_rows

    def broken(*args: object, **options: object) -> list[tuple[str, str, str]]:
        rows = list(rows_of(*args, **options))  # type: ignore[arg-type]  # what it is given
        judged = {word(number) for number in range(5)}
        mine = [row for row in rows if row[1] not in judged]
        turned = [(key, text, other) for (key, text, _), (_, _, other) in zip(mine, mine[1:] + mine[:1], strict=True)]
        return [*(row for row in rows if row[1] in judged), *turned]

    monkeypatch.setattr(answers, "answer_rows", broken)

    found = refused_of(collection, refresh)

    assert found.keys() == {"unrelated", "profile"}
    assert "of the first results of 40 queries share no word with them and are little similar, 0.0% live" in (
        found["unrelated"].reason
    )
    assert "words that results share with their queries" in found["profile"].reason


@pytest.mark.long
def test_a_live_release_without_records_is_not_compared_with(collection: Collection, refresh: Refresh) -> None:
    """A file that is missing or damaged, or a release that an earlier version made."""
    collection.settings["gates"] = {}
    live = refresh(collection).manifest.release_id
    files = ReleaseFiles.of(FolderWorkspace(collection.workspace), live)
    for file in (files.judgments, files.profile, files.past_releases):
        file.path.unlink()
    collection.document("tea")["shelf"] = 3

    summary = refresh(collection)

    gates = gates_of(summary)
    told = "Of the live release judgments.parquet, past_releases.parquet, profile.parquet are missing or damaged"
    assert any(warning.startswith(told) for warning in summary.warnings)
    assert gates["judgments"].reason == "not compared: the live release has kept no judgments"
    assert "not compared: the live release has no profile" in gates["unrelated"].reason
    assert gates["profile"].reason == "not compared: the live release has no profile"
    assert gates["quality_drift"].reason.startswith("not compared: no judged query")
    assert all(gate.passed for gate in gates.values())
