"""What a dual encoder is worth on some queries over some passages: the dense leg alone, measured as releases are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.records import Judgment
from nightrank.storage.release.evaluation import EVALUATION
from nightrank.tasks.evaluate.measures import evaluate_run
from nightrank.tasks.models.card import MEASURES
from nightrank.tasks.trec.runs import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.train.sets import HeldOutQuery, TrainingSet

    Embed = Callable[[Sequence[str]], NDArray[np.float32]]

STAGE = "dense"
DEPTH = 100  # documents of a query's ranking
QUERIES_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Examination:
    """Queries, and passages of which some documents answer them.

    Attributes:
        queries: (n_queries,) as models read them.
        relevant: (n_queries,) grades of the documents that answer each.
        passages: (n_passages,) as models read them.
        document_ids: (n_passages,) whose they are.
    """

    queries: Sequence[str]
    relevant: Sequence[Mapping[str, int]]
    passages: Sequence[str]
    document_ids: Sequence[str]

    @classmethod
    def held_out(cls, training_set: TrainingSet, queries: Sequence[HeldOutQuery]) -> Examination:
        """Held-out queries of a training, over the passages that they are measured over."""
        passages = [training_set.passages[place] for place in training_set.evaluated]
        return cls(
            [query.query for query in queries],
            [query.relevant for query in queries],
            [passage.model_text() for passage in passages],
            [passage.document_id for passage in passages],
        )

    def smaller(self, *, queries: int, passages: int, generator: np.random.Generator) -> Examination:
        """Some of the queries, over all that answers them and other passages drawn at random.

        Args:
            queries: At most so many, drawn at random.
            passages: At most so many, and in any case those that answer the queries.
            generator: What decides the draw.
        """
        asked, shown = draw(self.relevant, self.document_ids, queries=queries, passages=passages, generator=generator)
        return Examination(
            [self.queries[place] for place in asked],
            [self.relevant[place] for place in asked],
            [self.passages[place] for place in shown],
            [self.document_ids[place] for place in shown],
        )


def draw(
    relevant: Sequence[Mapping[str, int]],
    document_ids: Sequence[str],
    *,
    queries: int,
    passages: int,
    generator: np.random.Generator,
) -> tuple[list[int], list[int]]:
    """Which queries are asked over which passages, where all of them would be too many.

    Args:
        relevant: (n_queries,) grades of the documents that answer each.
        document_ids: (n_passages,) whose they are.
        queries: At most so many, drawn at random.
        passages: At most so many, drawn at random, and in any case those that answer the queries.
        generator: What decides the draw.

    Returns:
        The numbers of the queries and of the passages, ascending.
    """
    asked = np.sort(generator.permutation(len(relevant))[:queries]).tolist()
    answers = {document for place in asked for document in relevant[place]}
    order = generator.permutation(len(document_ids)).tolist()
    order.sort(key=lambda place: document_ids[place] not in answers)  # stable: the others stay shuffled
    needed = sum(document in answers for document in document_ids)
    return asked, sorted(order[: max(passages, needed)])


def examine(
    examination: Examination,
    *,
    embed_queries: Embed,
    embed_passages: Embed,
) -> pa.Table:
    """Measure the dense leg of every query.

    Args:
        examination: What is asked.
        embed_queries: Texts to unit vectors, float32 (n, dim).
        embed_passages: Likewise.

    Returns:
        A table of schema EVALUATION, the stage ``dense`` alone; a query is named by its number.
    """
    run = _run(
        embed_queries(examination.queries), embed_passages(examination.passages), np.array(examination.document_ids)
    )
    judgments = [
        Judgment(_query_id(number), document_id, grade)
        for number, relevant in enumerate(examination.relevant)
        for document_id, grade in relevant.items()
    ]
    rows = [
        {"stage": STAGE, "query_id": query_id, "measure": measure, "value": value}
        for query_id, measure, value in evaluate_run(run, judgments, MEASURES)
    ]
    return pa.Table.from_pylist(rows, schema=EVALUATION)


def mean_of(evaluation: pa.Table, measure: str) -> float:
    """The mean of a measure over all queries."""
    values = evaluation.column("value").to_numpy()[evaluation.column("measure").to_numpy() == measure]
    return float(values.mean())


def _run(
    queries: NDArray[np.float32], passages: NDArray[np.float32], document_ids: NDArray[np.str_]
) -> Iterator[Entry]:
    """Each query's best documents, each where its best passage stands."""
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        scores = queries[start : start + QUERIES_AT_ONCE] @ passages.T
        for offset, order in enumerate(np.argsort(-scores, axis=1, kind="stable")):
            best: dict[str, float] = {}
            for place in order:
                best.setdefault(str(document_ids[place]), float(scores[offset, place]))
                if len(best) == DEPTH:
                    break
            for document_id, score in best.items():
                yield Entry(_query_id(start + offset), document_id, score)


def _query_id(number: int) -> str:
    return f"{number:07d}"
