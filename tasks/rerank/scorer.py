"""What scores pairs, whether it runs here or is asked for money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from nightrank.tasks.rerank.hosted.client import ScoredTexts


class Scorer(Protocol):
    """What scores pairs: a reranker."""

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
        """Raw scores of pairs, float32 (n,); higher is more relevant."""
        ...


@runtime_checkable
class PaidScorer(Scorer, Protocol):
    """What scores pairs for money: a hosted reranker."""

    @property
    def is_spent(self) -> bool:
        """Whether nothing more may be spent."""
        ...

    @property
    def searches(self) -> int:
        """Searches that were billed so far, in the whole run."""
        ...

    def answers(self, query: str, texts: Sequence[str]) -> Iterator[ScoredTexts]:
        """Scores of a query's texts as they arrive; those for which nothing more may be spent never do."""
        ...

    def close(self) -> None:
        """Close its connection; the next question opens it again."""
        ...
