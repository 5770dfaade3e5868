"""The rows that a dual encoder learns from: a query, a passage that answers it, and some that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from tasks.training_set import TrainingSet


def training_rows(
    training_set: TrainingSet, *, negatives: int, generator: random.Random
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Queries, each with a passage that answers it and so many that do not.

    A query with several answers is there once for each. Negatives are drawn among the mined ones; where there are too
    few, passages drawn at random fill up.

    Args:
        training_set: What is learnt from.
        negatives: Of each row.
        generator: What decides the draw.

    Yields:
        The query, and the texts: the answer, then the negatives.
    """
    passages, held = training_set.passages, training_set.held
    others = [place for place in range(len(passages)) if place not in held]
    for query in training_set.mined:
        answers = [place for place, _ in query.answers]
        near = [place for place, _ in query.negatives]
        may_answer = query.may_answer(passages)
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
                yield query.query, tuple(passages[place].model_text() for place in (answer, *drawn))
