"""Mining: what a collection finds for each query of a training becomes its negatives, or its candidates."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from nightrank.tasks.runtime.progress import progress
from nightrank.tasks.train.false_negatives import scored_like_an_answer, teacher_scores_of, too_close
from nightrank.tasks.train.sets import Candidate, HeldOutQuery
from nightrank.tasks.train.sources import MinedQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.train.pairs import Pair
    from nightrank.tasks.train.passages import PassageIndex
    from nightrank.tasks.train.search import Found, ReleaseIndex
    from nightrank.tasks.train.sources import Passage

    Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class RelevantPassage:
    """A passage that answers a query.

    Attributes:
        passage: What models read.
        vector: float32 (dim,).
        row: Its row among the chunks that were found; None where the release does not hold it.
    """

    passage: Passage
    vector: NDArray[np.float32]
    row: int | None


@dataclass(frozen=True, slots=True)
class Miner:
    """Makes queries with answers and negatives of what they find.

    Attributes:
        passage_index: Where passages go.
        embed: Embeds passages that the release does not hold: texts to unit vectors.
        negatives: A query keeps so many at most.
        false_negatives: Candidates that were no negatives, by reason.
    """

    passage_index: PassageIndex
    embed: Embed
    negatives: int
    false_negatives: Counter[str] = field(default_factory=Counter)

    def mine(self, found: Found, pairs: Sequence[Pair]) -> MinedQuery | None:
        """A query to learn from; None where no passage of its documents is there to be learnt.

        Left out of its negatives are passages of the documents that answer it, and those that say what an answer
        says, are of held-out documents, lie as close to an answer as if they said the same, or have about as high a
        pair score as an answer.

        Args:
            found: What the query finds.
            pairs: The query's.
        """
        answers = [answer for answer in self._answers(found, pairs) if not self.passage_index.is_held(answer.passage)]
        if not answers:
            return None
        documents = {pair.document_id for pair in pairs}
        keys = {self.passage_index.key_of(answer.passage) for answer in answers}
        places_of_rows = {row: place for place, row in enumerate(found.rows.tolist())}
        close = too_close(found.chunks.vectors[found.rows], np.stack([answer.vector for answer in answers]))
        answer_places = [None if answer.row is None else places_of_rows.get(answer.row) for answer in answers]
        known = np.array([np.nan if place is None else found.pair_scores[place] for place in answer_places])
        scored = scored_like_an_answer(found.pair_scores, known)
        own_scores = {
            leg: np.array([np.nan if place is None else scores[place] for place in answer_places])
            for leg, scores in found.legs.items()
        }
        if "dense" in own_scores:  # it says something of any passage
            own_scores["dense"] = np.array([answer.vector @ found.vector for answer in answers])
        teacher_scores = teacher_scores_of([np.append(scores, own_scores[leg]) for leg, scores in found.legs.items()])
        negatives: list[tuple[int, float]] = []
        false_negatives: set[int] = set()
        for place, row in enumerate(found.rows.tolist()):
            passage = found.chunks.passages[row]
            if (
                passage.document_id in documents
                or self.passage_index.key_of(passage) in keys
                or self.passage_index.is_empty(passage)
            ):
                continue
            reasons = {"held out": self.passage_index.is_held(passage), "close": close[place], "score": scored[place]}
            if reason := next((name for name, holds in reasons.items() if holds), None):
                self.false_negatives[reason] += 1
                if reason != "held out":
                    false_negatives.add(self.passage_index.put(passage))
            elif len(negatives) < self.negatives:
                negatives.append((self.passage_index.put(passage), float(teacher_scores[place])))
        own = teacher_scores[found.rows.size :]
        return MinedQuery(
            found.query,
            tuple((self.passage_index.put(answer.passage), float(o)) for answer, o in zip(answers, own, strict=True)),
            tuple(negatives),
            float(teacher_scores.min()),
            false_negatives=tuple(sorted(false_negatives)),
        )

    def hold_out(self, found: Found, pairs: Sequence[Pair]) -> HeldOutQuery | None:
        """A query to measure on; None where none of its documents has a passage.

        Args:
            found: What the query finds.
            pairs: The query's.
        """
        answers = self._answers(found, pairs)
        if not answers:
            return None
        there = {answer.passage.document_id for answer in answers}
        for answer in answers:
            self.passage_index.put(answer.passage)
        listed = zip(
            (found.chunks.passages[row] for row in found.rows.tolist()),
            found.fused.tolist(),
            found.scores_by_leg(),
            strict=True,
        )
        return HeldOutQuery(
            found.query,
            {pair.document_id: pair.grade for pair in pairs if pair.document_id in there},
            tuple(
                Candidate(self.passage_index.put(passage), *scores)
                for passage, *scores in listed
                if not self.passage_index.is_empty(passage)
            ),
        )

    def _answers(self, found: Found, pairs: Sequence[Pair]) -> list[RelevantPassage]:
        """The passages that answer, in the form in which the release has its chunks, as candidates have it.

        Else the form alone would tell answers from negatives: a file of pairs may have other titles, or none.
        """
        answers: list[RelevantPassage] = []
        strange: list[Passage] = []
        for pair in pairs:
            row = found.best_row(pair.document_id) if pair.passage is None else self._row_of(found, pair.passage)
            if row is not None:
                answers.append(RelevantPassage(found.chunks.passages[row], found.chunks.vectors[row], row))
            elif pair.passage is not None:
                own = found.chunks.rows_of.get(pair.document_id, [])
                titled = replace(pair.passage, title=found.chunks.passages[own[0]].title) if own else pair.passage
                strange.append(titled)
        if strange:
            vectors = self.embed([passage.model_text() for passage in strange])
            answers += [
                RelevantPassage(passage, vector, None) for passage, vector in zip(strange, vectors, strict=True)
            ]
        each = {answer.passage: answer for answer in answers if not self.passage_index.is_empty(answer.passage)}
        return list(each.values())

    def _row_of(self, found: Found, passage: Passage) -> int | None:
        """The chunk of the same document that says what a given passage says."""
        key = self.passage_index.key_of(passage)
        rows = found.chunks.rows_of.get(passage.document_id, [])
        return next((row for row in rows if self.passage_index.key_of(found.chunks.passages[row]) == key), None)


def mine_all(
    index: ReleaseIndex,
    miner: Miner,
    embed: Embed,
    pairs: Mapping[str, Sequence[Pair]],
    *,
    learnt: Sequence[str],
    measured: Sequence[str],
) -> tuple[list[MinedQuery], list[HeldOutQuery]]:
    """The queries to learn from and those to measure on, as far as a passage answers them.

    Args:
        index: The collection.
        miner: Over it.
        embed: Gives the unit vectors of queries.
        pairs: Of each query.
        learnt: Queries, none of whose documents is held out.
        measured: Queries, all of whose documents are.
    """
    queries = [*measured, *learnt]
    documents_of = {query: {pair.document_id for pair in pairs[query]} for query in queries}
    mined: list[MinedQuery] = []
    held_out: list[HeldOutQuery] = []
    with progress("mining", len(queries)) as advance:
        for number, found in enumerate(index.search(queries, embed, documents_of=documents_of)):
            if number < len(measured):
                if (held := miner.hold_out(found, pairs[found.query])) is not None:
                    held_out.append(held)
            elif (query := miner.mine(found, pairs[found.query])) is not None:
                mined.append(query)
            advance(1)
    return mined, held_out
