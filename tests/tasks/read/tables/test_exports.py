"""Tables of documents as programs export them: what is read, and what the account tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow, Document
from nightrank.tasks.read.account import Account, Kind
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.documents import DocumentTable, TextFormat, read_table
from nightrank.tasks.read.tables.names import DOCUMENTS
from tests.support.exports import json_lines, parquet, told, written

if TYPE_CHECKING:
    from pathlib import Path

BODY = "Leather boots may be returned within fourteen days if the soles are clean."
RETURNS = [("1", "Returns", BODY)]


class Export(NamedTuple):
    """A file, the documents in it (id, title, text), and what the account must tell."""

    what: str
    name: str
    content: bytes
    documents: list[tuple[str, str, str]] = RETURNS
    told: tuple[tuple[Kind, str], ...] = ()


EXPORTS = (
    Export(
        "arXiv",
        "c.jsonl",
        json_lines({"id": "1", "title": "Returns", "abstract": BODY}),
        told=((Kind.COLUMN_GUESSED, "abstract as text"),),
    ),
    Export(
        "Stack Exchange",
        "c.csv",
        f"Id,Title,Body\n1,Returns,{BODY}\n".encode(),
        told=(
            (Kind.COLUMN_USED, "Id as id"),
            (Kind.COLUMN_GUESSED, "Body as text"),
        ),
    ),
    Export(
        "Anserini",
        "c.jsonl",
        json_lines({"id": "1", "contents": BODY}),
        [("1", "", BODY)],
        ((Kind.COLUMN_GUESSED, "contents as text"),),
    ),
    Export("LangChain", "c.jsonl", json_lines({"id": "1", "page_content": BODY, "metadata": {}}), [("1", "", BODY)]),
    Export(
        "Haystack",
        "c.jsonl",
        json_lines({"id": "1", "content": BODY, "meta": {"a": 1}}),
        [("1", "", BODY)],
        ((Kind.COLUMN_KEPT, "meta"),),
    ),
    Export(
        "Algolia",
        "c.jsonl",
        json_lines({"objectID": "1", "name": "Returns", "description": BODY}),
        told=(
            (Kind.COLUMN_GUESSED, "objectID as id"),
            (Kind.COLUMN_GUESSED, "name as title"),
        ),
    ),
    Export(
        "Solr, whose texts are lists",
        "c.jsonl",
        json_lines({"id": "1", "title": ["Returns"], "text": [BODY]}),
        told=((Kind.MENDED, "texts that are lists, joined"),),
    ),
    Export(
        "Elasticsearch's hits",
        "c.jsonl",
        json_lines({"_index": "x", "_id": "1", "_score": 1, "_source": {"title": "Returns", "body": BODY}}),
        told=((Kind.FORM, "the fields of _source, as Elasticsearch exports them"),),
    ),
    Export(
        "Elasticsearch's bulk interface",
        "c.jsonl",
        json_lines({"index": {"_index": "x", "_id": "1"}}, {"title": "Returns", "text": BODY}),
        told=((Kind.FORM, "lines of Elasticsearch's bulk interface"),),
    ),
    Export("BEIR", "c.jsonl", json_lines({"_id": "1", "title": "Returns", "text": BODY, "metadata": {}})),
    Export(
        "MS MARCO's passages",
        "c.tsv",
        f"0\t{BODY}\n1\tWe deliver.\n".encode(),
        [("0", "", BODY), ("1", "", "We deliver.")],
        ((Kind.FORM, "no header: MS MARCO's passages, by their form"),),
    ),
    Export(
        "MS MARCO's documents",
        "c.tsv",
        f"D1\thttps://example.org/1\tReturns\t{BODY}\n".encode(),
        [("D1", "Returns", BODY)],
        ((Kind.FORM, "no header: MS MARCO's documents, by their form"),),
    ),
    Export(
        "Excel in Germany",
        "c.csv",
        f"\ufeffid;title;text\r\n1;Returns;{BODY}\r\n".encode(),
        told=(
            (Kind.FORM, "fields separated by semicolons"),
            (Kind.ENCODING, "UTF-8 with a byte order mark"),
        ),
    ),
    Export("Excel in Germany, all quoted", "c.csv", f'"id";"title";"text"\r\n"1";"Returns";"{BODY}"\r\n'.encode()),
    Export(
        "Excel with its hint",
        "c.csv",
        f"sep=;\r\nid;title;text\r\n1;Returns;{BODY}\r\n".encode(),
        told=((Kind.FORM, "the line sep= before the header, obeyed"),),
    ),
    Export(
        "Excel's Unicode text",
        "c.csv",
        f"id\ttitle\ttext\r\n1\tReturns\t{BODY}\r\n".encode("utf-16"),
        told=(
            (Kind.FORM, "fields separated by tabs"),
            (Kind.ENCODING, "UTF-16 with a byte order mark"),
        ),
    ),
    Export(
        "Excel's Unicode text without a mark",
        "c.tsv",
        f"id\ttitle\ttext\r\n1\tReturns\t{BODY}\r\n".encode("utf-16-le"),
        told=((Kind.ENCODING, "UTF-16"),),
    ),
    Export(
        "Excel for old Macs",
        "c.csv",
        f"id,title,text\r1,Returns,{BODY}\r".encode(),
        told=((Kind.ENCODING, "UTF-8, CR as line end"),),
    ),
    Export(
        "Excel's empty columns",
        "c.csv",
        f"id,title,text,,\n1,Returns,{BODY},X,Y\n".encode(),
        told=((Kind.COLUMN_IGNORED, "a column without a name"),),
    ),
    Export("Google Sheets", "c.csv", f'ID, Title ,TEXT\n1,Returns,"{BODY}"\n'.encode()),
    Export("pandas with its index", "c.csv", f",id,title,text\n0,1,Returns,{BODY}\n".encode()),
    Export(
        "pandas, read and written again",
        "c.csv",
        f"Unnamed: 0,id,title,text\n0,1,Returns,{BODY}\n".encode(),
        told=((Kind.COLUMN_IGNORED, "a column without a name"),),
    ),
    Export(
        "pandas with NaN", "c.jsonl", json_lines({"id": 1.0, "title": "Returns", "text": BODY, "price": float("nan")})
    ),
    Export(
        "pandas' TSV",
        "c.tsv",
        f'id\ttitle\ttext\n1\tReturns\t"24"" and\n{BODY}"\n'.encode(),
        [("1", "Returns", f'24" and\n{BODY}')],
        ((Kind.FORM, "quoted fields in TSV, unquoted"),),
    ),
    Export(
        "pandas' Parquet with its index",
        "c.parquet",
        parquet(id=[1.0], title=["Returns"], text=[BODY], __index_level_0__=[7]),
        told=((Kind.COLUMN_IGNORED, "a column without a name"),),
    ),
    Export("Spark's old binary texts", "c.parquet", parquet(id=["1"], title=[b"Returns"], text=[BODY.encode()])),
    Export(
        "Polars' categories and durations",
        "c.parquet",
        parquet(
            id=["1"],
            title=pa.array(["Returns"]).dictionary_encode(),
            text=[BODY],
            lasts=pa.array([1], pa.duration("ns")),
        ),
    ),
    Export(
        "DuckDB with a bar",
        "c.csv",
        f"id|title|text\n1|Returns|{BODY}\n".encode(),
        told=((Kind.FORM, "fields separated by vertical bars"),),
    ),
    Export(
        "R's write.csv",
        "c.csv",
        f'"","id","title","text"\n"1",1,"Returns","{BODY}"\n"2",2,NA,"x"\n'.encode(),
        [*RETURNS, ("2", "", "x")],
        ((Kind.MENDED, "titles that are a word for no value, taken for none"),),
    ),
    Export(
        "R's write.table",
        "c.tsv",
        f'"id"\t"title"\t"text"\n"1"\t1\t"Returns"\t"{BODY}"\n'.encode(),
        told=((Kind.FORM, "row names without a name in the header"),),
    ),
    Export(
        "a separator at the end of each row",
        "c.csv",
        f"id,title,text\n1,Returns,{BODY},\n".encode(),
        told=((Kind.FORM, "a separator at the end of each row"),),
    ),
    Export(
        "MS MARCO's second passages",
        "c.jsonl",
        json_lines({"pid": "1", "passage": BODY, "docid": "D1"}, {"pid": "2", "passage": "x", "docid": "D1"}),
        [("1", "", BODY), ("2", "", "x")],
    ),
    Export(
        "MySQL's nulls",
        "c.tsv",
        f"id\ttitle\ttext\n1\tReturns\t{BODY}\n2\t\\N\tNULL\n".encode(),
        told=((Kind.SKIPPED, "title and text are both empty"),),
    ),
    Export(
        "rows of two exports",
        "c.jsonl",
        json_lines({"id": "0", "title": "T", "text": "t"}, {"id": "1", "title": "Returns", "body": BODY}),
        [("0", "T", "t"), *RETURNS],
        ((Kind.COLUMN_GUESSED, "body as text"),),
    ),
    Export(
        "two exports in one table",
        "c.parquet",
        parquet(id=["0", "1"], title=["T", "Returns"], text=["t", None], body=[None, BODY]),
        [("0", "T", "t"), *RETURNS],
        ((Kind.COLUMN_GUESSED, "body as text, where that is empty"),),
    ),
    Export(
        "padded ids",
        "c.csv",
        f"id, title, text\n 1 ,Returns,{BODY}\n".encode(),
        told=((Kind.MENDED, "blanks around ids, taken away"),),
    ),
    Export(
        "a crawl",
        "c.jsonl",
        json_lines({"url": "https://example.org/1", "title": "Returns", "text": BODY}),
        [("https://example.org/1", "Returns", BODY)],
        ((Kind.COLUMN_GUESSED, "url as id"),),
    ),
    Export(
        "a report with lines before its header",
        "c.csv",
        f"Our pages\nGenerated 2024-06-03\n\nid,title,text\n1,Returns,{BODY}\n".encode(),
        told=((Kind.FORM, "lines before the header, skipped"),),
    ),
    Export(
        "commas under the name of tabs",
        "c.tsv",
        f'id,title,text\n1,Returns,"{BODY}"\n'.encode(),
        told=((Kind.FORM, "fields separated by commas"),),
    ),
)


def read(
    path: Path,
    account: Account,
    *,
    encoding: str = "utf-8",
    text_format: TextFormat = "plain",
    **chosen: str,
) -> list[Document | BadRow]:
    file = InputFile(path, path.name, "documents", account, encoding)
    return list(read_table(file, DocumentTable(Columns(DOCUMENTS, chosen), 1_000_000, text_format)))


@pytest.mark.parametrize("export", EXPORTS, ids=[export.what for export in EXPORTS])
def test_an_export_is_read_and_what_was_guessed_is_told(tmp_path: Path, export: Export) -> None:
    account = Account()
    rows = read(written(tmp_path, export.name, export.content), account)
    found = [(row.document_id, row.title, row.text) if isinstance(row, Document) else row for row in rows]
    assert found == export.documents
    assert set(export.told) <= told(account)


def test_what_the_settings_name_goes_before_any_guess(tmp_path: Path) -> None:
    path = written(tmp_path, "c.csv", f"Nummer,id,Inhalt,text\n7,x,{BODY},short\n".encode())
    [document] = read(path, account := Account(), id="Nummer", text="inhalt")
    assert isinstance(document, Document)
    assert (document.document_id, document.text, document.metadata) == ("7", BODY, {"id": "x", "text": "short"})
    assert (Kind.COLUMN_USED, "Inhalt as text") in told(account)


def test_a_column_that_the_settings_name_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"c\.csv has no column 'body', which \[documents\]\.columns names as \"text\""
    ):
        read(written(tmp_path, "c.csv", b"id,text\n1,a\n"), Account(), text="body")


def test_titles_beside_a_long_column_of_an_unknown_name_are_refused_unless_they_are_all_there_is(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, "c.csv", f"id,title,Inhalt\n1,Returns,{BODY}\n".encode())
    with pytest.raises(InputError, match="'Inhalt' holds 74 characters on average") as caught:
        read(path, Account())
    assert "[documents].columns = { text = 'Inhalt' }" in str(caught.value.remedy)
    [document] = read(path, Account(), text="none")
    assert isinstance(document, Document)
    assert (document.text, document.metadata) == ("", {"Inhalt": BODY})


def test_of_objects_a_later_row_may_have_a_column_that_the_settings_name(tmp_path: Path) -> None:
    rows = json_lines({"id": 1, "text": "a"}, {"id": 2, "text": "b", "Titel": "B"})
    [_, second] = read(written(tmp_path, "c.jsonl", rows), Account(), title="Titel")
    assert isinstance(second, Document)
    assert second.title == "B"
    with pytest.raises(InputError, match=r"No row of c\.jsonl has a column 'Title', which"):
        read(written(tmp_path, "c.jsonl", json_lines({"id": 1, "text": "a"})), Account(), title="Title")


def test_a_letter_of_windows_1252_that_begins_much_of_utf_8_is_named_too(tmp_path: Path) -> None:
    path = written(tmp_path, "c.csv", "id,text\n1,aquí está\n".encode("windows-1252"))
    assert read(path, Account()) == [BadRow("c.csv", 2, "field 2: byte 4 (0xed) is not UTF-8")]


def test_the_header_of_a_file_put_behind_another_is_no_document(tmp_path: Path) -> None:
    path = written(tmp_path, "c.csv", b"id,text\n1,a\nid,text\n2,b\n")
    rows = read(path, account := Account())
    assert [row.document_id for row in rows if isinstance(row, Document)] == ["1", "2"]
    assert (Kind.SKIPPED, "the header again") in told(account)


def test_a_header_in_windows_1252_comes_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the header cannot be read") as caught:
        read(written(tmp_path, "c.csv", "id,text,größe\n1,a,7\n".encode("windows-1252")), Account())
    assert '[documents].encoding = "windows-1252"' in caught.value.remedy


def test_a_title_that_was_guessed_stays_a_field_to_filter_by(tmp_path: Path) -> None:
    [document] = read(written(tmp_path, "c.jsonl", json_lines({"id": "1", "name": "Ann", "text": "t"})), Account())
    assert isinstance(document, Document)
    assert (document.title, document.metadata) == ("Ann", {"name": "Ann"})


def test_two_columns_that_differ_by_case_alone_are_not_guessed_between(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'Text' and 'TEXT' could both be the text"):
        read(written(tmp_path, "c.csv", b"id,Text,TEXT\n1,a,b\n"), Account())
    [document] = read(written(tmp_path, "d.csv", b"id,Text,text\n1,a,b\n"), Account())
    assert isinstance(document, Document)
    assert (document.text, document.metadata) == ("b", {"Text": "a"})


def test_windows_1252_is_read_where_the_settings_say_so_and_named_otherwise(tmp_path: Path) -> None:
    path = written(tmp_path, "c.csv", "id,text\n1,Rückgabe – bald\n".encode("windows-1252"))
    assert read(path, Account()) == [BadRow("c.csv", 2, "field 2: byte 2 (0xfc) is not UTF-8")]
    [document] = read(path, Account(), encoding="windows-1252")
    assert isinstance(document, Document)
    assert document.text == "Rückgabe – bald"


def test_a_byte_that_the_declared_encoding_lacks_costs_its_row(tmp_path: Path) -> None:
    path = written(tmp_path, "c.csv", b"id,text\n1,a\x81b\n2,ok\n")
    bad, good = read(path, Account(), encoding="windows-1252")
    assert bad == BadRow("c.csv", 2, "field 2: a character in it is none in the file's encoding")
    assert isinstance(good, Document)


def test_html_in_texts_is_told_and_read_where_the_settings_say_so(tmp_path: Path) -> None:
    path = written(tmp_path, "c.jsonl", json_lines({"id": "1", "title": "A", "text": "<p>Warm&nbsp;boots</p><br>x"}))
    [plain] = read(path, account := Account())
    assert isinstance(plain, Document)
    assert plain.text.startswith("<p>")
    assert (Kind.MENDED, "HTML in texts, read as it is written") in told(account)
    [document] = read(path, Account(), text_format="html")
    assert isinstance(document, Document)
    assert document.text.split() == ["Warm", "boots", "x"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("c.jsonl", b'[\n {"id": 1, "text": "a"}\n]\n', "an array, and not JSON Lines"),
        ("c.jsonl", b'[{"id": 1, "text": "a"}]\n', "an array, and not JSON Lines"),
        ("c.jsonl", b'{\n "id": 1,\n "text": "a"\n}\n', "JSON over several lines"),
        ("c.csv", b"a-1,Returns,You can return shoes within two weeks\n", "such as id,title,text"),
        ("c.tsv", b"a-1\tYou can return shoes within two weeks\n", "such as id<TAB>text"),
    ],
)
def test_a_table_that_cannot_be_read_says_what_to_do(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, name, content), Account())
    assert says in f"{caught.value.message} {caught.value.remedy}"


def test_quotes_marked_by_a_backslash_as_spark_writes_them_are_named(tmp_path: Path) -> None:
    [bad] = read(written(tmp_path, "c.csv", b'id,text\n1,"24\\" monitor"\n'), Account())
    assert isinstance(bad, BadRow)
    assert "Spark" in bad.reason


@pytest.mark.parametrize("field", ['"exact phrase"', '24" monitor', '"24 monitor', '"red, green"', 'say "hi"'])
def test_a_quote_that_somebody_typed_stays_in_a_tsv(tmp_path: Path, field: str) -> None:
    [document] = read(written(tmp_path, "c.tsv", f"id\ttext\n1\t{field}\n".encode()), Account())
    assert isinstance(document, Document)
    assert document.text == field


def test_one_inch_makes_all_quotes_of_a_tsv_characters_and_that_is_told(tmp_path: Path) -> None:
    rows = read(written(tmp_path, "c.tsv", b'id\ttext\n1\t"a ""b"""\n2\t24" monitor\n'), account := Account())
    assert [row.text for row in rows if isinstance(row, Document)] == ['"a ""b"""', '24" monitor']
    assert (Kind.FORM, "quotes in TSV that may be quoting, kept as characters") in told(account)


def test_ids_that_become_one_without_their_blanks_are_left_to_the_store_which_keeps_one(tmp_path: Path) -> None:
    rows = read(written(tmp_path, "c.csv", b'id,text\n1,a\n"1 ",b\n'), Account())
    assert [row.document_id for row in rows if isinstance(row, Document)] == ["1", "1"]
