"""The releases that were live before: what later ones are held against, whether they are still there or not.

A release that is published carries the record of those before it, cut to some days. What is published on purpose
against a gate is where that gate's record begins anew: nothing is held against what was given up.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.release.gate_records import PAST_RANKINGS, PAST_RELEASES
from nightrank.tasks.gates.judgments import JudgmentCounts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

# What a release is held for, and the gates whose acceptance ends that.
HELD_FOR = {
    "quality": frozenset({"non_inferiority", "quality_drift"}),
    "rankings": frozenset({"overlap", "top1", "overlap_drift", "top1_drift"}),
    "judgments": frozenset({"judgments"}),
    "account": frozenset({"account"}),
}


@dataclass(frozen=True, slots=True)
class PastRelease:
    """A release that was live, or is about to be.

    Attributes:
        release_id: Its id.
        published_at: When.
        measure: Of the gates, then.
        mean: Of that measure over the judged queries that are kept of it; None where nothing was judged.
        judged: What it was measured by.
        documents_with_text: How many it had.
        characters: Of all its texts.
        held_for: What later releases are held against it for; of ``HELD_FOR``.
    """

    release_id: str
    published_at: datetime
    measure: str
    mean: float | None
    judged: JudgmentCounts
    documents_with_text: int
    characters: int
    held_for: frozenset[str] = frozenset(HELD_FOR)


@dataclass(frozen=True, slots=True)
class Past:
    """Releases that were live, and what they answered a sample of queries with.

    Args:
        releases: Oldest first.
        rankings: Theirs, schema PAST_RANKINGS.
    """

    releases: tuple[PastRelease, ...] = ()
    rankings: pa.Table = field(default_factory=PAST_RANKINGS.empty_table)

    @classmethod
    def of(cls, releases: pa.Table, rankings: pa.Table) -> Past:
        """From tables of schema PAST_RELEASES and PAST_RANKINGS."""
        return cls(
            tuple(
                PastRelease(
                    release_id=row["release_id"],
                    published_at=row["published_at"],
                    measure=row["measure"],
                    mean=row["mean"],
                    judged=JudgmentCounts(row["queries_judged"], row["judgments"], row["judgments_relevant"]),
                    documents_with_text=row["documents_with_text"],
                    characters=row["characters"],
                    held_for=frozenset(row["held_for"]),
                )
                for row in releases.to_pylist()
            ),
            rankings,
        )

    def table(self) -> pa.Table:
        """The releases, schema PAST_RELEASES."""
        rows = [
            {
                "release_id": release.release_id,
                "published_at": release.published_at,
                "measure": release.measure,
                "mean": release.mean,
                "queries_judged": release.judged.queries,
                "judgments": release.judged.judgments,
                "judgments_relevant": release.judged.relevant,
                "documents_with_text": release.documents_with_text,
                "characters": release.characters,
                "held_for": sorted(release.held_for),
            }
            for release in self.releases
        ]
        return pa.Table.from_pylist(rows, schema=PAST_RELEASES)

    def within(self, days: int | None, *, now: datetime) -> Past:
        """Those of the last days, the best of each day; none where days are not asked for.

        Of releases of one day the one with the highest mean stays, of equal ones the first. Where that one is not held
        for something, the best that is stays, too.
        """
        if days is None:
            return Past()
        kept: dict[str, PastRelease] = {}
        since = now - timedelta(days=days)
        recent = [release for release in self.releases if release.published_at >= since and release.held_for]
        for purpose in HELD_FOR:
            best: dict[str, PastRelease] = {}
            for release in recent:
                day = f"{release.published_at:%Y-%m-%d}"
                if purpose in release.held_for and (day not in best or _mean(release) > _mean(best[day])):
                    best[day] = release
            kept |= {release.release_id: release for release in best.values()}
        return self._only([release for release in recent if release.release_id in kept])

    def held_for(self, purpose: str) -> Past:
        """Those that later releases are held against for something of ``HELD_FOR``."""
        return self._only([release for release in self.releases if purpose in release.held_for])

    def accepting(self, gates: Iterable[str]) -> Past:
        """What is left where a release is published although these gates failed."""
        ended = {purpose for purpose, of in HELD_FOR.items() if of & frozenset(gates)}
        left = [replace(release, held_for=release.held_for - ended) for release in self.releases]
        return self._only([release for release in left if release.held_for])

    def followed_by(self, release: PastRelease, rankings: pa.Table) -> Past:
        """With one more, and its rankings, schema PAST_RANKINGS."""
        return Past((*self.releases, release), pa.concat_tables([self.rankings, rankings]).combine_chunks())

    def _only(self, releases: Iterable[PastRelease]) -> Past:
        chosen = tuple(releases)
        ids = pa.array([release.release_id for release in chosen], pa.string())
        return Past(chosen, self.rankings.filter(pc.is_in(self.rankings.column("release_id"), value_set=ids)))


def _mean(release: PastRelease) -> float:
    return float("-inf") if release.mean is None else release.mean
