from __future__ import annotations

import csv
import gzip
import json
import tracemalloc
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow, Document
from nightrank.tasks.read.account import Account, Entry, Kind
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.csv import Record, read_records
from nightrank.tasks.read.tables.documents import DocumentTable, read_table
from nightrank.tasks.read.tables.names import DOCUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = b'{"_id": "d", "text": "t"}'


def read(path: Path, max_bytes: int = 10_000) -> list[Document | BadRow]:
    return list(rows_of(path, max_bytes=max_bytes))


def rows_of(path: Path, *, max_bytes: int, account: Account | None = None) -> Iterator[Document | BadRow]:
    file = InputFile(path, path.name, "documents", account or Account())
    return read_table(file, DocumentTable(Columns(DOCUMENTS, {}), max_bytes))


def read_bytes(folder: Path, name: str, content: bytes, max_bytes: int = 10_000) -> list[Document | BadRow]:
    path = folder / name
    path.write_bytes(content)
    return read(path, max_bytes)


def only_document(rows: list[Document | BadRow]) -> Document:
    (row,) = rows
    assert isinstance(row, Document), row
    return row


def only_reason(rows: list[Document | BadRow]) -> str:
    (row,) = rows
    assert isinstance(row, BadRow), row
    return row.reason


def told(account: Account, kind: Kind) -> dict[str, int]:
    return {entry.what: entry.count for entry in account.entries() if entry.kind is kind}


def test_beir_jsonl_is_read_as_it_is(tmp_path: Path) -> None:
    line = (
        b'{"_id": "7", "title": "A  title", "text": "Some\\ttext.", "metadata": {"year": 1999, "tags": ["a", null]}}\n'
    )
    (document,) = read_bytes(tmp_path, "corpus.jsonl", line)
    assert document == Document(
        "7", "A title", "Some\ttext.", {"year": 1999, "tags": ["a", None]}, file="corpus.jsonl", row=1
    )


@pytest.mark.parametrize("column", ["_id", "id", "document_id"])
def test_three_names_of_the_id_column_are_known(tmp_path: Path, column: str) -> None:
    row = json.dumps({column: "d", "text": "t"}).encode()
    assert only_document(read_bytes(tmp_path, "c.jsonl", row)).document_id == "d"


def test_columns_without_a_meaning_become_metadata(tmp_path: Path) -> None:
    row = b'{"_id": "d", "text": "t", "url": "/x", "metadata": {"a": 1}}'
    assert only_document(read_bytes(tmp_path, "c.jsonl", row)).metadata == {"a": 1, "url": "/x"}


def test_a_column_that_is_also_in_the_metadata_is_a_bad_row(tmp_path: Path) -> None:
    row = b'{"_id": "d", "text": "t", "a": 2, "metadata": {"a": 1}}'
    assert only_reason(read_bytes(tmp_path, "c.jsonl", row)) == "'a' is both a column and a field of metadata"


