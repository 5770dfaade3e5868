"""Diverse results: the search cache, the measures, live search, the doctor and a rebuild agree on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.flows.evaluate.flow import evaluate
from nightrank.flows.operate.doctor import examine
from nightrank.flows.operate.report import find_report
from nightrank.flows.operate.search import search_live
from nightrank.flows.settings_file import load_settings
from nightrank.storage.files.parquet import read_table
from nightrank.storage.records import Judgment
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.evaluate.measures import evaluate_run
from nightrank.tasks.trec.runs import Entry
from tests.support.collection import LOG, Collection
from tests.support.published import assert_same_rankings, rankings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.conftest import Refresh

MEASURES = ["nDCG@10", "RR@10"]


@pytest.fixture
def with_copies(collection: Collection) -> Collection:
    """The collection with a copy of every short document, so that what is found once is found twice."""
    copies = [document | {"_id": f"{document['_id']}-copy"} for document in collection.documents]
    collection.documents += [copy for copy in copies if copy["_id"] != "garden-copy"]
    return collection


def original(document_id: str) -> str:
    return document_id.removesuffix("-copy")


def published_documents(collection: Collection) -> dict[str, list[str]]:
    return {
        query: [entry.document_id for entry in ranking] for query, ranking in rankings(collection.workspace).items()
    }


def measured_from_the_cache(collection: Collection) -> dict[str, float]:
    """Means of what readers of the cache see, on the judged queries."""
    found = published_documents(collection)
    ids = {query_id: text.lower() for query_id, text, _ in LOG}
    run = [
        Entry(query_id, document_id, -float(place))
        for query_id, text in ids.items()
        for place, document_id in enumerate(found[text])
    ]
    values = evaluate_run(run, [Judgment(*row) for row in collection.qrels], MEASURES)
    return {name: sum(row[2] for row in values if row[1] == name) * len(MEASURES) / len(values) for name in MEASURES}


@pytest.mark.long
@pytest.mark.parametrize("settings", [{"mmr_lambda": 0.3}, {"near_duplicate": 0.999}])
def test_a_copy_gives_its_place_to_another_document(
    settings: dict[str, float], with_copies: Collection, refresh: Refresh, tmp_path: Path
) -> None:
    refresh(with_copies)
    plain = published_documents(with_copies)
    with_copies.settings["results"] = {**settings}

    summary = refresh(with_copies)

    assert (summary.counts.chunks_embedded, summary.counts.pairs_scored) == (0, 0)
    diverse = published_documents(with_copies)
    doubled = [query for query, found in plain.items() if original(found[0]) == original(found[1])]
    assert doubled
    for query in doubled:
        assert diverse[query][0] == plain[query][0]
        assert original(diverse[query][1]) != original(diverse[query][0])
    assert {name: summary.manifest.measures["results"][name] for name in MEASURES} == pytest.approx(
        measured_from_the_cache(with_copies)
    )
    assert summary.manifest.measures["results"] != summary.manifest.measures["reranked"]
    configuration = load_settings(with_copies.settings_file)
    for query in doubled[:2]:
        live = [result.document_id for result in search_live(configuration, query).results]
        assert live == diverse[query]
    reported = read_table(
        FolderWorkspace(with_copies.workspace).release(summary.manifest.release_id) / "diversity.parquet"
    )
    worth = {row["measure"]: row for row in reported.to_pylist()}
    assert worth["nDCG@10"]["before"] == pytest.approx(summary.manifest.measures["reranked"]["nDCG@10"])
    assert worth["nDCG@10"]["after"] == pytest.approx(summary.manifest.measures["results"]["nDCG@10"])
    assert worth["distance@10"]["after"] > worth["distance@10"]["before"]
    again = evaluate.fn(str(with_copies.settings_file)).explained
    assert again is not None
    assert again.diversity.select(["measure", "before", "after"]).equals(
        reported.select(["measure", "before", "after"])
    )
    assert "What diverse results cost and gain" in find_report(configuration.workspace, release_id=None)[1].read_text()
    assert examine(FolderWorkspace(with_copies.workspace), release_id=None).healthy
    anew = Collection(tmp_path / "anew", with_copies.settings, with_copies.documents, with_copies.log)
    refresh(anew)
    assert_same_rankings(rankings(with_copies.workspace), rankings(anew.workspace))
