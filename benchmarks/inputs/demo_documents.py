"""The documents of the example that comes with Nightrank, as stuff for collections of any size."""

from __future__ import annotations

import gzip
import json
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def demo_documents() -> Iterator[dict[str, Any]]:
    """Every document of the example as its file has it, in its order: ``_id``, ``title``, ``text``, ``metadata``."""
    with as_file(files("nightrank.flows.demo") / "corpus.jsonl.gz") as path, gzip.open(path) as lines:
        for line in lines:
            yield json.loads(line)
