from __future__ import annotations

import bz2
import lzma
import os
import re
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.records import BadRow, Document
from nightrank.tasks.read.account import Account, Entry, Kind
from nightrank.tasks.read.source import read_documents
from nightrank.tasks.settings.inputs import DocumentsSettings

ROW = '{"_id": "%s", "text": "t"}\n'


def read(base: Path, source: str, max_document_bytes: int = 10_000_000) -> list[Document | BadRow]:
    settings = DocumentsSettings(source=source, max_document_bytes=max_document_bytes)
    return list(read_documents(settings, base=base, account=Account()))


def ids(rows: list[Document | BadRow]) -> list[str]:
    return [row.document_id for row in rows if isinstance(row, Document)]


def write(base: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = base / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_folder_is_read_with_the_folders_below_it_in_a_fixed_order(tmp_path: Path) -> None:
    write(tmp_path, docs__b_md="b", docs__a__z_txt="z", docs__a__b__c_html="c", docs__rows_jsonl=ROW % "r")
    rows = read(tmp_path, "docs")
    assert ids(rows) == ["a/b/c.html", "a/z.txt", "b.md", "r"]
    assert [(row.file, row.row) for row in rows] == [("a/b/c.html", 1), ("a/z.txt", 1), ("b.md", 1), ("rows.jsonl", 1)]


def test_hidden_files_and_other_formats_in_a_folder_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, docs__a_md="a", docs__image_png="", docs__LICENSE="")
    write(tmp_path / "docs" / ".git", b_md="b")
    (tmp_path / "docs" / ".c.md").write_text("c")
    assert ids(read(tmp_path, "docs")) == ["a.md"]
    assert ids(read(tmp_path, "docs/**/*")) == ["a.md"]


def test_symbolic_links_that_leave_the_folder_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, docs__a_md="a", docs__sub__b_md="b", outside__secret_md="s")
    (tmp_path / "docs" / "inside.md").symlink_to("sub/b.md")
    (tmp_path / "docs" / "leaves.md").symlink_to("../outside/secret.md")
    (tmp_path / "docs" / "loop").symlink_to(".")
    (tmp_path / "docs" / "folder").symlink_to("../outside")
    (tmp_path / "docs" / "nowhere.md").symlink_to("gone.md")
    (tmp_path / "current").symlink_to("docs")
    expected = ["a.md", "inside.md", "sub/b.md"]
    assert ids(read(tmp_path, "docs")) == expected
    assert ids(read(tmp_path, "current")) == expected
    assert ids(read(tmp_path, "docs/**/*.md")) == expected


def test_a_glob_is_relative_to_the_folder_before_its_first_wildcard(tmp_path: Path) -> None:
    write(tmp_path, docs__en__a_md="a", docs__en__b_txt="b", docs__de__a_md="a", docs__c_md="c")
    assert ids(read(tmp_path, "docs/*/*.md")) == ["de/a.md", "en/a.md"]
    assert ids(read(tmp_path, "docs/e[n]/*")) == ["en/a.md", "en/b.txt"]
    assert ids(read(tmp_path, "docs/en/*")) == ["a.md", "b.txt"]
    assert ids(read(tmp_path / "elsewhere", str(tmp_path / "docs" / "*.md"))) == ["c.md"]


def test_a_file_is_called_what_the_settings_call_it_and_a_page_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, docs__a_md="a", docs__rows_jsonl=ROW % "r")
    (page,) = read(tmp_path, "docs/a.md")
    assert isinstance(page, Document)
    assert (page.document_id, page.file) == ("a.md", "docs/a.md")
    assert [row.file for row in read(tmp_path, "docs/rows.jsonl")] == ["docs/rows.jsonl"]
    assert ids(read(tmp_path / "other", str(tmp_path / "docs" / "a.md"))) == ["a.md"]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].md").write_text("a")
    assert ids(read(tmp_path, "a[1].md")) == ["a[1].md"]


