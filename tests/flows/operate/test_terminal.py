from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.night.summary import Summary
from nightrank.flows.night.terminal import show_summary
from nightrank.flows.operate.doctor import Check, Diagnosis
from nightrank.flows.operate.releases import ListedRelease
from nightrank.flows.operate.terminal import (
    EXCERPT,
    show_diagnosis,
    show_pruned,
    show_releases,
    show_results,
    show_rollback,
)
from nightrank.flows.terminal import show_measures
from nightrank.storage.doctor.faults import Fault
from nightrank.storage.release.manifest import Counts, Gate, Manifest
from nightrank.storage.release.prune import Pruned
from nightrank.storage.release.rollback import RolledBack
from nightrank.storage.serving.cache import CachedResults, Result, Snippet
from nightrank.tasks.doctor.examined import Findings

if TYPE_CHECKING:
    from typing import Any, Literal

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = "[bold red]x[/] [/] :heart: [link=http://a.example]y[/link] \\[z]"


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def result(*, title: str = "Title", text: str = "Text.", document_id: str = "d1") -> Result:
    return Result(1, document_id, f"{document_id}#0", 1.25, title, text, {})


def shown(capsys: pytest.CaptureFixture[str], found: CachedResults) -> str:
    show_results(found)
    return capsys.readouterr().out


def test_nothing_from_a_document_or_a_query_is_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    found = CachedResults(HOSTILE, "r1", (result(title=HOSTILE, text=HOSTILE, document_id=HOSTILE),))
    assert shown(capsys, found).count(HOSTILE) == 4


@pytest.mark.parametrize(
    "code", ["\x1b[2J", "\x1b]0;owned\x07", "\x9b31m", "\x00", "\x08", "\u202e", "\u2066", "\u200f"]
)
def test_nothing_from_a_document_or_a_query_reaches_the_terminal_as_a_command(
    capsys: pytest.CaptureFixture[str], code: str
) -> None:
    found = CachedResults(code, "r1", (result(title=code, text=code, document_id=code), result(title="")))
    written = shown(capsys, found)
    assert not any(character in written for character in "\x1b\x9b\x07\x00\x08\u202e\u2066\u200f")
    assert "\N{REPLACEMENT CHARACTER}" in written


def test_a_result_shows_its_rank_title_id_score_and_the_beginning_of_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = result(title="A\ntitle", text="one\n\n two " + "x" * 500)
    lines = shown(capsys, CachedResults("q", "r1", (long,))).splitlines()
    assert lines[0] == "q  (cache, release r1)"
    assert lines[1] == " 1  A title  d1  1.250"
    assert lines[2].strip() == "one two " + "x" * (EXCERPT - 9) + "…"


def test_a_snippet_is_shown_on_one_line_with_what_is_cut_off_around_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = "Of bees. Honey\n\x1b[31m is\tmade\nof nectar. Wax is not."
    snippet = Snippet(text.index("Honey"), text.index(". Wax"), cut_start=True, cut_end=True, highlights=((9, 14),))
    long = replace(result(text=text), snippet=snippet)
    written = shown(capsys, CachedResults("q", "r1", (long,))).splitlines()[2]
    assert written.strip() == "… Honey \N{REPLACEMENT CHARACTER}[31m is made of nectar …"
    whole = replace(result(text=text), snippet=replace(snippet, cut_start=False, cut_end=False))
    assert "…" not in shown(capsys, CachedResults("q", "r1", (whole,)))


def test_a_document_without_a_title_goes_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    assert " 1  d1  d1  1.250" in shown(capsys, CachedResults("q", "r1", (result(title=""),)))


def test_a_query_without_results_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert "No document matches." in shown(capsys, CachedResults("q", "r1", ()))


def test_measures_are_rows_of_stages(capsys: pytest.CaptureFixture[str]) -> None:
    show_measures({"bm25": {"nDCG@10": 0.25}, "results": {"nDCG@10": 1 / 3}}, title="Measures [of] now")
    written = capsys.readouterr().out
    assert "Measures [of] now" in written
    rows = [line.strip("│ ").split("│") for line in written.splitlines() if "0." in line]
    assert [[cell.strip() for cell in row] for row in rows] == [["BM25", "0.2500"], ["results as published", "0.3333"]]


