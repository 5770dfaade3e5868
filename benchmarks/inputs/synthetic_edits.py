"""Seeded changes to a collection: sentences replaced and appended, documents removed, added, given other metadata."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from nightrank.tasks.chunk.pieces import split_pieces

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from nightrank.storage.records import JsonValue

Row = dict[str, "JsonValue"]  # a document in BEIR's form


@dataclass(frozen=True, slots=True)
class Churn:
    """How many documents change, by what happens to them."""

    edited: int
    metadata_only: int
    removed: int
    added: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.edited + self.metadata_only + self.removed + self.added


def churned(documents: Sequence[Row], held_back: Sequence[Row], churn: Churn, *, generator: random.Random) -> list[Row]:
    """A collection after a night's changes; no document is altered in place.

    Args:
        documents: With ``_id``, ``title``, ``text`` and ``metadata``.
        held_back: What documents to add are taken from, the first ones.
        churn: How many change.
        generator: Of what changes, and how.

    Raises:
        ValueError: There are not so many documents to change, or to add.
    """
    if churn.added > len(held_back):
        message = f"expected {churn.added} documents to add, got {len(held_back)}"
        raise ValueError(message)
    chosen = iter(generator.sample(range(len(documents)), churn.total - churn.added))
    kept = dict(enumerate(documents))
    for position in islice(chosen, churn.removed):
        del kept[position]
    for position in islice(chosen, churn.metadata_only):
        kept[position] = {**kept[position], "metadata": {"edition": generator.randrange(10**9)}}
    for position in chosen:
        kept[position] = edited_document(kept[position], generator.choice(documents), generator=generator)
    return [*kept.values(), *held_back[: churn.added]]


def edited_document(document: Row, other: Row, *, generator: random.Random) -> Row:
    """The document with one sentence replaced, or one appended, made of words of another document."""
    text, words = str(document["text"]), str(other["text"]).split() or ["nothing"]
    start = generator.randrange(len(words))
    sentence = " ".join(words[start : start + generator.randint(8, 20)]).rstrip(".,;:")
    sentence = f"{sentence[:1].upper()}{sentence[1:]} {generator.randrange(10**6)}. "
    pieces = split_pieces(text)
    if not pieces or generator.random() < 0.3:
        return {**document, "text": f"{text.rstrip()} {sentence}".strip()}
    piece = generator.choice(pieces)
    return {**document, "text": (text[: piece.start] + sentence + text[piece.end :]).strip()}
