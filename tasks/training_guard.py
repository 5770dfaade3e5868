"""A general collection that stands guard over a training: what a trained model must not lose.

It is a folder in BEIR layout, or the current release of other settings with judgments.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from storage.bm25_store import Bm25Store
from storage.chunk_table import ChunkTable
from storage.errors import InputError
from storage.releases import read_manifest
from storage.tables import read_table
from storage.workspace import reading
from tasks.dense_examination import Examination
from tasks.judgments import read_judgments
from tasks.training_pairs import read_beir

if TYPE_CHECKING:
    from pathlib import Path

    from storage.workspace import Workspace
    from tasks.settings import Settings

SPLITS = ("test", "dev", "val", "train")


@dataclass(frozen=True, slots=True)
class GuardFolder:
    """A folder in BEIR layout.

    Attributes:
        name: What the user calls it.
        folder: Where it is.
    """

    name: str
    folder: Path

    def examination(self) -> Examination:
        """Its judged queries, over all its documents; of its splits the one that is most for testing.

        Raises:
            InputError: It is no such folder, or no document of it answers a query.
        """
        split = next((split for split in SPLITS if (self.folder / "qrels" / f"{split}.tsv").is_file()), None)
        if split is None:
            message = f"{self.name} has no qrels/{SPLITS[0]}.tsv."
            raise InputError(message, remedy="Give a folder in BEIR layout, or a settings file, as --guard.")
        source = read_beir(self.folder, split)
        if not source.queries:
            message = f"{self.name} has no query that a document answers in its split {split}."
            raise InputError(message, remedy="Give judgments with a grade above 0.")
        relevant = [
            {source.passages[place].document_id: grade for place, grade in zip(places, grades, strict=True)}
            for places, grades in zip(source.answers, source.grades, strict=True)
        ]
        return Examination(
            source.queries,
            relevant,
            [passage.model_text() for passage in source.passages],
            [passage.document_id for passage in source.passages],
        )


@dataclass(frozen=True, slots=True)
class GuardRelease:
    """The current release of some settings.

    Attributes:
        name: What the user calls it.
        settings: Which name judgments.
        base: The folder that their paths are relative to.
        workspace: Where the release is.
    """

    name: str
    settings: Settings
    base: Path
    workspace: Workspace

    def examination(self) -> Examination:
        """Its judged queries, over all its passages.

        Raises:
            InputError: Nothing is published there, or it has no judged query.
        """
        qrels = self.settings.judgments.qrels
        graded: dict[str, dict[str, int]] = defaultdict(dict)
        for judgment in [] if qrels is None else read_judgments(self.base / qrels, name=qrels):
            if judgment.grade > 0:
                graded[judgment.query_id][judgment.document_id] = judgment.grade
        with reading(self.workspace):
            release_id = self.workspace.require_current()
            folder = self.workspace.release(release_id)
            rows = read_table(folder / "queries.parquet", columns=["text", "query_ids"]).to_pylist()
            asked = [(row["text"], graded[name]) for row in rows for name in row["query_ids"] if name in graded]
            if not asked:
                message = f"{self.name} has no judged query in its release {release_id}."
                raise InputError(message, remedy="Give settings with judgments as --guard.")
            with Bm25Store.open(folder / "bm25.duckdb") as store:
                listing = store.chunks(["chunk_hash", "document_id"])
            name = read_manifest(self.workspace, release_id).chunk_table.name
            table = ChunkTable.of_release(self.workspace.lance, name=name, release_id=release_id)
            hashes = listing.column("chunk_hash")
            said = table.rows(pc.unique(hashes), ["text"])
        places = pc.index_in(hashes, value_set=said.column("chunk_hash"))
        texts: pa.ChunkedArray = said.column("text").take(places)
        return Examination(
            [text for text, _ in asked],
            [relevant for _, relevant in asked],
            texts.to_pylist(),
            listing.column("document_id").to_pylist(),
        )


Guard = GuardFolder | GuardRelease
