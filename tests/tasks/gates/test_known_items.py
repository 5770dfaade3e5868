from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from nightrank.storage.release.evaluation import EVALUATION
from nightrank.tasks.gates.known_items import LEAST_ITEMS, known_change
from nightrank.tasks.gates.rules import Incomparable, QualityChange, known_items_gate


def evaluation(values: dict[str, float]) -> pa.Table:
    rows = [
        {"stage": stage, "query_id": item, "measure": measure, "value": value if stage == "results" else 0.0}
        for item, value in values.items()
        for stage in ("bm25", "results")
        for measure in ("nDCG@10", "RR@10")
    ]
    return pa.Table.from_pylist(rows, schema=EVALUATION)


def change(before: dict[str, float], after: dict[str, float]) -> QualityChange | Incomparable:
    return known_change(
        evaluation(before),
        evaluation(after),
        texts={"i0": "black tea"},
        measure="nDCG@10",
        confidence=0.95,
        generator=np.random.default_rng(0),
    )


def test_items_of_both_are_compared_and_the_gate_says_what_they_are() -> None:
    before = {f"i{number}": 0.8 for number in range(40)}
    after = {f"i{number}": 0.8 if number else 0.0 for number in range(40)} | {"new": 0.0}
    found = change(before | {"gone": 1.0}, after)
    assert isinstance(found, QualityChange)
    assert found.queries == 40
    assert (found.before, found.after) == pytest.approx((0.8, 0.78))
    gate = known_items_gate(found, margin=0.02)
    assert (gate.name, gate.passed) == ("known_items", False)
    assert "40 known items" in gate.reason
    assert '"black tea" (-0.800)' in gate.reason
    assert known_items_gate(found, margin=1.0).passed  # off


def test_few_items_say_nothing() -> None:
    few = {f"i{number}": 1.0 for number in range(LEAST_ITEMS - 1)}
    found = change(few, few)
    assert isinstance(found, Incomparable)
    assert known_items_gate(found, margin=0.02).reason.startswith("not compared: both releases have 9 known items")
