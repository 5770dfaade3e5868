"""Reading the settings file: TOML, checked, with the nearest known name for a key that is unknown."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from nightrank.flows.command import settings_read
from nightrank.storage.bucket.store import StoreOptions
from nightrank.storage.errors import InputError
from nightrank.storage.foreign import passing_failure
from nightrank.storage.places import naming
from nightrank.storage.workspace.models import promotions
from nightrank.storage.workspace.open import open_workspace
from nightrank.tasks.settings.faults import setting_fault
from nightrank.tasks.settings.ranking import NOT_HOSTED
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightrank.storage.workspace.base import Workspace

DEFAULT_FILES = (Path("nightrank.toml"), Path("nightrank-demo/nightrank.toml"))


@dataclass(frozen=True)  # no slots: the workspace is opened when it is first asked for, and once
class Configuration:
    """Settings, and the folder that their paths are relative to.

    Attributes:
        settings: What counts: as the file has them, with promoted models in place of those that they stand in for.
        base: The folder.
        named: Word for word as the file has them.
    """

    settings: Settings
    base: Path
    named: Settings

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace that the settings name."""
        return workspace_of(self.settings, base=self.base)


def workspace_of(settings: Settings, *, base: Path) -> Workspace:
    """The workspace that settings name, whose paths are relative to a folder."""
    storage = settings.storage
    options = StoreOptions(
        endpoint=storage.endpoint,
        region=storage.region,
        allow_http=storage.allow_http,
        retry_seconds=storage.retry_seconds,
        lease_seconds=storage.lease_seconds,
    )
    cache = None if storage.cache is None else Path(storage.cache)
    return open_workspace(settings.workspace, base=base, cache=cache, options=options)


def portable(settings: Settings, workspace: Workspace) -> Settings:
    """Settings as every machine reads them: with the address of a model that is kept in an object store."""
    return _with_models(settings, workspace.portable)


def as_made(made_with: Settings, configuration: Configuration) -> Settings:
    """What a release was made with, as this machine computes it.

    Args:
        made_with: As the release has it.
        configuration: Of this machine.
    """
    here = as_known_here(made_with, configuration.workspace)
    return here.model_copy(update={"execution": configuration.settings.execution})


def as_known_here(settings: Settings, workspace: Workspace) -> Settings:
    """Settings that every machine reads, as a release has them, with models by the names that this machine knows."""
    return _with_models(settings, workspace.here)


def find_settings_file(given: Path | None) -> Path:
    """The settings file to use: the given one, else ``nightrank.toml`` here, else the demo's.

    Raises:
        InputError: None was given and there is none.
    """
    if given is not None:
        return given
    for path in DEFAULT_FILES:
        if path.is_file():
            return path
    message = f"There is no {DEFAULT_FILES[0]} in {Path.cwd()}."
    raise InputError(message, remedy="Write one with `nightrank init`, name one with -c, or see `nightrank demo`.")


def load_settings(path: Path, *, anew: bool = False) -> Configuration:
    """Read and check a settings file, and see which models have been promoted in its workspace.

    Args:
        path: Of the file.
        anew: Read it again within a command too, for what others have promoted meanwhile.

    Raises:
        InputError: It is missing, no TOML, or a key or value in it is wrong; the message names file and key.
        MachineError: The workspace cannot be read.
    """
    read, place = settings_read(), path.resolve()
    known = read.get(place)
    if isinstance(known, Configuration) and not anew:
        return known
    settings, base = _read(path), place.parent
    read[place] = configuration = Configuration(with_promotions(settings, base=base), base, settings)
    return configuration


def read_settings(path: Path, *, anew: bool = False) -> Settings:
    """Read and check a settings file, word for word as it is; its workspace is not asked.

    Args:
        path: Of the file.
        anew: Read it again within a command too, for what has been written meanwhile.

    Raises:
        InputError: It is missing, no TOML, or a key or value in it is wrong; the message names file and key.
    """
    known = settings_read().get(path.resolve())
    return known.named if isinstance(known, Configuration) and not anew else _read(path)


def _read(path: Path) -> Settings:
    try:
        with naming(path.absolute()):
            text = path.read_text(encoding="utf-8")
        value = tomllib.loads(text)
    except FileNotFoundError as error:
        message = f"There is no settings file {path}."
        raise InputError(message, remedy="Write one with `nightrank init`, or name another with -c.") from error
    except (OSError, UnicodeDecodeError) as error:
        if (told := passing_failure(error)) is not None:
            raise told from error
        message = f"{path} cannot be read: {error}."
        raise InputError(message, remedy="Give a readable TOML file in UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        message = f"{path} is not valid TOML: {error}."
        raise InputError(message, remedy="Correct that line.") from error
    try:
        return Settings.model_validate(value)
    except ValidationError as error:
        fault = error.errors()[0]
        place = tuple(str(part) for part in fault["loc"])
        raise setting_fault(path, place, fault["type"], fault["msg"], fault.get("input")) from error


def with_promotions(settings: Settings, *, base: Path) -> Settings:
    """Settings with each promoted model in place of the one that it stands in for, if that is the one they name.

    Raises:
        MachineError: The promotions cannot be read.
    """
    changed: dict[str, object] = {}
    workspace = workspace_of(settings, base=base)
    for kind, promotion in promotions(workspace).items():
        section = settings.embedder if kind == "embedder" else settings.reranker
        named = (section.model, section.revision, section.sha256)
        replaced = (promotion.instead_of, promotion.instead_of_revision, promotion.instead_of_sha256)
        is_hosted = kind == "reranker" and settings.reranker.hosted.api != NOT_HOSTED
        if named == replaced and not is_hosted:
            model = f"{settings.workspace.rstrip('/')}/models/{promotion.model}"
            update = {"model": model, "revision": None, "sha256": promotion.sha256}
            changed[kind] = section.model_copy(update=update)
    return _with_models(settings.model_copy(update=changed), workspace.here)


def _with_models(settings: Settings, name_of: Callable[[str], str]) -> Settings:
    sections = {"embedder": settings.embedder, "reranker": settings.reranker}
    names = {"embedder": name_of(settings.embedder.model), "reranker": name_of(settings.reranker.model)}
    return settings.model_copy(
        update={kind: section.model_copy(update={"model": names[kind]}) for kind, section in sections.items()}
    )
