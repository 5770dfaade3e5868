"""The learned order's file: what it holds, how it is read and checked, and which one settings and releases name.

JSON, a few kilobytes: the gates' numbers, the reranker that they know, and a card for people, which decides nothing.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, ValidationError, model_validator

from nightrank.storage.errors import InputError
from nightrank.storage.foreign import passing_failure
from nightrank.storage.legs import LEGS
from nightrank.storage.places import read_bytes
from nightrank.tasks.rank.learned import FEATURES, FORMAT, Gate, LearnedOrder
from nightrank.tasks.rank.lists import RERANKER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightrank.storage.release.manifest import Manifest
    from nightrank.tasks.settings.whole import Settings

PACKAGED = Path(__file__).parent / "learned_order.json"
PLACES = {*LEGS, RERANKER, "format", "features", "gates", "grams", *Gate.__slots__, "card"}
WITHOUT_GRAMS = 1  # the format before: it weighs legs and reranker alone, in the same way
MOST_BYTES = 1 << 20  # of a file: a model is a few kilobytes


class StoredGate(BaseModel):
    """A gate as the file has it: for each feature a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bias: FiniteFloat
    rank_share: Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]
    coefficients: list[FiniteFloat]
    centre: list[FiniteFloat]
    spread: list[Annotated[FiniteFloat, Field(gt=0.0)]]

    @model_validator(mode="after")
    def _is_of_all_features(self) -> Self:
        if {len(self.coefficients), len(self.centre), len(self.spread)} != {len(FEATURES)}:
            raise ValueError("a gate's numbers are not as many as its features")
        return self


class StoredOrder(BaseModel):
    """A model as its file, or a release's manifest, has it.

    Attributes:
        format: Of the file.
        features: What gates are asked about, in the order of their numbers.
        gates: By leg, and of the reranker.
        grams: The bias of the shares of grams.
        reranker: As the settings name it.
        card: What it was made of, for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[2]
    features: list[str]
    gates: dict[str, StoredGate]
    grams: FiniteFloat
    reranker: str
    card: dict[str, JsonValue] = {}

    @model_validator(mode="after")
    def _is_of_this_version(self) -> Self:
        if tuple(self.features) != FEATURES or self.gates.keys() != {*LEGS, RERANKER}:
            raise ValueError("it is of another version")
        return self


def read_order(path: Path = PACKAGED) -> LearnedOrder:
    """A model from its file.

    Raises:
        InputError: It is no model of this version.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is too large for one")
        return _order(StoredOrder.model_validate_json(read_bytes(path)))
    except (OSError, ValueError) as error:
        if (told := passing_failure(error)) is not None:
            raise told from error
        message = f"{path} is no learned order that this version reads: {_reason(error)}."
        raise InputError(message, remedy=_remedy(path)) from error


def order_file(model: LearnedOrder, card: Mapping[str, JsonValue]) -> str:
    """The text of a model's file, with its card."""
    return json.dumps({**model.stored(), "card": dict(card)}, indent=1, ensure_ascii=True) + "\n"


def learned_order(settings: Settings, *, base: Path) -> LearnedOrder | None:
    """The learned order that settings ask for; None where plain weights order.

    Args:
        settings: Name its file, or none for the packaged one.
        base: The folder that paths in the settings are relative to.

    Raises:
        InputError: The file that they name is no model of this version.
    """
    if settings.order == "weighted":
        return None
    named = settings.results.order_model
    return read_order() if named is None else read_order(base / named)


def order_fingerprint(learned: LearnedOrder | None) -> str:
    """What of the final order the settings do not say: the model's numbers; ``weighted`` for plain weights."""
    return "weighted" if learned is None else learned.fingerprint


def order_of_release(manifest: Manifest) -> LearnedOrder | None:
    """The learned order that a release was made with; None where plain weights ordered it."""
    if manifest.inputs.order == "weighted":
        return None
    told, without_grams = manifest.order_model, manifest.order_model.get("format") == WITHOUT_GRAMS
    if without_grams:
        told = {**told, "format": FORMAT, "grams": 0.0}
    try:
        order = _order(StoredOrder.model_validate(told))
        return LearnedOrder.of(order.gates, order.reranker, grams=-math.inf) if without_grams else order
    except ValidationError:  # made by a version that asked about other features, or kept no numbers
        return read_order()


def _order(stored: StoredOrder) -> LearnedOrder:
    gates = {name: _gate(one) for name, one in stored.gates.items()}
    return LearnedOrder.of(gates, stored.reranker, grams=stored.grams)


def _gate(stored: StoredGate) -> Gate:
    coefficients, centre, spread = (np.array(each) for each in (stored.coefficients, stored.centre, stored.spread))
    return Gate(stored.bias, coefficients, centre, spread, stored.rank_share)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"][:3] if part in PLACES)  # no word of a foreign file
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    return (error.strerror or "it cannot be read") if isinstance(error, OSError) else str(error)


def _remedy(path: Path) -> str:
    if path == PACKAGED:
        return 'Install Nightrank again, or set [results] order = "weighted".'
    return "Leave out [results].order_model for the packaged one, from which `nightrank tune --write` makes another."
