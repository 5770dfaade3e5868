"""``nightrank judge --by clicks``: what visitors opened, position-debiased, as judgments."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.flows.judge.inputs import CLICKS, folder_of
from nightrank.storage.errors import InputError
from nightrank.storage.files.atomic import write_text
from nightrank.storage.retracted.listed import read_retracted
from nightrank.tasks.judgments.clicks.impressions import read_impressions
from nightrank.tasks.judgments.clicks.judge import judged_by_clicks
from nightrank.tasks.trec.qrels import write_judgments

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.judgments.clicks.impressions import ImpressionsRead
    from nightrank.tasks.judgments.clicks.judge import ClickJudgments
    from nightrank.tasks.judgments.clicks.rules import ClickRules

PROVENANCE = "clicks.json"


@dataclass(frozen=True, slots=True)
class JudgedByClicks:
    """What became of it.

    Attributes:
        qrels: The file of the judgments; None where clicks give none.
        name: Of it, relative to the settings file.
        log: That was read.
        read: What was read of it.
        found: What clicks say.
    """

    qrels: Path | None
    name: str
    log: str
    read: ImpressionsRead
    found: ClickJudgments

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``--json``."""
        return {
            "by": "clicks",
            "qrels": None if self.qrels is None else str(self.qrels),
            "log": self.log,
            "searches": self.read.impressions,
            "without_list": self.read.without_list,
            "lost_clicks": self.read.lost_clicks,
            "too_few_users": self.read.too_few_users,
            **self.found.as_json(),
        }


def judge_by_clicks(configuration: Configuration, *, log: str | None, rules: ClickRules) -> JudgedByClicks:
    """Read the log, and write what its clicks say, with a file beside it that says how they were made.

    Args:
        configuration: Settings, and where they are.
        log: That is read, relative to the settings file; None for the server's own, else that of ``[queries]``.
        rules: Of clicks.

    Raises:
        InputError: There is no such log, or it does not say what was shown.
    """
    settings, base = configuration.settings, configuration.base
    name = log if log is not None else _log_of(configuration)
    queries = settings.queries.model_copy(update={"log": name})
    read = read_impressions(queries, base=base)
    retracted = read_retracted(configuration.workspace).documents.keys()
    found = judged_by_clicks(read.counts.without(retracted), rules)
    path = folder_of(configuration) / CLICKS
    judged = JudgedByClicks(path if found.judgments else None, f"{settings.judge.folder}/{CLICKS}", name, read, found)
    if found.judgments:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_judgments(path, found.judgments)
        told = {**judged.as_json(), "least_looks": rules.least_looks, "min_users": settings.queries.min_users}
        write_text(path.parent / PROVENANCE, json.dumps(told, indent=2) + "\n")
    return judged


def _log_of(configuration: Configuration) -> str:
    """The log that the server writes, where there is one, else that of ``[queries]``."""
    own, given = configuration.settings.serve.log, configuration.settings.queries.log
    if own is not None and (configuration.base / own).is_dir():
        return own
    if given is None:
        message = "There is no log whose clicks could judge: the server has written none, and [queries] names none."
        raise InputError(message, remedy="Serve with [serve].log, or name a file with --log.")
    return given
