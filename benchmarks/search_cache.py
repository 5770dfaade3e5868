"""How fast is a look-up in the search cache, beside point queries of SQLite and DuckDB as one would write them plainly?

    python -m benchmarks.search_cache

A release of 10,000 queries with 10 results each, passages of 1,000 characters of Python's documentation, is written as
a night writes it. The same rows lie in a table of SQLite and in one of DuckDB, with the key as primary key, where a
look-up is: the same key of the query, ``SELECT``, ``json.loads``. All three answer the same shuffled queries one at a
time in one process; then every look-up of ours is timed alone, for the slowest hundredth.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from benchmarks.inputs.demo_documents import demo_documents
from benchmarks.parts.claims import Claim, benchmark_parser, claim_of_rates, main_of
from benchmarks.parts.race import race
from nightrank.storage.files.database import connect
from nightrank.storage.keys import query_key
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.results.file import write_results_file
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Row = tuple[str, str, str]
    LookUp = Callable[[str], object]

LEAST_LOOK_UPS = 20_000.0  # a second, in one process
MOST_SECONDS = 0.001  # of the slowest hundredth
PASSAGE_CHARACTERS = 1000
HIGHLIGHTS = [[310, 316], [317, 321], [340, 346], [402, 408]]
SNIPPET = {"snippet": {"start": 300, "end": 530, "cut_start": False, "cut_end": False, "highlights": HIGHLIGHTS}}
RESULTS = 10
SELECT = "SELECT results FROM results WHERE query_key = ?"


def main() -> None:
    """Print the claims."""
    options = benchmark_parser(__doc__ or "").parse_args()
    main_of(claims(options, queries=2_000 if options.small else 10_000), options)


def claims(options: Namespace, *, queries: int) -> list[Claim]:
    """What look-ups in a release of so many queries come to."""
    work: Path = options.work / "search_cache"
    shutil.rmtree(work, ignore_errors=True)
    workspace = FolderWorkspace(work)
    folder = workspace.release("benchmark")
    folder.mkdir(parents=True)
    rows = list(_rows(queries))
    write_results_file(ReleaseFiles(folder).results.path, rows)
    workspace.publish("benchmark", now=datetime.now(UTC))
    texts = [text for _, text, _ in rows]
    asked = random.Random(0).choices(texts, k=2_000)
    with (
        SearchCache.open(work) as cache,
        closing(_sqlite(work / "plain.sqlite", rows)) as sqlite,
        closing(_duckdb(work / "plain.duckdb", rows)) as duckdb,
    ):
        plain_sqlite = _plainly(lambda key: sqlite.execute(SELECT, (key,)).fetchone())
        plain_duckdb = _plainly(lambda key: duckdb.execute(SELECT, (key,)).fetchone())
        equal = _how_equal(cache, (plain_sqlite, plain_duckdb), texts[:200])
        look_ups: dict[str, LookUp] = {
            "ours": cache.get,
            "SQLite, plainly": plain_sqlite,
            "DuckDB, plainly": plain_duckdb,
        }
        laps = race({name: _lap(look_up, asked) for name, look_up in look_ups.items()}, rounds=options.rounds)
        slowest = quantiles(_each_alone(cache.get, random.Random(1).choices(texts, k=20_000)), n=100)[98]
    what = f"look-ups, {queries:,} queries"
    ours = laps.pop("ours")
    rate = len(asked) / ours.median
    spread = f"{len(asked) / ours.high:,.0f} to {len(asked) / ours.low:,.0f}"
    return [
        *(
            claim_of_rates(what, ours, theirs, amount=len(asked), unit="look-ups/s", target=1.0, equal=equal)
            for theirs in laps.values()
        ),
        Claim(
            what,
            "the demand: 20,000 a second",
            ours=rate,
            theirs=LEAST_LOOK_UPS,
            unit="look-ups/s",
            ratio=rate / LEAST_LOOK_UPS,
            target=1.0,
            spread=spread,
            share_of_limit=None,
            equal="",
        ),
        Claim(
            f"{what}, p99 of 20,000",
            "the demand: under 1 ms",
            ours=slowest * 1e3,
            theirs=MOST_SECONDS * 1e3,
            unit="ms",
            ratio=MOST_SECONDS / slowest,
            target=1.0,
            spread="",
            share_of_limit=None,
            equal="",
        ),
    ]


def _rows(queries: int) -> Iterator[Row]:
    """Rows as a night writes them: each query's results are passages that follow one another from a random place."""
    generator = random.Random(7)
    passages = list(_passages())
    for number in range(queries):
        first = generator.randrange(len(passages))
        results = [
            {**passages[(first + place) % len(passages)], "rank": place + 1, "score": 1.0 - place / 16} | SNIPPET
            for place in range(RESULTS)
        ]
        text = f"{results[0]['title']} in practice, {number}".lower()
        yield query_key(text), text, json.dumps(results, ensure_ascii=False)


def _passages() -> Iterator[dict[str, Any]]:
    """The example's texts one after another, cut where one has the characters of a passage."""
    held = ""
    for document in demo_documents():
        held = f"{held}\n{document['text']}".strip()
        if len(held) >= PASSAGE_CHARACTERS:
            yield {
                "document_id": document["_id"],
                "chunk_id": f"{document['_id']}#0",
                "title": document["title"],
                "text": held[:PASSAGE_CHARACTERS],
                "metadata": document["metadata"],
            }
            held = ""


def _sqlite(path: Path, rows: Sequence[Row]) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE results (query_key TEXT PRIMARY KEY, query TEXT, results TEXT)")
    connection.executemany("INSERT INTO results VALUES (?, ?, ?)", rows)
    connection.commit()
    return connection


def _duckdb(path: Path, rows: Sequence[Row]) -> Any:  # noqa: ANN401 (DuckDB's types stay in storage)
    with connect(path) as connection:
        connection.execute("CREATE TABLE results (query_key VARCHAR PRIMARY KEY, query VARCHAR, results VARCHAR)")
        block = pa.table([pa.array(column) for column in zip(*rows, strict=True)], ["query_key", "query", "results"])
        connection.register("block", block)
        connection.execute("INSERT INTO results SELECT * FROM block")
    return connect(path, read_only=True)


def _plainly(select: Callable[[str], tuple[str]]) -> LookUp:
    return lambda query: json.loads(select(query_key(query))[0])


def _lap(look_up: LookUp, queries: Sequence[str]) -> Callable[[], None]:
    def lap() -> None:
        for query in queries:
            look_up(query)

    return lap


def _each_alone(look_up: LookUp, queries: Sequence[str]) -> list[float]:
    """The seconds of every look-up, with whatever the interpreter does in between."""
    seconds = []
    for query in queries:
        start = time.perf_counter()
        look_up(query)
        seconds.append(time.perf_counter() - start)
    return seconds


def _how_equal(cache: SearchCache, peers: Sequence[LookUp], queries: Sequence[str]) -> str:
    for query in queries:
        found = cache.get(query)
        assert found is not None
        assert all(json.loads(msgspec.json.encode(found.results)) == peer(query) for peer in peers)
    return f"the same results for {len(queries)} queries"


if __name__ == "__main__":
    main()
