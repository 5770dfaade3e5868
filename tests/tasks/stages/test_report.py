"""The report of a release as a page: whole, escaped, quiet, and there whatever is missing."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from nightrank.storage.files.parquet import write_table
from nightrank.storage.release.evaluation import COMPARISON
from nightrank.storage.release.manifest import Gate, Manifest
from nightrank.tasks.models.card import CARD, LOSSES_FILE
from nightrank.tasks.models.curve import LOSSES
from nightrank.tasks.stages.report import write_report
from tests.support.carded import card, figure
from tests.support.reported import (
    FIRST,
    SECOND,
    manifest_of,
    write_answers,
    write_everything_else,
    write_rows,
    write_worth,
)

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta", "input", "br", "img", "link", "hr"}
HOSTILE_TITLE = "</script><script>alert(1)</script>"
HOSTILE_QUERY = "\"><img src=x onerror=alert(1)> 'quoted'"
DIAGNOSIS = [
    ("q", "a", 2, "found", 1, 2, None, 1, 1, 1),
    ("q", "</td><b>", 1, "lost in every leg", None, None, None, None, None, None),
]


class Page(HTMLParser):
    """A page as a parser reads it: its elements with attributes, its text, what is closed wrongly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.faults += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.text += " " if tag in {"td", "th", "span"} else ""
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in {"script", "style"}:
            self.text += data

    def words(self) -> str:
        """The text that is seen, its spaces collapsed."""
        return " ".join(self.text.split())


@pytest.fixture
def nights(tmp_path: Path) -> tuple[Path, Path]:
    """The folders of two releases with everything in them, some of it hostile."""
    before, now = tmp_path / FIRST, tmp_path / SECOND
    write_answers(before, {"q": (HOSTILE_QUERY, [("a", "Alder"), ("x", HOSTILE_TITLE)])})
    write_answers(now, {"q": (HOSTILE_QUERY, [("x", HOSTILE_TITLE), ("a", "Al\x00der\u202e")])})
    write_worth(before, {"q": 1.0})
    write_worth(now, {"q": 0.5})
    write_everything_else(now, DIAGNOSIS)
    return before, now


def page_of(now: Path, before: Path | None = None, *, manifest: Manifest | None = None) -> str:
    previous = None if before is None else (before, manifest_of(FIRST))
    path = now / "report.html"
    write_report(
        now, manifest_of() if manifest is None else manifest, previous=previous, models=now.parent / "models", path=path
    )
    return path.read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_fetches_nothing(nights: tuple[Path, Path]) -> None:
    before, now = nights
    text = page_of(now, before)
    page = Page(text)

    assert page.faults == []
    assert "http:" not in text
    assert "https:" not in text
    targets = [
        str(value)
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}
    ]
    assert targets
    assert all(target.startswith("#") for target in targets)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    assert "@import" not in text


def test_a_policy_in_the_page_forbids_every_script_but_its_own(nights: tuple[Path, Path]) -> None:
    text = page_of(nights[1], nights[0])
    page = Page(text)

    [policy] = [
        str(attributes["content"])
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}';" in policy
    assert [tag for tag, attributes in page.elements if any(name.startswith("on") for name in attributes)] == []


def test_what_documents_and_queries_say_is_shown_and_never_obeyed(nights: tuple[Path, Path]) -> None:
    page = Page(page_of(nights[1], nights[0]))

    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert "img" not in tags
    assert "b" not in tags
    assert HOSTILE_TITLE in page.text
    assert HOSTILE_QUERY in page.text
    assert "</td><b>" in page.text
    assert "Al\ufffdder\ufffd" in page.text


def test_results_have_their_snippets_and_those_of_before_do_not(nights: tuple[Path, Path]) -> None:
    text = page_of(nights[1], nights[0])
    assert text.count("An &lt;i&gt;<mark>answer</mark>&lt;/i&gt; &amp; more.") == 2
    assert "Before. An" not in text
    assert "i" not in [tag for tag, _ in Page(text).elements]


