"""What a run spends on a hosted reranker, and where it stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.tasks.rerank.hosted.apis import APIS

if TYPE_CHECKING:
    from nightrank.tasks.rerank.hosted.apis import Api
    from nightrank.tasks.settings.ranking import HostedSettings


class Spending:
    """Pairs and searches paid for so far, under the cap of the settings.

    What may have been billed counts as billed: an answer that was lost on its way, or that was broken.

    Args:
        api: How requests are billed.
        settings: ``max_pairs`` and ``max_searches``.

    Attributes:
        pairs: Sent to the API, but for what it refused.
        searches: As it bills them.
    """

    def __init__(self, api: Api, settings: HostedSettings) -> None:
        self.pairs = 0
        self.searches = 0
        self._api = api
        self._settings = settings

    def room_for(self, pairs: int) -> int:
        """How many of some pairs, of one request, may still be sent."""
        room = min(pairs, self._settings.max_pairs - self.pairs)
        if self._settings.max_searches is None:
            return max(0, room)
        searches = self._settings.max_searches - self.searches
        if searches <= 0:
            return 0
        return max(0, room if self._api.pairs_per_search is None else min(room, searches * self._api.pairs_per_search))

    def add(self, pairs: int, *, searches: int | None = None) -> None:
        """Count a request.

        Args:
            pairs: That it sent.
            searches: As its answer bills them; None where it does not say.
        """
        self.pairs += pairs
        self.searches += self._api.searches(pairs) if searches is None else searches


class SpendingBySection:
    """What one run spends on all hosted rerankers that it asks, however often each is made anew.

    Whatever was varied beside it, a section ``[reranker.hosted]`` is one cap.
    """

    def __init__(self) -> None:
        self._by_section: dict[HostedSettings, Spending] = {}

    def under(self, settings: HostedSettings) -> Spending:
        """What was spent so far under the cap of a section."""
        if settings not in self._by_section:
            self._by_section[settings] = Spending(APIS[settings.api], settings)
        return self._by_section[settings]
