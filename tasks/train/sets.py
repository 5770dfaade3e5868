"""What both trainings read: passages, queries to learn from with their answers and negatives, queries to measure on.

Three Parquet files of a training's folder, written once by mining.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from nightrank.storage.files.parquet import read_table, write_table
from nightrank.storage.legs import LEGS
from nightrank.tasks.train.sources import MinedQuery, Passage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.legs import LegName

_TEACHER_SCORES = pa.list_(pa.struct([pa.field("passage", pa.int32()), pa.field("teacher_score", pa.float64())]))
_CANDIDATES = pa.list_(
    pa.struct(
        [
            pa.field("place", pa.int32()),
            pa.field("fused", pa.float64()),
            *(pa.field(leg, pa.float64()) for leg in LEGS),  # null where the leg does not list it, or is off
        ]
    )
)
_GRADES = pa.list_(pa.struct([pa.field("document_id", pa.string()), pa.field("grade", pa.int32())]))

PASSAGES = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("is_held", pa.bool_(), nullable=False),  # never shown in training
        pa.field("is_evaluated", pa.bool_(), nullable=False),  # among those that held-out queries are measured over
    ]
)
MINED = pa.schema(
    [
        pa.field("query", pa.string(), nullable=False),
        pa.field("answers", _TEACHER_SCORES, nullable=False),
        pa.field("negatives", _TEACHER_SCORES, nullable=False),
        pa.field("floor", pa.float64(), nullable=False),
        pa.field("removed_text", pa.string(), nullable=False),
        pa.field("false_negatives", pa.list_(pa.int32()), nullable=False),
    ]
)
HELD_OUT = pa.schema(
    [
        pa.field("query", pa.string(), nullable=False),
        pa.field("relevant", _GRADES, nullable=False),
        pa.field("candidates", _CANDIDATES, nullable=False),
    ]
)


class Candidate(NamedTuple):
    """What the first stage says of a passage: its place, its fused score, and those of the legs that list it."""

    place: int
    fused: float
    legs: Mapping[LegName, float]


@dataclass(frozen=True, slots=True)
class HeldOutQuery:
    """A query that is measured on.

    Attributes:
        query: Normalised.
        relevant: Grades of the documents that answer it.
        candidates: Of the first stage, best first.
    """

    query: str
    relevant: Mapping[str, int]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Everything that a training learns from and is measured on.

    Attributes:
        passages: What places point into.
        mined: Queries to learn from.
        held_out: Queries to measure on.
        held: Places of the passages that are never shown in training: those of held-out documents, and their copies.
        evaluated: Places of the passages that held-out queries are measured over, ascending.
    """

    passages: Sequence[Passage]
    mined: Sequence[MinedQuery]
    held_out: Sequence[HeldOutQuery]
    held: frozenset[int]
    evaluated: tuple[int, ...]


def write_training_set(folder: Path, training_set: TrainingSet) -> None:
    """Write the three files into a folder."""
    evaluated = set(training_set.evaluated)
    passages = [
        {
            "document_id": passage.document_id,
            "title": passage.title,
            "text": passage.text,
            "is_held": place in training_set.held,
            "is_evaluated": place in evaluated,
        }
        for place, passage in enumerate(training_set.passages)
    ]
    mined = [
        {
            "query": query.query,
            "answers": _rows(query.answers),
            "negatives": _rows(query.negatives),
            "floor": query.floor,
            "removed_text": query.removed_text,
            "false_negatives": query.false_negatives,
        }
        for query in training_set.mined
    ]
    held_out = [
        {
            "query": query.query,
            "relevant": [{"document_id": name, "grade": grade} for name, grade in query.relevant.items()],
            "candidates": [_of_candidate(one) for one in query.candidates],
        }
        for query in training_set.held_out
    ]
    for name, rows, schema in (
        ("passages", passages, PASSAGES),
        ("mined", mined, MINED),
        ("held_out", held_out, HELD_OUT),
    ):
        write_table(folder / f"{name}.parquet", pa.Table.from_pylist(rows, schema=schema))


def read_training_set(folder: Path) -> TrainingSet:
    """What :func:`write_training_set` wrote."""
    passages = read_table(folder / "passages.parquet").to_pylist()
    return TrainingSet(
        passages=[Passage(row["document_id"], row["title"], row["text"]) for row in passages],
        mined=[
            MinedQuery(
                row["query"],
                _pairs(row["answers"]),
                _pairs(row["negatives"]),
                row["floor"],
                row["removed_text"],
                tuple(row["false_negatives"]),
            )
            for row in read_table(folder / "mined.parquet").to_pylist()
        ],
        held_out=[
            HeldOutQuery(
                row["query"],
                {entry["document_id"]: entry["grade"] for entry in row["relevant"]},
                tuple(_candidate(entry) for entry in row["candidates"]),
            )
            for row in read_table(folder / "held_out.parquet").to_pylist()
        ],
        held=frozenset(place for place, row in enumerate(passages) if row["is_held"]),
        evaluated=tuple(place for place, row in enumerate(passages) if row["is_evaluated"]),
    )


def _of_candidate(candidate: Candidate) -> dict[str, float | None]:
    return {"place": candidate.place, "fused": candidate.fused, **{leg: candidate.legs.get(leg) for leg in LEGS}}


def _candidate(row: dict[str, float | None]) -> Candidate:
    place, fused = row["place"], row["fused"]
    assert place is not None
    assert fused is not None
    return Candidate(int(place), fused, {leg: score for leg in LEGS if (score := row[leg]) is not None})


def _rows(pairs: Sequence[tuple[int, float]]) -> list[dict[str, float]]:
    return [{"passage": place, "teacher_score": teacher_score} for place, teacher_score in pairs]


def _pairs(rows: Sequence[dict[str, float]]) -> tuple[tuple[int, float], ...]:
    return tuple((int(row["passage"]), row["teacher_score"]) for row in rows)
