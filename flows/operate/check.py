"""A look before a refresh: settings, inputs, models and workspace are read and judged, and nothing is built.

Inputs are read as the first stage of a refresh reads them, into a temporary folder that is removed again; so what is
found here is what a refresh would find. In the workspace nothing is written, and no lock is taken.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.flows.operate.first_night import ModelsToMeasure, estimate_first_night
from nightrank.storage.errors import InputError, NightrankError
from nightrank.storage.release.manifest import new_release_id, read_manifest
from nightrank.storage.retracted.listed import read_retracted
from nightrank.storage.sources.kept import FOLDER, lend_kept
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.storage.workspace.open import is_address
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.evaluate.measures import parse_measure
from nightrank.tasks.night import Night
from nightrank.tasks.rank.order_file import learned_order
from nightrank.tasks.read.account import Account, as_rows
from nightrank.tasks.read.folder.find import find_files
from nightrank.tasks.read.folder.named import files_named
from nightrank.tasks.read.sources.kind import SourceKind, kind_of
from nightrank.tasks.read.told import characters_of, files_read, warnings_of
from nightrank.tasks.rerank.find import plan_reranker
from nightrank.tasks.sparse.stored import planned_sparse
from nightrank.tasks.stages.read import read_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nightrank.flows.operate.first_night import FirstNight
    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.records import JsonValue
    from nightrank.storage.workspace.base import Workspace
    from nightrank.tasks.stages.read import InputsRead

BAD_ROWS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a refresh would fail.

    Attributes:
        part: What was looked at: ``inputs``, ``embedder``, ``sparse``, ``reranker``, ``order``,
            ``measures`` or ``workspace``.
        message: What is wrong.
        remedy: What to do about it.
        exit_code: What a refresh would end with: 2 for the user's input, 1 for the machine.
    """

    part: str
    message: str
    remedy: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class WorkspaceChecked:
    """A workspace as it is.

    Attributes:
        name: As people write it.
        writable: Whether a refresh may write there; None in an object store, where only writing would show it.
        current: The release that readers see; None before the first.
        created_at: When that was made, ISO 8601.
        retracted: Documents that are taken down.
    """

    name: str
    writable: bool | None
    current: str | None
    created_at: str | None
    retracted: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at settings, inputs, models and workspace found.

    Attributes:
        files: How many files of the source were read, or would be where a refresh would stop; None for a source that is
            none of files, or is not there.
        inputs: What was read; None where a refresh would stop at them.
        bad_rows: The first rows that would be set aside: file, row, reason.
        models: Name and fingerprint of each model that was found; None where there is no reranker, or plain weights
            order.
        workspace: Where releases lie; None where that cannot be read.
        first_night: How long that will take; None where there is a release, or one cannot be begun.
        problems: Why a refresh would fail; empty where it could begin.
    """

    files: int | None
    inputs: InputsRead | None
    bad_rows: tuple[tuple[str, int, str], ...]
    models: dict[str, tuple[str, str] | None]
    workspace: WorkspaceChecked | None
    first_night: FirstNight | None
    problems: tuple[Problem, ...]

    @property
    def exit_code(self) -> int:
        """0 where a refresh could begin, 2 where the user's input is wrong, 1 where only the machine is."""
        return max((problem.exit_code for problem in self.problems), default=0)

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``check --json``, but for the name of the settings file."""
        read = self.inputs
        documents: dict[str, JsonValue] = {"files": self.files}
        queries: dict[str, JsonValue] = {}
        judgments: dict[str, JsonValue] = {}
        if read is not None:
            counts = read.counts
            documents |= {
                "documents": counts.documents,
                "documents_bad": counts.documents_bad,
                "documents_retracted": counts.documents_retracted,
            }
            queries |= {"queries": counts.queries, "queries_from_documents": counts.queries_from_documents}
            queries |= {"queries_bad": counts.queries_bad, "coverage": read.coverage}
            queries["dropped"] = {drop.reason: {"rows": drop.rows, "traffic": drop.traffic} for drop in read.dropped}
            judgments |= {"queries_judged": counts.queries_judged, "queries_unknown": read.judgments_unknown}
        return {
            "ok": not self.problems,
            "documents": documents,
            "queries": queries,
            "judgments": judgments,
            "account": [] if read is None else [*as_rows(read.account)],
            "warnings": [] if read is None else [*warnings_of(read.account)],
            "bad_rows": [{"file": file, "row": row, "reason": reason} for file, row, reason in self.bad_rows],
            "models": {
                kind: None if found is None else {"model": found[0], "fingerprint": found[1]}
                for kind, found in self.models.items()
            },
            "workspace": None if self.workspace is None else dict(asdict(self.workspace)),
            "first_night": None if self.first_night is None else dict(asdict(self.first_night)),
            "problems": [dict(asdict(problem)) for problem in self.problems],
        }


def check_inputs(configuration: Configuration) -> Checked:
    """Read and judge everything that a refresh under these settings would begin with.

    Raises:
        MachineError: There is no room for what is read, in the folder for temporary files.
    """
    settings, base = configuration.settings, configuration.base
    problems: list[Problem] = []
    found: dict[str, tuple[str, str] | None] = {}

    def tried(part: str, look: Callable[[], None]) -> None:
        try:
            look()
        except NightrankError as error:
            problems.append(Problem(part, error.message, error.remedy, error.exit_code))

    def find_embedder() -> None:
        plan = plan_embedder(settings.embedder, settings.execution, base=base)
        found["embedder"] = settings.embedder.model, plan.fingerprint

    def find_sparse() -> None:
        plan = planned_sparse(settings, base=base)
        if plan is not None:
            found["sparse"] = settings.sparse.model, plan.fingerprint

    def find_reranker() -> None:
        plan = plan_reranker(settings.reranker, settings.execution, base=base)
        found["reranker"] = None if plan is None else (settings.reranker.model, plan.fingerprint)

    def find_order() -> None:
        learned, named = learned_order(settings, base=base), settings.results.order_model
        found["order"] = None if learned is None else ("packaged" if named is None else named, learned.fingerprint)

    estimates: list[FirstNight] = []

    def estimate(read: InputsRead) -> None:
        with suppress(NightrankError):  # of a model that cannot be used another part tells
            if configuration.workspace.current_release_id() is None:
                embedder = plan_embedder(settings.embedder, settings.execution, base=base)
                models = ModelsToMeasure(embedder, plan_reranker(settings.reranker, settings.execution, base=base))
                _, characters = characters_of(read.account)
                estimates.append(
                    estimate_first_night(settings, read.documents, read.queries, models, characters=characters)
                )

    inputs, bad_rows, files = _read(configuration, problems, estimate)
    tried("measures", lambda: _parse([settings.gates.measure]))
    tried("embedder", find_embedder)
    tried("sparse", find_sparse)
    tried("reranker", find_reranker)
    tried("order", find_order)
    workspace: list[WorkspaceChecked] = []
    tried("workspace", lambda: workspace.append(_look_at(configuration.workspace, settings.workspace)))
    for one in workspace:
        if one.writable is False:
            message = f"The workspace {one.name} cannot be written to."
            problems.append(Problem("workspace", message, "Give it another owner, or name another `workspace`.", 1))
    looked_at = workspace[0] if workspace else None
    return Checked(files, inputs, bad_rows, found, looked_at, estimates[0] if estimates else None, tuple(problems))


def _read(
    configuration: Configuration, problems: list[Problem], also: Callable[[InputsRead], None]
) -> tuple[InputsRead | None, tuple[tuple[str, int, str], ...], int | None]:
    """What the first stage of a refresh reads, the first rows that it sets aside, and how many files it reads."""
    settings, base = configuration.settings, configuration.base
    files: int | None = None
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="nightrank-check-") as folder:
        try:
            night = night_to_read(configuration, Path(folder), now=now)
            if kind_of(settings.documents, base=base) is SourceKind.FILES:
                named = files_named(settings, base=base)
                files = sum(1 for _ in find_files(settings.documents, base=base, named=named, account=Account()))
            read = read_inputs.fn(night)
            also(read)
            return read, _first_bad_rows(night), files_read(read.account) or None
        except NightrankError as error:
            problems.append(Problem("inputs", error.message, error.remedy, error.exit_code))
            return None, (), files


def night_to_read(configuration: Configuration, folder: Path, *, now: datetime) -> Night:
    """A night that reads and no more, as if nothing had been published; what is read goes to a folder of its own."""
    night = Night(
        settings=configuration.settings,
        base=configuration.base,
        workspace=FolderWorkspace(folder),
        release_id=new_release_id(now),
        before=None,
        current=None,
        now=now,
        seed=0,
        retracted=read_retracted(configuration.workspace).documents.keys(),
    )
    night.staging.mkdir(parents=True)
    lend_kept(configuration.workspace.root / FOLDER, folder / FOLDER)
    return night


def _first_bad_rows(night: Night) -> tuple[tuple[str, int, str], ...]:
    rows = night.files.bad_rows.read().slice(0, BAD_ROWS_SHOWN).to_pylist()
    return tuple((row["file"], row["row"], row["reason"]) for row in rows)


def _parse(measures: Sequence[str]) -> None:
    for name in measures:
        parse_measure(name)


def _look_at(workspace: Workspace, name: str) -> WorkspaceChecked:
    current = workspace.current_release_id()
    created_at = None
    if current is not None:
        created_at = read_manifest(workspace, current).created_at.isoformat(timespec="seconds")
    writable = None if is_address(name) else _may_be_written(workspace.root)
    retracted = len(read_retracted(workspace).documents)
    return WorkspaceChecked(str(workspace), writable, current, created_at, retracted)


def _may_be_written(folder: Path) -> bool:
    """Whether a folder that may not be there yet can be made and written to.

    Raises:
        InputError: There is a file in its place.
    """
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"{there} is a file.", remedy="Name a folder as `workspace`.")
    return os.access(there, os.W_OK | os.X_OK)
