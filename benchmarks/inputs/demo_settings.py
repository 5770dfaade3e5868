"""The demo's own settings with others in their place, for a benchmark that measures it beside collections."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from benchmarks.parts.settings_files import LOOSE_GATES, write_settings_file
from nightrank.flows.demo.install import install_demo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.parts.settings_files import Value


def write_demo_settings(work: Path, name: str, *, sections: Mapping[str, Mapping[str, Value]]) -> Path:
    """Install the demo, and write settings for it.

    Args:
        work: Where it, the settings and the workspace go; benchmarks share its embeddings.
        name: Of the benchmark.
        sections: Settings by section, before the demo's own.

    Returns:
        The settings file.
    """
    own = tomllib.loads(install_demo(work).read_text(encoding="utf-8"))
    everything = {"": {"workspace": own.pop("workspace")}, **own, "gates": LOOSE_GATES}
    for title, section in sections.items():
        everything[title] = {**everything.get(title, {}), **section}
    return write_settings_file(work / f"{name}.toml", everything)
