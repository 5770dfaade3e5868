"""Query logs as programs export them: what is read, and what the account tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow, LoggedQuery
from nightrank.tasks.query_log.file.rows import LogFile, read_query_log
from nightrank.tasks.read.account import Account, Kind
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.names import QUERIES
from tests.support.exports import json_lines, parquet, told, written

if TYPE_CHECKING:
    from pathlib import Path

FORM, GUESSED = Kind.FORM, Kind.COLUMN_GUESSED
SEARCHED = [("red shoes", 1234), ("boots", 7)]


class Export(NamedTuple):
    """A file, its queries with their counts, and what the account must tell."""

    what: str
    name: str
    content: bytes
    queries: list[tuple[str, int]] = SEARCHED
    told: tuple[tuple[Kind, str], ...] = ()


def search_console(header: str) -> bytes:
    return f'{header}\nred shoes,12,"1,234",2.7%,3.1\nboots,0,7,0%,8\n'.encode()


BY_ITS_FORM = (FORM, "Search Console's columns, by their form")
EXPORTS = (
    Export(
        "Search Console",
        "Queries.csv",
        search_console("Top queries,Clicks,Impressions,CTR,Position"),
        told=(
            (GUESSED, "Top queries as query"),
            (GUESSED, "Impressions as count"),
            (Kind.COLUMN_IGNORED, "Clicks"),
        ),
    ),
    Export(
        "Search Console in German",
        "q.csv",
        search_console("Häufigste Suchanfragen,Klicks,Impressionen,CTR,Position"),
        told=(
            (GUESSED, "Häufigste Suchanfragen as query"),
            (GUESSED, "Impressionen as count"),
        ),
    ),
    Export(
        "Search Console in French",
        "q.csv",
        search_console("Requêtes les plus fréquentes,Clics,Impressions,CTR,Position"),
    ),
    Export("Search Console in Japanese", "q.csv", search_console("上位のクエリ,クリック数,表示回数,CTR,掲載順位")),
    Export(
        "Search Console in a language that is not known",
        "q.csv",
        search_console("Leitarfyrirspurnir,Smellir,Birtingar,Smellihlutfall,Staða"),
        told=(BY_ITS_FORM,),
    ),
    Export(
        "Analytics",
        "q.csv",
        (
            b"# ----------------------------------------\n# Site search\n# 20240101-20240131\n# ------\n\n"
            b"Search term,Event count,Total users\nred shoes,1234,90\nboots,7,7\n"
        ),
        told=((FORM, "lines before the header, skipped"), (GUESSED, "Event count as count")),
    ),
    Export(
        "Universal Analytics",
        "q.csv",
        b'Search Term,Total Unique Searches,% Search Exits\nred shoes,"1,234",12%\nboots,7,0%\n',
    ),
    Export("Ads", "q.csv", b"Search terms report\nJune 1, 2024\nSearch term,Impressions\nred shoes,1234\nboots,7\n"),
    Export(
        "Splunk",
        "q.csv",
        b'_time,"search_query",count\n2024-06-03T10:00:00.000+0000,"red shoes",1234\n'
        b"2024-06-03T10:00:00.000+0000,boots,7\n",
        told=((GUESSED, "_time as timestamp"),),
    ),
    Export(
        "Kibana",
        "q.csv",
        b'"query.keyword: Descending",Count\n"red shoes","1,234"\nboots,7\n',
        told=((Kind.COLUMN_USED, "query.keyword: Descending as query"),),
    ),
    Export(
        "Kibana's Lens",
        "q.csv",
        b'"Top 100 values of search_term.keyword","Count of records"\n"red shoes","1,234"\nboots,7\n',
    ),
    Export(
        "Elasticsearch's hits",
        "q.jsonl",
        json_lines(
            {
                "_index": "l",
                "_id": "e1",
                "_source": {"q": "red shoes", "hits": 1234, "@timestamp": "2024-06-03T10:00:00Z"},
            },
            {"_index": "l", "_id": "e2", "_source": {"q": "boots", "hits": 7}},
        ),
        told=((FORM, "the fields of _source, as Elasticsearch exports them"), (GUESSED, "hits as count")),
    ),
    Export(
        "Algolia",
        "q.csv",
        b"search,count,nbHits\nred shoes,1234,88\nboots,7,3\n",
        told=(
            (GUESSED, "search as query"),
            (Kind.COLUMN_IGNORED, "nbHits"),
        ),
    ),
    Export("other case", "q.csv", b"query,Count,Timestamp,User\nred shoes,1234,2024-06-03T10:00:00,u1\nboots,7,,\n"),
    Export(
        "another name",
        "q.csv",
        b"query,searches,date\nred shoes,1234,2024-06-03\nboots,7,2024-06-03\n",
        told=(
            (GUESSED, "searches as count"),
            (GUESSED, "date as timestamp"),
        ),
    ),
    Export(
        "Excel in Germany",
        "q.csv",
        "\ufeffSuchbegriff;Anzahl\r\nred shoes;1.234\r\nboots;7,0\r\n".encode(),
        told=(
            (FORM, "fields separated by semicolons"),
            (GUESSED, "Anzahl as count"),
        ),
    ),
    Export("Excel in France", "q.csv", "\ufeffRequête;Nombre\r\nred shoes;1\u202f234\r\nboots;7\r\n".encode()),
    Export("Excel's Unicode text", "q.txt.tsv", "query\tcount\r\nred shoes\t1234\r\nboots\t7\r\n".encode("utf-16")),
    Export("pandas' floats", "q.csv", b"query,count\nred shoes,1234.0\nboots,7.0\n"),
    Export(
        "pandas' records",
        "q.jsonl",
        json_lines({"query": "red shoes", "count": 1234.0}, {"query": "boots", "count": 7}),
    ),
    Export(
        "pandas' TSV", "q.tsv", b'query\tcount\n"24"" monitor"\t1234\nboots\t7\n', [('24" monitor', 1234), ("boots", 7)]
    ),
    Export("Parquet with NaN", "q.parquet", parquet(query=["a", "b"], count=[float("nan"), 7.0]), [("a", 1), ("b", 7)]),
    Export(
        "Parquet with numbers and bytes",
        "q.parquet",
        parquet(query=[b"red shoes", b"404"]),
        [
            ("red shoes", 1),
            ("404", 1),
        ],
    ),
    Export(
        "R",
        "q.csv",
        b'"","query","n"\n"1","red shoes",1234\n"2","boots",1e+05\n',
        [
            ("red shoes", 1234),
            ("boots", 100_000),
        ],
    ),
    Export(
        "numbers",
        "q.jsonl",
        json_lines({"query": 404}, {"query": 9780262033848}, {"query": 2.5}),
        [
            ("404", 1),
            ("9780262033848", 1),
            ("2.5", 1),
        ],
    ),
    Export(
        "AOL",
        "q.tsv",
        b"AnonID\tQuery\tQueryTime\tItemRank\tClickURL\n142\tred shoes\t2006-03-01 07:17:12\t1\thttp://x\n",
        [("red shoes", 1)],
        ((GUESSED, "AnonID as user"), (GUESSED, "QueryTime as timestamp")),
    ),
    Export(
        "AOL without its header",
        "q.tsv",
        b"142\tred shoes\t2006-03-01 07:17:12\t1\thttp://x\n142\tboots\t2006-03-01 07:18:12\t\t\n",
        [("red shoes", 1), ("boots", 1)],
        ((FORM, "no header: AOL's log, by its form"),),
    ),
    Export(
        "ORCAS",
        "q.tsv",
        b"1\tred shoes\tD7\thttps://example.org/a\n2\tboots\tD8\thttps://example.org/b\n",
        [("red shoes", 1), ("boots", 1)],
        ((FORM, "no header: ORCAS, by its form"),),
    ),
    Export(
        "one a line", "q.txt", b"red shoes\n\nboots\n", [("red shoes", 1), ("boots", 1)], ((FORM, "one query a line"),)
    ),
    Export(
        "TREC's topics",
        "q.txt",
        b"<top>\n<num> Number: 301\n<title> Organized\nCrime\n\n<desc> Description:\nx\n</top>\n"
        b"<top>\n<num> Number: 302\n<title> Topic: Polio\n</top>\n",
        [("Organized Crime", 1), ("Polio", 1)],
        ((FORM, "TREC's topics, whose titles are the queries"),),
    ),
)


def read(path: Path, account: Account, *, encoding: str = "utf-8", **chosen: str) -> list[LoggedQuery | BadRow]:
    log = LogFile(InputFile(path, path.name, "queries", account, encoding), Columns(QUERIES, chosen))
    return list(read_query_log(log, salt=b"of this test"))


@pytest.mark.parametrize("export", EXPORTS, ids=[export.what for export in EXPORTS])
def test_an_export_is_read_and_what_was_guessed_is_told(tmp_path: Path, export: Export) -> None:
    account = Account()
    rows = read(written(tmp_path, export.name, export.content), account)
    found = [(row.text, row.count) if isinstance(row, LoggedQuery) else row for row in rows]
    assert found == export.queries
    assert set(export.told) <= told(account)


def test_the_terms_that_elasticsearch_counts_are_queries(tmp_path: Path) -> None:
    [row] = read(written(tmp_path, "q.jsonl", json_lines({"key": "red shoes", "doc_count": 12})), Account())
    assert isinstance(row, LoggedQuery)
    assert (row.text, row.count) == ("red shoes", 12)


def test_topics_have_their_numbers_as_ids(tmp_path: Path) -> None:
    path = written(tmp_path, "t.txt", b"<top>\n<num> Number: 301 </num>\n<title> A </title>\n</top>\n")
    [topic] = read(path, Account())
    assert isinstance(topic, LoggedQuery)
    assert (topic.query_id, topic.text) == ("301", "A")


def test_an_event_of_elasticsearch_gives_its_query_no_id(tmp_path: Path) -> None:
    path = written(tmp_path, "q.jsonl", json_lines({"_index": "l", "_id": "e1", "_source": {"query": "a"}}))
    [row] = read(path, Account())
    assert isinstance(row, LoggedQuery)
    assert row.query_id is None


def test_settings_choose_between_clicks_and_impressions_or_neither(tmp_path: Path) -> None:
    path = written(tmp_path, "q.csv", b"query,clicks,impressions\nboots,3,70\n")
    counts = {}
    for chosen in ("clicks", "impressions", "none"):
        [row] = read(path, Account(), count=chosen)
        assert isinstance(row, LoggedQuery)
        counts[chosen] = row.count
    assert counts == {"clicks": 3, "impressions": 70, "none": 1}


def test_a_column_that_was_guessed_to_be_a_count_and_is_none_is_named(tmp_path: Path) -> None:
    [bad] = read(written(tmp_path, "q.csv", b"query,frequency\nboots,0.125\n"), Account())
    assert bad == BadRow(
        "q.csv", 2, "the count is '0.125', not a positive integer (guessed from the column 'frequency')"
    )


def test_a_time_that_was_guessed_and_is_none_is_left_out_and_told(tmp_path: Path) -> None:
    path = written(tmp_path, "q.csv", b"query,date\nboots,03/06/2024\nshoes,2024-06-03\n")
    rows = read(path, account := Account())
    assert [row.timestamp for row in rows if isinstance(row, LoggedQuery)] == [None, "2024-06-03"]
    assert (Kind.MENDED, "the column 'date' as timestamp, left out where it is none") in told(account)


def test_an_ignored_column_of_whole_numbers_in_a_log_without_a_count_is_told_to_be_perhaps_one(tmp_path: Path) -> None:
    path = written(tmp_path, "q.csv", b"query,Aufrufe,Seite\nboots,7,1\nshoes,1234,1\nbags,2,1\n")
    ignored = (Kind.COLUMN_IGNORED, "Aufrufe (whole numbers, and nothing is known as the count)")
    read(path, account := Account())
    assert {ignored, (Kind.COLUMN_IGNORED, "Seite")} <= told(account)
    read(path, account := Account(), count="none")
    assert (Kind.COLUMN_IGNORED, "Aufrufe") in told(account)


def test_a_count_that_could_be_two_is_a_bad_row(tmp_path: Path) -> None:
    [bad] = read(written(tmp_path, "q.csv", b"query;count\nboots;1,234\n"), Account())
    assert bad == BadRow("q.csv", 2, "the count is '1,234': thousands, or with a decimal comma")


def test_padded_ids_lose_their_blanks_and_that_is_told(tmp_path: Path) -> None:
    [row] = read(written(tmp_path, "q.csv", b"query_id,query\n q1 ,boots\n"), account := Account())
    assert isinstance(row, LoggedQuery)
    assert row.query_id == "q1"
    assert (Kind.MENDED, "blanks around ids, taken away") in told(account)


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("q.tsv", b"1048585\tdivorce lawyer\n2\tboots\n", "such as query_id<TAB>query or count<TAB>query"),
        ("q.csv", b"divorce lawyer,12\nboots,3\n", "such as query,count"),
        ("q.tsv", b"2024-06-03\tdivorce lawyer\n", "such as timestamp<TAB>query"),
        ("q.txt", b"1\tdivorce lawyer\n", "Call a table by its suffix"),
        ("q.txt", b'<topics task="divorce">\n', "of XML make such a table"),
        ("q.csv", b"divorce\nlawyer\n", "put query before its first line"),
    ],
)
def test_a_log_without_a_header_says_which_one_to_put_and_quotes_no_query(
    tmp_path: Path, name: str, content: bytes, remedy: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, name, content), Account())
    assert remedy in caught.value.remedy
    assert not any(word in caught.value.message for word in ("divorce", "lawyer", "boots"))


def test_windows_1252_is_named_without_quoting_a_query(tmp_path: Path) -> None:
    path = written(tmp_path, "q.csv", "query\nrückgabe\n".encode("windows-1252"))
    assert read(path, Account()) == [BadRow("q.csv", 2, "field 1: byte 2 (0xfc) is not UTF-8")]
    [row] = read(path, Account(), encoding="windows-1252")
    assert isinstance(row, LoggedQuery)
    assert row.text == "rückgabe"
