"""Whether a model's judgments were shown to agree with people's: the record beside them, and what follows from it.

``model.tsv.agreement.json`` names the judgments by their digest, so that it vouches for no others. Without it, or
where it shows too little, what is measured by the judgments is advice: reports show it, and no gate rests on it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from nightrank.storage.files.atomic import write_text
from nightrank.storage.keys import sha256_of_file

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.judge.agreement import Agreement
    from nightrank.tasks.settings.chat import JudgeSettings


class Shown(msgspec.Struct, frozen=True):
    """What a model's agreement with people came to.

    Attributes:
        qrels_sha256: Of the file of the model's judgments.
        model: Its name in the API.
        fingerprint: Of model, place and how answers are drawn.
        prompt: Digest of the instructions.
        measure: By which systems were put in order.
        queries: Of which people and the model judged the same pairs.
        pairs: Of query and document that both judged.
        kappa: Cohen's; null where it says nothing.
        weighted_kappa: With the squares of differences; likewise.
        tau: Kendall's, between the orders of systems; likewise.
        systems: Stages of releases that were put in order.
        why_not: What is lacking before gates rest on the judgments; empty where nothing is.
    """

    qrels_sha256: str
    model: str
    fingerprint: str
    prompt: str
    measure: str
    queries: int
    pairs: int
    kappa: float | None
    weighted_kappa: float | None
    tau: float | None
    systems: int
    why_not: str

    @property
    def told(self) -> str:
        """What it came to, in words."""
        return (
            f"on {self.pairs:,} pairs of {self.queries:,} queries that people judged, too: kappa "
            f"{_number(self.kappa)}, weighted {_number(self.weighted_kappa)}; tau of {self.systems} stages "
            f"{_number(self.tau)}"
        )

    def as_json(self) -> dict[str, JsonValue]:
        """As a JSON object."""
        found: dict[str, JsonValue] = msgspec.to_builtins(self)
        return found


def path_of(qrels: Path) -> Path:
    """Where the record of some judgments lies."""
    return qrels.with_name(f"{qrels.name}.agreement.json")


def shown(
    qrels: Path,
    found: Agreement,
    tau: float,
    *,
    systems: int,
    measure: str,
    model: str,
    fingerprint: str,
    prompt: str,
    settings: JudgeSettings,
) -> Shown:
    """The record of an agreement, and what is lacking.

    Args:
        qrels: The model's judgments, as they were written.
        found: On pairs that both judged.
        tau: Of systems.
        systems: How many.
        measure: By which they were put in order.
        model: Its name in the API.
        fingerprint: Of model, place and how answers are drawn.
        prompt: Digest of the instructions.
        settings: What is asked for.
    """
    lacking = []
    if found.queries < settings.min_queries:
        lacking.append(f"people judged {found.queries:,} of {settings.min_queries:,} queries")
    if not found.weighted_kappa >= settings.min_kappa:
        lacking.append(f"weighted kappa {_number(found.weighted_kappa)} is below {settings.min_kappa:g}")
    if not tau >= settings.min_tau:
        lacking.append(f"tau of systems {_number(tau)} is below {settings.min_tau:g}")
    return Shown(
        sha256_of_file(qrels),
        model,
        fingerprint,
        prompt,
        measure,
        found.queries,
        found.pairs,
        _finite(found.kappa),
        _finite(found.weighted_kappa),
        _finite(tau),
        systems,
        "; ".join(lacking),
    )


def write_shown(qrels: Path, record: Shown) -> None:
    """Write the record of some judgments beside them."""
    write_text(path_of(qrels), msgspec.json.format(msgspec.json.encode(record)).decode() + "\n")


def read_shown(qrels: Path) -> Shown | None:
    """The record beside some judgments; None where there is none that can be read."""
    try:
        return msgspec.json.decode(path_of(qrels).read_bytes(), type=Shown)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def why_advisory(qrels: Path) -> str:
    """Why no gate rests on a model's judgments; empty where gates do.

    Args:
        qrels: The file of the judgments.
    """
    record = read_shown(qrels)
    if record is None:
        return "no agreement with people is shown"
    if record.qrels_sha256 != sha256_of_file(qrels):
        return "the agreement that is shown is of other judgments"
    return record.why_not


def _number(value: float | None) -> str:
    return "unknown" if value is None or not math.isfinite(value) else f"{value:.3f}"


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
