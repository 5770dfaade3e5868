"""What is known of a hosted reranker without asking it: where it is, what it is called, what its scores depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.keys import fingerprint
from nightrank.storage.memo.pair_scores import PAID
from nightrank.tasks.hosted.endpoint import Endpoint, check_key_place, checked_url
from nightrank.tasks.rerank.hosted.apis import APIS

if TYPE_CHECKING:
    from nightrank.tasks.settings.ranking import HostedSettings, RerankerSettings

SECTION = "[reranker.hosted]"


@dataclass(frozen=True, slots=True)
class HostedPlan:
    """Everything about a hosted reranker that can be known without asking it.

    Attributes:
        url: Where its API is, without a slash at the end.
        model: Its name there.
        max_tokens: Of a passage or pair; None for the API's own limit.
        weight: Of its score against the first stage.
        fingerprint: Of API, place, model and ``revision``, for which its scores are remembered. A provider can change
            what answers to a name, and nobody here would see it: that is what ``revision`` is for.
        hosted: How it is asked, and what may be spent.
    """

    url: str
    model: str
    max_tokens: int | None
    weight: float
    fingerprint: str
    hosted: HostedSettings
    precision: str = "float32"

    @property
    def key(self) -> str:
        """Decides a ranking: the scores, and how much they count."""
        return f"{self.fingerprint} at {self.weight:g}"

    @property
    def endpoint(self) -> Endpoint:
        """Where it is asked."""
        return Endpoint(
            self.url,
            SECTION,
            self.hosted,
            task="rerank",
            kept="what was scored",
            check="Check [reranker].model and `api`, `url` and `pairs_per_request` in [reranker.hosted].",
            key_header=APIS[self.hosted.api].key_header,
        )


def plan_hosted(settings: RerankerSettings) -> HostedPlan:
    """The plan of the reranker that ``[reranker.hosted]`` names.

    Raises:
        InputError: A setting is missing, or does not go with the API. No message repeats what could be a key.
    """
    hosted, api = settings.hosted, APIS[settings.hosted.api]
    written = hosted.url or api.default_url
    if written is None:
        message = f"{SECTION}.url is missing for the API {hosted.api!r}."
        raise InputError(message, remedy="Say where the server is.")
    url = checked_url(written, section=SECTION)
    check_key_place(hosted, section=SECTION, example="COHERE_API_KEY")
    _require(
        settings.prompt is None,
        f"[reranker].prompt is set, and the API {hosted.api!r} is asked by query and documents alone.",
        "Leave it out.",
    )
    _require(
        settings.max_tokens is None or api.takes_max_tokens,
        f"[reranker].max_tokens is set, and the API {hosted.api!r} cannot be told where to cut.",
        "Leave it out: the server cuts at its model's own limit.",
    )
    _require(
        (hosted.corpus is not None) == (api.upload is not None),
        f"[reranker.hosted].corpus is {'set' if hosted.corpus else 'missing'} for the API {hosted.api!r}.",
        'Only "vectara" takes and needs the key of a corpus.',
    )
    place = url.partition("://")[2]
    decisive = ["hosted", hosted.api, place, settings.model, settings.revision, settings.max_tokens]
    return HostedPlan(
        url=url,
        model=settings.model,
        max_tokens=settings.max_tokens,
        weight=1.0 if settings.weight is None else settings.weight,
        fingerprint=f"{PAID}{fingerprint(decisive)}",
        hosted=hosted,
    )


def _require(condition: bool, message: str, remedy: str) -> None:
    if not condition:
        raise InputError(message, remedy=remedy)
