"""A collection that people work on: every few seconds some documents change, come or go, and each state is numbered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.support.collection import Collection, small_collection

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np

    from benchmarks.parts.settings_files import Value

ALWAYS = 1 << 60  # the state in which a text goes that has not gone
WORDS = (
    "amber",
    "basalt",
    "copper",
    "delta",
    "ember",
    "fjord",
    "grain",
    "harbour",
    "indigo",
    "juniper",
    "kelp",
    "onyx",
)
MINUTELY: dict[str, Value] = {"refresh": "* * * * *"}


@dataclass(slots=True)
class Editor:
    """Edits the documents of a small collection, one state after the other.

    Every document says in its metadata in which state it was last written, so that whoever reads some of a release's
    documents knows from which states they can be.

    Args:
        collection: What is edited; its documents are replaced.
        generator: Chooses what changes.
        documents: How many there are at first.
        gone: When a document's text of some state was replaced or removed: its id and that state, to the state after.
    """

    collection: Collection
    generator: np.random.Generator
    documents: int = 300
    state: int = 0
    gone: dict[tuple[str, int], int] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, generator: np.random.Generator, *, embedder: Path, reranker: Path) -> Editor:
        """A project that is ready for its first night, with a refresh each minute."""
        collection = small_collection(folder, embedder=embedder, reranker=reranker)
        collection.settings["schedule"] = MINUTELY
        collection.settings["retention"] = {"keep": 3}
        collection.log = [(f"q{i}", text, 10 + i) for i, text in enumerate(queries())]
        collection.qrels = []
        collection.documents = []
        del collection.settings["judgments"]
        collection.write()
        editor = cls(collection, generator)
        for number in range(editor.documents):
            editor._rewrite(f"d{number}")
        editor._save()
        return editor

    def edit(self) -> None:
        """The next state: some documents rewritten, now and then one that comes or goes."""
        self.state += 1
        ids = sorted(self._versions)
        for document_id in self.generator.choice(ids, size=3, replace=False):
            self._rewrite(str(document_id))
        if self.state % 3 == 0:
            self._rewrite(f"n{self.state}")
        if self.state % 3 == 1 and len(ids) > self.documents // 2:
            self._remove(str(self.generator.choice(ids)))
        self._save()

    def possible(self, seen: Iterable[tuple[str, int]]) -> range:
        """The states that hold all of some texts, each told by its document and the state in which it was written."""
        texts = list(seen)
        first = max((state for _, state in texts), default=0)
        return range(first, min((self.gone.get(text, ALWAYS) for text in texts), default=ALWAYS))

    def _rewrite(self, document_id: str) -> None:
        words = self.generator.choice(WORDS, size=30).tolist()
        if document_id in self._versions:
            self._remove(document_id)
        self._versions[document_id] = self.state
        text = f"{' '.join(words[:15]).capitalize()}. {' '.join(words[15:]).capitalize()}."
        self.collection.documents.append({"_id": document_id, "title": words[0], "text": text, "state": self.state})

    def _remove(self, document_id: str) -> None:
        self.collection.remove(document_id)
        self.gone[document_id, self._versions.pop(document_id)] = self.state

    def _save(self) -> None:
        """Replace the file in one step, as a careful exporter does: no night reads half of it."""
        path = self.collection.folder / "corpus.jsonl"
        waiting = path.with_suffix(".waiting")
        waiting.write_text("".join(f"{json.dumps(one)}\n" for one in self.collection.documents), encoding="utf-8")
        waiting.replace(path)


def queries() -> list[str]:
    """Two words each, every pair of neighbours."""
    return [f"{one} {other}" for one, other in pairwise((*WORDS, WORDS[0]))]
