"""The rows that a dual encoder learns from: a query, a passage that answers it, and some that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from nightrank.tasks.train.sets import TrainingSet
    from nightrank.tasks.train.sources import Passage


class TrainingRow(NamedTuple):
    """A query, a passage that answers it, and some that do not.

    Attributes:
        query: Normalised.
        texts: As models read them: the answer, then the others.
        shown: What the passages say, and whose they are, in one set.
        answering: What may answer the query, likewise: the documents that do, and what their passages and the refused
            candidates say.
    """

    query: str
    texts: tuple[str, ...]
    shown: frozenset[str] = frozenset()
    answering: frozenset[str] = frozenset()


def training_rows(training_set: TrainingSet, *, negatives: int, generator: random.Random) -> Iterator[TrainingRow]:
    """Queries, each with a passage that answers it and so many that do not.

    A query with several answers is there once for each. Negatives are drawn among the mined ones; where there are too
    few, passages drawn at random fill up.

    Args:
        training_set: What is learnt from.
        negatives: Of each row.
        generator: What decides the draw.
    """
    passages, held = training_set.passages, training_set.held
    others = [place for place in range(len(passages)) if place not in held]
    for query in training_set.mined:
        answers = [place for place, _ in query.answers]
        near = [place for place, _ in query.negatives]
        may_answer = query.may_answer(passages)
        answering = frozenset(_document(passages[place]) for place in answers)
        answering |= {_words(passages[place]) for place in (*answers, *query.false_negatives)}
        for answer in answers:
            drawn = generator.sample(near, min(negatives, len(near)))
            # A small collection may have nothing else: then a row is given up rather than an answer made a negative.
            for _ in range(20 * negatives):
                if len(drawn) == negatives:
                    break
                place = generator.choice(others)
                if place not in drawn and not may_answer(passages[place]):
                    drawn.append(place)
            if len(drawn) == negatives:
                row = [passages[place] for place in (answer, *drawn)]
                shown = frozenset(name for passage in row for name in (_document(passage), _words(passage)))
                yield TrainingRow(query.query, tuple(passage.model_text() for passage in row), shown, answering)


def _document(passage: Passage) -> str:
    return f"document {passage.document_id}"


def _words(passage: Passage) -> str:
    return f"words {passage.said}"