def test_queries_that_nothing_answered_well_are_told_with_what_tells_of_them(nights: tuple[Path, Path]) -> None:
    page = Page(page_of(nights[1], nights[0]))
    words = page.words().partition("Content gaps What visitors asked")[2].partition("What the night cost")[0]
    assert '</td><b>no answer</b> {"a":"<i>"} 9 no results, no clicks 0 – 0 of 40' in " ".join(words.split())
    assert "weak 3 low score 10 \u22127.250 –" in words
    (nights[1] / "gaps.parquet").unlink()
    assert "No query is without a result" in Page(page_of(nights[1], nights[0])).words()


def test_the_same_release_gives_the_same_page(nights: tuple[Path, Path]) -> None:
    assert page_of(nights[1], nights[0]) == page_of(nights[1], nights[0])


def test_the_headline_gives_the_p_by_which_its_verdict_is_decided(nights: tuple[Path, Path]) -> None:
    before, now = nights
    row = ("results", "nDCG@10", 2, 0.5, 0.25, -0.25, -0.4, -0.1, 0.011, 0.176, 0, 1, 1)
    write_rows(now / "comparison.parquet", COMPARISON, [row])

    words = Page(page_of(now, before)).words()

    assert "corrected p = 0.176): no evidence of a difference." in words.partition("Gates")[0]
    assert "0.011" not in words.partition("Gates")[0]


def test_what_a_query_was_worth_before_is_by_the_judgments_of_then_only_where_it_was_not_measured_again(
    nights: tuple[Path, Path],
) -> None:
    before, now = nights
    inputs = manifest_of().inputs.model_copy(update={"judgments": "fedcba9876543210"})
    changed = manifest_of(inputs=inputs)
    assert "by the judgments of then" in page_of(now, before, manifest=changed)
    write_worth(now, {"q": 0.75}, name="previous.parquet")
    assert "by the judgments of then" not in page_of(now, before, manifest=changed)


def test_the_headline_tells_a_significant_loss(nights: tuple[Path, Path]) -> None:
    words = Page(page_of(nights[1], nights[0])).words()

    assert "Published Every gate passed. nDCG@10 is 0.250, \u22120.250 against the release before" in words
    assert "significantly worse" in words
    assert "won: 0, lost: 1" in words


def test_a_rejected_release_says_which_gate_and_why(nights: tuple[Path, Path]) -> None:
    refusing = Gate(name="overlap", passed=False, value=float("inf"), threshold=0.5, reason="too <few> in common")
    words = Page(page_of(nights[1], manifest=manifest_of(status="rejected", gates=[refusing]))).words()

    assert "Rejected Not published: the gate overlap refused it (too <few> in common)." in words
    assert "overlap refused \u221e 0.5 too <few> in common" in words


def test_a_release_published_against_a_gate_says_so(nights: tuple[Path, Path]) -> None:
    gate = Gate(name="overlap", passed=False, value=0.1, threshold=0.5, reason="little in common", accepted=True)
    words = Page(page_of(nights[1], manifest=manifest_of(gates=[gate]))).words()

    assert "Published against a gate Published on purpose, although the gate overlap refused it" in words


def test_a_release_of_which_only_the_manifest_is_left_has_a_report(tmp_path: Path) -> None:
    page = Page(page_of(tmp_path))

    assert page.faults == []
    words = page.words()
    assert f"The release before, {FIRST}, cannot be read any more. Raise keep in [retention] to keep more." in words
    assert "depths.parquet is empty, or not there" in words
    assert "timed_queries" in words
    assert "where the query log has a column timestamp" in words


def test_a_first_release_is_compared_with_nothing(nights: tuple[Path, Path]) -> None:
    words = Page(page_of(nights[0], manifest=manifest_of(FIRST))).words()

    assert words.count("This is the first release: there is nothing to compare it with.") == 2
    assert "Of 1 judged queries the worst are told here" in words


def test_without_judgments_the_report_says_what_to_set(nights: tuple[Path, Path]) -> None:
    words = Page(page_of(nights[1], nights[0], manifest=manifest_of(measures={}))).words()

    assert words.count("Nothing was measured: name judgments as qrels in [judgments].") == 5
    assert "Every gate passed. Nothing was measured." in words


def test_without_a_reranker_the_depth_curve_says_what_to_set(nights: tuple[Path, Path]) -> None:
    inputs = manifest_of().inputs.model_copy(update={"reranker": "none"})
    words = Page(page_of(nights[1], nights[0], manifest=manifest_of(inputs=inputs))).words()

    assert "Nothing was reranked: name a model in [reranker]." in words


