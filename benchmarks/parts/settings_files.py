"""Settings files of benchmarks, and the models they name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.inputs.tiny_models import tiny_embedder, tiny_reranker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Value = str | int | float | bool | list[str] | dict[str, float]
Sections = dict[str, "Mapping[str, Value]"]

# For nights that are measured whatever they do to quality: synthetic edits, tiny models, collections that grow fast.
LOOSE_GATES: Mapping[str, Value] = {
    "margin": "none",
    "min_overlap": "none",
    "max_top1_changed": "none",
    "min_kept": "none",
    "max_text_lost": "none",
    "max_judgments_lost": "none",
    "drift_days": "none",
    "max_drift": "none",
    "max_unrelated": "none",
    "max_shift": "none",
    "max_empty": "none",
}


def write_settings_file(path: Path, sections: Mapping[str, Mapping[str, Value]]) -> Path:
    """Write sections of plain values as TOML; ``""`` holds the keys before the first section."""
    lines = []
    for title, section in sections.items():
        lines += [f"[{title}]"] if title else []
        lines += [*(f"{key} = {in_toml(value)}" for key, value in section.items()), ""]
    path.write_text("\n".join(lines))
    return path


def in_toml(value: Value) -> str:
    """A value as TOML writes it: as JSON does, but for tables."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {part}' for key, part in value.items())} }}"
    return json.dumps(value)


def tiny_models(folder: Path) -> Sections:
    """Sections that name tiny random models, which are made in ``folder`` where they are missing."""
    for name, make in (("embedder", tiny_embedder), ("reranker", tiny_reranker)):
        if not (folder / name / "model.safetensors").is_file():
            make(folder / name)
    models: Sections = {name: {"model": str((folder / name).resolve())} for name in ("embedder", "reranker")}
    return models
