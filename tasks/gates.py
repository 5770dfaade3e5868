"""Gates: what must hold before a release is published. Each is a function from facts to a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.releases import Gate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.bm25_audit import Bm25Audit


def integrity_gate(faults: Mapping[str, int]) -> Gate:
    """Passes where nothing is missing and nothing is left over.

    Args:
        faults: What was looked for, and how often it was found; all zero in a whole release.
    """
    found = {name: count for name, count in faults.items() if count}
    reason = (
        "; ".join(f"{count} {name}" for name, count in found.items()) or "chunks, vectors, candidates and results agree"
    )
    return Gate(name="integrity", passed=not found, value=float(sum(found.values())), threshold=0.0, reason=reason)


def bm25_gate(audit: Bm25Audit) -> Gate:
    """Passes where a sample of BM25 scores agrees with what the rank-bm25 package computes from the same statistics."""
    reason = f"{audit.pairs} scores compared with rank-bm25"
    return Gate(
        name="bm25_audit",
        passed=audit.passed,
        value=audit.largest_difference,
        threshold=audit.tolerance,
        reason=reason,
    )
