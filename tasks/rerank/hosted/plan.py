"""What is known of a hosted reranker without asking it: where it is, what it is called, what its scores depend on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nightrank.storage.errors import InputError
from nightrank.storage.keys import fingerprint
from nightrank.storage.memo.pair_scores import PAID
from nightrank.tasks.rerank.hosted.apis import APIS

if TYPE_CHECKING:
    from nightrank.tasks.settings.ranking import HostedSettings, RerankerSettings

# Narrower than what a shell takes, so that a key that was put in its place is told from it, and is shown nowhere.
VARIABLE_NAME = re.compile(r"(?=.{1,64}\Z)(?=.*_)[A-Z][A-Z0-9_]*")
HOST = re.compile(r"[A-Za-z0-9._:-]+")  # as it is sent: ASCII, and colons in an IPv6 address


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


def plan_hosted(settings: RerankerSettings) -> HostedPlan:
    """The plan of the reranker that ``[reranker.hosted]`` names.

    Raises:
        InputError: A setting is missing, or does not go with the API. No message repeats what could be a key.
    """
    hosted, api = settings.hosted, APIS[settings.hosted.api]
    url = _checked_url(hosted.url or api.default_url, api=hosted.api)
    _require(
        hosted.api_key_env is None or hosted.api_key_block is None,
        "[reranker.hosted] names both `api_key_env` and `api_key_block`.",
        "Keep the one that holds the key.",
    )
    _require(
        hosted.api_key_env is None or VARIABLE_NAME.fullmatch(hosted.api_key_env) is not None,
        "[reranker.hosted].api_key_env is no name of an environment variable.",
        'Give the name, such as "COHERE_API_KEY": up to 64 capitals and digits, an underscore among them. The key '
        "itself must not stand in the settings.",
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


def _checked_url(url: str | None, *, api: str) -> str:
    _require(url is not None, f"[reranker.hosted].url is missing for the API {api!r}.", "Say where the server is.")
    assert url is not None
    remedy = "Give scheme, host and port alone, such as http://localhost:8080; a key goes into `api_key_env`."
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        sound = sound and not parts.query and not parts.fragment and (parts.port is None or parts.port > 0)
        sound = sound and _can_be_asked_for(url)
    except ValueError:  # a port that is no number
        sound = False
    _require(sound, "[reranker.hosted].url is no plain http or https address.", remedy)
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _can_be_asked_for(url: str) -> bool:
    """Whether the HTTP client takes an address, and its host can be looked up."""
    import httpx  # is needed nowhere else where nothing is asked for

    try:
        host = httpx.URL(url).raw_host.decode("ascii")
        host.encode("idna")
    except (httpx.InvalidURL, UnicodeError):  # of labels that are empty or too long
        return False
    return HOST.fullmatch(host) is not None


def _require(condition: bool, message: str, remedy: str) -> None:
    if not condition:
        raise InputError(message, remedy=remedy)
