"""Histories in which everything changes from night to night, settings too: each night is what a rebuild is.

A few of them here; ``make test-histories`` runs 300, and ``--histories N`` as many as one likes.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.operate.doctor import examine
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.rank.learned import LearnedOrder
from nightrank.tasks.rank.order_file import order_file, read_order
from tests.end_to_end.test_filters import require_brute_force
from tests.end_to_end.test_nights_equal_rebuilds import change
from tests.support.collection import Collection
from tests.support.histories import change_questions, change_settings, first_difference

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Models
    from tests.support.collection import TomlValue

NIGHTS = 4


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """As many histories as are asked for."""
    if "history" in metafunc.fixturenames:
        metafunc.parametrize("history", range(metafunc.config.getoption("--histories")))


@pytest.mark.long
def test_any_history_of_everything_ends_where_rebuilds_and_brute_force_end(
    history: int, collection: Collection, models: Models, tmp_path: Path
) -> None:
    generator = np.random.default_rng([history, 18])
    packaged = read_order()
    learned = LearnedOrder.of(packaged.gates, str(collection.settings["reranker"]["model"]), grams=packaged.grams)
    order = tmp_path / "order.json"
    order.write_text(order_file(learned, {}), encoding="utf-8")
    collection.settings["sparse"] = {"model": str(models.splade)}
    collection.settings["retrieval"] = {"candidate_depth": 4}
    collection.settings["results"] = {"order": "learned", "order_model": str(order)}
    collection.settings["gates"] |= {"max_empty": "none", "min_judged": "none"}
    collection.settings["retention"] = {"keep": int(generator.integers(1, 4))}
    changed = change_settings(collection, generator, most=6)
    change_questions(collection, generator)
    collection.write()
    refresh_plainly(collection.settings_file)
    story = [changed]
    for night in range(NIGHTS):
        if generator.random() < 0.8:
            change(collection, generator)
        if generator.random() < 0.7:
            change_questions(collection, generator)
        story.append(change_settings(collection, generator, most=3))
        collection.write()
        refresh_plainly(collection.settings_file)
        require_as_rebuilt(collection, tmp_path / f"rebuild-{night}", story)
    assert examine(FolderWorkspace(collection.workspace), release_id=None).healthy, story
    require_filters_as_brute_force(collection, tmp_path / "whole")


def require_as_rebuilt(collection: Collection, folder: Path, story: list[list[str]]) -> None:
    """What the last night published is, table by table, what a new workspace has of the same input."""
    rebuild = copy_of(collection, folder)
    refresh_plainly(rebuild.settings_file)
    difference = first_difference(FolderWorkspace(collection.workspace), FolderWorkspace(rebuild.workspace))
    assert difference is None, (story, difference)
    shutil.rmtree(folder)


def require_filters_as_brute_force(collection: Collection, folder: Path) -> None:
    """Each leg of each query with a filter is the whole ranking of that query, filtered plainly and cut."""
    retrieval = collection.settings["retrieval"]
    depth = retrieval["candidate_depth"]
    assert isinstance(depth, int)
    if not collection.filters or retrieval.get("chunks_per_document") is not None:
        return  # a document's chunks are cut before they are counted: the plain ranking would be another one
    whole = copy_of(collection, folder)
    deep: dict[str, TomlValue] = {**retrieval, "candidate_depth": 1000}
    asked: dict[str, TomlValue] = {name: held for name, held in whole.settings["queries"].items() if name != "budget"}
    settings: dict[str, dict[str, TomlValue]] = {**whole.settings, "retrieval": deep, "queries": asked}
    whole.settings = settings
    whole.log = [*whole.log, *((f"{key}-plain", text, count) for key, text, count in whole.log)]
    whole.write()
    refresh_plainly(whole.settings_file)
    require_brute_force(collection, whole, depth=depth)


def copy_of(collection: Collection, folder: Path) -> Collection:
    """The same input elsewhere."""
    copied = Collection(
        folder, collection.settings, collection.documents, collection.log, collection.qrels, collection.filters
    )
    copied.write()
    return copied
