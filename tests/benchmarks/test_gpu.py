"""The program for a card: its time is divided, and on a processor all of it runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gpu
from benchmarks.parts.claims import Claim
from benchmarks.parts.gpu_models import Card
from benchmarks.parts.time_budget import Part, run_parts

ROOT = Path(__file__).parents[2]


class Clock:
    """Time that passes where a part says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def part(self, name: str, weight: float, least: float, *, takes: float, given: list[float]) -> Part:
        def run(seconds: float) -> list[Claim]:
            given.append(seconds)
            self.now += takes
            if takes < 0:
                raise ValueError("broken")
            return [Claim(name, "peer", 1.0, 1.0, "x/s", 1.0, None, "", None, "")]

        return Part(name, weight, least, run)


def test_what_a_part_leaves_is_there_for_the_next_and_what_does_not_fit_is_told() -> None:
    clock, given = Clock(), list[float]()
    parts = [
        clock.part("first", 1.0, 10.0, takes=20.0, given=given),  # a quarter of 80 s
        clock.part("large", 1.0, 50.0, takes=30.0, given=given),  # a third of 60 s is too little
        clock.part("last", 1.0, 10.0, takes=70.0, given=given),  # half of 60 s, and takes longer
        clock.part("late", 1.0, 10.0, takes=1.0, given=given),
    ]
    *_, told = run_parts(parts, 80.0, clock=clock)
    assert given == [20.0, 30.0]
    assert [claim.claim for claim in told.claims] == ["first", "last"]
    assert told.undone[0] == "skipped: large, which takes 50 s; 20 s are left"
    assert told.undone[1].startswith("skipped: late")
    assert not told.has_failed


def test_a_fault_of_a_part_leaves_the_others_alone_and_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    clock, given = Clock(), list[float]()
    parts = [clock.part(name, 1.0, 0.0, takes=takes, given=given) for name, takes in (("bad", -1.0), ("good", 1.0))]
    *_, told = run_parts(parts, 10.0, clock=clock)
    assert [claim.claim for claim in told.claims] == ["good"]
    assert told.undone == ["failed: bad: ValueError: broken"]
    assert told.has_failed
    assert "ValueError" in capsys.readouterr().err


def test_every_part_has_room_in_eight_minutes(tmp_path: Path) -> None:
    parts = gpu.parts_of(Card("cuda", 1e12, tmp_path, None, is_small=False))
    total = sum(part.weight for part in parts)
    shares = [(8 * 60 - gpu.AT_THE_END) * part.weight / total for part in parts]
    assert all(share >= 2 * part.least_seconds for share, part in zip(shares, parts, strict=True))


def test_the_script_says_what_it_can_do() -> None:
    done = subprocess.run(["sh", str(ROOT / "benchmarks/gpu.sh"), "fly"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "pack or run, not fly\n")


@pytest.mark.long
def test_on_a_processor_all_of_it_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        gpu.main(["--device", "cpu", "--small", "--minutes", "3", "--work", str(tmp_path)])

    printed = capsys.readouterr().out
    claims = json.loads((tmp_path / "claims/gpu.json").read_text())["claims"]
    assert ended.value.code == 0, printed
    named = [claim["claim"] for claim in claims]
    for part in ("dense top 100", "embed with packaged", "rerank with packaged", "ettin-reranker-17m", "xlm-roberta"):
        assert any(part in name for name in named), part
    assert "| rerank with packaged (random weights) packed on cpu" in printed  # a row of the page of results
    assert all(np.isfinite([claim["ours"], claim["theirs"]]).all() for claim in claims)
    assert "failed:" not in printed
