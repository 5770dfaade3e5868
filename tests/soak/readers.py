"""Readers that never stop: eight threads on one following cache, and two forks that keep the cache of their parent.

    python -m tests.soak.readers WORKSPACE FOLDER

Each process writes what it saw to a file of its own in the folder, once a second and once more when it is told to stop.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from nightrank import FollowingCache, SearchCache
from nightrank.storage.files.atomic import write_text
from tests.soak.editor import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightrank.storage.serving.cache import CachedResults

THREADS, FORKS = 8, 2
PAUSE = 0.01  # between two look-ups of a thread, seconds
LOOK = 2.0  # of a following cache for what is published, seconds
MOST = 20  # faults that are told
UNKNOWN = "a query that nobody asked"


@dataclass(slots=True)
class Seen:
    """What one process saw.

    Attributes:
        texts: Of each release, the documents that were answered and the states in which they were written.
    """

    path: Path
    lookups: int = 0
    faults: list[str] = field(default_factory=list)
    texts: dict[str, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))
    _lock: Lock = field(default_factory=Lock)

    def look_up(self, get: Callable[[str], CachedResults | None], query: str) -> None:
        """Ask once, and judge what is answered."""
        try:
            found = get(query)
        except Exception as error:  # whatever a front end would see
            self._add(f"{query}: {type(error).__name__}: {error}")
            return
        if query == UNKNOWN or found is None:
            self._add(None if query == UNKNOWN and found is None else f"{query}: answered with {found}")
            return
        ranks = [result.rank for result in found.results]
        texts = {(result.document_id, int(str(result.metadata["state"]))) for result in found.results}
        whole = ranks == list(range(1, 11)) and len(texts) == len(ranks)
        with self._lock:
            self.texts[found.release_id] |= texts
        self._add(None if whole else f"{query}: ranks {ranks} in {found.release_id}")

    def write(self) -> None:
        with self._lock:
            said = {
                "lookups": self.lookups,
                "faults": self.faults,
                "texts": {release: sorted(texts) for release, texts in self.texts.items()},
                "memory": memory(os.getpid()),
                "files": len(list(Path("/proc/self/fd").iterdir())),
            }
        write_text(self.path, json.dumps(said))

    def _add(self, fault: str | None) -> None:
        with self._lock:
            self.lookups += 1
            if fault is not None and len(self.faults) < MOST:
                self.faults.append(fault)


def memory(pid: int) -> int:
    """The bytes that a process holds in memory; 0 once it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Look up until SIGTERM."""
    workspace, folder = map(Path, sys.argv[1:])
    kept = SearchCache.open(workspace)
    number = next((fork for fork in range(1, FORKS + 1) if os.fork() == 0), 0)
    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    seen = Seen(folder / f"{number}.json")
    with FollowingCache.open(workspace, look_every_seconds=LOOK) as following:
        caches = [following.get] * THREADS if number == 0 else [following.get, kept.get]
        threads = [Thread(target=_read, args=(seen, get, ended, place)) for place, get in enumerate(caches)]
        for thread in threads:
            thread.start()
        while not ended.is_set():
            time.sleep(1.0)
            seen.write()
        for thread in threads:
            thread.join()
    seen.write()
    if number == 0:
        for _ in range(FORKS):
            os.wait()


def _read(seen: Seen, get: Callable[[str], CachedResults | None], ended: Event, place: int) -> None:
    asked, chooser = [*queries(), UNKNOWN], random.Random(place)
    while not ended.wait(PAUSE):
        seen.look_up(get, chooser.choice(asked))


if __name__ == "__main__":
    main()
