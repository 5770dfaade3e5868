"""The queries that a release answers, as its near answers see them: by what they say, by their words, one held out."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.release.results.near import FormAnswer
from nightrank.tasks.gates.rank_biased_overlap import rank_biased_overlap
from nightrank.tasks.near.find import MOST_LETTERS, MOST_TOKENS, term_key
from nightrank.tasks.near.spelling import deletions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from nightrank.tasks.near.reading import QueryReader

COMPARED = 10  # queries of one form, the most demanded, whose answers are compared


class KnownQuery(NamedTuple):
    """A query that the release answers.

    Attributes:
        query_key: Its key.
        text: Normalised.
        condition: The canonical text of its filter.
        searches: In the log.
    """

    query_key: str
    text: str
    condition: str | None
    searches: int


class KnownQueries:
    """Known queries by what they say.

    Args:
        queries: All that the release answers.
        read: Reads queries as its analysis does.
        terms: Keys of the terms that the collection has.
        ranking: The documents that it answers a query with, by its key.
        persistence: p of the rank-biased overlap.
        least_agreement: How alike the answers of several queries of one form must be, for one to stand for all.
    """

    def __init__(
        self,
        queries: Sequence[KnownQuery],
        *,
        read: QueryReader,
        terms: AbstractSet[int],
        ranking: Callable[[str], Sequence[str]],
        persistence: float,
        least_agreement: float,
    ) -> None:
        self.queries = sorted(queries, key=lambda query: (-query.searches, query.query_key))
        self._ranking, self._persistence, self._least = ranking, persistence, least_agreement
        self._collection = terms
        self._texts = {query.query_key: query.text for query in queries}
        self._log: Counter[int] = Counter()
        self._words: Counter[str] = Counter()
        self._own: list[tuple[frozenset[int], frozenset[str]]] = []
        self._forms: dict[int, list[int]] = defaultdict(list)
        self._at: dict[int, set[str]] = defaultdict(set)
        for number, query in enumerate(self.queries):
            reading = read(query.text)
            own = reading.words if len(reading.tokens) <= MOST_TOKENS else ()
            self._own.append((frozenset(term_key(word.term) for word in own), frozenset(word.text for word in own)))
            self._log.update(self._own[number][0])
            self._words.update(self._own[number][1])
            for form in reading.forms(query.condition):
                self._forms[form].append(number)
        for word in self._words:
            for key in deletions(word) if len(word) <= MOST_LETTERS else ():
                self._at[key].add(word)

    def without(self, number: int | None) -> HeldOut:
        """What is known where one query, by its place in ``queries``, had not been."""
        return HeldOut(self, number)

    def overlap(self, left: Sequence[str], right: Sequence[str]) -> float:
        """How alike two rankings are."""
        return rank_biased_overlap(left, right, persistence=self._persistence)

    def forms(self) -> Iterator[tuple[int, FormAnswer]]:
        """Every form that a query answers for."""
        for form in self._forms:
            if (answer := self.answer_of(form, None)) is not None:
                yield form, answer

    def terms(self) -> set[int]:
        """Keys of the terms that the collection or the log has."""
        return {*self._collection, *self._log}

    def words(self) -> Iterable[tuple[int, str]]:
        """Words of the log by the keys of what is left of them."""
        return ((key, word) for key, words in self._at.items() for word in words)

    def answer_of(self, form: int, without: int | None) -> FormAnswer | None:
        """As of ``tasks.near.find.KnownForms``, without one of the queries."""
        members = [number for number in self._forms.get(form, ()) if number != without]
        if not members:
            return None
        first, *others = (self.queries[number].query_key for number in members[:COMPARED])
        overlaps = (self.overlap(self._ranking(first), self._ranking(other)) for other in others)
        agreement = min(overlaps, default=None)
        return None if agreement is not None and agreement < self._least else FormAnswer(first, agreement)

    def text_of(self, query_key: str) -> str:
        """The text of a query, normalised."""
        return self._texts[query_key]

    def knows_term(self, term: int, without: int | None) -> bool:
        """As of ``tasks.near.find.KnownForms``, without one of the queries."""
        own = without is not None and term in self._own[without][0]
        return term in self._collection or self._log[term] > own

    def words_at(self, keys: Sequence[int], without: int | None) -> set[str]:
        """As of ``tasks.near.find.KnownForms``, without one of the queries."""
        own = frozenset[str]() if without is None else self._own[without][1]
        found = {word for key in keys for word in self._at.get(key, ())}
        return {word for word in found if self._words[word] > (word in own)}


class HeldOut:
    """What is known without one query; ``tasks.near.find.KnownForms`` of a night.

    Args:
        queries: All of them.
        without: The place of the one that is held out; None: none is.
    """

    def __init__(self, queries: KnownQueries, without: int | None) -> None:
        self._queries, self._without = queries, without

    def answer_of(self, form: int) -> FormAnswer | None:
        """The query that answers for a form."""
        return self._queries.answer_of(form, self._without)

    def text_of(self, query_key: str) -> str:
        """The text of a query, normalised."""
        return self._queries.text_of(query_key)

    def knows_term(self, term: int) -> bool:
        """Whether the collection or another query has a term, by its key."""
        return self._queries.knows_term(term, self._without)

    def words_at(self, deletions: Sequence[int]) -> set[str]:
        """Words of other queries of which, or of whose remainder, the key is one of some."""
        return self._queries.words_at(deletions, self._without)
