from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.release.files import ReleaseFiles
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.snippets.carried import carrying
from nightrank.tasks.snippets.passage import PassageText
from nightrank.tasks.snippets.results import Snippets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import NoReturn

    from nightrank.storage.serving.cache import Snippet

ENGLISH, GERMAN = Analyser(("english",)), Analyser(("german",))
LONG = "Nothing is said here. " * 20 + "Bees make honey, and bees make wax. " + "Nothing more. " * 20
RESULTS = [("q1", LONG, 0), ("q1", "Wax.", 0), ("q2", LONG, 0), ("q2", " ", 0), ("q1", LONG, 0)]
WEIGHTS = {"q1": {"bee": 3, "wax": 1}, "q2": {"honey": 2}}


def night(
    folder: Path,
    *,
    before: Path | None,
    results: list[tuple[str, str, int]] = RESULTS,
    weights: Mapping[str, Mapping[str, int]] = WEIGHTS,
    analyser: Analyser = ENGLISH,
    characters: int = 80,
) -> tuple[list[Snippet | None], int]:
    """The snippets of some results, and how many of them were made."""
    folder.mkdir()
    file = ReleaseFiles(folder).snippets
    with carrying(file, before=None if before is None else ReleaseFiles(before).snippets) as carrier:
        maker = Snippets(analyser, characters=characters, carrier=carrier).of(weights)
        found = maker(*map(list, zip(*results, strict=True)))
    return list(found), carrier.made


def make_nothing(*_: object) -> NoReturn:
    message = "a snippet was made"
    raise AssertionError(message)


def test_what_did_not_change_is_taken_over_to_the_byte_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Snippets(ENGLISH, characters=80).of(WEIGHTS)
    first, made = night(tmp_path / "1", before=None)
    assert made == len(RESULTS)
    assert first == plain(*map(list, zip(*RESULTS, strict=True)))
    assert [snippet is None for snippet in first] == [False, False, False, True, False]
    assert first[0] is not None
    assert len(first[0].highlights) == 3

    monkeypatch.setattr(PassageText, "passage", make_nothing)

    assert night(tmp_path / "2", before=tmp_path / "1") == (first, 0)
    assert (
        ReleaseFiles(tmp_path / "2").snippets.path.read_bytes()
        == ReleaseFiles(tmp_path / "1").snippets.path.read_bytes()
    )


def test_a_night_makes_what_is_new_alone_and_ends_where_one_from_nothing_ends(tmp_path: Path) -> None:
    night(tmp_path / "1", before=None)
    edited = [("q1", LONG + "Bees!", 0), *RESULTS[1:4], ("q2", "Honey.", 0)]
    found, made = night(tmp_path / "2", before=tmp_path / "1", results=edited)
    assert made == 2
    assert night(tmp_path / "anew", before=None, results=edited)[0] == found
    assert ReleaseFiles(tmp_path / "2").snippets.read().equals(ReleaseFiles(tmp_path / "anew").snippets.read())


def test_a_term_that_has_become_more_common_has_the_snippets_of_its_queries_made_alone(tmp_path: Path) -> None:
    night(tmp_path / "1", before=None)
    changed = {**WEIGHTS, "q2": {"honey": 1}}
    assert night(tmp_path / "2", before=tmp_path / "1", weights=changed)[1] == 2  # of q2


@pytest.mark.parametrize(
    "changed", [{"analyser": GERMAN}, {"characters": 81}, {"results": [(q, text, 1) for q, text, _ in RESULTS]}]
)
def test_another_analysis_length_or_language_takes_nothing_over(tmp_path: Path, changed: dict[str, object]) -> None:
    both = Analyser(("english", "german"))
    night(tmp_path / "1", before=None, analyser=both if "results" in changed else ENGLISH)
    if "results" in changed:
        changed = {**changed, "analyser": both}
    made = night(tmp_path / "2", before=tmp_path / "1", **changed)[1]  # type: ignore[arg-type]  # options of night
    assert made == len(RESULTS)


def test_a_night_without_results_takes_nothing_over_and_writes_no_row(tmp_path: Path) -> None:
    night(tmp_path / "1", before=None)
    (tmp_path / "2").mkdir()
    files = ReleaseFiles(tmp_path / "2")
    with carrying(files.snippets, before=ReleaseFiles(tmp_path / "1").snippets) as carrier:
        assert Snippets(ENGLISH, characters=80, carrier=carrier).of({})([], [], []) == []
    assert files.snippets.read().num_rows == 0
