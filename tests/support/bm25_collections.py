"""Collections for the tests of the lexical leg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from nightrank.tasks.bm25.analyser import Analyser
from tests.support.bm25_files import build as build_file
from tests.support.bm25_files import placed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Variant: TypeAlias = Literal["lucene", "atire", "okapi", "bm25l", "bm25plus"]
VARIANTS: tuple[Variant, ...] = ("lucene", "atire", "okapi", "bm25l", "bm25plus")

PLAIN = Analyser(("none",))


def build(folder: Path, texts: Mapping[str, str], *, analyser: Analyser = PLAIN) -> Path:
    """Statistics of documents that are one chunk each."""
    path = folder / "bm25.duckdb"
    build_file(path, placed((document_id, 0, text) for document_id, text in texts.items()), analyse=analyser)
    return path
