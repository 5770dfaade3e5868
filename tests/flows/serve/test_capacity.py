from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest

from nightrank.flows.serve.capacity import Capacity
from nightrank.flows.serve.http.faults import TooBusy
from nightrank.tasks.online.release import OnlineRelease
from tests.flows.serve.conftest import served

if TYPE_CHECKING:
    from tests.support.collection import Collection


def test_as_many_wait_as_may_and_others_are_told_when_to_come_again() -> None:
    async def crowd() -> None:
        ticks = iter([0.0, 4.0, 4.0, 8.0, *[8.0] * 9])
        capacity = Capacity(1, 1, clock=lambda: next(ticks))
        go, sat = asyncio.Event(), 0

        async def ask() -> None:
            nonlocal sat
            async with capacity.seat():
                sat += 1
                await go.wait()

        asking = [asyncio.create_task(ask()) for _ in range(2)]
        await asyncio.sleep(0)
        assert (capacity.running, capacity.waiting, sat) == (1, 1, 1)
        with pytest.raises(TooBusy) as refused:
            async with capacity.seat():
                pass
        assert refused.value.headers == {"Retry-After": "2"}  # a second for each of two before
        go.set()
        await asyncio.gather(*asking)
        assert (capacity.running, capacity.waiting, sat) == (0, 0, 2)

    asyncio.run(crowd())


def test_a_seat_is_free_again_where_its_block_fails() -> None:
    async def fail() -> int:
        capacity = Capacity(1, 0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with capacity.seat():
                    _ = 1 / 0
        return capacity.running

    assert asyncio.run(fail()) == 0


def test_beyond_capacity_what_is_known_is_answered_and_the_rest_told_at_once(
    published_plainly: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, begun = Event(), Event()
    answer = OnlineRelease.answer

    def held_up(self: OnlineRelease, *arguments: object, **options: object) -> object:
        begun.set()
        assert go.wait(60)
        return answer(self, *arguments, **options)  # type: ignore[arg-type]

    with served(published_plainly) as (client, server), ThreadPoolExecutor(40) as others:
        server.answerer.capacity = Capacity(2, 3)
        monkeypatch.setattr(OnlineRelease, "answer", held_up)
        waiting = [others.submit(client.get, "/search", params={"q": f"unknown {number}"}) for number in range(5)]
        assert begun.wait(60)
        while server.answerer.capacity.running + server.answerer.capacity.waiting < 5:
            time.sleep(0.01)
        start = time.monotonic()
        told = client.get("/search", params={"q": "one more"})
        known = client.get("/search", params={"q": "black tea"})
        assert time.monotonic() - start < 10.0
        assert (told.status_code, known.status_code) == (503, 200)
        assert int(told.headers["retry-after"]) >= 1
        assert 'nightrank_live{state="waiting"} 3.0' in client.get("/metrics").text
        go.set()
        assert {request.result().status_code for request in waiting} == {200}
