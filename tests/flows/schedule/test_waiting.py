from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from nightrank.flows.schedule.waiting import LONGEST_RETRY, Waiting

SECONDS = st.integers(0, 10_000).map(float)
STEPS = st.lists(SECONDS, min_size=1, max_size=40)
QUIET, LONGEST = 60.0, 900.0


def waiting(quiet: float = QUIET, longest: float = LONGEST) -> Waiting:
    return Waiting(quiet=quiet, longest=longest)


def begun(times: list[float], quiet: float, longest: float, *, takes: float = 0.0) -> list[tuple[float, int]]:
    """When refreshes begin that take so long, and how many changes each takes in, by a clock that is simulated."""
    now, found, left, queue = waiting(quiet, longest), [], 0, [*times]
    free = 0.0
    while queue or now.due is not None:
        due = None if now.due is None else max(now.due, free)
        if due is None or (queue and queue[0] < due):
            now, left = now.changed(queue.pop(0)), left + 1
        else:
            found.append((due, left))
            now, left, free = now.taken().succeeded(), 0, due + takes
    return found


def test_without_a_change_nothing_is_due() -> None:
    assert waiting().due is None
    assert waiting().changed(5.0).taken().due is None


@given(STEPS, st.integers(1, 500), st.integers(0, 5000), st.integers(0, 3000))
def test_every_change_is_taken_in_once_never_too_late_and_never_two_at_once(
    steps: list[float], quiet: int, more: int, takes: int
) -> None:
    times = list(accumulate(steps))
    runs = begun(times, quiet, quiet + more, takes=takes)
    assert sum(count for _, count in runs) == len(times)
    left, before = [*times], float("-inf")
    for at, count in runs:
        taken, left = left[:count], left[count:]
        assert count > 0
        assert at - before >= takes or before == float("-inf")
        assert taken[-1] <= at
        # Quiet, or waited for long enough; and no later than that, unless another was at work.
        assert at >= min(taken[-1] + quiet, taken[0] + quiet + more)
        assert at <= max(taken[0] + quiet + more, before + takes)
        before = at


@given(STEPS)
def test_one_more_change_never_has_a_refresh_begin_earlier(steps: list[float]) -> None:
    now, before = waiting(), float("-inf")
    for at in accumulate(steps):
        now = now.changed(at)
        assert now.due is not None
        assert now.due >= before
        before = now.due


def test_edits_that_never_stop_do_not_put_it_off_for_ever() -> None:
    runs = begun([float(second) for second in range(0, 10_000, 30)], QUIET, LONGEST)
    assert runs[:3] == [(900.0, 30), (1800.0, 30), (2700.0, 30)]


def test_what_failed_is_tried_again_later_each_time_and_at_once_where_it_went_well() -> None:
    now, gaps, at = waiting().changed(0.0), [], 60.0
    for _ in range(9):
        now = now.taken().failed(at)
        assert now.due is not None
        gaps.append(now.due - at)
        at = now.due
    assert gaps == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, LONGEST_RETRY, LONGEST_RETRY, LONGEST_RETRY]
    now = now.taken().succeeded().changed(at)
    assert now.due == at + QUIET


@given(SECONDS, SECONDS, st.integers(0, 2000))
def test_changes_during_an_attempt_that_failed_are_not_lost(at: float, later: float, failures: int) -> None:
    now = waiting()
    for _ in range(min(failures, 50)):
        now = now.failed(at)
    now = now.changed(at + later).failed(at + later)
    assert now.due is not None
    assert at + later + QUIET <= now.due <= at + later + LONGEST_RETRY
