"""The ground floor: the domain's records, the Arrow schemas, and the one order of a ranking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.keys import digest, fingerprint, normalise_query
from nightrank.storage.legs import LEGS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nightrank.storage.judged import JudgedBy

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
Metadata: TypeAlias = Mapping[str, JsonValue]
Origin: TypeAlias = Literal["log", "title", "heading", "phrase", "question"]
"""Who asked a query: people, the documents themselves by what they have, or a model of a document."""


@dataclass(frozen=True, slots=True)
class Document:
    """What the user gave: one document of the collection.

    Attributes:
        document_id: Unique in the collection; never empty.
        title: May be empty.
        text: May be empty only where the title is not.
        metadata: JSON values by field name.
        file: The file it came from, as the user named it (relative to the source where that is a folder).
        row: Its row in that file, from 1.
        language: The name of the language that it says it is in; empty where it says none that is known.
    """

    document_id: str
    title: str
    text: str
    metadata: Metadata
    file: str
    row: int
    language: str = ""

    def digest(self) -> str:
        """The key of everything that a reader of results can see of the document, and of the language that it says."""
        return digest(self.document_id, self.title, self.text, fingerprint(dict(self.metadata)), self.language)

    def content_digest(self) -> str:
        """The key of what models can see of the document: what its chunks are made from."""
        return digest("content", self.title, self.text)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was set aside, where it is, and why."""

    file: str
    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document that models see.

    Attributes:
        document_id: The document that it is a part of.
        ordinal: Its place in the document, from 0.
        text: Exactly what models read: title, headings and body.
        body_start: Where in ``text`` the document's own passage begins, in characters.
    """

    document_id: str
    ordinal: int
    text: str
    body_start: int

    @property
    def chunk_id(self) -> str:
        """Where it is: document and ordinal."""
        return f"{self.document_id}#{self.ordinal}"

    @property
    def chunk_hash(self) -> str:
        """What it says: a digest of the exact text that models read."""
        return digest("chunk", self.text)

    @property
    def body(self) -> str:
        """The document's own passage, without the title and headings carried along."""
        return self.text[self.body_start :]


@dataclass(frozen=True, slots=True)
class LoggedQuery:
    """One row of a query log, as it was written.

    Attributes:
        user: What stands for the user while the log is read, and is never stored.
        session: What stands for the session, likewise.
        clicked: The documents that were opened, in whatever form the log has them.
        shows_clicks: Whether the log would say that one was opened.
        impression: By which searches and clicks of a server's log name each other.
        rank: Of a click, from 1.
        shown: The documents that were shown, best first; None where the log does not say.
        condition: The canonical text of its filter; None without one.
    """

    text: str
    query_id: str | None
    count: int
    timestamp: str | None
    file: str
    row: int
    user: int | None = None
    session: int | None = None
    user_agent: str = ""
    clicked: JsonValue = None
    condition: str | None = None
    shows_clicks: bool = False
    impression: str | None = None
    rank: int | None = None
    shown: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Judgment:
    """How well a document answers a query: a *qrel*.

    Attributes:
        judged_by: What says so. Judgments of different kinds are never measured by together.
    """

    query_id: str
    document_id: str
    grade: int
    judged_by: JudgedBy = "people"


def ids_or_words(
    texts: Sequence[str],
    query_ids: Sequence[Sequence[str]],
    aliases: Sequence[Sequence[str]],
    conditions: Sequence[str | None],
    *,
    judged: Collection[str],
) -> list[list[str]]:
    """The ids of queries, and of those without an id that which judgments name them by: their words.

    A query with a filter has no such name: its words do not say what it leaves out.

    Args:
        texts: Normalised (n,).
        query_ids: (n,).
        aliases: (n,).
        conditions: Their filters (n,); None without one.
        judged: The ids in the judgments.

    Returns:
        Of each, (n,).

    >>> ids_or_words(["read a csv file", "tea"], [[], ["q1"]], [[], []], [None, None], judged=["Read a CSV file", "q1"])
    [['Read a CSV file'], ['q1']]
    """
    named: dict[str, str] = {}
    for one in sorted(judged):
        named.setdefault(normalise_query(one), one)
    return [
        [*ids]
        if ids or condition is not None or not named
        else list(dict.fromkeys(named[text] for text in (own, *others) if text in named))
        for own, ids, others, condition in zip(texts, query_ids, aliases, conditions, strict=True)
    ]


def kind_of(judgments: Iterable[Judgment]) -> JudgedBy | None:
    """What judgments rest on, all of them alike; None of none."""
    return next((judgment.judged_by for judgment in judgments), None)


DOCUMENTS = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("metadata", pa.string(), nullable=False),  # canonical JSON
        pa.field("language", pa.string(), nullable=False),  # that it says it is in, by its name; empty without one
        pa.field("document_digest", pa.string(), nullable=False),
        pa.field("content_digest", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
    ]
)

BAD_ROWS = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)

# account.parquet: what was taken for what, and what was left out.
ACCOUNT = pa.schema(
    [
        pa.field("part", pa.string(), nullable=False),  # documents, queries, judgments or runs
        pa.field("kind", pa.string(), nullable=False),  # one of nightrank.tasks.read.account.Kind
        pa.field("what", pa.string(), nullable=False),  # the suffix, column, encoding or reason
        pa.field("count", pa.int64(), nullable=False),
        pa.field("where", pa.string(), nullable=False),  # the first place; empty where none is meant
    ]
)

