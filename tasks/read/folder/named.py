"""Files that the settings name for another purpose: what is the log, a run or the workspace is no document."""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING

from nightrank.storage.legs import LEGS
from nightrank.tasks.read.folder.pattern import matching

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nightrank.tasks.settings.whole import Settings


def files_named(settings: Settings, *, base: Path) -> Mapping[Path, str]:
    """What settings name that is none of the collection, by its resolved path.

    Args:
        settings: Whole ones.
        base: The folder that paths in them are relative to.

    Returns:
        The key that names each file or folder, such as "[queries].log"; the log's own files where it is a glob.
    """
    found: dict[Path, str] = {}
    for key, name in _names(settings):
        path = base / name
        if path.exists():
            found.setdefault(path.resolve(), key)
        elif glob.has_magic(name):
            for match in matching(base, name, on_unreadable=lambda _: None):  # told where the log is read
                found.setdefault((base / match).resolve(), key)
    return found


def _names(settings: Settings) -> Iterator[tuple[str, str]]:
    named: list[tuple[str, str | None]] = [
        ("[queries].log", settings.queries.log),
        ("[queries].drop_list", settings.queries.drop_list),
        ("[serve].log", settings.serve.log),
        ("[judgments].qrels", settings.judgments.qrels),
        *((f"[retrieval].{leg}_run", getattr(settings.retrieval, f"{leg}_run")) for leg in LEGS),
        ("workspace", settings.workspace),
        ("[embedder].model", settings.embedder.model),
        ("[sparse].model", settings.sparse.model),
        ("[reranker].model", settings.reranker.model),
        *(("[export].to", target) for target in settings.export.to),
    ]
    return ((key, name) for key, name in named if name and "://" not in name and "\0" not in name)