def test_metadata_may_differ_in_type_between_rows(tmp_path: Path) -> None:
    rows = read_bytes(
        tmp_path,
        "c.jsonl",
        b'{"_id": "a", "text": "t", "metadata": {"v": 1}}\n{"_id": "b", "text": "t", "metadata": {"v": ["1", 1.5]}}\n',
    )
    assert [row.metadata for row in rows if isinstance(row, Document)] == [{"v": 1}, {"v": ["1", 1.5]}]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"{", "broken JSON: Expecting property name"),
        (b"[1]", "JSON that is a list, not an object"),
        (b'{"_id": "d", "text": "t", "metadata": {"a": 1, "a": 2}}', "an object names 'a' twice"),
        (b"null", "JSON that is null, not an object"),
        (b'"text"', "JSON that is a text, not an object"),
        (b"[" * 5_000, "JSON nested too deeply"),
        (b'{"_id": ' + b"9" * 5_000 + b', "text": "t"}', "a number has too many digits"),
        (b'{"text": "t"}', "no id"),
        (b'{"_id": "", "text": "t"}', "the id is empty"),
        (b'{"_id": "  ", "text": "t"}', "the id is empty"),
        (b'{"_id": null, "text": "t"}', "the id is empty"),
        (b'{"_id": 1.5, "text": "t"}', "the id is a number, not a text or an integer"),
        (b'{"_id": true, "text": "t"}', "the id is true or false, not a text or an integer"),
        (b'{"_id": "a\\nb", "text": "t"}', "control character"),
        (b'{"_id": "a\\u0000", "text": "t"}', "control character"),
        (b'{"_id": "' + b"x" * 513 + b'", "text": "t"}', "513 bytes long, more than 512"),
        (b'{"_id": "d", "text": 3}', "text is a number, not a text"),
        (b'{"_id": "d", "text": "a\\ud83d"}', "field 'text': character 2 is half of a surrogate pair"),
        (b'{"_id": "d", "text": "t", "metadata": [1]}', "metadata is a list, not an object"),
        (b'{"_id": "d", "text": "t", "metadata": "x"}', "metadata is no object: broken JSON"),
        (b'{"_id": "d", "text": "t", "metadata": {"\\udc00": 1}}', "half of a surrogate pair"),
        (b'{"_id": "d", "text": "t", "metadata": ' + b'{"a":' * 40 + b"1" + b"}" * 41, "deeper than 32 levels"),
        (b'{"_id": "d", "text": "caf\xe9"}', "byte 26 (0xe9) is not UTF-8"),
        (b'{"_id": "d", "text": "' + b"x" * 10_000 + b'"}', "are more than the 10,000 allowed"),
    ],
)
def test_a_bad_row_says_why_and_the_rows_around_it_are_read(tmp_path: Path, row: bytes, reason: str) -> None:
    first, bad, last = read_bytes(tmp_path, "c.jsonl", GOOD + b"\n" + row + b"\n" + GOOD + b"\n")
    assert isinstance(first, Document)
    assert isinstance(bad, BadRow)
    assert reason in bad.reason
    assert (bad.file, bad.row) == ("c.jsonl", 2)
    assert isinstance(last, Document)
    assert last.row == 3


def test_an_empty_row_is_skipped_and_counted_and_no_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(GOOD + b'\n{"_id": "e"}\n{"_id": "f", "title": " ", "text": "\\u0007"}\n')
    account = Account()

    [row] = rows_of(path, max_bytes=100, account=account)

    assert isinstance(row, Document)
    assert Entry("documents", Kind.SKIPPED, "title and text are both empty", 2, "c.jsonl, row 2") in account.entries()


def test_integer_ids_are_their_digits_and_a_hash_sign_is_part_of_an_id(tmp_path: Path) -> None:
    rows = read_bytes(tmp_path, "c.jsonl", b'{"_id": 7, "text": "t"}\n{"_id": "guide#1", "text": "t"}\n')
    assert [row.document_id for row in rows if isinstance(row, Document)] == ["7", "guide#1"]


def test_an_id_of_512_bytes_is_allowed(tmp_path: Path) -> None:
    row = b'{"_id": "' + b"x" * 512 + b'", "text": "t"}'
    assert len(only_document(read_bytes(tmp_path, "c.jsonl", row)).document_id) == 512


def test_control_characters_become_spaces_and_line_ends_line_feeds(tmp_path: Path) -> None:
    row = b'{"_id": "d", "title": "A\\u0000\\nB", "text": "a\\u0000b\\u0085c\\td\\r\\ne\\rf\\u007f!"}'
    document = only_document(read_bytes(tmp_path, "c.jsonl", row))
    assert (document.title, document.text) == ("A B", "a b c\td\ne\nf !")