def test_a_bad_row_of_a_folder_is_reported_under_its_relative_name(tmp_path: Path) -> None:
    write(tmp_path, docs__a__long_md="x" * 1_001, docs__b_md="b")
    bad, good = read(tmp_path, "docs", 1_000)
    assert bad == BadRow("a/long.md", 1, "1,001 bytes are more than the 1,000 allowed")
    assert isinstance(good, Document)


def test_max_document_bytes_bounds_pages_and_rows(tmp_path: Path) -> None:
    write(tmp_path, docs__a_md="x" * 1_001, docs__b_jsonl=ROW % "r" + ROW % ("x" * 1_001))
    assert [type(row) for row in read(tmp_path, "docs", 1_000)] == [BadRow, Document, BadRow]


def test_a_file_name_that_is_not_utf_8_is_a_bad_row(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    try:
        (folder / os.fsdecode(b"caf\xe9.md")).write_text("text")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    (bad,) = read(tmp_path, "docs")
    assert isinstance(bad, BadRow)
    assert bad.file == "caf\N{REPLACEMENT CHARACTER}.md"
    assert "half of a surrogate pair" in bad.reason


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gone.jsonl", "gone.jsonl does not exist (looked for "),
        ("gone/*.md", "gone/*.md holds no file that can be read; found: no file at all."),
        ("x\0", "does not exist"),
        ("bucket://x\0", "cannot be read from bucket:// addresses"),
        ("empty", "empty holds no file that can be read; found: no file at all."),
        ("images", "images holds no file that can be read; found: 2 .png, 1 without a suffix."),
        ("images/*.png", "images/*.png holds no file that can be read; found: 1 .png."),
        ("images/a.png", "images/a.png is not a file of a format that can be read."),
        ("nothing.jsonl", "nothing.jsonl holds no document."),
        ("header.csv", "header.csv holds no document."),
    ],
)
def test_a_source_without_a_document_is_an_input_error(tmp_path: Path, source: str, message: str) -> None:
    write(tmp_path, images__a_png="", images__b_PNG="", images__README="", nothing_jsonl="\n", header_csv="id,text\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        read(tmp_path, source)
    assert message in caught.value.message
    assert caught.value.remedy


def test_an_unknown_format_is_answered_with_those_that_are_known(tmp_path: Path) -> None:
    write(tmp_path, a_doc="")
    with pytest.raises(InputError, match=r"\.md, .*\.pdf, .*\.jsonl, .*\.csv\.gz, .*\.parquet"):
        read(tmp_path, "a.doc")


@pytest.mark.parametrize("name", ["a.md", "a.jsonl", "a.pdf", "a.parquet", "folder", "*.md"])
def test_what_may_not_be_read_is_an_input_error(tmp_path: Path, name: str) -> None:
    base = tmp_path / "base"
    write(base, a_md="a", a_jsonl="a", a_pdf="a", a_parquet="a", folder__a_md="a")
    read(base, "folder")
    base.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:  # whom permissions do not bind
            os.seteuid(65_534)
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            read(base, name)
    finally:
        os.seteuid(user)
        base.chmod(0o700)


def test_an_ir_datasets_collection_is_read_in_its_order(tmp_path: Path) -> None:
    ir_datasets = pytest.importorskip("ir_datasets")
    (tmp_path / "docs.tsv").write_text("b\tsecond\na\tfirst\nc\t\n")
    name = f"nightrank-test/{tmp_path.name}"
    ir_datasets.registry.register(name, ir_datasets.create_dataset(docs_tsv=str(tmp_path / "docs.tsv")))
    source = f"ir_datasets:{name}"
    assert read(tmp_path, source) == [
        Document("b", "", "second", {}, source, 1),
        Document("a", "", "first", {}, source, 2),
    ]


def test_an_ir_datasets_collection_that_cannot_be_fetched_is_the_machines_fault(tmp_path: Path) -> None:
    ir_datasets = pytest.importorskip("ir_datasets")
    name = f"nightrank-test/{tmp_path.name}"
    ir_datasets.registry.register(name, ir_datasets.create_dataset(docs_tsv=str(tmp_path / "gone.tsv")))
    with pytest.raises(MachineError, match="the collection cannot be fetched"):
        read(tmp_path, f"ir_datasets:{name}")


def test_an_ir_datasets_id_that_is_unknown_is_an_input_error(tmp_path: Path) -> None:
    pytest.importorskip("ir_datasets")
    with pytest.raises(InputError, match="ir-datasets knows no such collection"):
        read(tmp_path, "ir_datasets:no/such")


def test_ir_datasets_missing_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(InputError, match=r'pip install "nightrank\[ir-datasets\]"'):
        read(tmp_path, "ir_datasets:beir/scifact/test")


def test_scifact_is_read_without_a_bad_row(shared_data: Path) -> None:
    rows = read(shared_data, "scifact/corpus.jsonl")
    assert len(rows) == len(set(ids(rows))) == 5_183
    assert all(isinstance(row, Document) and row.title and row.text for row in rows)


def test_the_two_empty_documents_of_cranfield_are_skipped_and_counted(shared_data: Path) -> None:
    account = Account()
    rows = list(read_documents(DocumentsSettings(source="cran/corpus.jsonl"), base=shared_data, account=account))
    assert len(ids(rows)) == len(rows) == 1_398
    assert (
        Entry("documents", Kind.SKIPPED, "title and text are both empty", 2, "cran/corpus.jsonl, row 471")
        in account.entries()
    )


def test_files_read_and_files_of_other_formats_are_counted_by_suffix(tmp_path: Path) -> None:
    write(tmp_path, docs__a_md="# A", docs__b_MD="b", docs__c_php="", docs__d__e_php="", docs__d__f="")
    account = Account()

    list(read_documents(DocumentsSettings(source="docs"), base=tmp_path, account=account))

    files = [entry for entry in account.entries() if entry.kind in (Kind.FILE_READ, Kind.FILE_NOT_READ)]
    assert files == [
        Entry("documents", Kind.FILE_READ, ".md", 2, "a.md"),
        Entry("documents", Kind.FILE_NOT_READ, ".php", 2, "c.php"),
        Entry("documents", Kind.FILE_NOT_READ, "without a suffix", 1, "d/f"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("prices.csv", b"size;price\n1;2\n", r"prices\.csv has no id column"),
        ("test.tsv", b"query-id\tcorpus-id\tscore\nq1\td1\t1\n", r"test\.tsv has no title or text"),
        ("twice.csv", b"id,text,text\n1,a,b\n", "more than once"),
        ("cut.csv.gz", b"\x1f\x8b", "cut off"),
        ("no.parquet", b"nothing", "is not a readable Parquet file"),
    ],
)
def test_a_table_that_is_no_collection_is_told_and_ends_nothing(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    write(tmp_path, docs__a_md="a", docs__z_md="z")
    (tmp_path / "docs" / name).write_bytes(content)
    account = Account()

    rows = list(read_documents(DocumentsSettings(source="docs"), base=tmp_path, account=account))

    assert ids(rows) == ["a.md", "z.md"]
    [told] = [entry for entry in account.entries() if entry.kind is Kind.FILE_NOT_READ]
    assert (told.what, told.count) == ("table that is no collection", 1)
    assert re.search(why, told.where)


def test_a_table_that_is_no_collection_is_an_error_where_there_is_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, docs__prices_csv="size,price\n1,2\n")
    for source in ("docs", "docs/prices.csv", "docs/*"):
        with pytest.raises(InputError, match="has no id column"):
            read(tmp_path, source)


def test_a_table_that_breaks_off_behind_its_first_document_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, docs__a_md="a", docs__b_csv='id,text\n1,"a"\n2,"b')
    with pytest.raises(InputError, match="never closed"):
        read(tmp_path, "docs")