def test_a_previous_release_without_the_files_of_an_evaluation_is_no_obstacle(
    nights: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir()

    page = Page(page_of(nights[1], tmp_path / "bare"))

    assert page.faults == []
    assert "1 were not measured before" in page.words()


def test_other_measures_than_the_usual_ones_are_told_of(tmp_path: Path) -> None:
    write_answers(tmp_path, {"q": ("trees", [("a", "Alder")])})
    write_worth(tmp_path, {"q": 0.125}, measure="AP")

    words = Page(page_of(tmp_path, manifest=manifest_of(measures={"results": {"AP": 0.125}}))).words()

    assert "AP is 0.125" in words
    assert "trees 0.125" in words


def test_the_page_stays_small_however_much_is_judged_and_however_long_it_is(tmp_path: Path) -> None:
    for name, score in (("before", 0.5), ("now", 1.0)):
        ids = [f"{number:04}" for number in range(400)]
        documents = [(f"{rank}-" + "d" * 500, "t" * 5000) for rank in range(10)]
        write_answers(tmp_path / name, {query_id: (f"{query_id} " + "q" * 3000, documents) for query_id in ids})
        write_worth(tmp_path / name, {query_id: score * int(query_id) % 97 / 97 for query_id in ids})
    diagnosis = [(f"{query:04}", "r" * 500, 1, "found", *[None] * 6) for query in range(400)]
    many = [(*row[:1], f"{place}{row[1]}", *row[2:]) for row in diagnosis for place in range(60)]
    write_everything_else(tmp_path / "now", many)

    assert len(page_of(tmp_path / "now", tmp_path / "before").encode()) < 1_500_000


def test_a_page_that_could_not_be_finished_is_not_there(nights: tuple[Path, Path]) -> None:
    before, now = nights
    (now / "coverage.parquet").write_bytes(b"torn")

    with pytest.raises(Exception, match=r"[Pp]arquet"):
        page_of(now, before)

    assert not list(now.glob("*report.html*"))


def test_files_without_rows_read_as_no_data(nights: tuple[Path, Path]) -> None:
    before, now = nights
    from nightrank.storage.release.evaluation import COMPARISON, COVERAGE, DIAGNOSIS, DROPPED

    for name, schema in (
        ("comparison", COMPARISON),
        ("coverage", COVERAGE),
        ("dropped", DROPPED),
        ("diagnosis", DIAGNOSIS),
    ):
        write_rows(now / f"{name}.parquet", schema, [])

    words = Page(page_of(now, before)).words()

    assert "No row of the query log was left out by a rule." in words
    assert "diagnosis.parquet is empty, or not there" in words


def manifest_with(model: str) -> Manifest:
    return manifest_of(settings={"workspace": "w", "embedder": {"model": model}, "reranker": {"model": "none"}})


def test_a_model_that_was_trained_here_shows_its_figures_and_its_loss_curve(nights: tuple[Path, Path]) -> None:
    _, now = nights
    folder = now.parent / "models" / "embedder-f00d"
    folder.mkdir(parents=True)
    hostile = card(figure(difference=0.125)).model_copy(update={"base": HOSTILE_TITLE})
    (folder / CARD).write_text(hostile.model_dump_json())
    rows = [{"step": step, "loss": 3.0 / step, "learning_rate": 0.1, "held_out": 0.5} for step in (1, 2, 3)]
    write_table(folder / LOSSES_FILE, pa.Table.from_pylist(rows, schema=LOSSES))

    text = page_of(now, manifest=manifest_with("w/models/embedder-f00d"))
    page = Page(text)

    assert page.faults == []
    assert HOSTILE_TITLE not in text
    assert "8 queries from clicks, 3 updates" in page.words()
    assert "dual encoder nDCG@10 0.500 0.625 +0.125" in page.words()
    assert "Loss of each update, and what held-out queries said" in page.words()


@pytest.mark.long
@pytest.mark.parametrize("model", ["w/models/embedder-gone", "models/../..", "nightrank-minilm", "w/models/", ""])
def test_a_model_of_which_nothing_is_known_here_is_told_in_a_sentence(nights: tuple[Path, Path], model: str) -> None:
    _, now = nights

    assert "No model here was trained in this workspace" in Page(page_of(now, manifest=manifest_with(model))).words()