def test_blank_lines_count_but_are_no_rows(tmp_path: Path) -> None:
    (document,) = read_bytes(tmp_path, "c.jsonl", b"\n  \r\n" + GOOD)
    assert document.row == 3


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    assert only_document(read_bytes(tmp_path, "c.jsonl", b"\xef\xbb\xbf" + GOOD)).document_id == "d"
    assert only_document(read_bytes(tmp_path, "c.csv", b"\xef\xbb\xbf_id,text\nd,t\n")).document_id == "d"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_utf_16_is_decoded_with_a_mark_and_without(tmp_path: Path, encoding: str) -> None:
    assert only_document(read_bytes(tmp_path, "c.jsonl", GOOD.decode().encode(encoding))).document_id == "d"


@pytest.mark.parametrize(
    ("name", "content"),
    [("c.jsonl", b'{"key": "d", "text": "t"}'), ("c.csv", b"key,text\nd,t\n"), ("c.tsv", b"key\ttext\nd\tt\n")],
)
def test_a_file_without_an_id_column_is_refused_as_a_whole(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(
        InputError,
        match="has no id column: expected _id or document_id or id, or another usual name; found 'key, text'",
    ):
        read_bytes(tmp_path, name, content)


def test_a_file_without_title_and_text_is_refused_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no title or text column"):
        read_bytes(tmp_path, "c.csv", b"id,colour\nd,t\n")


@given(st.binary(max_size=200), st.sampled_from([".jsonl", ".csv", ".tsv"]))
def test_random_bytes_give_rows_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("random") / f"c{suffix}"
    path.write_bytes((GOOD if suffix == ".jsonl" else b"_id,text" if suffix == ".csv" else b"_id\ttext") + b"\n" + data)
    try:
        rows = read(path)
    except InputError as error:
        assert "quoted field is opened and never closed" in error.message  # noqa: PT017
        assert suffix == ".csv"
    else:
        assert all(isinstance(row, Document | BadRow) for row in rows)


def test_csv_fields_may_hold_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    first, second = read_bytes(
        tmp_path, "c.csv", b'id,title,text,year\r\na,"Say ""hi"", now","one\r\ntwo",1999\r\nb,5" disk,t,\r\n'
    )
    assert first == Document("a", 'Say "hi", now', "one\ntwo", {"year": "1999"}, "c.csv", 2)
    assert second == Document("b", '5" disk', "t", {"year": ""}, "c.csv", 4)


@given(
    rows=st.lists(st.lists(st.text(alphabet='a",\n\r\u00e9', max_size=6), min_size=2, max_size=2), max_size=5),
    piece_bytes=st.integers(1, 9),
)
def test_what_the_standard_library_writes_is_read_back_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], piece_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("csv") / "c.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nightrank.tasks.read.tables.csv.PIECE_BYTES", piece_bytes)
        records = list(read_records(InputFile(path, "c.csv", "documents", Account()), max_bytes=1_000))
    assert [record.fields for record in records if isinstance(record, Record)] == rows


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"x,y,z", "3 fields where the header has 2"),
        (b"x", "1 field where the header has 2"),
        (b'"x" y,z', "text follows a closing quote"),
        (b'"x" "y,z', "text follows a closing quote"),
        (b'"x\n" y,z', "text follows a closing quote (lines 2 to 3)"),
        (b'"x"' + b"y" * (64 * 1024 - 3) + b'"z,w', "text follows a closing quote"),
        (b"x,caf\xe9", "field 2: byte 4 (0xe9) is not UTF-8"),
        (b'x,"' + b"y" * 2_000 + b"\n" + b'z"', "2,004 bytes are more than the 1,000 allowed (lines 2 to 3)"),
        (b"," * 2_000, "2,000 bytes are more than the 1,000 allowed"),
        (b"x" * 2_000, "2,000 bytes are more than the 1,000 allowed"),
    ],
)
def test_a_bad_record_of_a_csv_ends_where_its_line_does(tmp_path: Path, record: bytes, reason: str) -> None:
    bad, last = read_bytes(tmp_path, "c.csv", b"id,text\n" + record + b"\nd,t\n", max_bytes=1_000)
    assert bad == BadRow("c.csv", 2, reason)
    assert isinstance(last, Document)


