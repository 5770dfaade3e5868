"""Takedown: documents leave every answer at once, wherever releases are served, and what they were is erased if asked.

It takes no lock that a night holds, and asks for no server of Prefect's: it works while a night runs, and when little
else does.
"""

from __future__ import annotations

import getpass
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError, NightrankError, reason_of
from nightrank.storage.retracted.listed import Retraction, read_retracted
from nightrank.storage.serving.address import parse_address
from nightrank.tasks.takedown.retract import bring_back, put_in_order, retract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.records import JsonValue
    from nightrank.storage.serving.export import Exported
    from nightrank.tasks.takedown.erase import Erased
    from nightrank.tasks.takedown.retract import Changed

PAUSES_SECONDS = (2.0, 10.0, 30.0)  # before a place that does not answer, or that others write to, is tried again
LONGEST_ID, LONGEST_REASON = 10_000, 1_000  # characters


@dataclass(frozen=True, slots=True)
class TakenDown:
    """What a takedown, or bringing back, came to.

    Attributes:
        undone: Whether documents were brought back.
        documents: Their ids.
        changed: What became of the list.
        exported: Places that serve the release.
        warnings: What the user should know.
        failed: Why places may still show what was taken down, or the workspace may still hold it.
        erased: What an erasure came to; None where none was asked for, or it could not begin.
    """

    undone: bool
    documents: tuple[str, ...]
    changed: Changed
    exported: tuple[Exported, ...]
    warnings: tuple[str, ...]
    failed: tuple[str, ...]
    erased: Erased | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``retract --json``."""
        held, listed = self.changed.held, self.changed.listed
        return {
            "undone": self.undone,
            "release_id": self.changed.release_id,
            "documents": [
                {"document_id": one, "in_release": one in held, "was_retracted": one in listed}
                for one in self.documents
            ],
            "answers_replaced": self.changed.replaced,
            "exported": [one.as_json() for one in self.exported],
            "warnings": list(self.warnings),
            "failed": list(self.failed),
            "erased": None if self.erased is None else self.erased.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Listed:
    """What is taken down, by document id, the oldest first."""

    documents: Mapping[str, Retraction]

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``retract --list --json``."""
        return {
            "documents": [
                {"document_id": one, "at": said.at, "by": said.by, "reason": said.reason}
                for one, said in self.documents.items()
            ]
        }


def listed(configuration: Configuration) -> Listed:
    """What is taken down.

    Raises:
        MachineError: The list cannot be read.
    """
    documents = read_retracted(configuration.workspace).documents
    return Listed(dict(sorted(documents.items(), key=lambda one: (one[1].at, one[0]))))


def take_down(
    configuration: Configuration,
    documents: Sequence[str],
    *,
    reason: str = "",
    undo: bool = False,
    erasing: bool = False,
    now: datetime,
) -> TakenDown:
    """Take documents down, or bring them back, in the workspace and wherever the settings have it exported.

    Args:
        configuration: Settings.
        documents: Ids; without any, what readers get without those on the list is written anew.
        reason: Why, in a person's words; it is kept in the list.
        undo: Bring them back.
        erasing: Erase them, once they are down; without any ids, all that are on the list.
        now: When.

    Raises:
        InputError: An id or the reason cannot be one, or what is to be brought back was not taken down.
        MachineError: The list cannot be read or written; nothing has changed.
    """
    workspace, ids = configuration.workspace, tuple(dict.fromkeys(documents))
    _check(ids, reason)
    if undo:
        changed = bring_back(workspace, ids, now=now)
    elif not ids:
        changed = put_in_order(workspace, now=now)
    else:
        retraction = Retraction(now.isoformat(timespec="seconds"), _login_name(), reason)
        changed = retract(workspace, ids, retraction, now=now)
    warnings = [] if changed.unfilled is None else [f"Answers are shorter, and do not fill up: {changed.unfilled}"]
    exported, failed = _export(configuration, changed.release_id, now=now)
    warnings += [warning for one in exported for warning in one.warnings]
    erased = None
    if erasing:
        try:
            erased = _erase(configuration, ids or tuple(changed.retracted.documents), now=now)
        except Exception as error:  # whatever is wrong, what was taken down is down
            failed.append(f"Nothing proves that it is erased: {reason_of(error)}")
        else:
            failed += _left(erased)
            # What was replaced on a server goes now, and not after its grace.
            exported, again = _export(configuration, erased.release_id, now=now, grace_seconds=0)
            failed += again
    return TakenDown(undo, ids, changed, tuple(exported), tuple(warnings), tuple(failed), erased)


