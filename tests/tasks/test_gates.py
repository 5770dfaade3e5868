from __future__ import annotations

import math

from tasks.bm25_audit import Bm25Audit
from tasks.gates import bm25_gate, integrity_gate


def test_a_whole_release_passes_the_integrity_gate() -> None:
    gate = integrity_gate({"chunks without a vector": 0, "documents without a chunk": 0})
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("integrity", True, 0.0, 0.0)
    assert "agree" in gate.reason


def test_every_fault_is_named_with_its_count() -> None:
    gate = integrity_gate({"chunks without a vector": 2, "fine": 0, "queries without an entry in the cache": 1})
    assert not gate.passed
    assert gate.value == 3.0
    assert gate.reason == "2 chunks without a vector; 1 queries without an entry in the cache"


def test_more_than_there_should_be_is_a_fault_too() -> None:
    assert not integrity_gate({"chunks that BM25 lacks": -1}).passed
    assert not integrity_gate({"missing": 1, "left over": -1}).passed


def test_the_bm25_gate_says_what_the_audit_found() -> None:
    gate = bm25_gate(Bm25Audit(pairs=200, chunks=9, misread=(), largest_difference=1e-7, tolerance=1e-5, passed=True))
    assert (gate.name, gate.passed, gate.value, gate.threshold) == ("bm25_audit", True, 1e-7, 1e-5)
    assert "200 scores" in gate.reason
    assert not bm25_gate(
        Bm25Audit(pairs=1, chunks=1, misread=(), largest_difference=math.inf, tolerance=1e-5, passed=False)
    ).passed
