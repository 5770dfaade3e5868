"""Gates that rest on judgments which nobody has shown to agree with people's: they advise, and refuse nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from nightrank.storage.release.manifest import Gate

RESTING = ("non_inferiority", "quality_drift", "best_stage")  # on what documents are worth, by the judgments


def advised(gates: Iterable[Gate], *, resting_on: str, why_not: str, resting: Collection[str] = RESTING) -> list[Gate]:
    """Gates with what those that rest on judgments rest on.

    Args:
        gates: As they were asked.
        resting_on: What speaks for the judgments, in words.
        why_not: What speaks against resting a gate on them; empty: nothing does. Where something does, a gate that
            would fail passes, and says so.
        resting: Names of the gates that rest on them.
    """
    found = []
    for gate in gates:
        if gate.name not in resting:
            found.append(gate)
            continue
        reason = f"{gate.reason}; {resting_on}"
        if why_not:
            would = "it advises alone" if gate.passed else "it would fail, and advises alone"
            reason = f"{gate.reason}; {would}, since a model judged and {why_not}"
        found.append(gate.model_copy(update={"passed": gate.passed or bool(why_not), "reason": reason}))
    return found
