"""Small inputs as people have them, and what must come of each: it is right, or it is told."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cases import read_case

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CASES_FOLDER = Path(__file__).parents[1] / "cases"


@dataclass(frozen=True, slots=True)
class Case:
    """What must come of a folder of ``tests/cases``; what is left empty is not looked at.

    Attributes:
        name: Of the folder.
        error: Phrases of what the night ends with; it ends with exit code 2 where there are any, and else goes on.
        titles: Of all documents, by id.
        metadata: Of some documents, by id.
        queries: Texts of all chosen queries, with their counts.
        bad_rows: Phrases of the reasons of bad rows; as many as there are rows.
        notes: Phrases of what is told.
        indexed: Phrases of the chunks' texts.
        unindexed: What no chunk's text may hold.
        made: Makes in a copy of the folder what cannot lie in a repository.
    """

    name: str
    error: tuple[str, ...] = ()
    titles: Mapping[str, str] | None = None
    metadata: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    queries: Mapping[str, int] | None = None
    bad_rows: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    indexed: tuple[str, ...] = ()
    unindexed: tuple[str, ...] = ()
    made: Callable[[Path], None] | None = None


def links(folder: Path) -> None:
    """A link to the folder itself, and one out of it."""
    (folder / "docs" / "loop").symlink_to(folder / "docs")
    (folder / "docs" / "outside.md").symlink_to(folder / "nightrank.toml")


def file_names_of_macos(folder: Path) -> None:
    """Judgments write the é of a file's name as one character, the file system as two."""
    docs = folder / "docs"
    docs.mkdir()
    (docs / "cafe\N{COMBINING ACUTE ACCENT}.md").write_text("# Café\nCoffee.")
    (docs / "b.md").write_text("# B\nTea.")
    (docs / "caf\N{LATIN SMALL LETTER E WITH ACUTE}.md~").write_text("old")


