"""Finding out what `--baseline` means: a settings file, a release, or a run file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError
from nightrank.storage.legs import LEGS
from nightrank.storage.workspace.base import is_release_id
from nightrank.tasks.experiment.baselines import OtherRelease, OtherSettings, RunFile
from nightrank.tasks.experiment.variants import differences, require_variant, varied
from nightrank.tasks.read.sources.kind import is_path

if TYPE_CHECKING:
    from nightrank.flows.settings_file import Configuration
    from nightrank.tasks.experiment.baselines import Baseline
    from nightrank.tasks.settings.section import Section
    from nightrank.tasks.settings.whole import Settings

MODELS = {"embedder": ("model",), "reranker": ("model",)}
PATHS = {
    "documents": ("source",),
    "queries": ("log", "drop_list"),
    "retrieval": tuple(f"{leg}_run" for leg in LEGS),
    **MODELS,
}


def find_baseline(name: str, configuration: Configuration) -> Baseline:
    """What an evaluation is held against.

    Args:
        name: A settings file (its name ends in ``.toml``), a release's id, or a TREC run file.
        configuration: Whose release is evaluated.

    Raises:
        InputError: It is none of these, or settings that share the workspace and are no variant.
    """
    if name.endswith(".toml"):
        return _of_settings(Path(name), configuration)
    if is_release_id(name) and configuration.workspace.manifest_of(name) is not None:
        return OtherRelease(configuration.workspace, name)
    if Path(name).is_file():
        return RunFile(Path(name))
    message = f"{name!r} is neither a release of {configuration.workspace} nor a file."
    raise InputError(message, remedy="Give a release's id, a settings file (*.toml) or a TREC run file.")


def _of_settings(path: Path, configuration: Configuration) -> Baseline:
    other = load_settings(path)
    if other.workspace.root.resolve() != configuration.workspace.root.resolve():
        return OtherRelease(other.workspace, None)
    ours, theirs = (_seen_from(configuration.base, each) for each in (configuration, other))
    require_variant(ours, theirs, name=str(path))
    return OtherSettings(varied(configuration.settings, differences(ours, theirs)))


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
    return is_path(value, base=base)