# Chunks as a night cuts them from the documents that changed, with what models read.
FRESH_CHUNKS = pa.schema(
    [
        pa.field("chunk_hash", pa.string(), nullable=False),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("ordinal", pa.int32(), nullable=False),
        pa.field("body_start", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)

# All chunks of a release; what they say is in LanceDB under their hash.
CHUNKS = pa.schema(
    [
        pa.field("chunk_id", pa.string(), nullable=False),
        pa.field("chunk_hash", pa.string(), nullable=False),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("ordinal", pa.int32(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("body_start", pa.int32(), nullable=False),
        pa.field("metadata", pa.string(), nullable=False),  # canonical JSON, the document's
        pa.field("language", pa.string(), nullable=False),  # that the document says it is in; empty without one
    ]
)

QUERIES = pa.schema(
    [
        pa.field("query_key", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # normalised: what models read
        pa.field("count", pa.int64(), nullable=False),
        pa.field("query_ids", pa.list_(pa.string()), nullable=False),
        pa.field("aliases", pa.list_(pa.string()), nullable=False),  # near-identical texts that it answers too
        pa.field("filter", pa.string()),  # its filter's canonical text; null without one
        # "log": people asked it; "title", "heading", "phrase" or "question": documents did, and its count is 0
        pa.field("origin", pa.string(), nullable=False),
    ]
)

# What became of searches of the log that would show clicks.
WATCHED = pa.schema(
    [
        pa.field("query_key", pa.string(), nullable=False),
        pa.field("searches", pa.int64(), nullable=False),
        pa.field("clicks", pa.int64(), nullable=False),
    ]
)

LEG = pa.schema(
    [
        pa.field("query_number", pa.int32(), nullable=False),  # row of the queries table
        pa.field("chunk_number", pa.int32(), nullable=False),  # row of the release's chunks
        pa.field("score", pa.float32(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),  # from 1
    ]
)

# A run of another engine as it is read: the entries of its queries and documents.
EXTERNAL_RUN = pa.schema(
    [
        pa.field("query_number", pa.int32(), nullable=False),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ]
)

# What each leg says of a candidate; null where it does not list it, or is off.
_OF_LEGS = [
    field for leg in LEGS for field in (pa.field(f"{leg}_score", pa.float32()), pa.field(f"{leg}_rank", pa.int32()))
]

# All legs as one ranking.
FUSED = pa.schema(
    [
        pa.field("query_number", pa.int32(), nullable=False),
        pa.field("chunk_number", pa.int32(), nullable=False),
        *_OF_LEGS,
        pa.field("fused_score", pa.float32(), nullable=False),
        pa.field("fused_rank", pa.int32(), nullable=False),
    ]
)

# Every document that a leg found, by the chunk that stands for it (each chunk, where results are chunks); the first
# `candidate_depth` by fused rank are the candidates.
CANDIDATES = pa.schema(
    [
        pa.field("query_key", pa.string(), nullable=False),
        pa.field("chunk_id", pa.string(), nullable=False),
        pa.field("chunk_hash", pa.string(), nullable=False),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("chunk_number", pa.int32(), nullable=False),
        *_OF_LEGS,
        pa.field("fused_score", pa.float32(), nullable=False),
        pa.field("fused_rank", pa.int32(), nullable=False),
        pa.field("grams", pa.large_binary()),  # of the query, those in the text, a bit each; null with plain weights
        pa.field("pair_score", pa.float32()),  # null where the reranker was not asked
        pa.field("score", pa.float32(), nullable=False),  # the final score
        pa.field("rank", pa.int32(), nullable=False),
    ]
)


def asked_by_people(queries: pa.Table) -> NDArray[np.bool_]:
    """Which queries people asked: bool (n,).

    Args:
        queries: Schema QUERIES, or that of an earlier version, which had no others.
    """
    if "origin" not in queries.column_names:
        return np.ones(queries.num_rows, dtype=bool)
    found: NDArray[np.bool_] = np.array(queries.column("origin").to_pylist(), dtype=object) == "log"
    return found


def are_people_s(query_keys: pa.Array, queries: pa.Table) -> NDArray[np.bool_]:
    """Which of some keys (n,) are of queries that people asked, bool (n,); ``queries`` as of ``asked_by_people``."""
    of_people = queries.column("query_key").filter(pa.array(asked_by_people(queries)))
    found: NDArray[np.bool_] = pc.is_in(query_keys, value_set=of_people).to_numpy(zero_copy_only=False)
    return found


def ranking_order(
    queries: NDArray[np.integer], scores: NDArray[np.floating], chunk_numbers: NDArray[np.integer]
) -> NDArray[np.intp]:
    """The one order of rankings: by query, then score descending, then chunk number ascending.

    A release numbers its chunks by document id descending (as trec_eval breaks ties), then by ordinal
    ascending, so that the chunk number alone carries the rule for ties.

    Args:
        queries: int (n,), the query of each entry.
        scores: float (n,).
        chunk_numbers: int (n,).

    Returns:
        int (n,), the permutation that sorts the entries.

    >>> ranking_order(np.array([0, 0, 0]), np.array([-1.0, 2.0, 2.0]), np.array([5, 9, 3])).tolist()
    [2, 1, 0]
    """
    return np.lexsort((chunk_numbers, -np.asarray(scores), queries))


def ranks_within(groups: ArrayLike) -> NDArray[np.int32]:
    """Ranks from 1 within runs of equal values of a sorted array.

    >>> ranks_within([7, 7, 9, 9, 9]).tolist()
    [1, 2, 1, 2, 3]
    """
    values = np.asarray(groups)
    if values.size == 0:
        return np.zeros(0, dtype=np.int32)
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    lengths = np.diff(np.r_[starts, values.size])
    return (np.arange(values.size) - np.repeat(starts, lengths) + 1).astype(np.int32)
