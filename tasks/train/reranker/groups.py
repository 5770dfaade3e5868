"""Which groups a reranker sees at each step: one answer of a question and passages that are none.

A draw depends on the seed and the step alone, and each source is gone through in a new order once it is used
up. A run that was interrupted therefore goes on with exactly the groups it would have seen.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from nightrank.storage.errors import InputError
from nightrank.tasks.bm25.languages import word_lists

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.tasks.train.sets import TrainingSet
    from nightrank.tasks.train.sources import MinedQuery, Passage


DRAWS = 100  # tries a passage before all passages are looked through


class GroupSettings(BaseModel):
    """How groups are drawn.

    Attributes:
        groups: Groups a step.
        near: Negatives among a query's best ``near_depth`` candidates.
        far: Negatives among its other candidates.
        anywhere: Negatives drawn from the whole collection.
        near_depth: Candidates that count as near.
        untitled_share: Of the groups whose passages are shown without their titles.
        titles_together: Titles are shown where all passages of a group have one, else none is, and an answer with a
            title is met by others with one where there are enough: where pairs lack the titles that are their queries,
            a title would tell what answers.
        keyword_share: Of the groups whose query is shown without its stop words, as people type keywords.
        max_lengths: Tokens of a pair, drawn anew each group, where its source has none of its own.
        length_shares: How often each of them is drawn.
        seed: Decides every draw.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    groups: int = Field(default=5, ge=1)
    near: int = Field(default=3, ge=0)
    far: int = Field(default=1, ge=0)
    anywhere: int = Field(default=1, ge=0)
    near_depth: int = Field(default=12, ge=1)
    untitled_share: float = Field(default=0.15, ge=0.0, le=1.0)
    titles_together: bool = False
    keyword_share: float = Field(default=0.1, ge=0.0, le=1.0)
    max_lengths: tuple[int, ...] = (128, 192, 256)
    length_shares: tuple[float, ...] = (0.35, 0.45, 0.2)
    seed: int = 20261122

    @property
    def size(self) -> int:
        """Passages a group."""
        return 1 + self.near + self.far + self.anywhere


@dataclass(frozen=True, slots=True)
class MinedSource:
    """What is learnt from one source.

    Attributes:
        passages: The collection that places point into.
        queries: The mined queries.
        share: Of all groups.
        held: Places of the passages that are held out and never shown.
        length_shares: How often which tokens of a pair are drawn, a group; empty: as the settings say.
        label_share: Of the target, that the answer gets; None: as the learning says.
    """

    passages: Sequence[Passage]
    queries: Sequence[MinedQuery]
    share: float
    held: frozenset[int] = frozenset()
    length_shares: Mapping[int, float] = field(default_factory=dict)
    label_share: float | None = None

    @classmethod
    def of(cls, training_set: TrainingSet, *, share: float = 1.0) -> MinedSource:
        """What is learnt from a training set."""
        return cls(training_set.passages, training_set.mined, share, training_set.held)


@dataclass(frozen=True, slots=True)
class Group:
    """A question and passages, the first of which answers it.

    Attributes:
        query: Normalised.
        texts: As the model reads them.
        teacher_scores: What the first stage holds of each passage.
        max_length: Tokens of a pair; the longer part of a longer one is cut.
        label_share: Of the target, that the answer gets; None: as the learning says.
    """

    query: str
    texts: tuple[str, ...]
    teacher_scores: tuple[float, ...]
    max_length: int
    label_share: float | None = None


def keywords(query: str) -> str:
    """A query without stop words and punctuation at words' ends; the query itself where nothing else is left.

    >>> keywords("what is the melting point of iron?"), keywords("to be or not to be")
    ('what melting point iron', 'to be or not to be')
    """
    words = [word.strip(".,;:?!\"'()") for word in query.split()]
    stop_words = word_lists()["english"].stop_words
    return " ".join(word for word in words if word and word not in stop_words) or query


def _with_enough(source: MinedSource, *, others: int) -> list[MinedQuery]:
    """The queries of a source for which there are so many passages that do not answer them."""
    documents = Counter(passage.document_id for passage in source.passages)
    said = Counter(passage.said for passage in source.passages)

    def has_enough(query: MinedQuery) -> bool:
        answers = [source.passages[place] for place, _ in query.answers]
        false_negatives = [source.passages[place] for place in query.false_negatives]
        barred = sum(documents[name] for name in {passage.document_id for passage in answers})
        barred += sum(said[words] for words in {passage.said for passage in (*answers, *false_negatives)})
        # Nearly always there are far more than enough, and nobody needs to know how many.
        return len(source.passages) - len(source.held) - barred >= others or len(_strangers(source, query)) >= others

    return [query for query in source.queries if has_enough(query)]


