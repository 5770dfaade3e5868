"""What a spending cap left undone, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nightrank.storage.release.manifest import Counts


def spending_cap(counts: Counts) -> str | None:
    """What a run's cap on a hosted reranker left out; None where it left out nothing."""
    if not counts.pairs_left:
        return None
    return (
        f"The spending cap in [reranker.hosted] was reached: {counts.queries_left:,} of {counts.queries:,} queries "
        f"keep the fused order, for want of {counts.pairs_left:,} pair scores. The next run goes on with them."
    )
