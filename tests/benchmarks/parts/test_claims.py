from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.claims import Claim, benchmark_parser, cells_of, claim_of_rates, main_of
from benchmarks.parts.race import Laps

if TYPE_CHECKING:
    from pathlib import Path


def claim(*, ratio: float, target: float | None) -> Claim:
    return Claim("sorting", "peer", 2.0, 1.0, "lists/s", ratio, target, "", None, "the same lists")


def test_a_target_is_reached_at_its_value_and_missed_below() -> None:
    found = [claim(ratio=ratio, target=target).passed for ratio, target in ((3.0, 3.0), (2.99, 3.0), (0.1, None))]
    assert found == [True, False, True]


def test_a_rate_is_of_the_median_lap_and_the_ratio_of_the_rounds() -> None:
    ours, theirs = Laps("ours", (1.0, 2.0, 4.0)), Laps("peer", (2.0, 10.0, 4.0))  # ratios 2, 5 and 1

    found = claim_of_rates("sorting", ours, theirs, amount=8.0, unit="lists/s", target=3.0, equal="")

    assert (found.ours, found.theirs, found.ratio, found.peer) == (4.0, 2.0, 2.0, "peer")
    assert found.spread == "ours 2.00 to 8.00, theirs 0.8 to 4.00; ratio 1.00 to 5.00"
    assert cells_of(found)[-1] == "MISSED"


@pytest.mark.parametrize(("ratio", "code"), [(1.0, 1), (2.0, 0)])
def test_a_program_keeps_its_claims_and_ends_with_1_where_a_target_is_missed(
    ratio: float, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = benchmark_parser("").parse_args(["--work", str(tmp_path), "--json"])

    with pytest.raises(SystemExit) as ended:
        main_of([claim(ratio=ratio, target=2.0)], options)

    assert int(ended.value.code or 0) == code
    [path] = (tmp_path / "claims").iterdir()
    assert json.loads(path.read_text()) == (printed := json.loads(capsys.readouterr().out))
    assert path.stem == printed["program"] == options.program
    assert printed["claims"][0]["passed"] is (code == 0)
    assert {"processor", "cores", "memory", "GPU", "Python", "numpy"} <= printed["machine"].keys()
