"""What is disturbed: a command of Nightrank, run whole in a child process, on a small project that is ready for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.collection import Collection, TomlValue

PROJECT = "project"  # in the folder of a trial; beside it are what the command wrote to its standard streams
NOW = datetime(2026, 1, 2, tzinfo=UTC)
EXPORTS = ("results.sqlite", "results.parquet")


@dataclass(frozen=True, slots=True)
class Case:
    """A command and the project that it is run on.

    Attributes:
        name: Of the operation.
        prepare: Makes what the command finds, in a project whose settings and inputs are written.
        arguments: Of the command; they are asked for in the project's folder.
        settings: Sections that the project has beside the usual ones.
    """

    name: str
    prepare: Callable[[Collection], None]
    arguments: Callable[[Path], Sequence[str]]
    settings: dict[str, dict[str, TomlValue]]


def run(arguments: Sequence[str], folder: Path) -> int:
    """Run a command in this process, which ends with it: what it writes is in ``out.txt`` and ``err.txt``.

    Args:
        arguments: Of the command line.
        folder: Of the trial.

    Returns:
        Its exit code.
    """
    for descriptor, name in ((1, "out.txt"), (2, "err.txt")):
        opened = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdout, sys.stderr = (
        os.fdopen(descriptor, "w", buffering=1, closefd=False, encoding="utf-8") for descriptor in (1, 2)
    )
    os.chdir(folder / PROJECT)
    try:
        _without_prefect()
        from nightrank.flows.cli.app import main

        main(list(arguments))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 70
    except BaseException:
        traceback.print_exc()
        return 71
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
    return 72


def _without_prefect() -> None:
    """Flows run as the plain code that they are, for this process; and a tuning finds what it would search long for."""
    from benchmarks.parts.plain_nights import refresh_plainly
    from nightrank.flows import refresh as refresh_module
    from nightrank.flows.engine import api
    from nightrank.flows.tune import flow as tuning

    class Plainly:
        fn = staticmethod(refresh_module.refresh.fn)

        def __call__(self, settings_file: str, **_accept: object) -> Any:  # noqa: ANN401 (a summary)
            return refresh_plainly(Path(settings_file))

    found: Any = _found
    replaced: list[tuple[Any, str, Any]] = [
        (refresh_module, "refresh", Plainly()),
        (api, "require_prefect", lambda: None),
        (tuning, "step", lambda _task, *_arguments, **_keywords: found()),
    ]
    for holder, name, value in replaced:
        setattr(holder, name, value)


def _found() -> object:
    """What a tuning proved: another fusion, and a learned order."""
    from nightrank.tasks.evaluate.significance import Comparison
    from nightrank.tasks.rank.order_file import read_order
    from nightrank.tasks.tune.cross_validate import Tuned
    from nightrank.tasks.tune.order import FittedOrder

    order = read_order()
    compared = Comparison(300, 0.5, 0.6, 0.1, 0.05, 0.15, 0.001, 40, 250, 10)
    fitted = FittedOrder(order.fingerprint, order, 1.0, 300)
    changes = {"retrieval.fusion": "minmax", "results.order_model": fitted.file_name}
    return Tuned("r1", 300, 5, 73, 0, {}, {}, changes, [], 0.61, {"present": compared}, compared, order=fitted)


def _nights(*, edits: int) -> Callable[[Collection], None]:
    """Nights, each of them over something of everything; after the last one there are edits that none has seen."""

    def prepare(collection: Collection) -> None:
        from benchmarks.parts.plain_nights import refresh_plainly
        from tests.support.nights import edit

        for number in range(edits):
            refresh_plainly(collection.settings_file)
            edit(collection, number)

    return prepare


def _unpruned(collection: Collection) -> None:
    from benchmarks.parts.plain_nights import refresh_plainly

    _nights(edits=2)(collection)
    refresh_plainly(collection.settings_file)


def _exported(collection: Collection) -> None:
    """A release that was exported, and one that was not."""
    from pydantic import SecretStr

    from benchmarks.parts.plain_nights import refresh_plainly
    from nightrank.flows.operate.export import export

    _nights(edits=1)(collection)
    export.fn(str(collection.settings_file), to=[SecretStr(str(collection.folder / name)) for name in EXPORTS])
    refresh_plainly(collection.settings_file)


def _trained(collection: Collection) -> None:
    """A model that is better than the present one."""
    from nightrank.flows.settings_file import load_settings
    from nightrank.flows.train.promotion import present_model
    from nightrank.storage.workspace.models import commit_model
    from nightrank.tasks.models.card import CARD
    from nightrank.tasks.models.files import find_model
    from tests.support.carded import card, figure

    _nights(edits=1)(collection)
    configuration = load_settings(collection.settings_file)
    made = configuration.workspace.models / ".made"
    shutil.copytree(collection.folder / str(collection.settings["embedder"]["model"]), made)
    files = find_model(str(made), base=collection.folder, revision=None, sha256=None)
    update = {
        "fingerprint": files.fingerprint(),
        "weights_sha256": files.weights_sha256,
        "compared_with": present_model(configuration, "embedder"),
    }
    (made / CARD).write_text(card(figure()).model_copy(update=update).model_dump_json())
    commit_model(configuration.workspace, made, kind="embedder", fingerprint=files.fingerprint(), report_files=(CARD,))


def _first_release(folder: Path) -> str:
    from nightrank.flows.settings_file import load_settings

    return load_settings(folder / "nightrank.toml").workspace.release_ids()[0]


def _model(folder: Path) -> str:
    from nightrank.flows.settings_file import load_settings

    models = load_settings(folder / "nightrank.toml").workspace.models
    return next(path.name for path in sorted(models.iterdir()) if path.name.startswith("embedder-"))


def make_project(folder: Path, case: Case, settings: dict[str, dict[str, TomlValue]] | None = None) -> None:
    """A project with models of its own, ready for a case.

    Args:
        folder: Of the project.
        case: The case.
        settings: More sections.
    """
    from benchmarks.inputs.tiny_models import tiny_embedder, tiny_reranker
    from tests.support.collection import small_collection

    collection = small_collection(folder, embedder="models/embedder", reranker="models/reranker")
    tiny_embedder(folder / "models" / "embedder")
    tiny_reranker(folder / "models" / "reranker")
    for section, values in {**case.settings, **(settings or {})}.items():
        collection.settings.setdefault(section, {}).update(values)
    collection.write()
    case.prepare(collection)


def _nothing(_collection: Collection) -> None:
    """The project as it is."""


_KEEP_ONE: dict[str, dict[str, TomlValue]] = {"retention": {"keep": 1}}
_KEEP_MANY: dict[str, dict[str, TomlValue]] = {"retention": {"keep": 9}}

CASES = {
    case.name: case
    for case in (
        Case("tune --write", _nights(edits=1), lambda _folder: ["tune", "--write"], _KEEP_MANY),
        Case("prune", _unpruned, lambda _folder: ["prune", "--keep", "1"], _KEEP_MANY),
        Case("rollback", _unpruned, lambda folder: ["rollback", _first_release(folder)], _KEEP_MANY),
        Case("export", _exported, lambda _folder: ["export", *(f"--to={name}" for name in EXPORTS)], _KEEP_MANY),
        Case("train promote", _trained, lambda folder: ["train", "promote", _model(folder)], _KEEP_MANY),
        Case("first night", _nothing, lambda _folder: ["refresh"], _KEEP_ONE),
        Case("night", _nights(edits=2), lambda _folder: ["refresh"], _KEEP_ONE),
    )
}