def test_a_quote_of_a_csv_that_is_never_closed_is_a_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"c\.csv, row 3: a quoted field is opened and never closed"):
        read_bytes(tmp_path, "c.csv", b'id,text\na,t\nb,"t\nc,t\n')


def test_csv_metadata_is_the_json_of_an_object(tmp_path: Path) -> None:
    good, empty, bad = read_bytes(tmp_path, "c.csv", b'id,text,metadata\na,t,"{""x"": 1}"\nb,t,\nc,t,[]\n')
    assert isinstance(good, Document)
    assert good.metadata == {"x": 1}
    assert isinstance(empty, Document)
    assert empty.metadata == {}
    assert isinstance(bad, BadRow)
    assert bad.reason == "metadata is no object: JSON that is a list, not an object"


def test_a_header_that_names_a_column_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names the column 'text' more than once"):
        read_bytes(tmp_path, "c.csv", b"id,text, text\na,b,c\n")


def test_quotes_of_a_tsv_are_characters_like_others(tmp_path: Path) -> None:
    first, second = read_bytes(tmp_path, "c.tsv", b'id\ttext\na\t"new york" hotels\nb\t5" disk\n')
    assert isinstance(first, Document)
    assert first.text == '"new york" hotels'
    assert isinstance(second, Document)
    assert second.text == '5" disk'


@pytest.mark.parametrize(
    ("name", "content"), [("c.jsonl.gz", GOOD), ("c.csv.gz", b"id,text\nd,t\n"), ("C.TSV.GZ", b"id\ttext\nd\tt\n")]
)
def test_gzipped_tables_are_unpacked(tmp_path: Path, name: str, content: bytes) -> None:
    assert only_document(read_bytes(tmp_path, name, gzip.compress(content))).document_id == "d"


def test_a_gzip_stream_that_was_cut_off_is_a_fault_of_the_file(tmp_path: Path) -> None:
    whole = gzip.compress(b"\n".join([GOOD] * 100))
    with pytest.raises(InputError, match=r"c\.jsonl\.gz: the gzip stream ends before its end marker"):
        read_bytes(tmp_path, "c.jsonl.gz", whole[:-10])


def test_a_file_that_is_only_called_gz_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sound gzip stream"):
        read_bytes(tmp_path, "c.jsonl.gz", GOOD)


def test_a_damaged_gzip_stream_is_a_fault_of_the_file(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(bytes(range(256)) * 40))
    whole[40:60] = bytes(20)
    with pytest.raises(InputError, match=r"c\.jsonl\.gz"):
        read_bytes(tmp_path, "c.jsonl.gz", bytes(whole))


def test_parquet_rows_are_numbered_and_typed_values_become_json(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([1, 2], pa.int32()),
            "title": pa.array(["A", None]).dictionary_encode(),
            "text": pa.array(["x", "y"], pa.large_string()),
            "day": pa.array([0, None], pa.date32()),
            "at": pa.array([1_500_000_001, None], pa.timestamp("ns", tz="UTC")),
            "facets": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
            "metadata": pa.array([{"tags": ["a"]}, None]),
        }
    )
    pq.write_table(table, tmp_path / "c.parquet")
    first, second = read(tmp_path / "c.parquet")
    assert first == Document(
        "1",
        "A",
        "x",
        {"tags": ["a"], "day": "1970-01-01", "at": "1970-01-01T00:00:01.500000+00:00", "facets": {"k": 1}},
        "c.parquet",
        1,
    )
    assert second == Document("2", "", "y", {"day": None, "at": None, "facets": None}, "c.parquet", 2)


