"""Export: a published release where front ends look it up, a file or a server, each switched in one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from nightrank.flows.engine.flow import nightrank_flow
from nightrank.flows.engine.steps import step
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError, NightrankError
from nightrank.storage.serving.address import parse_address
from nightrank.tasks.settings.operation import ExportSettings
from nightrank.tasks.stages.export import export_release, keep_out_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.storage.records import JsonValue
    from nightrank.storage.serving.export import Exported


@dataclass(frozen=True, slots=True)
class Exports:
    """The outcome of an export to one or more places."""

    release_id: str
    exported: tuple[Exported, ...]

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``export --json``."""
        return {"release_id": self.release_id, "exported": [one.as_json() for one in self.exported]}


@nightrank_flow("export")
def export(
    settings_file: str = "nightrank.toml",
    *,
    to: list[SecretStr] | None = None,
    release_id: str | None = None,
    name: str | None = None,
) -> Exports:
    """Make one or more places serve a release.

    Args:
        settings_file: Path of the settings.
        to: Addresses, relative to the working directory; None for those of the settings. They are secrets to
            Prefect, which stores the parameters of a run: there may be passwords in them.
        release_id: Of the release; None for the current one.
        name: Of the key space or the view; None for that of the settings.

    Returns:
        What was done.

    Raises:
        InputError: An address, a setting or the release is wrong.
        MachineError: A place failed; it serves what it served before. The other places were exported to.
    """
    configuration = load_settings(Path(settings_file))
    now, base = datetime.now(UTC), configuration.base
    settings = configuration.settings.export
    if name is not None:
        settings = settings.model_copy(update={"name": _checked(name)})
    addresses = [
        *(parse_address(address.get_secret_value(), base=Path.cwd()) for address in to or ()),
        *(parse_address(address, base=base) for address in (settings.to if to is None else ())),
    ]
    if not addresses:
        raise InputError("No target of the export is given.", remedy="Give --to, or set [export].to.")
    keep_out_of(configuration.workspace, addresses)
    workspace = configuration.workspace
    if release_id is None:  # every place gets the same one, whatever is published meanwhile
        release_id = workspace.require_current()
    done: list[Exported] = []
    failed: list[NightrankError] = []
    for address in addresses:
        try:
            done.append(step(export_release, workspace, release_id, address, settings, now=now))
        except NightrankError as error:
            failed.append(error)
    if failed:
        raise failed[0] if len(addresses) == 1 else _failure_of(failed, done)
    return Exports(release_id, tuple(done))


def _checked(name: str) -> str:
    try:
        return ExportSettings.model_validate({"name": name}).name
    except ValueError as error:
        message = f"--name {name!r} is not a valid name."
        remedy = "Use small letters, digits and underscores, a letter first, at most 40."
        raise InputError(message, remedy=remedy) from error


def _failure_of(failed: Sequence[NightrankError], done: Sequence[Exported]) -> NightrankError:
    worst = min(failed, key=lambda error: error.exit_code)
    served = f" Exported to {', '.join(one.to for one in done)}." if done else ""
    return type(worst)(" ".join(error.message for error in failed) + served, remedy=worst.remedy)
