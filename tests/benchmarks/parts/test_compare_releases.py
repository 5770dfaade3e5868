from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.compare_releases import Agreement, Scored, agreement, compare_releases
from benchmarks.parts.plain_nights import refresh_plainly
from benchmarks.parts.rebuild import from_memos, from_nothing
from nightrank.storage.files.parquet import read_table, write_table
from nightrank.storage.workspace.folder import FolderWorkspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace
    from tests.support.collection import Collection


@pytest.fixture
def workspace(collection: Collection) -> Workspace:
    """Two nights of the small collection."""
    refresh_plainly(collection.settings_file)
    collection.document("bees")["text"] = "Bees dry nectar. That is how they make honey."
    collection.write()
    refresh_plainly(collection.settings_file)
    del collection.settings[""]  # the rebuild has a workspace of its own
    return FolderWorkspace(collection.workspace)


@pytest.mark.long
def test_a_night_equals_a_rebuild_from_its_memos_for_which_no_model_runs(
    collection: Collection, workspace: Workspace
) -> None:
    rebuilt = from_memos(collection.folder, collection.settings, workspace)
    assert rebuilt.comparison.is_exact
    assert str(rebuilt.comparison) == "equal"
    assert rebuilt.comparison.equal == 7
    assert (rebuilt.chunks_embedded, rebuilt.pairs_scored) == (0, 0)
    assert sorted(path.name for path in collection.folder.iterdir() if path.is_dir()) == ["workspace"]


@pytest.mark.long
def test_a_night_equals_a_rebuild_from_nothing_for_which_every_model_runs_again(
    collection: Collection, workspace: Workspace
) -> None:
    rebuilt = from_nothing(collection.folder, collection.settings, workspace)
    assert rebuilt.comparison.is_exact
    assert (rebuilt.chunks_embedded, rebuilt.pairs_scored) == (30, 161)  # a pair a document


@pytest.mark.long
def test_a_rebuild_of_other_documents_differs_and_says_where(collection: Collection, workspace: Workspace) -> None:
    collection.remove("bees")
    collection.write()
    comparison = from_memos(collection.folder, collection.settings, workspace).comparison
    assert not comparison.is_same_but_for_ties
    assert not comparison.counts_equal
    assert comparison.different > 0
    assert comparison.first == "documents: 23 and 22"


@pytest.mark.long
def test_candidates_in_another_order_differ_though_the_results_are_the_same(
    workspace: Workspace, tmp_path: Path
) -> None:
    other = FolderWorkspace(tmp_path / "other")
    shutil.copytree(workspace.root, other.root)
    path = other.release(other.require_current()) / "candidates.parquet"
    table = read_table(path)
    swapped = [
        {**row, "fused_rank": {1: 2, 2: 1}.get(row["fused_rank"], row["fused_rank"])} for row in table.to_pylist()
    ]
    write_table(path, type(table).from_pylist(swapped, schema=table.schema))
    comparison = compare_releases(workspace, other)
    assert (comparison.equal, comparison.different) == (0, 7)
    assert comparison.first is not None
    assert "candidate 1" in comparison.first


@pytest.mark.long
@pytest.mark.parametrize("name", ["evaluation.parquet", "depths.parquet", "diagnosis.parquet"])
def test_other_figures_of_the_same_rankings_differ(name: str, workspace: Workspace, tmp_path: Path) -> None:
    other = FolderWorkspace(tmp_path / "other")
    shutil.copytree(workspace.root, other.root)
    path = other.release(other.require_current()) / name
    table = read_table(path)
    write_table(path, table.slice(1))
    comparison = compare_releases(workspace, other)
    assert (comparison.different, comparison.measures_equal) == (0, False)
    assert not comparison.is_same_but_for_ties
    assert comparison.first == f"other rows in {name}"


def entries(*pairs: tuple[str, float]) -> list[Scored]:
    return [Scored(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (entries(("a", 2.0), ("b", -1.0)), entries(("a", 2.000001), ("b", -1.0)), Agreement.SAME),
        (entries(("a", 2.0), ("b", -1.0)), entries(("a", 2.001), ("b", -1.0)), Agreement.DIFFERENT),
        (entries(("a", 1.000001), ("b", 1.0)), entries(("b", 1.000001), ("a", 1.0)), Agreement.TIE),
        (entries(("a", 2.0), ("b", 1.0)), entries(("a", 2.0), ("c", 1.0)), Agreement.TIE),  # c was just below the end
        (entries(("a", 2.0), ("b", 1.0)), entries(("c", 2.0), ("b", 1.0)), Agreement.DIFFERENT),
        (entries(("a", 2.0), ("b", 1.0)), entries(("b", 2.0), ("a", 1.0)), Agreement.DIFFERENT),
        (entries(("a", 2.0)), entries(("a", 2.0), ("b", 1.0)), Agreement.DIFFERENT),
    ],
)
def test_only_entries_closer_than_the_tolerance_may_change_places(
    left: Sequence[Scored], right: Sequence[Scored], expected: Agreement
) -> None:
    assert agreement(left, right) is expected
    assert agreement(right, left) is expected