def test_what_a_query_costs_stands_beside_what_was_timed(capsys: pytest.CaptureFixture[str]) -> None:
    means = {"static": {"RR": 0.25}, "fused": {"RR": 0.5}, "a run of mine": {"RR": 0.125}}
    show_measures(means, title="Measures", milliseconds={"static": 0.75, "fused": 12.34})
    written = capsys.readouterr().out
    rows = [line.strip().strip("│").split("│") for line in written.splitlines() if "0." in line]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["static embeddings", "0.2500", "0.8"],
        ["hybrid", "0.5000", "12.3"],
        ["a run of mine", "0.1250", ""],
    ]
    assert "ms a query" in written


def test_without_judgments_there_is_a_hint_with_its_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    show_measures({}, title="Measures")
    assert "set [judgments].qrels to measure" in capsys.readouterr().out


def manifest(release_id: str, *, status: Literal["accepted", "rejected"], gate: str = "") -> Manifest:
    """Only what the table of releases reads."""
    why = "so \x1b[2J [bold]"
    accepted = status == "accepted"
    failed = [Gate(name=gate, passed=False, value=1.0, threshold=0.0, reason=why, accepted=accepted)] if gate else []
    values: dict[str, Any] = {
        "release_id": release_id,
        "status": status,
        "created_at": CREATED,
        "counts": Counts.model_validate(dict.fromkeys(Counts.model_fields, 1234)),
        "measures": {"results": {"nDCG@10": 0.5}},
        "gates": [Gate(name="fine", passed=True, value=0.0, threshold=0.0, reason=""), *failed],
    }
    return Manifest.model_construct(**values)


def listed(
    release_id: str, *, current: bool = False, status: Literal["accepted", "rejected"] = "accepted", gate: str = ""
) -> ListedRelease:
    return ListedRelease(release_id, current, 1_500_000, manifest(release_id, status=status, gate=gate))


def rows(written: str) -> list[str]:
    """The rows of the table of releases, single-spaced, without its header."""
    return [" ".join(line.split()) for line in written.splitlines()[1:]]


def test_releases_are_shown_newest_first_with_what_is_current_and_what_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_releases([listed("r1", current=True), listed("r2", status="rejected", gate="bm25_audit")], now=CREATED)
    assert rows(capsys.readouterr().out) == [
        "r2 just now 1,234 1,234 1,234 1.5 0.5000 rejected, failed bm25_audit",
        "r1 just now 1,234 1,234 1,234 1.5 0.5000 current, all gates passed",
        "r2 was rejected by bm25_audit: so \N{REPLACEMENT CHARACTER}[2J [bold].",
    ]


def test_a_release_that_was_published_despite_a_gate_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show_releases([listed("r1", current=True, gate="overlap")], now=CREATED)
    assert rows(capsys.readouterr().out) == [
        "r1 just now 1,234 1,234 1,234 1.5 0.5000 current, despite overlap",
        "r1 was published despite overlap: so \N{REPLACEMENT CHARACTER}[2J [bold].",
    ]


@pytest.mark.parametrize(
    ("status", "head", "verdict"),
    [
        ("accepted", "Published release r1 despite overlap (1.0 s).", "ACCEPTED"),
        ("rejected", "Rejected release r1 (1.0 s).", "FAILED"),
    ],
)
def test_a_refresh_shows_value_threshold_verdict_and_reason_of_each_gate(
    capsys: pytest.CaptureFixture[str], status: Literal["accepted", "rejected"], head: str, verdict: str
) -> None:
    made = manifest("r1", status=status, gate="overlap")
    show_summary(
        Summary(
            manifest=made.model_copy(update={"measures": {}}),
            published=status == "accepted",
            changed=True,
            counts=made.counts,
            seconds={"total": 1.0},
            warnings=("mind [this]",),
            coverage=1.0,
            dropped=(),
        )
    )
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == head
    assert "gate value threshold verdict why" in lines
    assert "fine 0 0 passed" in lines
    assert f"overlap 1 0 {verdict} so \N{REPLACEMENT CHARACTER}[2J [bold]" in lines
    assert "Note: mind [this]" in lines


def test_gates_that_had_nothing_to_compare_with_are_one_line_for_each_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = manifest("r1", status="accepted", gate="overlap")
    gates = [
        *(Gate.not_compared(name, "it is the first release", value=1.0, threshold=0.5) for name in ("kept", "top1")),
        Gate(name="empty", passed=True, value=0.0, threshold=0.05, reason="0 of 9 queries have no result"),
        Gate.not_compared("judgments", "nothing was [judged]", value=0.0, threshold=0.2),
    ]
    show_summary(
        Summary(
            manifest=made.model_copy(update={"measures": {}, "gates": gates}),
            published=True,
            changed=True,
            counts=made.counts,
            seconds={"total": 1.0},
            warnings=(),
            coverage=1.0,
            dropped=(),
        )
    )
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    start = lines.index("gate value threshold verdict why")
    assert lines[start + 1 : start + 4] == [
        "empty 0 0.05 passed 0 of 9 queries have no result",
        "Not compared: kept, top1: it is the first release.",
        "Not compared: judgments: nothing was [judged].",
    ]


