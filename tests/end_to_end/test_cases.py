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
        found: The documents that BM25 finds, by query.
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
    found: Mapping[str, set[str]] = field(default_factory=dict)
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
        "d31_members_beside_pages",
        titles={"p1.md": "Page 1", "7": "Ann", "8": "Ben"},
        notes=("1 table was read beside 1 page,", "the first: assets/team.csv", "2 of 3 documents have a title and no"),
    ),
    Case(
        "d33_beir_folder_with_judgments",
        titles={f"d{number}": f"Page {number}" for number in range(6)},
        notes=("1 queries and judgments beside BEIR's corpus.jsonl", "1 [queries].log"),
    ),
    Case("d35_utf_16_without_mark", unindexed=("r e t u r n", "\x00"), notes=("UTF-16",)),
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
    Case("m02_one_of_many", titles={**PAGES, "a.md": "Governance: how we decide"}),
    Case(
        "l01_scripts",
        found={
            "故乡": {"zh"},
            "退货": {"zh2"},
            "返品": {"ja"},
            "プログラミング": {"ja"},
            "ガイド": {"ja", "nfd2"},
            "ｶﾞｲﾄﾞ": {"ja", "nfd2"},
            "รองเท้า": {"th"},
            "신발": {"ko"},
            "반품": {"ko"},
            "ဖိနပ်": {"my"},
            "ស្បែកជើង": {"km"},
            "ເກີບ": {"lo"},
            "أحذية": {"ar"},
            "נעליים": {"he"},
            "הנעליים": {"he"},
            "जूते": {"hi"},
            "istanbul": {"tr"},
            "ısparta": {"tr"},
            "Isparta": {"tr"},
            "strasse": {"de"},
            "Krankenversicherungskarte": {"de"},
            "café": {"nfd", "nfd2"},
            "2567": {"digits"},
            "2024": {"digits"},
            "42": {"digits"},
            "33": {"digits"},
            "gpu": {"mixed"},
            "サーバー": {"mixed"},
            "iphone": {"mixed"},
            "ケース": {"mixed"},
            "zürich": {"nfd2"},
            "ꦥꦠꦸ": {"jv"},
            "обувь": {"ru"},
            "обуви": {"ru"},
            "giày": {"vi"},
        },
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
    Case(
        "x01_suffixes",
        titles={
            "returns.mdx": "Returns",
            "guide.rst": "Guide",
            "notes.adoc": "Notes",
            "terms.xhtml": "Terms",
            "n1": "Lines",
        },
        metadata={"notes.adoc": {"lang": "en"}},
        notes=("2 files were not read: 1 .doc, 1 .php", "1 .png"),
        indexed=("Shoes come back.", "Run this.", "Read that.", "No refunds.", "One a line."),
        unindexed=("margin", "./a"),
    ),
    Case(
        "d01_semicolons",
        titles={"1": "Rückgabe", "2": "Versand"},
        notes=("fields separated by semicolons", "UTF-8 with a byte order mark"),
    ),
    Case("d02_sep_line", titles={"1": "Returns"}, notes=("the line sep= before the header, obeyed",)),
    Case(
        "d03_windows_1252",
        titles={"2": "Plain"},
        bad_rows=("byte 2 (0xfc) is not UTF-8",),
        notes=('[documents].encoding = "windows-1252"', "iconv -f WINDOWS-1252 -t UTF-8"),
    ),
    Case("d04_utf_16", titles={"1": "Returns"}, notes=("UTF-16 with a byte order mark",)),
    Case(
        "d06_lines_in_fields",
        titles={"1": "Returns, fast", "2": "Delivery"},
        metadata={"1": {"price": "1,234.50"}},
        indexed=('line "two"',),
    ),
    Case("d07_index_of_pandas", titles={"1": "Returns", "2": "Delivery"}, notes=("a column without a name",)),
    Case("d09_capitals", titles={"1": "Returns"}, notes=("Body as text",), indexed=("You can return shoes",)),
    Case("d12_array", error=("docs.jsonl is JSON over several lines, or an array", "jq -c '.[]'")),
    Case(
        "d13_odd_ids",
        titles={
            "1": "A",
            "2": "B",
            "12345678901234567890123": "",
            "7": "",
            "9": "",
            "a/b cä \N{PARTY POPPER}": "",
        },
        bad_rows=(
            *("the id is empty", "the id is true or false", "the id is empty", "the id is empty", "control character"),
            "the id '7'",
        ),
        metadata={"1": {"price": None}},
    ),
    Case("d14_contents", titles={"d1": ""}, notes=("contents as text",), indexed=("You can return shoes",)),
    Case("d16_types_of_parquet", titles={"1": "Returns", "2": "Delivery", "3": ""}, metadata={"2": {"score": None}}),
    Case("d18_binary_texts", titles={"1": "", "2": ""}, indexed=("You can return shoes",)),
    Case(
        "d23_abstract",
        titles={"1": "On leather", "2": "On parcels"},
        notes=("abstract as text",),
        indexed=("if the soles are clean",),
    ),
    Case("d24_text_in_capitals", indexed=("Leather boots may be returned", "Parcels are delivered")),
    Case("d26_passages_without_header", titles={"0": "", "1": ""}, notes=("MS MARCO's passages, by their form",)),
    Case("d27_html_in_texts", notes=('[documents].text_format = "html"',)),
    Case(
        "d28_nulls_as_words",
        titles={"3": ""},
        notes=("2 title and text are both empty", "titles that are a word for no value"),
        unindexed=("NULL", "nan", r"\N", "None"),
    ),
    Case("q01_aol", queries={"return shoes": 1, "-": 1}, notes=("QueryTime as timestamp", "ItemRank")),
    Case(
        "q02_queries_without_header",
        error=("queries.dev.tsv has no query column", "such as query_id<TAB>query or count<TAB>query"),
    ),
    Case("q03_orcas", queries={"return shoes": 1, "buy shoes": 1}, notes=("no header: ORCAS, by its form",)),
    Case(
        "q04_search_console",
        queries={"return shoes": 45_678, "shoe sizes": 120},
        notes=("Impressions as count", "Top queries as query", "ignored: CTR, Clicks"),
    ),
    Case(
        "q05_search_console_renamed",
        queries={"return shoes": 1_234, "buy boots": 12, "red shoes": 12},
        notes=("skipped: 1 count 0",),
    ),
    Case("q06_semicolons", queries={"return shoes": 12, "shoe, red": 3}, notes=("fields separated by semicolons",)),
    Case(
        "q10_tabs",
        queries={"red shoes": 4, '"quoted query" tsv': 2, "-": 3, "???": 3, "null": 1},
        bad_rows=("3 fields where the header has 2", "the query is empty"),
    ),
    Case(
        "q11_numbers",
        queries={"404": 9, "404 error": 3, "red shoes": 3, "9780262033848": 1},
        bad_rows=("the query is missing",),
    ),
    Case("q13_one_a_line", queries={"red shoes": 1, "return shoes": 1}, notes=("one query a line",)),
    Case("q14_elasticsearch", queries={"red shoes": 1}, notes=("the fields of _source", "@timestamp as timestamp")),
    Case("q15_counts_of_zero", queries={f"shoe question {n}": 1 for n in range(1, 20, 2)}, notes=("10 count 0",)),
    Case("q17_types_of_pandas", queries={"red shoes": 3, "blue shoes": 2}),
    Case("q19_types_of_parquet", queries={"red shoes": 1, "blue shoes": 1, "x": 3}, bad_rows=("the query is missing",)),
    Case("q20_capitals", queries={"zz most wanted shoes": 5_000}),
    Case("q23_users_as_ids", error=("u1",)),
    Case("q24_topics", queries={"international organized crime": 1}, notes=("TREC's topics",)),
    Case(
        "q26_quoted_tsv",
        queries={'24" monitor': 9, "red, shoes": 5, '"exact phrase"': 3, "plain": 1},
        notes=("quoted fields in TSV, unquoted",),
    ),
    Case("j02_no_header", notes=("no header: query, document, grade",)),
    Case("j03_underscores", notes=("corpus_id as document_id",)),
    Case("j04_floats"),
    Case("j07_csv", notes=("query-id as query_id",)),
    Case("j08_blanks_in_ids", error=("No judged document of qrels.tsv is in the collection: 'my doc.md' is judged",)),
    Case("j12_jsonl", notes=("query-id as query_id",)),
    Case("z01_cut_off", error=("docs.jsonl.gz: the gzip stream ends before its end marker", "compare its size")),
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
    assert {query: read.found(query) for query in case.found} == case.found


def test_every_folder_is_a_case_and_all_are_small() -> None:
    assert {path.name for path in CASES_FOLDER.iterdir()} == {case.name for case in CASES}
    assert sum(path.stat().st_size for path in CASES_FOLDER.rglob("*") if path.is_file()) < 1_000_000
