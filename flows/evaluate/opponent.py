"""Finding out what `--against` means: a settings file, a release, or a run file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.flows.settings import load_settings
from nightrank.storage.errors import InputError
from nightrank.storage.workspace.base import is_release_id
from nightrank.tasks.experiment.opponents import OtherRelease, RunFile, Variant
from nightrank.tasks.experiment.variants import differences, require_variant, varied
from nightrank.tasks.read.ir_datasets import PREFIX

if TYPE_CHECKING:
    from nightrank.flows.settings import Configuration
    from nightrank.tasks.experiment.opponents import Opponent
    from nightrank.tasks.settings.file import Settings
    from nightrank.tasks.settings.section import Section

MODELS = {"embedder": ("model",), "reranker": ("model",)}
PATHS = {
    "documents": ("source",),
    "queries": ("log", "drop_list"),
    "retrieval": ("bm25_run", "dense_run"),
    **MODELS,
}


def find_opponent(against: str, configuration: Configuration) -> Opponent:
    """What an evaluation is held against.

    Args:
        against: A settings file (its name ends in ``.toml``), a release's id, or a TREC run file.
        configuration: Whose release is evaluated.

    Raises:
        InputError: It is none of these, or settings that share the workspace and are no variant.
    """
    if against.endswith(".toml"):
        return _of_settings(Path(against), configuration)
    if is_release_id(against) and configuration.workspace.manifest_of(against) is not None:
        return OtherRelease(configuration.workspace, against)
    if Path(against).is_file():
        return RunFile(Path(against))
    message = f"{against!r} is neither a release of {configuration.workspace} nor a file."
    raise InputError(message, remedy="Give a release's id, a settings file (*.toml) or a TREC run file.")


def _of_settings(path: Path, configuration: Configuration) -> Opponent:
    other = load_settings(path)
    if other.workspace.root.resolve() != configuration.workspace.root.resolve():
        return OtherRelease(other.workspace, None)
    ours, theirs = (_seen_from(configuration.base, each) for each in (configuration, other))
    require_variant(ours, theirs, name=str(path))
    return Variant(varied(configuration.settings, differences(ours, theirs)))


def _seen_from(base: Path, configuration: Configuration) -> Settings:
    """The settings with paths written alike, whatever folder they were relative to."""
    settings = configuration.settings
    update: dict[str, Section] = {}
    for name, keys in PATHS.items():
        section: Section = getattr(settings, name)
        written = {key: getattr(section, key) for key in keys}
        update[name] = section.model_copy(
            update={
                key: os.path.relpath((configuration.base / value).resolve(), base.resolve())
                for key, value in written.items()
                if value is not None and _is_path(configuration.base, name, value)
            }
        )
    return settings.model_copy(update=update)


def _is_path(base: Path, section: str, value: str) -> bool:
    """Documents and queries are paths, there or not, and globs; a model's name is one where there is such a folder."""
    if section in MODELS:
        return (base / value).exists()
    return not value.startswith(PREFIX)