def _strangers(source: MinedSource, query: MinedQuery) -> list[int]:
    """The places of all passages that may be shown as ones that do not answer a query."""
    may_answer = query.may_answer(source.passages)
    return [
        place for place, passage in enumerate(source.passages) if place not in source.held and not may_answer(passage)
    ]


class GroupSampler:
    """Draws the groups of each step, in order.

    Queries to which too few passages are known not to answer are left out; ``left_out`` counts them by source.

    Args:
        sources: By name; each holds at least one query for which there are enough passages.
        settings: How to draw.
        used: How many queries of each source were drawn before, for a run that goes on.

    Raises:
        InputError: A source has no query, or none for which there are enough passages.
    """

    def __init__(self, sources: Mapping[str, MinedSource], settings: GroupSettings) -> None:
        self.sources: dict[str, MinedSource] = {}
        self.left_out: dict[str, int] = {}
        for name, source in sources.items():
            queries = _with_enough(source, others=settings.size - 1)
            if not queries:
                given = f"The source {name} has {len(source.queries)} queries and {len(source.passages)} passages"
                message = f"{given}: for none of them {settings.size - 1} passages that are no answer."
                raise InputError(message, remedy="Ask for fewer negatives, or give more queries and passages.")
            self.sources[name] = replace(source, queries=queries)
            self.left_out[name] = len(source.queries) - len(queries)
        self.settings = settings
        self.used = dict.fromkeys(sources, 0)
        self._orders: dict[str, tuple[int, list[int]]] = {}

    def draw(self, step: int) -> list[Group]:
        """The groups of a step; steps are drawn one after another."""
        randomness = random.Random(f"{self.settings.seed}:{step}")  # noqa: S311 - nothing secret
        names = list(self.sources)
        shares = [self.sources[name].share for name in names]
        chosen = randomness.choices(names, shares, k=self.settings.groups)
        return [self._group(name, randomness) for name in chosen]

    def _group(self, name: str, randomness: random.Random) -> Group:
        source, settings = self.sources[name], self.settings
        lengths = source.length_shares or dict(zip(settings.max_lengths, settings.length_shares, strict=True))
        max_length = randomness.choices(list(lengths), list(lengths.values()))[0]
        mined = self._next(name)
        members = [randomness.choice(mined.answers)]
        is_titled = settings.titles_together and bool(source.passages[members[0][0]].title)
        negatives = self._negatives(source, mined, is_titled=is_titled)
        near, far = negatives[: settings.near_depth], negatives[settings.near_depth :]
        members += randomness.sample(near, min(settings.near, len(near)))
        members += randomness.sample(far, min(settings.far, len(far)))
        is_titled = is_titled and all(source.passages[place].title for place, _ in members)
        taken = {place for place, _ in (*members, *mined.answers)}
        teacher_scores = dict(mined.negatives)  # a stranger may be a candidate that was not drawn
        may_answer = mined.may_answer(source.passages)
        for _ in range(DRAWS * settings.size):
            if len(members) == settings.size:
                break
            place = randomness.randrange(len(source.passages))
            stranger = source.passages[place]
            if place in taken or place in source.held or may_answer(stranger) or (is_titled and not stranger.title):
                continue
            taken.add(place)
            members.append((place, teacher_scores.get(place, mined.floor)))
        if missing := settings.size - len(members):  # hardly any passage is none: then all of them are looked through
            others = [place for place in _strangers(source, mined) if place not in taken]
            drawn = randomness.sample(others, missing)
            members += [(place, teacher_scores.get(place, mined.floor)) for place in drawn]
        shown = [source.passages[place] for place, _ in members]
        with_title = randomness.random() >= settings.untitled_share
        if settings.titles_together:
            with_title = with_title and all(passage.title for passage in shown)
        texts = (passage.model_text(with_title=with_title) for passage in shown)
        return Group(
            keywords(mined.query) if randomness.random() < settings.keyword_share else mined.query,
            tuple(text.replace(mined.removed_text, "") if mined.removed_text else text for text in texts),
            tuple(teacher_score for _, teacher_score in members),
            max_length,
            source.label_share,
        )

    def _negatives(self, source: MinedSource, mined: MinedQuery, *, is_titled: bool) -> Sequence[tuple[int, float]]:
        """A query's negatives; where a title is to be met by titles, those with one, if they are enough."""
        titled = [one for one in mined.negatives if source.passages[one[0]].title] if is_titled else []
        return titled if len(titled) >= max(1, self.settings.near + self.settings.far) else mined.negatives

    def _next(self, name: str) -> MinedQuery:
        queries = self.sources[name].queries
        number = self.used[name]
        self.used[name] += 1
        epoch, position = divmod(number, len(queries))
        if self._orders.get(name, (-1, []))[0] != epoch:
            order = list(range(len(queries)))
            random.Random(f"{self.settings.seed}:{name}:{epoch}").shuffle(order)  # noqa: S311 - nothing secret
            self._orders[name] = (epoch, order)
        return queries[self._orders[name][1][position]]
