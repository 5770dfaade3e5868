"""How many known queries does ``nightrank serve`` answer a second, how fast are others, and what do switches cost?

    python -m benchmarks.serve --work .benchmarks            # some minutes; a machine of its own
    python -m benchmarks.serve --work .benchmarks --small    # a tenth of the requests and of the chunks

Known queries: a server in a process of its own, over made-up documents with tiny models, asked by an open-loop load
from this one, at half of what it answers at most and at twice that. Switches: 10,000 requests while three releases take
one another's place; a request is lost where its status is not 200, and mixed where a result is not of the release that
its answer names. Live: both legs, fusion, order, texts and snippets of one query after another at 100,000 made-up
chunks, with the packaged embedder and no reranker, in this process.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.bm25_speed import Collection
from benchmarks.inputs.made_vectors import vector_blocks
from benchmarks.inputs.synthetic_texts import query_texts, text_batches
from benchmarks.parts.claims import Claim, benchmark_parser, main_of
from benchmarks.parts.http_load import MOST_CONNECTIONS, load
from benchmarks.parts.plain_nights import refresh_plainly
from benchmarks.parts.settings_files import tiny_models, write_settings_file
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.online.held import HeldStage
from nightrank.tasks.online.pace import Speed
from nightrank.tasks.online.release import OnlineRelease
from nightrank.tasks.online.search import LiveSearch
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.rank.order_file import read_order
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

DOCUMENTS, QUERIES = 2_000, 1_000
RELEASES = ("first", "second", "third")
SWITCHES = 3
LEAST_ANSWERS, MOST_MS, MOST_LIVE_MS = 3_000.0, 5.0, 60.0
LIVE_CHUNKS, LIVE_QUERIES = 100_000, 200


def main() -> None:
    """Print the claims."""
    options = benchmark_parser(__doc__ or "").parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    main_of([*cached(options), *live(options)], options)


def cached(options: Namespace) -> Iterator[Claim]:
    """Known queries, and switches."""
    requests = 2_000 if options.small else 20_000
    folder, titles = made_releases(options.work / "serve")
    workspace, queries = FolderWorkspace(folder / "workspace"), query_texts(QUERIES)
    with served(folder / "nightrank.toml") as port:
        load(port, queries, rate=None, count=1000)
        most = load(port, queries, rate=None, count=requests)
        half = load(port, queries, rate=most.rate / 2, count=requests)
        twice = load(port, queries, rate=2 * most.rate, count=requests, connections=MOST_CONNECTIONS)
        after = load(port, queries, rate=most.rate / 2, count=requests // 2)
        lost, mixed, seen, count = switched(port, workspace, queries, titles, count=10_000)
    what = f"known queries, {QUERIES:,} of them, 10 results each"
    yield demand(f"{what}, at most", most.rate, LEAST_ANSWERS, "answers/s", higher=True)
    yield demand(f"{what}, p99 at half of that", half.percentile(99) * 1e3, MOST_MS, "ms")
    answered = f"{twice.count(200):,} answered, {twice.count(503):,} told to come again (p99 {{:.0f}} ms)"
    answered = answered.format(twice.percentile(99, 503) * 1e3)
    yield demand(f"{what}, p99 at twice that", twice.percentile(99) * 1e3, None, "ms", equal=answered)
    yield demand(f"{what}, p99 at half, after that", after.percentile(99) * 1e3, None, "ms")
    equal = f"{lost} lost, {mixed} mixed, answers of {seen} releases"
    yield demand(f"{count:,} requests during {SWITCHES} switches", float(lost + mixed), 0.0, "faults", equal=equal)


def live(options: Namespace) -> Iterator[Claim]:
    """Unknown queries."""
    count = LIVE_CHUNKS // 10 if options.small else LIVE_CHUNKS
    folder = options.work / "serve-live"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    settings = Settings.model_validate({"documents": {"source": "."}, "queries": {"log": "."}})
    collection = Collection.of(folder, count)
    collection.build()
    table, first = ChunkTable.create(LanceFolder(folder / "lance"), embedder="e", dimensions=384), 0
    texts = (text for batch in text_batches(count) for text in batch.to_pylist())
    for vectors in vector_blocks(count, stream=1):
        names = [f"{number:032x}" for number in range(first, first + len(vectors))]
        said = [next(texts) for _ in names]
        table.add(names, said, [len(text) // 5 for text in said], vectors)
        first += len(vectors)
    embedder = Embedder(plan_embedder(settings.embedder, settings.execution, base=folder))
    with Bm25Store.open(collection.statistics) as store:
        stage = HeldStage.of(store, table, None, settings=settings)
    weighing = Weighing.of(settings, read_order(), weight=0.0)
    online = OnlineRelease(LiveSearch(settings, stage, stage.rows, embedder, None, None, weighing), Speed())
    queries = query_texts(LIVE_QUERIES + 20)
    seconds = []
    for query in queries:
        start = time.perf_counter()
        online.answer(query, None, due=None)
        seconds.append(time.perf_counter() - start)
    milliseconds = 1e3 * np.array(seconds[20:])
    spread = f"p95 {np.percentile(milliseconds, 95):.0f} ms, p99 {np.percentile(milliseconds, 99):.0f} ms"
    memory = f"{stage.size_bytes / 1e6:,.0f} MB held"
    what = f"unknown queries, both legs, {count:,} chunks, median"
    yield demand(what, float(np.median(milliseconds)), MOST_LIVE_MS, "ms", spread=spread, equal=memory)


def demand(
    what: str, ours: float, most: float | None, unit: str, *, higher: bool = False, spread: str = "", equal: str = ""
) -> Claim:
    """A figure beside what it must be: at most, or at least where higher is better."""
    if most is None:
        return Claim(what, "", ours, ours, unit, 1.0, None, spread, None, equal)
    ratio = ours / most if higher else (most / ours if ours else 1.0)
    return Claim(what, "the demand", ours, most, unit, ratio, 1.0, spread, None, equal)


def made_releases(folder: Path) -> tuple[Path, dict[str, str]]:
    """Three releases of made-up documents, each of which has a title of its own; the title by release."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    texts = [text for batch in text_batches(DOCUMENTS) for text in batch.to_pylist()]
    rows = [json.dumps({"query_id": f"q{number}", "query": text}) for number, text in enumerate(query_texts(QUERIES))]
    (folder / "queries.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    models = tiny_models(folder)
    off = dict.fromkeys(("margin", "min_overlap", "max_top1_changed", "max_drift", "max_shift"), "none")
    sections = {"documents": {"source": "corpus.jsonl"}, "queries": {"log": "queries.jsonl"}, "gates": off, **models}
    file = write_settings_file(folder / "nightrank.toml", {**sections, "serve": {"live": False}})
    titles = {}
    for title in RELEASES:
        rows = [json.dumps({"_id": f"d{place}", "title": title, "text": text}) for place, text in enumerate(texts)]
        (folder / "corpus.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
        titles[refresh_plainly(file).manifest.release_id] = title
    return folder, titles


@contextmanager
def served(settings_file: Path) -> Iterator[int]:
    """``nightrank serve`` in a process of its own; its port."""
    command = [Path(sys.executable).with_name("nightrank"), "serve", "-c", settings_file, "--port", "0", "--json"]
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    try:
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append(process.stdout.readline())
        yield int(json.loads("".join(lines))["address"].rpartition(":")[2])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def switched(
    port: int, workspace: FolderWorkspace, queries: list[str], titles: dict[str, str], *, count: int
) -> tuple[int, int, int, int]:
    """Requests lost, answers mixed, releases seen and requests sent, while releases take one another's place."""
    lost = mixed = 0
    seen: set[str] = set()

    def check(status: int, body: bytes) -> None:
        nonlocal lost, mixed
        if status != 200:
            lost += 1
            return
        answer = json.loads(body)
        seen.add(answer["release_id"])
        mixed += {result["title"] for result in answer["results"]} != {titles[answer["release_id"]]}

    rate = 500.0  # a request each 2 ms: long enough that the server looks for each release
    order = [*titles][:SWITCHES]

    def publish() -> None:
        for release_id in order:
            time.sleep(count / rate / (SWITCHES + 1))
            workspace.publish(release_id, now=datetime.now(UTC))

    publisher = threading.Thread(target=publish)
    publisher.start()
    load(port, queries, rate=rate, count=count, on_reply=check)
    publisher.join()
    return lost, mixed, len(seen), count


if __name__ == "__main__":
    main()
