"""What a reader of near answers must know of a release: how its queries are read, and which moves are on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from nightrank.storage.errors import MachineError
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.near.find import Move
from nightrank.tasks.near.reading import QueryReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.near_record import NearMove

READING = 2  # raise it where a query comes to be read in another way


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    reading: int
    analysis: str
    languages: tuple[str, ...]
    drops_stop_words: bool
    folds_accents: bool
    common: tuple[int, ...]
    moves: dict[Move, float]


@dataclass(frozen=True, slots=True)
class NearFacts:
    """How a release's near answers are found.

    Attributes:
        analyser: Of its collection, as far as queries are concerned.
        common: Places of the languages that are common in it, most frequent first.
        moves: Those that are on, with the mean overlap of such answers with the queries' own.
    """

    analyser: Analyser
    common: tuple[int, ...]
    moves: Mapping[Move, float]

    @classmethod
    def of(cls, analyser: Analyser, common: Sequence[int]) -> Self:
        """Those of a collection, before anything was measured.

        Args:
            analyser: Its own.
            common: Places of its common languages.
        """
        plain = Analyser(analyser.languages, analyser.drops_stop_words, analyser.folds_accents)
        return cls(plain, tuple(common), {})

    @classmethod
    def of_json(cls, value: Mapping[str, JsonValue]) -> Self:
        """Those that ``as_json`` has written.

        Raises:
            MachineError: This version, or the libraries that are installed here, read queries in another way.
        """
        try:
            stored = _Stored.model_validate(value, strict=False)
        except ValidationError:
            stored = None
        if stored is not None:
            analyser = Analyser(stored.languages, stored.drops_stop_words, stored.folds_accents)
            if (stored.reading, stored.analysis) == (READING, analyser.fingerprint()):
                return cls(analyser, stored.common, stored.moves)
        raise MachineError(
            "The release's near answers were made by another version of Nightrank, its stemmers or its dictionaries.",
            remedy="Read them with the versions that made them, or run `nightrank refresh`.",
        )

    def with_moves(self, measured: Mapping[Move, NearMove]) -> Self:
        """The same, with the moves that are on.

        Args:
            measured: What each move may lose.
        """
        on = {move: of.overlap for move, of in measured.items() if of.is_on and of.overlap is not None}
        return type(self)(self.analyser, self.common, on)

    def as_json(self) -> dict[str, JsonValue]:
        """As a results file keeps it."""
        stored = _Stored(
            reading=READING,
            analysis=self.analyser.fingerprint(),
            languages=self.analyser.languages,
            drops_stop_words=self.analyser.drops_stop_words,
            folds_accents=self.analyser.folds_accents,
            common=self.common,
            moves=dict(self.moves),
        )
        value: dict[str, JsonValue] = stored.model_dump(mode="json")
        return value

    def reader(self) -> QueryReader:
        """What reads queries."""
        return QueryReader(self.analyser, self.common)
