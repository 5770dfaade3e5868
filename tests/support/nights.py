"""Nights that may be killed: a process that runs them in children of its own, told what to do line by line."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.collection import Collection


class Nights:
    """Runs nights in children of another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders: IO[str] = process.stdin
        self._answers: IO[str] = process.stdout
        assert self._answers.readline() == "ready\n"

    def run(self, collection: Collection, **kill: str | float) -> tuple[int, float]:
        """How a night ended (an exit code, or minus the signal that killed it), and its seconds."""
        self._orders.write(json.dumps({"settings_file": str(collection.settings_file), **kill}) + "\n")
        self._orders.flush()
        answer: dict[str, Any] = json.loads(self._answers.readline())
        return answer["ended"], answer["seconds"]


@contextmanager
def night_process() -> Iterator[Nights]:
    """The process."""
    command = [sys.executable, "-m", "tests.support.night_process"]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:  # closes its input on the way out, which ends it
        yield Nights(process)


def edit(collection: Collection, number: int) -> None:
    """Give the next night something of everything to do."""
    document = collection.documents[number % 20]
    document["text"] = f"{document['text']} Edition {number}."
    collection.documents[(number + 7) % 20]["shelf"] = number
    collection.documents.append(
        {"_id": f"news-{number}", "title": f"News {number}", "text": f"Bees and tea, {number}."}
    )
    if number % 3 == 2:
        collection.remove(f"news-{number - 1}")
    collection.write()
