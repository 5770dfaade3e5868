"""A night with a hosted reranker that is killed pays for no pair again: each answer was kept as it came."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.hosted_server import KEY, serve
from tests.support.nights import Nights
from tests.support.published import check_readable

if TYPE_CHECKING:
    from tests.support.collection import Collection

VARIABLE = "NIGHTRANK_TEST_KEY"


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_night_pays_at_most_for_the_answer_it_was_about_to_keep(
    when: str, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    command = [sys.executable, "-m", "tests.support.night_process"]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with serve("cohere") as provider, process:
        nights = Nights(process)
        collection.settings["reranker"] = {"model": "rerank-v3.5", "depth": 20}
        collection.settings["reranker.hosted"] = {
            "api": "cohere",
            "url": provider.url,
            "api_key_env": VARIABLE,
            "pairs_per_request": 6,
        }
        collection.write()
        for _ in range(3):  # each gets three answers further, or two
            killed: dict[str, str | float] = {f"kill_{when}": "commit of pair scores", "kill_at_call": 3}
            assert nights.run(collection, **killed)[0] == -signal.SIGKILL
        assert nights.run(collection)[0] == 0
        if process.stdin is not None:
            process.stdin.close()

    counts = check_readable(collection.workspace).counts
    assert (counts.pairs_left, len(provider.paid)) == (0, counts.pairs)
    # Before: the one answer of each kill that had come and was not written yet; all others once.
    assert Counter(provider.paid.values())[2] == (18 if when == "before" else 0)
    assert max(provider.paid.values()) <= 2
