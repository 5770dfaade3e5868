"""Live search scores what nobody has scored yet, once, and says where it differs from a refresh."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.operate.search import differences, search_live
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError
from nightrank.storage.serving.cache import SearchCache
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.settings.ranking import RetrievalSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tests.support.collection import Collection


@pytest.mark.long
def test_a_passage_is_scored_once_and_what_the_release_holds_not_at_all(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.documents.append({**collection.document("tea"), "_id": "tea-again"})
    collection.write()
    manifest = refresh_plainly(collection.settings_file).manifest
    configuration = load_settings(collection.settings_file)
    scored: list[str] = []
    score = Reranker.score

    def watched(
        self: Reranker, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        scored.extend(texts)
        return score(self, queries, texts, lengths)

    monkeypatch.setattr(Reranker, "score", watched)

    logged = search_live(configuration, "black tea")
    assert scored == []
    with SearchCache.open(collection.workspace) as cache:
        cached = cache.get("black tea")
    assert cached is not None
    assert [result.chunk_id for result in logged.results] == [result.chunk_id for result in cached.results]

    filtered = search_live(configuration, "black tea", filter_by={"letters": 3})
    assert scored == []  # pairs of the same text
    assert {"tea", "tea-again"} <= {result.document_id for result in filtered.results}

    search_live(configuration, "a cup of green tea")
    assert len(scored) == len(set(scored)) > 0

    assert differences(configuration.settings, manifest.counts) == ()
    retrieval = configuration.settings.retrieval.model_copy(update={"dense_run": "other.run"})
    with_run = configuration.settings.model_copy(update={"retrieval": retrieval})
    capped = manifest.counts.model_copy(update={"queries_left": 3})
    with_a_run, left = differences(with_run, capped)
    assert "our own dense leg: other.run" in with_a_run
    assert "3 queries of the release are ordered without it" in left


@pytest.mark.long
def test_what_the_night_has_answered_is_found_again_to_the_bit(published: Collection) -> None:
    configuration = load_settings(published.settings_file)
    with SearchCache.open(published.workspace) as cache:
        for _, text, _ in published.log:
            cached = cache.get(text)
            assert cached is not None
            assert search_live(configuration, text).results == cached.results


def test_where_a_run_is_the_only_leg_no_new_query_can_be_asked(published: Collection) -> None:
    configuration = load_settings(published.settings_file)
    retrieval = RetrievalSettings.model_validate({"legs": ["sparse"], "sparse_run": "other.run"})
    alone = configuration.settings.model_copy(update={"retrieval": retrieval})
    with pytest.raises(InputError, match=r"no leg that a new query can be asked of: other\.run"):
        search_live(replace(configuration, settings=alone), "pendulum")
