"""The gate of near answers: whether those that a release would give are as good as they must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.release.manifest import Gate

if TYPE_CHECKING:
    from nightrank.storage.release.near_record import NearMove, NearRecord


def near_gate(record: NearRecord, *, required: bool) -> Gate:
    """Fails where near answers are required and none is within its bound; what is not is switched off in any case.

    Args:
        record: What was measured.
        required: Whether there must be near answers.
    """
    on = [move for move in record.moves if move.is_on]
    shown = max(on, key=lambda move: move.bound / move.limit, default=None)
    if shown is None:
        shown = min(record.moves, key=lambda move: move.bound / move.limit)
    return Gate(
        name="near_error",
        passed=bool(on) or not required,
        value=shown.bound,
        threshold=shown.limit,
        reason="; ".join(map(told, record.moves)),
    )


def near_warning(record: NearRecord) -> str | None:
    """What a user should know where not all near answers that were asked for are given."""
    off = [move for move in record.moves if not move.is_on]
    if not off:
        return None
    return f"Near answers are not given where queries differ in {'; '.join(map(told, off))}."


def told(move: NearMove) -> str:
    """What was measured of a move, and what follows.

    >>> from nightrank.storage.release.near_record import NearMove
    >>> told(NearMove(move="order", measured_by="overlap", held_out=40, error=0.1, bound=0.25, limit=0.2, overlap=0.9,
    ...     is_on=False))
    'order: off, for up to 0.250 of the overlap may be lost and 0.2 is allowed (0.100 in the mean of 40 held out)'
    """
    what = "of the overlap" if move.measured_by == "overlap" else move.measured_by
    if move.error is None:
        return f"{move.move}: off, for no known query could be held out"
    measured = f"({move.error:.3f} in the mean of {move.held_out} held out)"
    if move.is_on:
        return f"{move.move}: on, up to {move.bound:.3f} {what} may be lost and {move.limit:g} is allowed {measured}"
    if move.bound <= move.limit:
        return f"{move.move}: off, as wording is {measured}"
    return f"{move.move}: off, for up to {move.bound:.3f} {what} may be lost and {move.limit:g} is allowed {measured}"
