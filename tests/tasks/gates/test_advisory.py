"""No gate rests on a model's judgments before its agreement with people was shown, and each says what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.records import Judgment
from nightrank.storage.release.manifest import Gate
from nightrank.tasks.gates.advisory import RESTING, advised
from nightrank.tasks.gates.rules import GATES
from nightrank.tasks.judge.agreement import Agreement
from nightrank.tasks.judge.shown import path_of, read_shown, shown, why_advisory, write_shown
from nightrank.tasks.settings.chat import JudgeSettings
from nightrank.tasks.trec.qrels import write_judgments

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Agreement(queries=50, pairs=400, same=0.8, kappa=0.6, weighted_kappa=0.7)


def gate(name: str, *, passed: bool) -> Gate:
    return Gate(name=name, passed=passed, value=-0.1, threshold=-0.02, reason="it fell")


def qrels(folder: Path) -> Path:
    path = folder / "model.tsv"
    write_judgments(path, [Judgment("q", "d", 2, "model")])
    return path


def vouch(path: Path, found: Agreement, tau: float) -> None:
    record = shown(
        path,
        found,
        tau,
        systems=6,
        measure="nDCG@10",
        model="m",
        fingerprint="f",
        prompt="p",
        settings=JudgeSettings(),
    )
    write_shown(path, record)


def test_a_gate_that_would_fail_passes_and_says_why() -> None:
    assert set(RESTING) < set(GATES)
    found = advised([gate(name, passed=False) for name in GATES], resting_on="", why_not="nothing was shown")
    assert {one.name for one in found if one.passed} == set(RESTING)
    assert all("it would fail, and advises alone, since a model judged" in one.reason for one in found if one.passed)


def test_where_agreement_was_shown_gates_refuse_and_say_what_they_rest_on() -> None:
    [found] = advised([gate("non_inferiority", passed=False)], resting_on="a model judged, kappa 0.7", why_not="")
    assert (found.passed, found.reason) == (False, "it fell; a model judged, kappa 0.7")


@pytest.mark.parametrize(
    ("found", "tau", "lacking"),
    [
        (GOOD, 0.8, ""),
        (GOOD._replace(queries=49), 0.8, "people judged 49 of 50 queries"),
        (GOOD._replace(weighted_kappa=0.39), 0.8, "weighted kappa 0.390 is below 0.4"),
        (GOOD._replace(weighted_kappa=float("nan")), 0.8, "weighted kappa unknown is below 0.4"),
        (GOOD, 0.5, "tau of systems 0.500 is below 0.6"),
        (GOOD, float("nan"), "tau of systems unknown is below 0.6"),
    ],
)
def test_what_is_lacking_is_told(tmp_path: Path, found: Agreement, tau: float, lacking: str) -> None:
    path = qrels(tmp_path)
    vouch(path, found, tau)
    assert why_advisory(path) == lacking


def test_a_record_vouches_for_the_judgments_that_it_was_made_for_alone(tmp_path: Path) -> None:
    path = qrels(tmp_path)
    assert why_advisory(path) == "no agreement with people is shown"
    vouch(path, GOOD, 0.8)
    record = read_shown(path)
    assert record is not None
    assert "400 pairs of 50 queries" in record.told
    write_judgments(path, [Judgment("q", "d", 3, "model")])
    assert why_advisory(path) == "the agreement that is shown is of other judgments"
    for broken in (b"", b"{}", b"[" * 200_000, b"\xff", b'{"queries": 1' + b"0" * 400 + b"}"):
        path_of(path).write_bytes(broken)
        assert why_advisory(path) == "no agreement with people is shown"