PAGES = {f"p{number}.md": f"Page {number}" for number in (1, 2, 3)}
CASES = [
    Case("d05_cr_alone", titles={"1": "Returns", "2": "Delivery"}, notes=("CR as line end",)),
    Case("d08_padded_ids", titles={"1": "Returns", "d2": "Delivery"}, notes=("blanks around ids",)),
    Case(
        "d15_other_suffixes",
        titles={"d0": "Page 0", "d1": "Page 1", "n0": "Page 0", "s0": "Zstandard"},
        notes=("1 file was not read: 1 .gz (the first: c.parquet.gz)", "a.jsonl.bz2: the "),
    ),
    Case("d20_partitions", metadata={"1": {"lang": "en"}, "2": {"lang": "de"}}, notes=("left out: 1 _SUCCESS",)),
    Case(
        "d29_beir_folder",
        titles={f"d{number}": f"Page {number}" for number in range(6)},
        notes=("1 [queries].log", "read: 1 .jsonl"),
    ),
    Case(
        "d30_table_beside_pages",
        titles=PAGES,
        notes=("assets/prices.csv has no id column", "[documents].exclude"),
        unindexed=("price",),
    ),
    Case(
        "f01_file_names_of_macos",
        made=file_names_of_macos,
        notes=("1 judged document is not in the collection", "match in the same Unicode form (NFC)"),
    ),
    Case("h05_utf_16_page", indexed=("Text 1",), notes=("UTF-16",)),
    Case(
        "h01_html_pages",
        titles={
            "glued.html": "Install",
            "latin.html": "R\u00fcckgabe",
            "open.html": "Open",
            "shop.html": "Returning boots",
            "soft.html": "Versicherung",
            "table.xhtml": "",
        },
        notes=("1 CP1252", "1 page that redirects", "1 page with noindex", "1 page of an error"),
        indexed=(
            "# Returning boots\n\nYou may send boots back within 14 days.\n",
            "Schuhe zur\u00fcckgeben",
            "Krankenversicherungskarte. zerowidth wordjoiner",
            "pip install nightrank",
            "All of the text of this page",
            "Sizes of & for all",
        ),
        unindexed=(
            "cookie",
            "Women",
            "Breadcrumb",
            "Hidden",
            "honeypot",
            "JavaScript",
            "sandals",
            "fallback",
            "Careers",
        ),
    ),
    Case("h10_headings", titles={"a.html": "Guide", "b.md": "Manual"}, indexed=("Guide\nWindows\n", "Manual\nLinux\n")),
    Case(
        "j06_unknown_documents",
        error=(
            "No judged document of qrels.tsv is in the collection: 'docs/d1' is judged",
            "2 of them match without the folders before them",
            "Give both files the same document ids",
        ),
    ),
    Case(
        "m01_front_matter",
        titles={
            "blank.md": "Parcels",
            "colon.md": "Governance: how we decide",
            "comment.md": "Vans",
            "json.md": "Delivery times",
            "no.md": "No",
            "rule.md": "",
            "toml.md": "Returning shoes",
        },
        metadata={
            "blank.md": {"tags": ["x"]},
            "colon.md": {},
            "json.md": {"date": "2024-06-03"},
            "no.md": {"version": "1.10", "slug": "010", "opens": "12:30", "day": "2024-06-03", "weight": -5},
            "toml.md": {"tags": ["returns"], "weight": 10},
        },
        notes=("1 draft", "1 page that is not published", "front matter left out but for its title"),
        indexed=("Note: shoes bought in the sale", "We decide together."),
        unindexed=("Unreleased", "Unpublished", "owner", "+++", "title:"),
    ),
    Case(
        "m06_markdown_for_tools",
        notes=("data written out in a text left out", "pictures written out in links left out"),
        indexed=(
            "Careful",
            "On Windows press R.",
            "Parcel",
            "the policy",
            "docs",
            "<!-- a comment in code -->",
            "Behind it.",
        ),
        unindexed=(
            "margin",
            "import",
            "version",
            "Tab",
            "figure",
            "include",
            "baseurl",
            "embed",
            "hidden",
            "target",
            "+",
        ),
    ),
    Case(
        "m08_what_nobody_wrote",
        made=links,
        notes=("_drafts/", "node_modules/", "2 link to a folder, or out of the source", "1 empty page"),
        unindexed=("left-pad", "draft"),
    ),
    Case(
        "p01_pdfs",
        titles={"owner_aes.pdf": "", "plain.pdf": ""},
        bad_rows=("cannot be read", "empty file", "cannot be read", "needs text recognition", "is encrypted"),
        indexed=("the information is on page two", "Refunds take five days.", "Owner locked text"),
        unindexed=("Page 1 of 2", "infor-"),
    ),
    Case("q22_daily_logs", queries={"boots": 1, "shoes": 1}, notes=("read: 2 .tsv",)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_people_have_is_read_right_or_told(case: Case, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    shutil.copytree(CASES_FOLDER / case.name, folder)
    if case.made is not None:
        case.made(folder)

    read = read_case(folder, tmp_path / "workspace")

    assert bool(read.error) is bool(case.error), read.error
    assert [phrase for phrase in case.error if phrase not in read.error] == [], read.error
    if case.titles is not None:
        assert read.titles == case.titles
    for document_id, metadata in case.metadata.items():
        assert read.metadata is not None
        assert {key: read.metadata[document_id].get(key) for key in metadata} == metadata
    if case.queries is not None:
        assert read.queries == case.queries
    if not case.error:
        assert len(read.bad_rows) == len(case.bad_rows), read.bad_rows
    for row, phrase in zip(read.bad_rows, case.bad_rows, strict=True):
        assert phrase in row
    assert [phrase for phrase in case.notes if phrase not in read.notes] == [], read.notes
    assert [phrase for phrase in case.indexed if phrase not in read.chunks] == [], read.chunks
    assert [phrase for phrase in case.unindexed if phrase in read.chunks] == [], read.chunks


def test_every_folder_is_a_case_and_all_are_small() -> None:
    assert {path.name for path in CASES_FOLDER.iterdir()} == {case.name for case in CASES}
    assert sum(path.stat().st_size for path in CASES_FOLDER.rglob("*") if path.is_file()) < 1_000_000
