"""What do near answers add to a later span of a real log, how wrong are they, and does the promised bound hold?

    python -m benchmarks.near_answers --data ../shared/data

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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.coverage import LOG, read_months
from benchmarks.plain_nights import refresh_plainly
from benchmarks.settings_files import LOOSE_GATES, write_settings_file
from nightrank.storage.keys import query_key
from nightrank.storage.memo.query_vectors import QueryMemo
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.release.near_record import NearRecord
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.gates.rank_biased_overlap import rank_biased_overlap
from nightrank.tasks.near.cache import SearchCache
from nightrank.tasks.query_log.aliases import merge_aliases
from nightrank.tasks.query_log.traffic import totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.settings_files import Value
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
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help=f"folder of {LOG}")
    parser.add_argument("--work", type=Path, default=Path(".benchmarks/near_answers"), help="where releases are made")
    parser.add_argument("--max-lost-overlap", type=float, default=0.2, help="[near].max_lost_overlap")
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
    known = _release(options.work / "known", merged, titles, before=day, limit=options.max_lost_overlap)
    whole = _release(options.work / "whole", merged, titles, before=None, limit=options.max_lost_overlap)
    unseen = np.flatnonzero((before == 0) & (later > 0))
    print(f"{len(titles):,} documents, {int((before > 0).sum()):,} known queries, {unseen.size:,} later ones unseen")
    total = int(later.sum())
    console = Console()
    console.print(f"answered exactly: {later[before > 0].sum() / total:.1%} of {total:,} later searches")
    record = NearRecord.model_validate_json(_files(known).near.path.read_bytes())
    for move in record.moves:
        console.print(f"the night: {move.model_dump_json()}", highlight=False)
    ours = _near(known, whole, [merged.texts[n] for n in unseen], later[unseen])
    table = Table("answers", "queries", "of the traffic", "lost overlap", "95 %", "wrong searches")
    near = Answered("near", *(np.concatenate([getattr(one, of) for one in ours]) for of in ("searches", "overlaps")))
    semantic = _semantic(known, whole, merged, before, later, as_much_as=int(near.searches.sum()))
    for one in (*ours, near, semantic):
        mean, low, high = one.lost()
        share = one.searches.sum() / total
        wrong = f"{one.wrong} ({one.wrong / max(1, one.searches.sum()):.1%})"
        table.add_row(
            one.name, f"{one.searches.size:,}", f"{share:.1%}", f"{mean:.3f}", f"{low:.3f} to {high:.3f}", wrong
        )
    console.print(table)


def _release(folder: Path, merged: Merged, titles: Sequence[str], *, before: int | None, limit: float) -> Path:
    """The workspace of a release of the queries before a day, or of all."""
    from datetime import date

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
    near: dict[str, Value] = {"tiers": ["same_answer"], "max_lost_overlap": limit}
    settings = write_settings_file(
        folder / "nightrank.toml",
        {
            "": {"workspace": "workspace"},
            "documents": {"source": "documents.jsonl"},
            "queries": {"log": "queries.jsonl", "budget": 100_000, "personal_data": "keep"},
            "bm25": {"language": "german"},
            "reranker": {"model": "none"},
            "gates": {**LOOSE_GATES, "min_coverage": "none"},
            "near": near if before is not None else {"max_lost_overlap": limit},
        },
    )
    refresh_plainly(settings)
    return folder / "workspace"


def _files(workspace: Path) -> ReleaseFiles:
    place = FolderWorkspace(workspace)
    return ReleaseFiles.of(place, place.require_current())


def _near(known: Path, whole: Path, texts: Sequence[str], searches: NDArray[np.int64]) -> list[Answered]:
    """Near answers of the known queries' release, against those of the one that knows all."""
    found: dict[str, list[tuple[int, float]]] = {}
    with SearchCache.open(known) as cache, SearchCache.open(whole) as truth:
        for text, count in zip(texts, searches.tolist(), strict=True):
            answer = cache.get(text, near=True)
            if answer is not None:
                overlap = _overlap(truth, text, [result.document_id for result in answer.results])
                found.setdefault("near", []).append((count, overlap))
    return [_answered(move, rows) for move, rows in sorted(found.items())]


def _semantic(
    known: Path,
    whole: Path,
    merged: Merged,
    before: NDArray[np.int64],
    later: NDArray[np.int64],
    *,
    as_much_as: int,
) -> Answered:
    """The answers of nearest queries by cosine, the nearest first, until as many searches are answered."""
    known_numbers, unseen = np.flatnonzero(before > 0), np.flatnonzero((before == 0) & (later > 0))
    place = FolderWorkspace(whole)
    embedder = read_manifest(place, place.require_current()).inputs.embedder
    with QueryMemo(place.memo, embedder=embedder) as memo:
        vectors = [
            memo.vectors_of([query_key(merged.texts[n]) for n in numbers])[1] for numbers in (known_numbers, unseen)
        ]
    cosines = vectors[1] @ vectors[0].T
    nearest = cosines.argmax(axis=1)
    best = cosines[np.arange(unseen.size), nearest]
    rows, answered = [], 0
    with SearchCache.open(known) as cache, SearchCache.open(whole) as truth:
        for place_ in np.argsort(-best, kind="stable"):
            if answered >= as_much_as:
                break
            answer = cache.get(merged.texts[known_numbers[nearest[place_]]])
            assert answer is not None
            count = int(later[unseen[place_]])
            answered += count
            ids = [result.document_id for result in answer.results]
            rows.append((count, _overlap(truth, merged.texts[unseen[place_]], ids)))
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
