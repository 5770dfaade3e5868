from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.keys import normalise_query, query_key
from nightrank.tasks.dense.retrieve import StoredVectors
from nightrank.tasks.embed.encoder import Embedder, plan_embedder
from nightrank.tasks.first_stage import FirstStage, QueryVectors
from nightrank.tasks.judgments.known_items.copies import Copies
from nightrank.tasks.judgments.known_items.items import KnownItem
from nightrank.tasks.judgments.known_items.legs import CopyScores, dense_of_copies, legs_with_copies
from nightrank.tasks.release import StoredRelease

if TYPE_CHECKING:
    from tests.support.collection import Collection


@pytest.mark.long
def test_copies_that_nothing_is_masked_in_stand_where_the_originals_stand(collection: Collection) -> None:
    refresh_plainly(collection.settings_file)
    configuration = load_settings(collection.settings_file)
    settings, release = configuration.settings, StoredRelease.open(configuration.workspace)
    titles = {str(document["_id"]): str(document["title"]) for document in collection.documents}
    items = [
        KnownItem(name, query_key(title), normalise_query(title), name, title, "title")
        for name, title in titles.items()
    ]
    embedder = Embedder(plan_embedder(settings.embedder, settings.execution, base=configuration.base))
    table = release.chunk_table()
    with Bm25Store.open(release.files.statistics.path) as store:
        first_stage = FirstStage.over(store, StoredVectors(table))
        for masked in (False, True):
            copies = Copies.of(iter(items), store, table, count=len(items), masked=masked)
            texts = [item.text for item in copies.items]
            vectors = embedder.embed_queries(texts)
            scores = CopyScores(dense_of_copies(copies, vectors, embedder.embed_passages(copies.texts)))
            found = legs_with_copies(copies, first_stage, QueryVectors(vectors), scores, settings=settings)
            for leg in ("bm25", "dense"):
                plain = first_stage.leg(leg, texts, QueryVectors(vectors), settings=settings)
                same = [
                    found[leg].column(name).to_pylist() == plain.column(name).to_pylist()
                    for name in ("query_number", "chunk_number", "rank")
                ]
                assert all(same) != masked, leg
                if not masked:
                    assert np.allclose(found[leg].column("score").to_numpy(), plain.column("score").to_numpy())
