"""What does a night take on ten million chunks? Seconds and peak memory of each stage: a first night and one of churn.

    python -m benchmarks.many_chunks --chunks 1000000 --work FOLDER

Made-up passages of 56 words, as long as those of MS MARCO, a document each, and made-up queries. Vectors of 384
dimensions are drawn from the texts' digests instead of computed, and nothing is reranked, so that what is left is what
a collection costs by its size. On the second night a hundredth of the documents is edited, removed or added. Then all
queries meet the whole collection again, by one process and by workers of Dask, whose lists must be the same.

Each step runs in a process of its own. What stages take is kept in the work folder as they end; a program that was
stopped goes on with the step that it was in. The peak of a stage is the most memory that the process and those that it
started held resident (Linux alone).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.inputs.drawn_vectors import DrawnEmbedder
from benchmarks.inputs.synthetic_texts import query_texts, text_batches
from benchmarks.parts.claims import Claim, benchmark_parser, main_of
from benchmarks.parts.plain_nights import StageWatch, Taken, refresh_plainly
from benchmarks.parts.settings_files import LOOSE_GATES, Sections, tiny_models, write_settings_file
from nightrank.flows.cli.options import quiet_prefect
from nightrank.storage.files.parquet import table_writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.release.manifest import Manifest

CHUNKS, SMALL_CHUNKS = 10_000_000, 20_000
QUERIES, SMALL_QUERIES = 10_000, 200
MEAN_WORDS = 56
NIGHTS = ("first night", "night of churn")
EDITED_OF, REMOVED_OF, ADDED_OF = 250, 333, 333  # one document of so many, on the second night
WORKERS = (2, 4)
MOST_BYTES = 8e9
CORPUS = pa.schema([pa.field("_id", pa.string()), pa.field("title", pa.string()), pa.field("text", pa.string())])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; the exit code is 1 where memory exceeds its limit or workers find other lists."""
    parser = benchmark_parser(__doc__ or "")
    parser.add_argument("--chunks", type=int)
    parser.add_argument("--queries", type=int)
    parser.add_argument("--workers", type=int, nargs="*", default=list(WORKERS), help="that retrieve once more")
    parser.add_argument("--fresh", action="store_true", help="forget the steps that are done")
    parser.add_argument("--step", help=argparse.SUPPRESS)  # what the child processes are asked for
    options = parser.parse_args(arguments)
    chunks = options.chunks or (SMALL_CHUNKS if options.small else CHUNKS)
    queries = options.queries or (SMALL_QUERIES if options.small else QUERIES)
    work: Path = options.work / "many_chunks" / f"{chunks} {queries}"
    retrievals = {retrieval_by(workers): workers for workers in (1, *options.workers)}
    if options.step is not None:
        run_step(options.step, work, workers=retrievals.get(options.step))
        return
    if options.fresh:
        shutil.rmtree(work, ignore_errors=True)
    lay_out(work, queries=queries)
    journal, steps = Journal(work / "journal.jsonl"), [*NIGHTS, *retrievals]
    for step in steps:
        if journal.outcome(step) is not None:
            continue
        if step in NIGHTS:
            started = time.perf_counter()
            write_documents(work / "corpus.parquet", chunks, edition=NIGHTS.index(step))
            print(f"{step}: documents written in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks.many_chunks", "--step", step, "--work", str(options.work)]
        sizes = ["--chunks", str(chunks), "--queries", str(queries), "--workers", *map(str, options.workers)]
        subprocess.run([*command, *sizes], check=True)
    if not options.json:
        print_tables(journal, steps)
    main_of(claims_of(journal, steps, chunks=chunks), options)


