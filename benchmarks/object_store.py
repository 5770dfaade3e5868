"""What does a workspace in an object store cost in requests and bytes, by what is done with it?

    python -m benchmarks.object_store

A small collection with tiny random models and a store on this machine: requests hardly depend on how large a
collection is, and bytes are those of what is new. LanceDB's requests are counted apart, for they are its own.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.inputs.tiny_models import tiny_embedder, tiny_reranker
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.storage.serving.cache import SearchCache
from tests.support.collection import small_collection
from tests.support.nights import edit
from tests.support.object_store import new_bucket, object_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.object_store import Bucket

_REQUEST = re.compile(r"(GET|PUT|POST|DELETE|HEAD) (\S+) HTTP")


class Requests(logging.Handler):
    """Counts the lines of the store's log."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        found = _REQUEST.search(record.getMessage())
        if found is not None:
            self.counts["LanceDB" if "/lance" in found[2] else "other"] += 1


def main() -> None:
    """Print a row for each thing that is done."""
    requests = Requests()
    with object_store() as endpoint, tempfile.TemporaryDirectory() as folder:
        log = logging.getLogger("werkzeug")
        log.setLevel(logging.INFO)
        log.handlers, log.propagate = [requests], False
        measure(new_bucket(endpoint), requests, Path(folder))


def measure(bucket: Bucket, requests: Requests, folder: Path) -> None:
    """Nights and look-ups on one machine, then on another."""
    models = tiny_embedder(folder / "embedder"), tiny_reranker(folder / "reranker")
    collection = small_collection(folder / "project", embedder=models[0], reranker=models[1])
    collection.settings[""] = {"workspace": bucket.url}
    collection.settings["evaluation"] = {"timed_queries": 1}

    def night() -> None:
        refresh_plainly(collection.settings_file)

    def look_up() -> None:
        SearchCache.of(load_settings(collection.settings_file).workspace).close()

    print(f"{'':44}  LanceDB's requests  others  new bytes there")
    for number, machine in enumerate(("one", "two")):
        collection.settings["storage"] = bucket.settings(folder / machine)
        collection.write()
        if number == 0:
            _row("the first night", night, bucket, requests)
        _row(f"machine {machine}: a look-up, the first", look_up, bucket, requests)
        _row(f"machine {machine}: a look-up, another", look_up, bucket, requests)
        _row(f"machine {machine}: a night with nothing to do", night, bucket, requests)
        edit(collection, number)
        _row(f"machine {machine}: a night with a few edits", night, bucket, requests)


def _row(what: str, work: Callable[[], None], bucket: Bucket, requests: Requests) -> None:
    before = bucket.remote().sizes()
    requests.counts.clear()
    work()
    counts = dict(requests.counts)
    written = sum(size for key, size in bucket.remote().sizes().items() if key not in before)
    print(f"{what:44}  {counts.get('LanceDB', 0):18}  {counts.get('other', 0):6}  {written:15,}")


if __name__ == "__main__":
    main()
