"""Trained models: the folders that trainings make, and which of them stand in for a model that the settings name.

models/
  <kind>-<fingerprint>/       a finished model; its weights never change
  .training-<kind>-<key>/     a training at work, or one that was stopped and goes on when it is asked for again
  .done-training-...          one that is over, on its way out
  promoted.json               the promotions, replaced atomically
  .promoted.lock              locked while one is decided

No reader ever sees half of a model: its folder gets its name when everything is in it. Pruning removes none. In an
object store there are finished models and promotions; a training at work is on one machine alone, until it is over.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.files.atomic import publish_folder, remove_unfinished, rename_folder, replacing
from nightrank.storage.files.listing import entries
from nightrank.storage.foreign import machine_error
from nightrank.storage.places import naming
from nightrank.storage.workspace.base import MODELS
from nightrank.storage.workspace.locks import held
from nightrank.storage.workspace.open import workspace_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace

ModelKind: TypeAlias = Literal["embedder", "reranker"]

PROMOTIONS = "promoted.json"
_FILE = f"{MODELS}/{PROMOTIONS}"
DISCARDED_PREFIX = ".done-"


class Promotion(BaseModel):
    """A trained model that stands in for one that the settings name.

    Attributes:
        model: The name of its folder among the workspace's models.
        instead_of: The model that the settings name; where they come to name another one, or another revision or digest
            of it, the promotion is without effect.
        instead_of_revision: The revision that they name.
        instead_of_sha256: The digest that they name.
        sha256: Of its weights.
        promoted_at: When, in ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    instead_of: str
    instead_of_revision: str | None = None
    instead_of_sha256: str | None = None
    sha256: str
    promoted_at: str


_PROMOTIONS = TypeAdapter(dict[ModelKind, Promotion])


@contextmanager
def training(workspace: Workspace, kind: ModelKind, *, key: str, now: datetime) -> Iterator[Path]:
    """Hold the folder of a training: what an earlier run of the same one left is in it.

    Nights go on meanwhile: the lock is the training's own, not the workspace's.

    Args:
        workspace: Where.
        kind: Of the model.
        key: The key of everything that decides the training.
        now: When it begins, for whoever finds it held.

    Raises:
        WorkspaceBusy: Another process is at this very training.
    """
    folder = workspace.models / f".training-{kind}-{key}"
    with held(folder.with_name(f"{folder.name}.lock"), what=f"the training {folder}", now=now):
        for discarded in entries(workspace.models, f"{DISCARDED_PREFIX}*"):
            shutil.rmtree(discarded, ignore_errors=True)  # its own process may be at it
        folder.mkdir(exist_ok=True)
        remove_unfinished(folder)
        yield folder


def discard(folder: Path) -> None:
    """Remove the folder of a training, in one step as others see it: there is never half of one."""
    gone = folder.with_name(f"{DISCARDED_PREFIX}{folder.name.removeprefix('.')}")
    rename_folder(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)  # what is left the next training removes


def commit_model(
    workspace: Workspace, folder: Path, *, kind: ModelKind, fingerprint: str, report_files: Sequence[str] = ()
) -> Path:
    """Give a folder with a whole model in it its name; the same model made twice is there once.

    Args:
        workspace: Where.
        folder: With the model.
        kind: Of the model.
        fingerprint: Of its files.
        report_files: Names of the files that report on the model, the most important one last: those of a model that
            is made again take the place of the earlier ones, one by one.

    Returns:
        Its folder now.
    """
    target = workspace.model(f"{kind}-{fingerprint}")
    if target.is_dir():
        for name in report_files:
            with replacing(target / name) as temporary:
                shutil.copyfile(folder / name, temporary)
        shutil.rmtree(folder)
    else:
        publish_folder(folder, target)
    workspace.share_model(target.name, last=report_files[-1] if report_files else "")
    return target


def promotions(workspace: Workspace) -> dict[ModelKind, Promotion]:
    """The promotions by kind.

    Raises:
        MachineError: Their file cannot be read.
    """
    with _readable(workspace):
        return _promotions_of(workspace.read(_FILE))


@contextmanager
def _readable(workspace: Workspace) -> Iterator[None]:
    try:
        yield
    except (OSError, ValidationError) as error:
        if (told := machine_error(error)) is not None:
            raise told from error
        message = f"{workspace}/{_FILE} does not say which models are promoted."
        remedy = "Restore it, or remove it to go back to what the settings name."
        raise MachineError(message, remedy=remedy) from error


def _promotions_of(written: bytes | None) -> dict[ModelKind, Promotion]:
    return {} if written is None else _PROMOTIONS.validate_json(written)


def workspace_of_model(folder: Path) -> Workspace:
    """The workspace that a model's folder lies in, if it is a trained one: it relies on ``<workspace>/models/<name>``.

    That layout is the workspace's own (``Workspace.model``). Of a model that lies elsewhere it is whatever is two
    folders up: a workspace in which nothing is promoted and no model is.

    Args:
        folder: Of a model, whether it is there or not.
    """
    return workspace_at(folder.parent.parent)


def promoted_as(folder: Path) -> ModelKind | None:
    """As what a folder is promoted in the workspace that it is, or was, in; None where it is not."""
    workspace = workspace_of_model(folder)
    there = promotions(workspace).items()
    return next((kind for kind, promotion in there if workspace.models / promotion.model == folder), None)


def bring_model(folder: Path) -> None:
    """Have the folder of a trained model here, where its workspace is elsewhere and has it."""
    workspace_of_model(folder).model(folder.name)


@contextmanager
def deciding(workspace: Workspace) -> Iterator[None]:
    """Hold the promotions: nobody else changes one meanwhile. It takes seconds, so others wait for it."""
    workspace.models.mkdir(parents=True, exist_ok=True)
    path = workspace.models / ".promoted.lock"
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        with naming(path):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        remove_unfinished(workspace.models, PROMOTIONS)
        yield
    finally:
        os.close(descriptor)


def promote(workspace: Workspace, kind: ModelKind, promotion: Promotion) -> None:
    """Let a model stand in for the one that the settings name, from the next run on; within :func:`deciding`.

    Raises:
        InputError: There is no such model.
    """
    if not workspace.model(promotion.model).is_dir():
        message = f"There is no model {promotion.model} in {workspace}/models."
        raise InputError(message, remedy="Name the folder of a trained model there.")
    with _changing(workspace) as there:
        there[kind] = promotion


def demote(workspace: Workspace, kind: ModelKind) -> Promotion | None:
    """Take a promotion back: the settings' own word counts again.

    Returns:
        The promotion that was; None where there was none.
    """
    if not promotions(workspace):
        return None
    with deciding(workspace), _changing(workspace) as there:
        return there.pop(kind, None)


@contextmanager
def _changing(workspace: Workspace) -> Iterator[dict[ModelKind, Promotion]]:
    """The promotions, to be changed; they are written where they have been.

    Raises:
        MachineError: Somebody on another machine has changed them meanwhile.
    """
    with _readable(workspace):
        stored = workspace.change(_FILE)
        there = _promotions_of(stored.data)
    before = dict(there)
    yield there
    if there != before:
        value = {kind: promotion.model_dump() for kind, promotion in there.items()}
        stored.write(json.dumps(value, indent=2) + "\n")
