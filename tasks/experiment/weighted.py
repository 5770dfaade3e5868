"""BM25 statistics of a release's chunks under other weights of fields: made once each, in a folder of their own.

They are what a refresh with these weights makes from nothing, by its own function, of the chunks and texts that the
release has; chunks have the numbers that they have in the release.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.bm25.build import build_bm25
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.files.parquet import table_writer
from nightrank.storage.records import CHUNKS
from nightrank.tasks.bm25.analyser import Analyser

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from nightrank.storage.bm25.fields import FieldWeights
    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.first_stage import FirstStage
    from nightrank.tasks.settings.index import Bm25Settings


class WeightedStages:
    """The first stage of a release under weights of fields.

    Args:
        first_stage: Over the release's own statistics.
        settings: What these were made with.
        table: The texts of the chunks.
        folder: Where others are made.
        opened: Closes them.
    """

    def __init__(
        self, first_stage: FirstStage, settings: Bm25Settings, table: ChunkTable, *, folder: Path, opened: ExitStack
    ) -> None:
        self._stages: dict[FieldWeights, FirstStage] = {settings.fields.weights: first_stage}
        self._own = first_stage
        self._table = table
        self._folder = folder
        self._opened = opened

    def of(self, settings: Bm25Settings) -> FirstStage:
        """The first stage under the weights that some settings have, made where it is asked for the first time."""
        weights = settings.fields.weights
        if weights not in self._stages:
            store = self._opened.enter_context(Bm25Store.open(self._build(settings)))
            self._stages[weights] = replace(self._own, store=store)
        return self._stages[weights]

    def _build(self, settings: Bm25Settings) -> Path:
        listing, made = self._folder / "listed.parquet", self._folder / f"bm25-{len(self._stages)}.duckdb"
        if not listing.is_file():
            own = [name if name != "language" else "declared" for name in CHUNKS.names]
            with table_writer(listing, CHUNKS) as writer:
                for batch in self._own.store.chunk_reader(own):
                    writer.write_table(pa.Table.from_batches([batch]).rename_columns(CHUNKS.names).cast(CHUNKS))
        build_bm25(
            made,
            listing,
            texts_of=lambda hashes: self._table.batches(hashes, ["text"]),
            analyse=Analyser.of(settings),
        )
        return made


def fields_there(first_stage: FirstStage) -> tuple[bool, bool]:
    """Whether any chunk of a collection has a title, and whether any has headings before its passage."""
    chunks = first_stage.store.chunks(["title", "body_start"])
    titles = pc.utf8_length(chunks.column("title"))
    # A title is a line before the passage; what else stands there are headings.
    lead = pc.if_else(pc.greater(titles, 0), pc.add(titles, 1), 0)
    return bool(pc.any(pc.greater(titles, 0)).as_py()), bool(
        pc.any(pc.greater(chunks.column("body_start"), lead)).as_py()
    )
