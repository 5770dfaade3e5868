"""What hosted rerankers are sent and what they answer: one record for each API, and no network here.

They differ in small things, which is why each has its name:

========  =========================================  ==========================================================
api       request                                    answer
========  =========================================  ==========================================================
cohere    ``/v2/rerank``: model, query, documents    ``results``: index, relevance_score; billed search units
jina      ``/v1/rerank``: the same                   ``results``: index, relevance_score
vllm      ``/rerank``: the same                      ``results``: index, relevance_score
infinity  ``/rerank``: the same, and raw_scores      ``results``: index, relevance_score
tei       ``/rerank``: query, texts, raw_scores      a list: index, score
vectara   ``/v2/corpora/<key>/query``, see below     ``search_results``: document_id, score
========  =========================================  ==========================================================

Sources: docs.cohere.com/reference/rerank, jina.ai/reranker, docs.vllm.ai, michaelfeil.eu/infinity,
huggingface.github.io/text-embeddings-inference, docs.vectara.com/docs/rest-api.

**Vectara** reranks what a query found in one of its corpora and nothing else: no request takes passages. So passages
are put into a corpus first, each a document whose id is a digest of its text, and a query is confined to them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from nightrank.storage.keys import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nightrank.storage.records import JsonValue

Body: TypeAlias = "dict[str, JsonValue]"

LARGEST_SCORE = 3.4e38  # of numbers in single precision, in which scores are kept


class MalformedAnswer(ValueError):
    """An answer that is JSON and yet not what the API's documentation says."""


class RerankRequest(NamedTuple):
    """One request's worth: a query and passages.

    Attributes:
        model: Its name in the API.
        query: What was searched for.
        texts: (n,) passages.
        max_tokens: Of a passage or pair; None for the API's own limit.
        corpus: Vectara's key of the corpus with the passages.
    """

    model: str
    query: str
    texts: Sequence[str]
    max_tokens: int | None = None
    corpus: str | None = None


class Scored(NamedTuple):
    """What an answer says.

    Attributes:
        scores: By position in ``RerankRequest.texts``; fewer than were asked for where the answer leaves some out.
        searches: As the answer bills them; None where it does not say.
    """

    scores: dict[int, float]
    searches: int | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """How one API is spoken to.

    Attributes:
        default_url: Of the provider; None for servers of one's own.
        pairs_per_request: Passages of a request by default: what the documentation recommends or allows.
        pairs_per_search: Passages that are billed as one search; None where a request is one, whatever its size.
        key_header: The header that carries the key, and what stands before the key in it.
        takes_max_tokens: Whether it can be told where to cut.
        path: Of a request.
        body: Of a request.
        read: What an answer to it says.
        upload: Path and body that make a passage known to the API, where it must be.
    """

    default_url: str | None
    pairs_per_request: int
    path: Callable[[RerankRequest], str]
    body: Callable[[RerankRequest], Body]
    read: Callable[[JsonValue, RerankRequest], Scored]
    pairs_per_search: int | None = None
    key_header: tuple[str, str] = ("Authorization", "Bearer ")
    takes_max_tokens: bool = False
    upload: Callable[[RerankRequest, str], tuple[str, Body]] | None = None

    def searches(self, pairs: int) -> int:
        """How many searches a request is billed as, by the provider's documentation.

        Args:
            pairs: Its passages.
        """
        return 1 if self.pairs_per_search is None else max(1, math.ceil(pairs / self.pairs_per_search))


def read_scores(
    rows: JsonValue, *, place: Callable[[dict[str, JsonValue]], int | None], score: str
) -> dict[int, float]:
    """Scores by position from a list of objects.

    Args:
        rows: The list.
        place: The position that an object stands for; None where it stands for none.
        score: The key of its score.

    Raises:
        MalformedAnswer: It is no such list: a position is out of range or comes twice, a score is no finite number in
            single precision.

    >>> read_scores([{"index": 1, "s": -0.5}, {"index": 0, "s": 2}], place=lambda row: row["index"], score="s")
    {1: -0.5, 0: 2.0}
    """
    if not isinstance(rows, list):
        message = "it holds no list of scores"
        raise MalformedAnswer(message)
    scores: dict[int, float] = {}
    for row in rows:
        position = place(row) if isinstance(row, dict) else None
        if position is None:
            message = "a score stands for none of the passages"
            raise MalformedAnswer(message)
        value = row.get(score) if isinstance(row, dict) else None
        if position in scores:
            message = "a passage has two scores"
            raise MalformedAnswer(message)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST_SCORE:
            message = "a score is not a finite number"
            raise MalformedAnswer(message)
        scores[position] = float(value)
    return scores


