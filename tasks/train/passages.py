"""The passages of a training, each once: what a release's chunks say, and what a file of pairs gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.keys import digest
from nightrank.tasks.train.sources import Passage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class PassageIndex:
    """Passages by place, in the order in which they were first put there.

    Args:
        titled: Whether passages keep their titles.
        held_documents: Whose passages, and whatever says the same, are never learnt from.
        held_passages: Those that are known before any is put there.
    """

    def __init__(
        self, *, titled: bool, held_documents: Collection[str] = (), held_passages: Iterable[Passage] = ()
    ) -> None:
        self.passages: list[Passage] = []
        self._titled = titled
        self._held_documents = frozenset(held_documents)
        self._held_keys = frozenset(self.key_of(passage) for passage in held_passages)
        self._places: dict[Passage, int] = {}

    def put(self, passage: Passage) -> int:
        """The place of a passage."""
        shown = self._shown(passage)
        place = self._places.setdefault(shown, len(self.passages))
        if place == len(self.passages):
            self.passages.append(shown)
        return place

    def key_of(self, passage: Passage) -> str:
        """The key of what a passage says, whatever title it stands under."""
        return digest("passage", passage.said)

    def is_empty(self, passage: Passage) -> bool:
        """Whether models read nothing of it in this training."""
        return not self._shown(passage).model_text().strip()

    def is_held(self, passage: Passage) -> bool:
        """Whether it is never learnt from: it is of a held-out document, or says what a held-out passage says."""
        return passage.document_id in self._held_documents or self.key_of(passage) in self._held_keys

    @property
    def held(self) -> frozenset[int]:
        """The places of all passages that are never learnt from."""
        return frozenset(place for place, passage in enumerate(self.passages) if self.is_held(passage))

    def _shown(self, passage: Passage) -> Passage:
        return passage if self._titled or not passage.title else Passage(passage.document_id, "", passage.text)
