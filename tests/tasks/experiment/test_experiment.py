"""Variants of the settings over a stored release: each gives what a refresh with it publishes."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pytest

import nightrank.tasks.rerank.lazy
from benchmarks.inputs.tiny_models import tiny_reranker
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError, WorkspaceBusy
from nightrank.storage.files.parquet import read_table
from nightrank.tasks.evaluate.measures import means
from nightrank.tasks.experiment.experiment import Experiment
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.qrels import read_judgments
from tests.support.published import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from nightrank.storage.records import JsonValue
    from tests.support.collection import Collection

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def refreshed(collection: Collection) -> Collection:
    """The small collection with a release whose legs and reranking leave something out."""
    collection.settings["retrieval"] = {"candidate_depth": 8}
    collection.settings["reranker"]["depth"] = 5
    collection.settings["results"] = {"depth": 4}
    collection.write()
    refresh_plainly(collection.settings_file)
    return collection


@contextmanager
def experiment_over(collection: Collection) -> Iterator[Experiment]:
    configuration = load_settings(collection.settings_file)
    judgments = read_judgments(collection.folder / "qrels.tsv", name="qrels", account=Account())
    with Experiment.open(
        configuration.workspace, configuration.settings, judgments, base=configuration.base, now=NOW
    ) as experiment:
        yield experiment


def published_candidates(collection: Collection) -> pa.Table:
    """Those of judged queries, in the current release."""
    folder = load_settings(collection.settings_file).workspace
    release = folder.release(folder.require_current())
    queries = read_table(release / "queries.parquet").to_pylist()
    judged = {query_id for query_id, _, _ in collection.qrels}
    keys = [query["query_key"] for query in queries if judged & set(query["query_ids"])]
    candidates = read_table(release / "candidates.parquet")
    return candidates.filter(pc.is_in(candidates["query_key"], value_set=pc.cast(keys, "string")))


def published_evaluation(collection: Collection) -> dict[str, dict[str, float]]:
    folder = load_settings(collection.settings_file).workspace
    return means(read_table(folder.release(folder.require_current()) / "evaluation.parquet"))


def test_a_variant_equal_to_the_settings_is_the_release_itself(refreshed: Collection) -> None:
    before = snapshot(refreshed.workspace)

    with experiment_over(refreshed) as experiment:
        outcome = experiment.evaluate(experiment.settings)

    assert outcome.candidates.equals(published_candidates(refreshed))
    assert outcome.means == published_evaluation(refreshed)
    assert snapshot(refreshed.workspace) == before


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [
        {"retrieval.fusion": "minmax", "retrieval.weights": {"bm25": 0.7, "dense": 0.3}},
        {"retrieval.rrf_k": 1},
        {"retrieval.legs": ["dense"]},
        {"retrieval.candidate_depth": 3},
        {"retrieval.candidate_depth": 500, "reranker.depth": 20},
        {"bm25.k1": 0.5, "bm25.b": 0.1, "bm25.variant": "bm25plus"},
        {"bm25.fields": {"title": 3.0, "headings": 0.0, "text": 1.0}},
        {"reranker.weight": 0.25, "reranker.depth": 3},
        {"reranker.model": "none"},
        {"reranker.max_tokens": 16},
        {"results.depth": 2, "results.unit": "chunk"},
        {"results.mmr_lambda": 0.3, "results.mmr_pool": 6},
    ],
    ids=", ".join,
)
def test_a_variant_is_what_a_refresh_with_these_settings_publishes(
    changes: dict[str, JsonValue], refreshed: Collection
) -> None:
    with experiment_over(refreshed) as experiment:
        outcome = experiment.evaluate(varied(experiment.settings, changes))

    for name, value in changes.items():
        section, _, key = name.partition(".")
        refreshed.settings.setdefault(section, {})[key] = value  # type: ignore[assignment]  # one that TOML has
    refreshed.write()
    refresh_plainly(refreshed.settings_file)
    expected = published_candidates(refreshed)

    exact = ["query_key", "chunk_id", "document_id", "bm25_rank", "dense_rank", "fused_rank", "rank"]
    assert outcome.candidates.select(exact).equals(expected.select(exact))
    for name in ("bm25_score", "dense_score", "fused_score", "pair_score", "score"):
        assert outcome.candidates[name].equals(expected[name]), name
    assert outcome.means == published_evaluation(refreshed)


@pytest.mark.long
def test_the_pairs_of_many_variants_are_scored_once_together_and_kept(
    refreshed: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    loaded = nightrank.tasks.rerank.lazy.LazyReranker.load

    def load(self: nightrank.tasks.rerank.lazy.LazyReranker) -> object:
        loads.append(self.plan.fingerprint)
        return loaded(self)

    monkeypatch.setattr(nightrank.tasks.rerank.lazy.LazyReranker, "load", load)
    with experiment_over(refreshed) as experiment:
        variants = [varied(experiment.settings, {"reranker.depth": depth}) for depth in (2, 6, 8)]
        assert experiment.prepare(variants[:1]) == 0
        assert experiment.prepare(variants) == 6 * 3  # six judged queries, three more candidates each
        for settings in variants:
            experiment.evaluate(settings)
    with experiment_over(refreshed) as experiment:
        assert experiment.prepare(variants) == 0

    assert len(loads) == 1


def test_pairs_that_nobody_scored_wait_for_no_other_run(refreshed: Collection) -> None:
    with load_settings(refreshed.settings_file).workspace.writing(now=NOW), experiment_over(refreshed) as experiment:
        weighed = experiment.evaluate(varied(experiment.settings, {"reranker.weight": 0.0}))
        with pytest.raises(WorkspaceBusy):
            experiment.evaluate(varied(experiment.settings, {"reranker.depth": 8}))

    assert weighed.means["reranked"] != {}


@pytest.mark.long
def test_another_reranker_has_pairs_of_its_own(refreshed: Collection, tmp_path: Path) -> None:
    other = tiny_reranker(tmp_path / "other", seed=5)

    with experiment_over(refreshed) as experiment:
        ours = experiment.evaluate(experiment.settings)
        theirs = experiment.evaluate(varied(experiment.settings, {"reranker.model": str(other)}))

    assert theirs.candidates["pair_score"] != ours.candidates["pair_score"]
    assert theirs.means["fused"] == ours.means["fused"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("section", "values", "says"),
    [
        ("chunking", {"max_tokens": 60}, "another [chunking]"),
        ("embedder", {"query_prompt": "query: "}, "another [embedder]"),
        ("bm25", {"language": "none"}, "another [bm25].language"),
    ],
)
def test_settings_that_the_release_was_not_made_with_are_refused(
    section: str, values: dict[str, str | int], says: str, refreshed: Collection
) -> None:
    refreshed.settings.setdefault(section, {}).update(values)
    refreshed.write()

    with pytest.raises(InputError, match="was made with") as refused, experiment_over(refreshed):
        pass

    assert says in refused.value.message
    assert "nightrank refresh" in refused.value.remedy


def test_what_would_make_other_chunks_is_no_variant(refreshed: Collection) -> None:
    with experiment_over(refreshed) as experiment:
        other = experiment.settings.model_copy(
            update={"chunking": experiment.settings.chunking.model_copy(update={"max_tokens": 60})}
        )
        with pytest.raises(InputError, match=r"chunking\.max_tokens"):
            experiment.evaluate(other)