def passage_id(text: str) -> str:
    """The id that a passage has in a corpus of ours: the same text, the same id."""
    return digest("hosted passage", text)


def _documents(asked: RerankRequest) -> Body:
    return {"model": asked.model, "query": asked.query, "documents": list(asked.texts)}


def _cohere_body(asked: RerankRequest) -> Body:
    return _documents(asked) | ({} if asked.max_tokens is None else {"max_tokens_per_doc": asked.max_tokens})


def _vllm_body(asked: RerankRequest) -> Body:
    return _documents(asked) | ({} if asked.max_tokens is None else {"truncate_prompt_tokens": asked.max_tokens})


def _jina_body(asked: RerankRequest) -> Body:
    return _documents(asked) | {"return_documents": False}


def _infinity_body(asked: RerankRequest) -> Body:
    return _documents(asked) | {"return_documents": False, "raw_scores": True}


def _tei_body(asked: RerankRequest) -> Body:
    return {"query": asked.query, "texts": list(asked.texts), "raw_scores": True, "truncate": True}


def _vectara_body(asked: RerankRequest) -> Body:
    names = ", ".join(f"'{name}'" for name in dict.fromkeys(map(passage_id, asked.texts)))  # hexadecimal digests
    count = len(asked.texts)
    return {
        "query": asked.query,
        "search": {
            "metadata_filter": f"doc.id IN ({names})",
            "limit": count,
            "reranker": {"type": "customer_reranker", "reranker_name": asked.model, "limit": count},
        },
        "save_history": False,
        "stream_response": False,
    }


def _vectara_upload(asked: RerankRequest, text: str) -> tuple[str, Body]:
    parts: JsonValue = [{"text": text}]
    return f"/v2/corpora/{asked.corpus}/documents", {"type": "core", "id": passage_id(text), "document_parts": parts}


def _read_results(answer: JsonValue, asked: RerankRequest) -> Scored:
    rows = answer.get("results") if isinstance(answer, dict) else None
    scores = read_scores(rows, place=_index_below(len(asked.texts)), score="relevance_score")
    return Scored(scores, _billed_searches(answer))


def _read_list(answer: JsonValue, asked: RerankRequest) -> Scored:
    return Scored(read_scores(answer, place=_index_below(len(asked.texts)), score="score"))


def _read_vectara(answer: JsonValue, asked: RerankRequest) -> Scored:
    positions = {passage_id(text): position for position, text in enumerate(asked.texts)}

    def place(row: dict[str, JsonValue]) -> int | None:
        name = row.get("document_id")
        return positions.get(name) if isinstance(name, str) else None

    rows = answer.get("search_results") if isinstance(answer, dict) else None
    return Scored(read_scores(rows, place=place, score="score"))


def _index_below(count: int) -> Callable[[dict[str, JsonValue]], int | None]:
    def place(row: dict[str, JsonValue]) -> int | None:
        index = row.get("index")
        return index if type(index) is int and 0 <= index < count else None

    return place


def _billed_searches(answer: JsonValue) -> int | None:
    """Cohere's ``meta.billed_units.search_units``; None where it is not there."""
    value: JsonValue = answer
    for key in ("meta", "billed_units", "search_units"):
        value = value.get(key) if isinstance(value, dict) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return math.ceil(value) if is_number and isinstance(value, int | float) and value >= 0 else None


def _at(path: str) -> Callable[[RerankRequest], str]:
    return lambda _: path


APIS = {
    "cohere": Api(
        "https://api.cohere.com",
        100,
        _at("/v2/rerank"),
        _cohere_body,
        _read_results,
        pairs_per_search=100,
        takes_max_tokens=True,
    ),
    "jina": Api("https://api.jina.ai", 100, _at("/v1/rerank"), _jina_body, _read_results),
    "vllm": Api(None, 100, _at("/rerank"), _vllm_body, _read_results, takes_max_tokens=True),
    "infinity": Api(None, 100, _at("/rerank"), _infinity_body, _read_results),
    "tei": Api(None, 32, _at("/rerank"), _tei_body, _read_list),
    "vectara": Api(
        "https://api.vectara.io",
        100,
        lambda asked: f"/v2/corpora/{asked.corpus}/query",
        _vectara_body,
        _read_vectara,
        key_header=("x-api-key", ""),
        upload=_vectara_upload,
    ),
}
