"""How long does a look-up in the search cache take: inside a process, and as a command?

    nightrank demo && python -m benchmarks.search_cache

Inside: every query of the current release, in a shuffled order, 20 rounds, one at a time. As a command:
`nightrank search` from start to end, 5 times, which is mostly the start of Python and its imports.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles

from flows.settings import find_settings_file, load_settings
from storage.filtered_queries import conditions_of
from storage.search_cache import SearchCache
from storage.tables import read_table

ROUNDS = 20
RUNS = 5


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", type=Path, help="settings; default as for nightrank")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    settings_file = find_settings_file(options.config)
    workspace = load_settings(settings_file).workspace
    table = read_table(workspace.release(workspace.require_current()) / "queries.parquet")
    queries = list(zip(table.column("text").to_pylist(), conditions_of(table), strict=True))
    with SearchCache.open(workspace.root) as cache:
        seconds = [
            _timed(cache, *query) for _ in range(ROUNDS) for query in random.Random(0).sample(queries, len(queries))
        ]
    text, condition = queries[0]
    with_filter = [] if condition is None else ["--filter", condition]
    command = [sys.executable, "-m", "flows.cli", "search", "-c", str(settings_file), text, *with_filter]
    wall = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall.append(time.perf_counter() - start)
    found = {
        "look_ups": len(seconds),
        "median_milliseconds": median(seconds) * 1e3,
        "p99_milliseconds": quantiles(seconds, n=100)[98] * 1e3,
        "command_median_seconds": median(wall),
    }
    if options.json:
        print(json.dumps(found))
    else:
        print(f"{found['look_ups']:,} look-ups inside a process: ", end="")
        print(f"median {found['median_milliseconds']:.3f} ms, p99 {found['p99_milliseconds']:.3f} ms")
        print(f"`nightrank search` as a command: median {found['command_median_seconds']:.2f} s of {RUNS}")


def _timed(cache: SearchCache, query: str, condition: str | None) -> float:
    start = time.perf_counter()
    found = cache.get(query, filter_by=condition)
    assert found is not None
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
