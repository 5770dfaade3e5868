"""A general collection that no training may lose on: what a trained model must not lose.

It is a folder in BEIR layout, or the current release of other settings with judgments.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.errors import InputError
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.tasks.read.account import Account
from nightrank.tasks.train.embedder.examine import Examination, draw
from nightrank.tasks.train.sources import beir_passages, beir_queries, qrels_of
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    import numpy as np

    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.settings.whole import Settings

SPLITS = ("test", "dev", "val", "train")


@dataclass(frozen=True, slots=True)
class RegressionFolder:
    """A folder in BEIR layout.

    Attributes:
        name: What the user calls it.
        folder: Where it is.
    """

    name: str
    folder: Path

    def check(self) -> None:
        """See whether it can serve.

        Raises:
            InputError: It is no such folder, or no document of it answers a query.
        """
        self._answered({passage.document_id for passage in beir_passages(self.folder)})

    def examination(self, *, queries: int, passages: int, generator: np.random.Generator) -> Examination:
        """Judged queries over its documents; of its splits the one that is most for testing.

        Args:
            queries: At most so many, drawn at random.
            passages: At most so many, drawn at random, and in any case those that answer the queries; no others are
                held in memory.
            generator: What decides the draw.

        Raises:
            InputError: It is no such folder, or no document of it answers a query.
        """
        document_ids = [passage.document_id for passage in beir_passages(self.folder)]
        answered = self._answered(set(document_ids))
        relevant = [graded for _, graded in answered]
        asked, shown = draw(relevant, document_ids, queries=queries, passages=passages, generator=generator)
        wanted = set(shown)
        read = enumerate(beir_passages(self.folder))
        return Examination(
            [answered[place][0] for place in asked],
            [relevant[place] for place in asked],
            [passage.model_text() for place, passage in read if place in wanted],
            [document_ids[place] for place in shown],
        )

    def _answered(self, document_ids: Container[str]) -> list[tuple[str, dict[str, int]]]:
        split = next((split for split in SPLITS if qrels_of(self.folder, split).is_file()), None)
        if split is None:
            message = f"{self.name} has no qrels/{SPLITS[0]}.tsv."
            raise InputError(message, remedy="Give a folder in BEIR layout, or a settings file, as --regression-set.")
        answered = beir_queries(self.folder, split, known=document_ids)
        if not answered:
            message = f"{self.name} has no query that a document answers in its split {split}."
            raise InputError(message, remedy="Give judgments with a grade above 0.")
        return answered


@dataclass(frozen=True, slots=True)
class RegressionRelease:
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

    def check(self) -> None:
        """See whether it can serve.

        Raises:
            InputError: Nothing is published there, or it has no judged query.
        """
        with self.workspace.reading():
            self._asked(self.workspace.require_current())

    def examination(self, *, queries: int, passages: int, generator: np.random.Generator) -> Examination:
        """Judged queries over its passages.

        Args:
            queries: At most so many, drawn at random.
            passages: At most so many, drawn at random, and in any case those that answer the queries; no others are
                read.
            generator: What decides the draw.

        Raises:
            InputError: Nothing is published there, or it has no judged query.
        """
        with self.workspace.reading():
            release_id = self.workspace.require_current()
            answered = self._asked(release_id)
            files = ReleaseFiles.of(self.workspace, release_id, only=[ReleaseFiles.statistics])
            with Bm25Store.open(files.statistics.path) as store:
                listing = store.chunks(["chunk_hash", "document_id"])
            relevant = [graded for _, graded in answered]
            document_ids = listing.column("document_id").to_pylist()
            asked, shown = draw(relevant, document_ids, queries=queries, passages=passages, generator=generator)
            name = read_manifest(self.workspace, release_id).chunk_table.name
            table = ChunkTable.of_release(self.workspace.lance, name=name, release_id=release_id)
            hashes = listing.column("chunk_hash").take(pa.array(shown, pa.int64()))
            said = table.rows(pc.unique(hashes), ["text"])
        places = pc.index_in(hashes, value_set=said.column("chunk_hash"))
        texts: pa.ChunkedArray = said.column("text").take(places)
        return Examination(
            [answered[place][0] for place in asked],
            [relevant[place] for place in asked],
            texts.to_pylist(),
            [document_ids[place] for place in shown],
        )

    def _asked(self, release_id: str) -> list[tuple[str, dict[str, int]]]:
        """The judged queries of a release, with what answers them; readers' lock is the caller's."""
        qrels = self.settings.judgments.qrels
        graded: dict[str, dict[str, int]] = defaultdict(dict)
        for judgment in [] if qrels is None else read_judgments(self.base / qrels, name=qrels, account=Account()):
            if judgment.grade > 0:
                graded[judgment.query_id][judgment.document_id] = judgment.grade
        queries = ReleaseFiles.of(self.workspace, release_id, only=[ReleaseFiles.queries]).queries
        rows = queries.read(["text", "query_ids"]).to_pylist()
        asked = [(row["text"], graded[name]) for row in rows for name in row["query_ids"] if name in graded]
        if not asked:
            message = f"{self.name} has no judged query in its release {release_id}."
            raise InputError(message, remedy="Give settings with judgments as --regression-set.")
        return asked


RegressionSet = RegressionFolder | RegressionRelease
