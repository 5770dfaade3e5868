"""How much of what models say a run took from the memos instead of computing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightrank.storage.release.manifest import Counts


@dataclass(frozen=True, slots=True)
class MemoUse:
    """What a run needed of a memo, and found there."""

    needed: int
    found: int

    @property
    def hit_rate(self) -> float:
        """The share that was found; 1 where nothing was needed."""
        return self.found / self.needed if self.needed else 1.0


def memo_use(counts: Counts) -> dict[str, MemoUse]:
    """How much of each memo's values a run took from it instead of computing them."""
    needed_and_new = {
        "chunk embeddings": (counts.texts, counts.chunks_embedded),
        "query embeddings": (counts.queries, counts.queries_embedded),
        "sparse vectors of texts": (counts.sparse_texts, counts.sparse_texts_encoded),
        "sparse vectors of queries": (counts.queries if counts.sparse_texts else 0, counts.sparse_queries_encoded),
        "pair scores": (counts.pairs - counts.pairs_left, counts.pairs_scored),
    }
    asked = {name: found for name, found in needed_and_new.items() if "sparse" not in name or counts.sparse_texts}
    return {name: MemoUse(needed, needed - new) for name, (needed, new) in asked.items()}


def spending_cap(counts: Counts) -> str | None:
    """What a run's cap on a hosted reranker left out; None where it left out nothing."""
    if not counts.pairs_left:
        return None
    return (
        f"The spending cap in [reranker.hosted] was reached: {counts.queries_left:,} of {counts.queries:,} queries "
        f"are ordered without it, for want of {counts.pairs_left:,} pair scores. The next run goes on with them."
    )