@dataclass(frozen=True, slots=True)
class Journal:
    """What steps took, line by line as their stages end."""

    path: Path

    def add(self, step: str, **values: Any) -> None:  # noqa: ANN401 (as JSON takes them)
        """Keep a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps({'step': step, **values})}\n")

    def stages(self, step: str) -> dict[str, Taken]:
        """What the stages of a step took; of one that was stopped and begun again, its longest attempt at each."""
        found: dict[str, Taken] = {}
        for line in self._lines(step):
            if "taken" in line:
                taken = Taken(**line["taken"])
                longest = found.get(taken.stage)
                if longest is None or longest.seconds < taken.seconds:
                    found[taken.stage] = taken
        return found

    def outcome(self, step: str) -> dict[str, Any] | None:
        """What a step came to; None where it has not ended."""
        return next((line["outcome"] for line in self._lines(step) if "outcome" in line), None)

    def _lines(self, step: str) -> Iterator[dict[str, Any]]:
        if self.path.is_file():
            lines = map(json.loads, self.path.read_text(encoding="utf-8").splitlines())
            yield from (line for line in lines if line["step"] == step)


def retrieval_by(workers: int) -> str:
    """The name of a step."""
    return f"retrieval by {workers} workers" if workers > 1 else "retrieval by one process"


def lay_out(work: Path, *, queries: int) -> None:
    """The query log and the settings of all steps."""
    work.mkdir(parents=True, exist_ok=True)
    log = (json.dumps({"query": text}) for text in query_texts(queries))
    (work / "queries.jsonl").write_text("".join(f"{row}\n" for row in log), encoding="utf-8")
    sections: Sections = {
        "documents": {"source": "corpus.parquet"},
        "queries": {"log": "queries.jsonl", "budget": queries},
        "embedder": tiny_models(work / "models")["embedder"],
        "reranker": {"model": "none"},
        "evaluation": {"timed_queries": "none"},
        "gates": LOOSE_GATES,
        "retention": {"keep": 1},
    }
    write_settings_file(work / "nightrank.toml", sections)


def write_documents(path: Path, count: int, *, edition: int) -> None:
    """A collection, a document a chunk; in the second edition some are edited, removed and added."""
    added = count // ADDED_OF if edition else 0
    number, before = 0, ""
    with table_writer(path, CORPUS) as writer:
        for batch in text_batches(count + added, mean_words=MEAN_WORDS):
            ids, texts = [], []
            for text in batch.to_pylist():
                is_removed = edition and number < count and number % REMOVED_OF == 1
                if not is_removed:
                    is_edited = edition and number % EDITED_OF == 0
                    ids.append(f"passage-{number:09}")
                    texts.append(f"{text} {before[:80]}" if is_edited else text)
                number, before = number + 1, text
            columns = [pa.array(ids, pa.string()), pa.array([""] * len(ids), pa.string()), pa.array(texts, pa.string())]
            writer.write_table(pa.Table.from_arrays(columns, schema=CORPUS))


def run_step(step: str, work: Path, *, workers: int | None) -> None:
    """Do a step in this process, and keep what it took.

    Args:
        step: Its name.
        work: Its folder, laid out.
        workers: That retrieve; None on a night.
    """
    quiet_prefect()
    journal = Journal(work / "journal.jsonl")

    def keep(taken: Taken) -> None:
        journal.add(step, taken=asdict(taken))
        told = f"{taken.seconds:.1f} s ({taken.cpu_seconds:.1f} of CPU), {taken.peak_bytes / 1e6:,.0f} MB"
        print(f"{step}, {taken.stage}: {told}", file=sys.stderr, flush=True)

    watch = StageWatch(keep)
    with watch.sampling():
        if workers is None:
            summary = refresh_plainly(work / "nightrank.toml", on_stage=watch.next, embedder=DrawnEmbedder)
            outcome: dict[str, Any] = {"counts": dict(summary.counts), "published": summary.published}
        else:
            outcome = retrieve_again(work / "nightrank.toml", watch, workers=workers)
        watch.end()
    journal.add(step, outcome=outcome)


def retrieve_again(settings_file: Path, watch: StageWatch, *, workers: int) -> dict[str, str]:
    """The digests of both legs' lists, of all queries of the current release over its whole collection.

    Args:
        settings_file: Of the workspace.
        watch: Told of both stages.
        workers: Of Dask, or 1 for this process alone.
    """
    from nightrank.flows.night.build import building
    from nightrank.flows.settings_file import load_settings
    from nightrank.storage.release.files import ReleaseFiles
    from nightrank.storage.release.manifest import current_manifest
    from nightrank.tasks.stages.filter import FilteredQueries
    from nightrank.tasks.stages.index import ChunksEmbedded, Index
    from nightrank.tasks.stages.retrieve import QueriesEmbedded, retrieve_lexical, retrieve_semantic

    configuration, now = load_settings(settings_file), datetime.now(UTC)
    current = current_manifest(configuration.workspace)
    assert current is not None  # its nights have ended
    if workers > 1:
        spread = {"runner": "dask", "workers": workers, "threads": 1, "shard_scores": _shard_scores(current, workers)}
        execution = configuration.settings.execution.model_copy(update=spread)
        settings = configuration.settings.model_copy(update={"execution": execution})
        configuration = replace(configuration, settings=settings)
    with configuration.workspace.writing(now=now), building(configuration, now=now) as build:
        night = replace(build.night, before=None)  # so that nothing is carried over
        night.scratch.folder.mkdir(parents=True)
        files = ReleaseFiles.of(configuration.workspace, current.release_id)
        asked = FilteredQueries(files.queries, night.scratch.allowed, night.scratch.allowed_before)
        vectors = ChunksEmbedded(current.counts.texts, 0, current.chunk_table)
        index = Index(night.scratch.chunks, files.statistics, vectors, postings=0)
        queries = QueriesEmbedded(build.embedder.plan.fingerprint, embedded=0, checked=0)
        watch.next(retrieve_lexical.name)
        bm25_leg = retrieve_lexical.fn(night, asked, index, sharding=build.sharding)
        watch.next(retrieve_semantic.name)
        dense_leg = retrieve_semantic.fn(night, asked, queries, index, sharding=build.sharding).leg
        watch.next("end")
        return {"bm25": _digest_of(bm25_leg.read()), "dense": _digest_of(dense_leg.read())}


def _shard_scores(current: Manifest, workers: int) -> int:
    """Of which each worker gets some two shards a leg."""
    return max(1, current.counts.chunks * current.counts.queries // (2 * workers))


def _digest_of(leg: pa.Table) -> str:
    state = hashlib.sha256()
    for column in leg.columns:
        state.update(column.to_numpy().tobytes())
    return state.hexdigest()


def claims_of(journal: Journal, steps: Sequence[str], *, chunks: int) -> list[Claim]:
    """That memory is within its limit on each step, and that all retrievals give the same lists."""
    alone = journal.outcome(retrieval_by(1))
    claims = []
    for step in steps:
        stages = journal.stages(step)
        peak = max(taken.peak_bytes for taken in stages.values())
        seconds = sum(taken.seconds for taken in stages.values())
        equal = ""
        if step not in NIGHTS:
            equal = "same lists" if journal.outcome(step) == alone else "OTHER LISTS"
        claims.append(
            Claim(
                f"peak memory, {step}, {chunks:,} chunks",
                f"at most {MOST_BYTES / 1e9:.0f} GB",
                ours=peak / 1e6,
                theirs=MOST_BYTES / 1e6,
                unit="MB",
                ratio=0.0 if equal.startswith("OTHER") else MOST_BYTES / peak,
                target=1.0,
                spread=f"{seconds:,.0f} s in all",
                share_of_limit=None,
                equal=equal,
            )
        )
    return claims


def print_tables(journal: Journal, steps: Sequence[str]) -> None:
    """Seconds and peak memory by stage and step."""
    taken = {step: journal.stages(step) for step in steps}
    table = Table(title="Seconds (of CPU), peak memory in MB", title_justify="left")
    table.add_column("stage")
    for step in steps:
        table.add_column(step, justify="right")
    for stage in dict.fromkeys(chain.from_iterable(taken.values())):
        table.add_row(stage, *(_cell(taken[step].get(stage)) for step in steps))
    table.add_row("all", *(_cell(_whole(taken[step])) for step in steps))
    Console(width=160).print(table)


def _whole(stages: Mapping[str, Taken]) -> Taken:
    every = stages.values()
    seconds, cpu = (sum(getattr(taken, name) for taken in every) for name in ("seconds", "cpu_seconds"))
    return Taken("all", seconds, cpu, max(taken.peak_bytes for taken in every))


def _cell(taken: Taken | None) -> str:
    if taken is None:
        return ""
    return f"{taken.seconds:,.1f} ({taken.cpu_seconds:,.1f}) {taken.peak_bytes / 1e6:,.0f}"


if __name__ == "__main__":
    main()
