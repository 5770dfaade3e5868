from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from nightrank.storage.files.parquet import write_table
from nightrank.storage.release.evaluation import DEPTHS, Timings
from nightrank.storage.release.files import ReleaseFiles
from nightrank.tasks.evaluate.ladder import LADDER, LadderStage, ladder, read_depths, read_timings
from nightrank.tasks.evaluate.measures import STAGES
from nightrank.tasks.names import STAGE_NAMES

if TYPE_CHECKING:
    from pathlib import Path

MEANS = {stage: {"nDCG@10": place / 10} for place, stage in enumerate(STAGES)}
TIMINGS = Timings(milliseconds={"static": 0.5, "bm25": 2.0}, queries=5, measured_in="r1", machine="cpu")


def test_the_rungs_stand_in_their_order_with_what_they_are_worth_and_cost() -> None:
    stages = ladder(MEANS, TIMINGS)
    assert [stage.stage for stage in stages] == [*LADDER] == ["static", "bm25", "dense", "sparse", "fused", "reranked"]
    assert stages[1] == LadderStage("bm25", "BM25", {"nDCG@10": 0.1}, 2.0)
    assert stages[2].milliseconds is None
    assert stages[1].as_json() == {"stage": "bm25", "name": "BM25", "nDCG@10": 0.1, "milliseconds": 2.0}


def test_rungs_that_were_not_measured_are_not_there() -> None:
    assert ladder({}, None) == []
    without_static = {stage: values for stage, values in MEANS.items() if stage != "static"}
    assert [stage.stage for stage in ladder(without_static, None)] == [*LADDER[1:]]


def test_without_a_reranker_the_last_rung_is_the_learned_order_where_that_differs() -> None:
    without = {stage: values for stage, values in MEANS.items() if stage != "reranker"}
    assert (ladder(without, None)[-1].stage, ladder(without, None)[-1].name) == ("reranked", "learned order")
    same = without | {"reranked": without["fused"]}
    assert [stage.stage for stage in ladder(same, None)] == [*LADDER[:-1]]


def test_every_stage_has_a_name() -> None:
    assert [*STAGE_NAMES] == [*STAGES]


def test_timings_and_depths_of_a_release_are_read_or_missing(tmp_path: Path) -> None:
    assert (read_timings(ReleaseFiles(tmp_path).timings), read_depths(ReleaseFiles(tmp_path).depths)) == (None, [])
    (tmp_path / "timings.json").write_text(TIMINGS.model_dump_json())
    rows = [(20, "q1", "RR", 1.0), (20, "q2", "RR", 0.5), (20, "q1", "P@1", 0.0), (0, "q1", "RR", 0.25)]
    table = pa.Table.from_pylist([dict(zip(DEPTHS.names, row, strict=True)) for row in rows], schema=DEPTHS)
    write_table(tmp_path / "depths.parquet", table)
    assert read_timings(ReleaseFiles(tmp_path).timings) == TIMINGS
    assert read_depths(ReleaseFiles(tmp_path).depths) == [(0, {"RR": 0.25}), (20, {"RR": 0.75, "P@1": 0.0})]


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\xfe", b"PAR1" * 9, "cut short"])
def test_timings_and_depths_that_cannot_be_read_are_not_known(tmp_path: Path, damage: bytes | str) -> None:
    (tmp_path / "timings.json").write_text(TIMINGS.model_dump_json())
    write_table(tmp_path / "depths.parquet", DEPTHS.empty_table())
    for name in ("timings.json", "depths.parquet"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-10] if isinstance(damage, str) else damage)
    assert (read_timings(ReleaseFiles(tmp_path).timings), read_depths(ReleaseFiles(tmp_path).depths)) == (None, [])


def test_depths_of_another_schema_are_not_known(tmp_path: Path) -> None:
    write_table(tmp_path / "depths.parquet", pa.table({"depth": [1]}))
    assert read_depths(ReleaseFiles(tmp_path).depths) == []


def test_a_ladder_is_shown_without_loading_anything_heavy() -> None:
    heavy = "{'prefect', 'torch', 'scipy', 'lancedb', 'ir_measures'}"
    program = f"import sys, nightrank.tasks.evaluate.ladder; print({heavy} & {{*sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"