def test_a_bad_row_of_a_parquet_file_does_not_lose_its_batch(tmp_path: Path) -> None:
    ids = pa.array(["a", None, "c", "d", "e"])
    texts = pa.array([b"t", b"t", b"caf\xe9", b"t" * 2_000, b"t"], pa.binary()).view(pa.string())
    scores = pa.array([1.0, 1.0, 1.0, 1.0, float("nan")])
    pq.write_table(pa.table({"id": ids, "text": texts, "score": scores}), tmp_path / "c.parquet")
    good, *bad, last = read(tmp_path / "c.parquet", max_bytes=1_000)
    assert isinstance(good, Document)
    assert bad == [
        BadRow("c.parquet", 2, "the id is empty"),
        BadRow("c.parquet", 3, "field 'text': byte 4 (0xe9) is not UTF-8"),
        BadRow("c.parquet", 4, "2,001 bytes are more than the 1,000 allowed"),
    ]
    assert isinstance(last, Document)
    assert last.metadata == {"score": None}


def test_a_field_of_a_type_that_json_lacks_is_left_out_and_its_row_read(tmp_path: Path) -> None:
    table = {"id": ["a"], "text": ["t"], "image": [b"\x89PNG"], "lasts": pa.array([90_000_000], pa.duration("us"))}
    pq.write_table(pa.table(table), tmp_path / "c.parquet")
    account = Account()
    [document] = rows_of(tmp_path / "c.parquet", max_bytes=1_000, account=account)
    assert isinstance(document, Document)
    assert document.metadata == {"lasts": 90}
    assert told(account, Kind.MENDED) == {"the field image, left out: bytes that are no text": 1}


def test_bytes_are_texts_where_they_are_utf_8(tmp_path: Path) -> None:
    good, bad = ("caf\u00e9", b"caf\xe9")
    pq.write_table(pa.table({"id": [1.0, 2.0], "text": [good.encode(), bad]}), tmp_path / "c.parquet")
    first, second = read(tmp_path / "c.parquet")
    assert isinstance(first, Document)
    assert (first.document_id, first.text) == ("1", good)
    assert second == BadRow("c.parquet", 2, "field 'text': bytes that are no text")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"{}", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_damaged_parquet_file_is_refused_as_a_whole(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match=r"c\.parquet is not a readable Parquet file"):
        read_bytes(tmp_path, "c.parquet", content)


def test_a_parquet_file_may_have_many_batches(tmp_path: Path) -> None:
    ids = [str(number) for number in range(3_000)]
    pq.write_table(pa.table({"id": ids, "text": ids}), tmp_path / "c.parquet", row_group_size=700)
    rows = read(tmp_path / "c.parquet")
    assert [row.document_id for row in rows if isinstance(row, Document)] == ids
    assert [row.row for row in rows] == list(range(1, 3_001))


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("c.jsonl", b'{"_id": "x", "text": "', b'"}\n{"_id": "d", "text": "t"}\n'),
        ("c.jsonl.gz", b'{"_id": "x", "text": "', b'"}\n{"_id": "d", "text": "t"}\n'),
        ("c.csv", b'_id,text\nx,"', b'"\nd,t\n'),
        ("c.tsv", b"_id\ttext\nx\t", b"\nd\tt\n"),
    ],
)
def test_a_row_of_50_megabytes_is_never_held_as_a_whole(tmp_path: Path, name: str, before: bytes, after: bytes) -> None:
    path = tmp_path / name
    with gzip.open(path, "wb", 1) if name.endswith(".gz") else path.open("wb") as file:
        file.write(before)
        for _ in range(50):
            file.write(b"x" * 1_000_000)
        file.write(after)
    tracemalloc.start()
    try:
        bad, good = read(path, max_bytes=1_000_000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(bad, BadRow)
    assert "are more than the 1,000,000 allowed" in bad.reason
    assert isinstance(good, Document)
    assert good.document_id == "d"
    assert peak_bytes < 10_000_000


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with path.open("w") as file:
        for number in range(4_000):
            file.write(f'{{"_id": "{number}", "text": "{"x" * 2_500}"}}\n')
    tracemalloc.start()
    try:
        count = sum(1 for _ in rows_of(path, max_bytes=10_000))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 4_000
    assert path.stat().st_size > 10_000_000
    assert peak_bytes < 1_000_000
