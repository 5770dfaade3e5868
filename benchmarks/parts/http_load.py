"""An open-loop load on a server: requests leave when their time has come, whether those before have come back or not.

A closed loop, in which each connection waits for its reply, asks a slow server less often and so hides how long people
would wait. Here a reply's time counts from when its request was due (Tene, "How NOT to Measure Latency", 2015).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONNECTIONS = 64
MOST_CONNECTIONS = 400  # twice what the server lets in: beyond it, those who come are told so


@dataclass(slots=True)
class Load:
    """What came back.

    Attributes:
        seconds: Of each reply, since its request was due, by its status.
        wall_seconds: From the first request to the last reply.
    """

    seconds: dict[int, list[float]] = field(default_factory=dict)
    wall_seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Replies a second."""
        return sum(map(len, self.seconds.values())) / self.wall_seconds

    def count(self, status: int) -> int:
        """Replies with a status."""
        return len(self.seconds.get(status, []))

    def percentile(self, share: float, status: int = 200) -> float:
        """Seconds within which a share of the replies with a status came, in percent; 0 where there are none."""
        return float(np.percentile(self.seconds.get(status) or [0.0], share))


def load(
    port: int,
    queries: Sequence[str],
    *,
    rate: float | None,
    count: int,
    connections: int = CONNECTIONS,
    seed: int = 0,
    on_reply: Callable[[int, bytes], None] = lambda _status, _body: None,
) -> Load:
    """Ask a server on this machine so many queries, drawn at random.

    Args:
        port: Of the server.
        queries: To draw from.
        rate: Requests a second, at moments of a Poisson process; None: as soon as a connection is free.
        count: How many.
        connections: At most: a request that finds none free waits for one.
        seed: Of the draws.
        on_reply: Told each reply's status and body.
    """
    return asyncio.run(_load(port, queries, rate=rate, count=count, most=connections, seed=seed, on_reply=on_reply))


async def _load(
    port: int,
    queries: Sequence[str],
    *,
    rate: float | None,
    count: int,
    most: int,
    seed: int,
    on_reply: Callable[[int, bytes], None],
) -> Load:
    generator, found = np.random.default_rng(seed), Load()
    drawn = generator.integers(len(queries), size=count)
    requests = [
        f"GET /search?q={quote(query)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() for query in queries
    ]
    due: asyncio.Queue[tuple[float | None, int] | None] = asyncio.Queue()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (asked := await due.get()) is not None:
            moment, number = asked
            begun = time.perf_counter() if moment is None else moment
            writer.write(requests[number])
            status, body = await _reply(reader)
            found.seconds.setdefault(status, []).append(time.perf_counter() - begun)
            on_reply(status, body)
        writer.close()

    start = time.perf_counter()
    connections = [asyncio.create_task(connection()) for _ in range(most)]
    moments = None if rate is None else start + np.cumsum(generator.exponential(1.0 / rate, count))
    for place, number in enumerate(drawn.tolist()):
        if moments is None:
            due.put_nowait((None, number))
            continue
        moment = float(moments[place])
        if (wait := moment - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        due.put_nowait((moment, number))
    for _ in connections:
        due.put_nowait(None)
    await asyncio.gather(*connections)
    found.wall_seconds = time.perf_counter() - start
    return found


async def _reply(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)