def test_a_page_that_cannot_be_opened_is_a_bad_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, docs__a_md="a", docs__b_md="b")
    path_open = Path.open

    def refusing(path: Path, *arguments: str) -> object:
        if path.name == "a.md":
            raise PermissionError(13, "Permission denied")
        return path_open(path, *arguments)  # type: ignore[call-overload]  # whatever it is given

    monkeypatch.setattr(Path, "open", refusing)

    bad, good = read(tmp_path, "docs")

    assert bad == BadRow("a.md", 1, "cannot be read: Permission denied")
    assert isinstance(good, Document)


def test_folders_named_key_and_value_give_fields_that_documents_do_not_have(tmp_path: Path) -> None:
    for lang in ("en", "de"):
        folder = tmp_path / "docs" / f"lang={lang}" / "year=2024"
        folder.mkdir(parents=True)
        (folder / "part-0.jsonl").write_text(f'{{"_id": "{lang}", "text": "t", "year": 7}}\n')
    (tmp_path / "docs" / "lang=en" / "page.md").write_text("---\nlang: fr\n---\ntext")

    found = {row.document_id: row.metadata for row in read(tmp_path, "docs") if isinstance(row, Document)}

    assert found == {
        "de": {"lang": "de", "year": 7},
        "en": {"lang": "en", "year": 7},
        "lang=en/page.md": {"lang": "fr"},
    }


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst", ".GZ"])
@pytest.mark.parametrize("table", [".jsonl", ".ndjson"])
def test_packed_tables_are_read_and_told_where_they_are_broken(tmp_path: Path, table: str, suffix: str) -> None:
    rows = "".join(ROW % number for number in range(3_000)).encode()
    name = f"docs{table}{suffix}"
    packed = pa.compress(rows, "gzip", asbytes=True) if suffix.lower() == ".gz" else b""
    if suffix == ".zst":
        packed = pa.compress(rows, "zstd", asbytes=True)
    elif suffix in (".bz2", ".xz"):
        packed = (bz2 if suffix == ".bz2" else lzma).compress(rows)
    (tmp_path / name).write_bytes(packed)
    assert len(ids(read(tmp_path, name))) == 3_000

    (tmp_path / name).write_bytes(packed[:-6])
    with pytest.raises(InputError, match="the file was cut off"):
        read(tmp_path, name)
    (tmp_path / name).write_bytes(rows)
    with pytest.raises(InputError, match="is no sound"):
        read(tmp_path, name)


