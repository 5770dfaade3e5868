from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from flows.show import EXCERPT, show_measures, show_releases, show_results
from storage.releases import Counts, Gate, Manifest
from storage.search_cache import CachedResults, Result

if TYPE_CHECKING:
    from typing import Any, Literal

HOSTILE = "[bold red]x[/] [/] :heart: [link=http://a.example]y[/link] \\[z]"


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def result(*, title: str = "Title", text: str = "Text.", document_id: str = "d1") -> Result:
    return Result(1, document_id, f"{document_id}#0", 1.25, title, text, {})


def shown(capsys: pytest.CaptureFixture[str], found: CachedResults) -> str:
    show_results(found, source="cache")
    return capsys.readouterr().out


def test_nothing_from_a_document_or_a_query_is_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    found = CachedResults(HOSTILE, "r1", (result(title=HOSTILE, text=HOSTILE, document_id=HOSTILE),))
    assert shown(capsys, found).count(HOSTILE) == 4


@pytest.mark.parametrize("code", ["\x1b[2J", "\x1b]0;owned\x07", "\x9b31m", "\x00", "\x08"])
def test_nothing_from_a_document_or_a_query_reaches_the_terminal_as_a_command(
    capsys: pytest.CaptureFixture[str], code: str
) -> None:
    found = CachedResults(code, "r1", (result(title=code, text=code, document_id=code), result(title="")))
    written = shown(capsys, found)
    assert not any(character in written for character in "\x1b\x9b\x07\x00\x08")
    assert "\N{REPLACEMENT CHARACTER}" in written


def test_a_result_shows_its_rank_title_id_score_and_the_beginning_of_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = result(title="A\ntitle", text="one\n\n two " + "x" * 500)
    lines = shown(capsys, CachedResults("q", "r1", (long,))).splitlines()
    assert lines[0] == "q  (cache, release r1)"
    assert lines[1] == " 1  A title  d1  1.250"
    assert lines[2].strip() == "one two " + "x" * (EXCERPT - 9) + "…"


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


def test_without_judgments_there_is_a_hint_with_its_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    show_measures({}, title="Measures")
    assert "name a qrels file in [judgments]" in capsys.readouterr().out


def manifest(release_id: str, *, status: Literal["accepted", "rejected"], gate: str = "") -> Manifest:
    """Only what the table of releases reads."""
    failed = [Gate(name=gate, passed=False, value=1.0, threshold=0.0, reason="")] if gate else []
    values: dict[str, Any] = {
        "release_id": release_id,
        "status": status,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "counts": Counts.model_validate(dict.fromkeys(Counts.model_fields, 1234)),
        "measures": {"results": {"nDCG@10": 0.5}},
        "gates": [Gate(name="fine", passed=True, value=0.0, threshold=0.0, reason=""), *failed],
    }
    return Manifest.model_construct(**values)


def test_releases_are_shown_newest_first_with_what_is_current_and_what_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifests = [manifest("r1", status="accepted"), manifest("r2", status="rejected", gate="bm25_audit")]
    show_releases(manifests, {"r1": 1_500_000, "r2": 0}, current="r1")
    second, first = [line for line in capsys.readouterr().out.splitlines() if "r1" in line or "r2" in line]
    assert "r2" in second
    assert "rejected" in second
    assert "failed: bm25_audit" in second
    for cell in ("current", "1,234", "1.5", "0.5000", "passed"):
        assert cell in first


def test_before_the_first_release_there_is_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    show_releases([], {}, current=None)
    assert "nightrank refresh" in capsys.readouterr().out
