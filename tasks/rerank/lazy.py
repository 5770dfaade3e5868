"""The models of a night: loaded where something must be computed, once, and watched before they are trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.hosted.plan import HostedPlan
from nightrank.tasks.rerank.hosted.spending import SpendingBySection
from nightrank.tasks.rerank.openvino import OpenvinoReranker

if TYPE_CHECKING:
    from nightrank.tasks.rerank.hosted.client import HostedReranker
    from nightrank.tasks.rerank.plan import RerankerPlan
    from nightrank.tasks.settings.whole import Settings
    from nightrank.tasks.workers.cut import Sharding

LoadedReranker: TypeAlias = "Reranker | OpenvinoReranker | HostedReranker"


class LazyReranker:
    """The reranker of a night.

    Args:
        plan: What to load.
        settings: Where it runs.
        spending: What the run spent so far on hosted ones; None where this is the only one of its run.
        sharding: How workers score what is much; None where this process scores all.

    Attributes:
        plan: As given.
        sharding: As given; None of a hosted one, whose budget is one.
    """

    def __init__(
        self,
        plan: RerankerPlan | HostedPlan,
        settings: Settings,
        *,
        spending: SpendingBySection | None = None,
        sharding: Sharding | None = None,
    ) -> None:
        self.plan = plan
        self.sharding = None if isinstance(plan, HostedPlan) else sharding
        self._spending = SpendingBySection() if spending is None else spending
        self._execution = settings.execution
        self._loaded: LoadedReranker | None = None

    def load(self) -> LoadedReranker:
        """The reranker.

        Raises:
            InputError: The folder holds no cross-encoder with one output, or there is no key for a hosted one.
        """
        if self._loaded is None:
            self._loaded = self._hosted(self.plan) if isinstance(self.plan, HostedPlan) else self._local(self.plan)
        return self._loaded

    def _local(self, plan: RerankerPlan) -> Reranker | OpenvinoReranker:
        kind = OpenvinoReranker if plan.runtime == "openvino" else Reranker
        return kind(plan, batch_tokens=self._execution.batch_tokens, threads=self._execution.threads)

    def _hosted(self, plan: HostedPlan) -> HostedReranker:
        from nightrank.tasks.rerank.hosted.client import HostedReranker  # its HTTP client is needed nowhere else

        return HostedReranker.connect(plan, self._spending.under(plan.hosted))
