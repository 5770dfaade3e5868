from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.bucket.lease import Lease, record_of
from nightrank.storage.errors import MachineError, WorkspaceBusy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.object_store import Bucket


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def lease(
    bucket: Bucket, owner: str = "one", *, clock: Callable[[], float] = time.time, seconds: float = 60.0
) -> Lease:
    remote = bucket.remote(lease_seconds=seconds)
    return Lease(remote, "lock.json", what="the workspace", owner=owner, since="today", clock=clock)


def test_while_one_holds_it_another_is_told_who_and_when_it_ends_the_other_gets_it(bucket: Bucket) -> None:
    with lease(bucket, "one"):
        with pytest.raises(WorkspaceBusy, match="holds the workspace") as caught:
            lease(bucket, "two")
        reported = json.loads(caught.value.message.partition(": ")[2].rstrip("."))
        assert reported["since"] == "today"
        assert {"pid", "host"} < reported.keys()

    with lease(bucket, "two") as held:
        held.check()


def test_of_all_who_want_it_at_once_exactly_one_gets_it(bucket: Bucket) -> None:
    held: list[Lease] = []

    def take(number: int) -> None:
        with suppress(WorkspaceBusy):
            held.append(lease(bucket, f"owner {number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, range(8)))

    assert len(held) == 1


def test_a_holder_that_fell_silent_loses_it_when_its_time_is_over(bucket: Bucket) -> None:
    clock = Clock()
    silent = lease(bucket, "one", clock=clock)  # never entered, so nothing renews it
    clock.now += 59.0
    silent.check()
    with pytest.raises(WorkspaceBusy):
        lease(bucket, "two", clock=clock)

    clock.now += 1.0
    with lease(bucket, "two", clock=clock) as other:
        other.check()
        with pytest.raises(MachineError, match="lost it"):
            silent.check()


def test_a_holder_that_lives_keeps_it_for_longer_than_its_time(bucket: Bucket) -> None:
    with lease(bucket, "one", seconds=0.9) as held:
        time.sleep(2.0)
        held.check()
        with pytest.raises(WorkspaceBusy):
            lease(bucket, "two", seconds=0.9)


def test_who_wakes_up_and_finds_another_holder_knows_it_and_does_not_end_the_others_lease(bucket: Bucket) -> None:
    clock = Clock()
    with lease(bucket, "one", clock=clock, seconds=0.6) as sleeper:
        there = bucket.remote().read("lock.json")
        assert there is not None
        expired = {**record_of(there[0]), "expires": 0.0}
        bucket.remote().write("lock.json", json.dumps(expired).encode())
        other = lease(bucket, "two", clock=clock, seconds=60.0)
        time.sleep(1.0)  # until it has tried to renew
        with pytest.raises(MachineError, match="lost it"):
            sleeper.check()

    other.check()
    with pytest.raises(WorkspaceBusy):
        lease(bucket, "three", clock=clock)


def test_the_store_knows_better_than_a_clock_that_is_late(bucket: Bucket) -> None:
    late = Clock()
    holder = lease(bucket, "one", clock=late)
    other = Clock()
    other.now += 3600.0
    lease(bucket, "two", clock=other).renew()

    holder.check()
    with pytest.raises(MachineError, match="lost it"):
        holder.renew()
    with pytest.raises(MachineError, match="lost it"):
        holder.check()


def test_the_same_owner_takes_over_at_once_for_its_former_process_is_gone(bucket: Bucket) -> None:
    lease(bucket, "one")

    with lease(bucket, "one") as held:
        held.check()


@pytest.mark.parametrize("damaged", [b"", b"no json", b"[]", b"{}", b'{"expires": "soon"}'])
def test_a_damaged_lease_is_free(bucket: Bucket, damaged: bytes) -> None:
    bucket.remote().write("lock.json", damaged)

    with lease(bucket) as held:
        held.check()
