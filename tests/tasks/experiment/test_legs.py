"""The legs of variants: made once, cut as deep as each wants them, scanned where a release's lists end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import nightrank.tasks.first_stage
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.storage.files.parquet import read_table, write_table
from nightrank.storage.release.leg_lists import LEG_LISTS
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.dense.retrieve import retrieve_dense
from nightrank.tasks.experiment.experiment import Experiment
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.qrels import read_judgments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.tasks.settings.index import Bm25Settings
    from tests.support.collection import Collection

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def experiment_over(collection: Collection) -> AbstractContextManager[Experiment]:
    configuration = load_settings(collection.settings_file)
    judgments = read_judgments(collection.folder / "qrels.tsv", name="qrels", account=Account())
    return Experiment.open(configuration.workspace, configuration.settings, judgments, base=configuration.base, now=NOW)


def shorten(path: Path, *, texts: int) -> None:
    """Cut the lists of the dense leg, as they would be in a collection of many more texts."""
    rows = read_table(path).to_pylist()
    for row in rows:
        row["floor"] = row["scores"][texts]
        row["chunk_hashes"], row["scores"] = row["chunk_hashes"][:texts], row["scores"][:texts]
    write_table(path, pa.Table.from_pylist(rows, schema=LEG_LISTS))


@pytest.mark.long
def test_beyond_the_lists_of_a_release_its_whole_collection_is_met(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh_plainly(collection.settings_file)
    workspace = load_settings(collection.settings_file).workspace
    with experiment_over(collection) as experiment:
        shallow = varied(experiment.settings, {"retrieval.candidate_depth": 4})
        deep = varied(experiment.settings, {"retrieval.candidate_depth": 12})
        expected = [experiment.evaluate(settings).candidates for settings in (deep, shallow)][::-1]
    shorten(workspace.release(workspace.require_current()) / "dense.parquet", texts=5)
    scans: list[int] = []

    def counted(*arguments: Any, depth: int, **named: Any) -> pa.Table:  # noqa: ANN401
        scans.append(depth)
        return retrieve_dense(*arguments, depth=depth, **named)

    monkeypatch.setattr(nightrank.tasks.first_stage, "retrieve_dense", counted)

    with experiment_over(collection) as experiment:
        assert experiment.evaluate(shallow).candidates.equals(expected[0])
        assert scans == []
        assert experiment.evaluate(deep).candidates.equals(expected[1])
        assert experiment.evaluate(shallow).candidates.equals(expected[0])

    assert scans == [12]


@pytest.mark.long
def test_a_leg_is_made_once_for_all_that_are_announced(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    refresh_plainly(collection.settings_file)
    made: list[tuple[float, int]] = []

    def counted(store: Bm25Store, texts: Sequence[str], *, settings: Bm25Settings, **named: Any) -> pa.Table:  # noqa: ANN401
        made.append((settings.k1, named["depth"]))
        return retrieve_bm25(store, texts, settings=settings, **named)

    monkeypatch.setattr(nightrank.tasks.first_stage, "retrieve_bm25", counted)
    with experiment_over(collection) as experiment:
        depths = [
            varied(experiment.settings, {"retrieval.candidate_depth": depth, "bm25.k1": k1})
            for depth in (3, 9)
            for k1 in (0.5, 1.5)
        ]
        experiment.prepare(depths)
        for settings in depths:
            experiment.evaluate(settings)

    assert sorted(made) == [(0.5, 9), (1.5, 9)]