def _erase(configuration: Configuration, documents: Sequence[str], *, now: datetime) -> Erased:
    """Erase documents as the workspace's one writer.

    Raises:
        WorkspaceBusy: A night is at work.
    """
    from nightrank.tasks.takedown.erase import erase  # it loads what makes a release, which a takedown does without

    workspace, keep = configuration.workspace, configuration.settings.retention.keep
    with workspace.writing(now=now):
        return erase(workspace, documents, keep=keep, now=now)


def _left(erased: Erased) -> list[str]:
    """Why what is to be erased is not, in words."""
    if erased.waiting_for_readers:
        return ["Somebody is reading LanceDB's tables, whose old files therefore stay: end that."]
    if erased.found_after:
        return [f"Something is left in {', '.join(erased.left_in)}."]
    return []


def ids_in(path: Path) -> list[str]:
    """The ids in a file, one a line, without the blanks around them; empty lines are passed over.

    Raises:
        InputError: It cannot be read, or is not UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", remedy="Name a file of ids.") from error
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8: byte {error.start} cannot be read."
        raise InputError(message, remedy="Write it as UTF-8, one id a line.") from error
    return [one for line in text.split("\n") if (one := line.strip())]


def _check(documents: Sequence[str], reason: str) -> None:
    """See that ids and the reason are texts that a list can hold."""
    for text, longest, what in (*((one, LONGEST_ID, "id") for one in documents), (reason, LONGEST_REASON, "reason")):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"The {what} {text!r} is not text.", remedy="Write it in UTF-8.") from error
        if len(text) > longest:
            message = f"The {what} that begins with {text[:40]!r} has {len(text):,} characters."
            raise InputError(message, remedy=f"At most {longest:,} are kept.")
    if not all(documents):
        raise InputError("An id is empty.", remedy="No document has an empty id.")


def _export(
    configuration: Configuration, release_id: str | None, *, now: datetime, grace_seconds: int | None = None
) -> tuple[list[Exported], list[str]]:
    """Have every place of the settings serve the release as readers of the workspace get it; and what failed.

    Args:
        configuration: Settings.
        release_id: The release; None where there is none to export.
        now: When.
        grace_seconds: How long what is replaced stays on a server; None for what the settings say.
    """
    settings, workspace = configuration.settings.export, configuration.workspace
    if grace_seconds is not None:
        settings = settings.model_copy(update={"grace_seconds": grace_seconds})
    done: list[Exported] = []
    failed: list[str] = []
    if release_id is None or not settings.to:
        return done, failed
    from nightrank.tasks.stages.export import export_release, keep_out_of, may_pass  # it loads Prefect

    for written in settings.to:
        try:
            address = parse_address(written, base=configuration.base)
            keep_out_of(workspace, [address])
            for pause in (*PAUSES_SECONDS, None):
                try:
                    done.append(export_release.fn(workspace, None, address, settings, now=now))
                    break
                except NightrankError as error:
                    if pause is None or not may_pass(error):
                        raise
                    time.sleep(pause)
        except Exception as error:  # whatever is wrong with one place, the others must show it no more
            failed.append(reason_of(error))
    return done, failed


def _login_name() -> str:
    """Who takes it down: the login name alone, or the number of a user who has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
