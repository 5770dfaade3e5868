"""What do near answers add to a later span of a real log, how wrong are they, and does the promised bound hold?

    python -m benchmarks.near_answers --data ../shared/data

    python -m benchmarks.near_answers --legs bm25

The search terms of Berlin's open data portal (37 months, German). A release is made of the queries before the last
months, and near answers are given to those of these months that are not among them. There is no collection to match, so
the log's own titles are one: every query of three words or more before these months is a document. The truth is what a
release that knows all queries answers them with: both legs, fused. What is lost is what lacks of the rank-biased
overlap with that.

Beside them the way of RedisVL's SemanticCache: the answer of the known query whose vector is nearest by cosine, under
the threshold at which it answers as much of the traffic as near answers do. A wrong answer has less than half of the
overlap.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.coverage import LOG, read_months
from benchmarks.parts.plain_nights import refresh_plainly
from benchmarks.parts.settings_files import LOOSE_GATES, write_settings_file
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.release.compare import ranking_in
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.near_record import read_near
from nightrank.storage.release.results.file import ResultsFile
from nightrank.storage.release.results.near import NearTables, near_facts
from nightrank.storage.serving.cache import SearchCache
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.gates.near import told
from nightrank.tasks.gates.rank_biased_overlap import rank_biased_overlap
from nightrank.tasks.near.cache import SearchCache as NearCache
from nightrank.tasks.near.facts import NearFacts
from nightrank.tasks.near.find import find_near
from nightrank.tasks.near.pool_search import PoolSearch
from nightrank.tasks.online.held import HeldStage
from nightrank.tasks.online.search import LiveSearch
from nightrank.tasks.query_log.aliases import merge_aliases
from nightrank.tasks.query_log.traffic import totals
from nightrank.tasks.rank.order import Weighing
from nightrank.tasks.rank.order_file import order_of_release
from nightrank.tasks.release import StoredRelease

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.parts.settings_files import Value
    from nightrank.tasks.query_log.aliases import Merged

MONTHS = 6
WORDS = 3  # of a query that is a title
WRONG = 0.5  # overlap under which an answer is wrong
PERSISTENCE = 0.9
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Answered:
    """Later queries that got an answer of another: their searches, and how alike it was to their own.

    Attributes:
        name: Whose answers.
        searches: int64 (n,).
        overlaps: float64 (n,).
    """

    name: str
    searches: NDArray[np.int64]
    overlaps: NDArray[np.float64]

    def lost(self) -> tuple[float, float, float]:
        """The mean loss of a query, and its bootstrap interval of 95 %; NaN without any."""
        losses = 1.0 - self.overlaps
        if not losses.size:
            return float("nan"), float("nan"), float("nan")
        generator = np.random.default_rng(0)
        means = [losses[generator.integers(0, losses.size, losses.size)].mean() for _ in range(RESAMPLES)]
        low, high = np.quantile(means, [0.025, 0.975])
        return float(losses.mean()), float(low), float(high)

    @property
    def wrong(self) -> int:
        """Searches whose answer is wrong."""
        return int(self.searches[self.overlaps < WRONG].sum())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help=f"folder of {LOG}")
    parser.add_argument("--work", type=Path, default=Path(".benchmarks/near_answers"), help="where releases are made")
    parser.add_argument("--legs", default="bm25,dense", help="[retrieval].legs; the packaged embedder knows English")
    parser.add_argument("--max-lost-overlap", type=float, default=0.4, help="[near].max_lost_overlap")
    options = parser.parse_args()
    months, traffic = read_months(options.data / LOG)
    merged = merge_aliases(traffic, near=True)
    day = list(months.values())[-MONTHS]
    is_before = merged.entries.days < day
    before, later = (
        totals(part, part.counts, size=len(merged.texts))
        for part in (merged.entries.where(is_before), merged.entries.where(~is_before))
    )
    titles = [text for text, count in zip(merged.texts, before, strict=True) if count and len(text.split()) >= WORDS]
    legs = options.legs.split(",")
    limit = options.max_lost_overlap
    known = _release(options.work / "known", merged, titles, legs=legs, before=day, limit=limit)
    whole = _release(options.work / "whole", merged, titles, legs=legs, before=None, limit=limit)
    unseen = np.flatnonzero((before == 0) & (later > 0))
    total = int(later.sum())
    console = Console(width=120)
    console.print(f"{len(titles):,} documents, {int((before > 0).sum()):,} known queries; {total:,} later searches")
    console.print(f"answered exactly: {later[before > 0].sum() / total:.1%}")
    record = read_near(_files(known).near)
    assert record is not None
    for move in record.moves:
        console.print(f"the night: {told(move)}", highlight=False)
    settings = StoredRelease.open(FolderWorkspace(known)).settings
    embedder = Embedder(plan_embedder(settings.embedder, settings.execution, base=known), batch_tokens=4096)
    vectors = [embedder.embed_queries([merged.texts[n] for n in of]) for of in (np.flatnonzero(before > 0), unseen)]
    with SearchCache.open(whole) as truth:
        _time_first_tier(known, [merged.texts[n] for n in unseen], console)
        first, left = _first_tier(known, truth, [merged.texts[n] for n in unseen], later[unseen])
        second = _second_tier(known, truth, [merged.texts[unseen[n]] for n in left], later[unseen][left], console)
        one, both = _together("same answer", first), _together("both tiers", [*first, *second])
        table = Table("answers", "queries", "of the traffic", "lost overlap", "95 %", "wrong searches")
        for rows, ours in ((first, one), (second, both)):
            wanted = int(ours.searches.sum())
            cosine = _semantic(known, truth, merged, vectors=vectors, before=before, later=later, as_much_as=wanted)
            for answered in (*rows, ours, cosine):
                mean, low, high = answered.lost()
                searches = int(answered.searches.sum())
                wrong = f"{answered.wrong} ({answered.wrong / max(1, searches):.1%})"
                interval = f"{low:.3f} to {high:.3f}"
                count, share = f"{answered.searches.size:,}", f"{searches / total:.1%}"
                table.add_row(answered.name, count, share, f"{mean:.3f}", interval, wrong)
    console.print(table)


def _release(
    folder: Path, merged: Merged, titles: Sequence[str], *, legs: list[str], before: int | None, limit: float
) -> Path:
    """The workspace of a release of the queries before a day, or of all."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "documents.jsonl").open("w", encoding="utf-8") as documents:
        for number, title in enumerate(titles):
            documents.write(json.dumps({"_id": f"d{number}", "title": "", "text": title}) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as log:
        entries = merged.entries
        for number, at, count in zip(entries.numbers, entries.days, entries.counts, strict=True):
            if before is None or at < before:
                stamp = date.fromordinal(int(at)).isoformat()
                row = {"query": merged.texts[number], "count": int(count), "timestamp": stamp}
                log.write(json.dumps(row) + "\n")
    tiers = ["same_answer", *(["same_pool"] if "dense" in legs else [])]
    near: dict[str, Value] = {"tiers": tiers, "max_lost_overlap": limit} if before is not None else {}
    settings = write_settings_file(
        folder / "nightrank.toml",
        {
            "": {"workspace": "workspace"},
            "documents": {"source": "documents.jsonl"},
            "queries": {"log": "queries.jsonl", "budget": 100_000, "personal_data": "keep"},
            "bm25": {"language": "german"},
            "reranker": {"model": "none"},
            "gates": {**LOOSE_GATES, "min_coverage": "none"},
            "retrieval": {"legs": legs},
            "near": near,
        },
    )
    refresh_plainly(settings)
    return folder / "workspace"


def _files(workspace: Path) -> ReleaseFiles:
    place = FolderWorkspace(workspace)
    return ReleaseFiles.of(place, place.require_current())


def _first_tier(
    known: Path, truth: SearchCache, texts: Sequence[str], searches: NDArray[np.int64]
) -> tuple[list[Answered], list[int]]:
    """What the first tier answers, by move, and the places of what it does not."""
    found: dict[str, list[tuple[int, float]]] = {}
    left = []
    with ResultsFile(_files(known).results.path) as file, file.reading() as connection:
        facts = NearFacts.of_json(near_facts(connection) or {})
        read, tables = facts.reader(), NearTables(connection)
        for place, (text, count) in enumerate(zip(texts, searches.tolist(), strict=True)):
            near = find_near(text, None, read=read, known=tables, moves=facts.moves)
            if near is None:
                left.append(place)
            else:
                ids = ranking_in(file, near.query_key) or []
                found.setdefault(near.move, []).append((count, _overlap(truth, text, ids)))
    return [_answered(move, rows) for move, rows in sorted(found.items())], left


def _time_first_tier(known: Path, texts: Sequence[str], console: Console) -> None:
    """How long a near look-up takes, whether it finds something or not."""
    seconds = []
    with NearCache.open(known) as cache:
        for text in [*texts[:20], *texts]:
            begun = time.perf_counter()
            cache.get(text, near=True)
            seconds.append(time.perf_counter() - begun)
    first, rest = seconds[0] * 1000, seconds[20:]
    median, high = np.quantile(rest, [0.5, 0.99]) * 1000
    console.print(
        f"the first tier took {median:.2f} ms in the median, {high:.2f} ms at the 99th percentile; the first time "
        f"{first:.0f} ms"
    )


def _second_tier(
    known: Path, truth: SearchCache, texts: Sequence[str], searches: NDArray[np.int64], console: Console
) -> list[Answered]:
    """What the second tier answers of the rest, and how long that takes."""
    release = StoredRelease.open(FolderWorkspace(known))
    settings = release.settings
    with Bm25Store.open(release.files.statistics.path) as store:
        stage = HeldStage.of(store, release.chunk_table(), None, settings=settings)
    embedder = Embedder(plan_embedder(settings.embedder, settings.execution, base=known), batch_tokens=4096)
    order = order_of_release(release.manifest)
    weighing = Weighing.of(settings, order, weight=0.0, log=release.manifest.log_means or None)
    live = LiveSearch(settings, stage, stage.rows, embedder, None, None, weighing)
    pools = PoolSearch.of(release, live, stage.vectors.texts)
    if pools is None:
        return []
    rows, seconds = [], []
    for text, count in zip(texts, searches.tolist(), strict=True):
        begun = time.perf_counter()
        found = pools.answer(text, None, None)
        seconds.append(time.perf_counter() - begun)
        if found is not None:
            rows.append((count, _overlap(truth, text, [result.document_id for result in found.results])))
    median, high = np.quantile(seconds, [0.5, 0.99]) * 1000
    console.print(f"the second tier took {median:.1f} ms in the median, {high:.1f} ms at the 99th percentile")
    return [_answered("pool", rows)]


def _together(name: str, parts: Sequence[Answered]) -> Answered:
    searches = np.concatenate([np.zeros(0, dtype=np.int64), *(part.searches for part in parts)])
    return Answered(name, searches, np.concatenate([np.zeros(0), *(part.overlaps for part in parts)]))


def _semantic(
    known: Path,
    truth: SearchCache,
    merged: Merged,
    *,
    vectors: Sequence[NDArray[np.float32]],
    before: NDArray[np.int64],
    later: NDArray[np.int64],
    as_much_as: int,
) -> Answered:
    """The answers of nearest queries by cosine, the nearest first, until as many searches are answered."""
    known_numbers, unseen = np.flatnonzero(before > 0), np.flatnonzero((before == 0) & (later > 0))
    cosines = vectors[1] @ vectors[0].T
    nearest, best = cosines.argmax(axis=1), cosines.max(axis=1)
    rows: list[tuple[int, float]] = []
    with SearchCache.open(known) as cache:
        for one in np.argsort(-best, kind="stable"):
            if sum(count for count, _ in rows) >= as_much_as:
                break
            answer = cache.get(merged.texts[known_numbers[nearest[one]]])
            assert answer is not None
            ids = [result.document_id for result in answer.results]
            rows.append((int(later[unseen[one]]), _overlap(truth, merged.texts[unseen[one]], ids)))
    return _answered("nearest by cosine", rows)


def _answered(name: str, rows: Sequence[tuple[int, float]]) -> Answered:
    counts, overlaps = zip(*rows, strict=True) if rows else ((), ())
    return Answered(name, np.array(counts, dtype=np.int64), np.array(overlaps, dtype=np.float64))


def _overlap(truth: SearchCache, text: str, ids: Sequence[str]) -> float:
    own = truth.get(text)
    assert own is not None, text
    return rank_biased_overlap([result.document_id for result in own.results], ids, persistence=PERSISTENCE)


if __name__ == "__main__":
    main()
