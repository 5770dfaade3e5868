"""The layout of a release: one module spells it, every table has its schema, and what another one has is refused."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from nightrank.storage.release import files as layout
from nightrank.storage.release.files import Bm25Leg, DenseLeg, Named, ReleaseFiles, ScratchFiles, TableReference
from nightrank.storage.release.schemas import SCHEMAS

ROOT = Path(__file__).parents[3]
OWNERS = {
    "storage/release/files.py",
    "storage/workspace/base.py",  # manifest.json alone: what makes a folder a release
    "tasks/train/job.py",  # a training's own folder has a comparison too
    "tasks/train/commit.py",
}


def names_in(owner: type[ReleaseFiles] | type[ScratchFiles]) -> dict[str, str]:
    return {name: value.name for name, value in vars(owner).items() if isinstance(value, Named)}


def spelled(source: str) -> set[str]:
    """Whole strings of a program that are a name of the layout, alone or behind a folder."""
    names = {*names_in(ReleaseFiles).values(), *names_in(ScratchFiles).values()}
    strings = {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {string for string in strings if string.rpartition("/")[2] in names}


@pytest.mark.parametrize("folder", ["flows", "tasks", "storage", "benchmarks", "recipes"])
def test_no_other_module_spells_the_name_of_a_file_of_a_release(folder: str) -> None:
    programs = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / folder).rglob("*.py")}
    assert len(programs) > 2
    found = {name: spelled(source) for name, source in programs.items() if name not in OWNERS}
    assert {name: names for name, names in found.items() if names} == {}


def test_a_name_that_is_spelled_is_found() -> None:
    assert spelled("x = folder / 'queries.parquet'") == {"queries.parquet"}
    assert spelled("x = 'releases/r1/bm25.duckdb'") == {"releases/r1/bm25.duckdb"}
    assert spelled("'''Writes queries.parquet.'''") == set()


@pytest.mark.parametrize("owner", [ReleaseFiles, ScratchFiles])
def test_no_two_files_have_one_name(owner: type[ReleaseFiles] | type[ScratchFiles]) -> None:
    names = names_in(owner)
    assert len({*names.values()}) == len(names)


def test_every_kind_of_table_has_a_schema() -> None:
    kinds = {kind for kind in vars(layout).values() if isinstance(kind, type) and issubclass(kind, TableReference)}
    assert {kind.__name__ for kind in kinds - {TableReference}} == SCHEMAS.keys()


def test_a_name_of_the_layout_gives_the_file_of_a_folder_and_its_name(tmp_path: Path) -> None:
    assert ReleaseFiles(tmp_path).statistics.path == tmp_path / "bm25.duckdb"
    assert ReleaseFiles.statistics.name == "bm25.duckdb"
    assert ReleaseFiles(tmp_path).scratch.fused.path == tmp_path / "scratch" / "fused.parquet"


def test_files_of_one_schema_and_another_kind_differ(tmp_path: Path) -> None:
    legs: tuple[TableReference, TableReference] = Bm25Leg(tmp_path), DenseLeg(tmp_path)
    assert legs[0].schema == legs[1].schema
    assert legs[0] != legs[1]


def test_a_table_of_another_schema_is_not_written(tmp_path: Path) -> None:
    drops = ReleaseFiles(tmp_path).dropped
    with pytest.raises(ValueError, match=r"dropped\.parquet is of schema"):
        drops.write(pa.table({"reason": ["robots"]}))
    assert not drops.is_there()
    written = drops.write(pa.table([["robots"], [2], [7]], schema=drops.schema))
    assert written.read().to_pylist() == [{"reason": "robots", "rows": 2, "traffic": 7}]
    assert written.read(["rows"]).column_names == ["rows"]
    assert written.read_rows("reason", pa.array(["other"])).num_rows == 0
    assert written.row_count() == 1


def test_the_layout_of_a_release_is_known_without_arrow() -> None:
    program = "import sys, nightrank.storage.release.files; assert 'pyarrow' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