def test_a_release_that_cannot_be_read_is_listed_as_damaged_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    damaged = ListedRelease("r1", current=True, size_bytes=2_000_000, manifest=None, damage="no\x1b[2J manifest [of]")
    show_releases([damaged, listed("r2")], now=CREATED)
    second, first, reason = rows(capsys.readouterr().out)
    assert second.endswith("accepted, all gates passed")
    assert first == "r1 2.0 current, damaged"
    assert reason == "r1 is damaged: no\N{REPLACEMENT CHARACTER}[2J manifest [of]"


def test_the_list_of_releases_fits_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_releases([listed("20260102T030405-678Z", current=True)], now=CREATED + timedelta(minutes=33))
    written = capsys.readouterr().out
    assert all(len(line) <= 80 for line in written.splitlines())
    assert "…" not in written
    assert {"20260102T030405-678Z", "current,", "1,234", "1.5", "0.5000", "documents"} <= set(written.split())


@pytest.mark.parametrize(
    ("age", "reported"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=3, minutes=50), "3 hours ago"),
        (timedelta(days=1, hours=2), "1 day ago"),
        (timedelta(days=400), "400 days ago"),
    ],
)
def test_the_age_of_a_release_is_told_in_its_largest_unit(
    capsys: pytest.CaptureFixture[str], age: timedelta, reported: str
) -> None:
    show_releases([listed("r1")], now=CREATED + age)
    assert rows(capsys.readouterr().out) == [f"r1 {reported} 1,234 1,234 1,234 1.5 0.5000 accepted, all gates passed"]


def test_before_the_first_release_there_is_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    show_releases([], now=CREATED)
    assert "nightrank refresh" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "first"), [("r2", "Release r1 is current now; before, it was r2."), (None, "Release r1 is current now.")]
)
def test_after_a_rollback_people_are_told_what_the_next_refresh_does(
    capsys: pytest.CaptureFixture[str], before: str | None, first: str
) -> None:
    show_rollback(RolledBack("r1", before))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == first
    assert "next refresh compares the inputs with it" in lines[1]
    assert "nightrank export" not in " ".join(lines)

    show_rollback(RolledBack("r1", before), exports=True)

    assert "nightrank export" in capsys.readouterr().out


def test_a_diagnosis_is_a_table_of_checks_with_their_faults_below(capsys: pytest.CaptureFixture[str]) -> None:
    lost = Fault("lost [bold]", 7, ("a\x1b[2J", "b"))
    checks = (
        Check("files", Findings({"files": 1234}, [])),
        Check("dense_lists", Findings({}, [])),
        Check("results", Findings({"queries": 2, "answers": 1}, [lost])),
    )
    show_diagnosis(Diagnosis("r1", checks))
    written = capsys.readouterr().out
    table = [[cell.strip() for cell in line.split("│")[1:-1]] for line in written.splitlines() if "│" in line]
    assert {row[0]: row[1:] for row in table} == {
        "files": ["1,234 files", "agrees"],
        "dense_lists": ["", "not in this release"],
        "results": ["2 queries, 1 answers", "DISAGREES"],
    }
    assert "results: lost [bold] (7): a\N{REPLACEMENT CHARACTER}[2J, b, ..." in written
    assert written.splitlines()[-1] == "The stores disagree."


def test_a_collection_says_what_went_and_who_holds_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    pruned = Pruned(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        releases_removed=("r1", "r2"),
        staging_removed=0,
        tags_removed=0,
        tables_removed=("chunks_e0",),
        rows_removed=1234,
        memos_removed=(),
        pair_scores_removed=56_789,
        query_vectors_removed=0,
        sparse_vectors_removed=0,
        waiting_for_readers=True,
        bytes_before=10_000_000,
        bytes_after=7_500_000,
    )
    show_pruned(pruned, dry_run=False)
    written = capsys.readouterr().out
    for words in ("Freed 2.5 of 10.0 MB.", "r1, r2", "chunks_e0", "1,234", "56,789", "a reader holds LanceDB open"):
        assert words in written
    show_pruned(replace(pruned, waiting_for_readers=False), dry_run=True)
    written = capsys.readouterr().out
    assert "Would free at least 2.5" in written
    assert "somebody" not in written