def test_a_night_of_a_real_documentation_site_is_read(shared_data: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_data / "dapr-docs-nights.tar.xz") as nights:
        for member in nights:
            if member.name.startswith("./2024-06-03/"):
                nights.extract(member, tmp_path, filter="data")
            elif member.name > "./2024-06-04":
                break
    pages = read(tmp_path, "2024-06-03")
    assert len(ids(pages)) == len(pages) == len([path for path in tmp_path.rglob("*.md") if path.is_file()])
    by_id = {page.document_id: page for page in pages if isinstance(page, Document)}
    overview = by_id["concepts/overview.md"]
    assert overview.title == "Overview"
    assert overview.metadata["type"] == "docs"
    assert not overview.text.lstrip().startswith("---")


def test_a_page_whose_parser_computes_too_long_is_a_bad_row_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, docs__a_md="a", docs__b_html="<p>" + "<i>x</i>" * 400_000, docs__c_md="c", docs__d_txt="d")
    settings = DocumentsSettings(source="docs", max_document_seconds=0.15)

    def rows() -> list[Document | BadRow]:
        return list(read_documents(settings, base=tmp_path, account=Account()))

    once = rows()
    assert ids(once) == ["a.md", "c.md", "d.txt"]
    [bad] = [row for row in once if isinstance(row, BadRow)]
    assert (bad.file, bad.row) == ("b.html", 1)
    assert "0.15 seconds of computing that documents.max_document_seconds allows" in bad.reason
    assert rows() == once
