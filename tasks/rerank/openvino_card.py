"""The card of a reranker for OpenVINO, and the names of its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nightrank.storage.errors import InputError
from nightrank.storage.places import read_bytes

if TYPE_CHECKING:
    from pathlib import Path


NETWORK, WEIGHTS, TOKENIZER, CARD_FILE = "openvino_model.xml", "openvino_model.bin", "tokenizer.json", "openvino.json"
FILES = (NETWORK, WEIGHTS, TOKENIZER)


class OpenvinoCard(BaseModel):
    """What a folder made for OpenVINO says of itself.

    Attributes:
        source: The model that it was made from, as the settings named it.
        source_fingerprint: Of that model.
        precision: ``float32``, or ``int8``: weights in 8 bits, and activations too, as they come.
        max_tokens: Of a pair; longer ones are cut.
        pad_token_id: What pairs are made equally long with.
        weight: Against the first stage, as the source's was.
        openvino: The version that made it.
        sha256: Of each file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    source_fingerprint: str
    precision: Literal["float32", "int8"]
    max_tokens: int
    pad_token_id: int
    weight: float
    openvino: str
    sha256: dict[str, str]


def read_openvino_card(folder: Path) -> OpenvinoCard:
    """The card of a folder made for OpenVINO.

    Raises:
        InputError: It is no such card.
    """
    path = folder / CARD_FILE
    remedy = "Make the folder again with `nightrank quantize`."
    try:
        return OpenvinoCard.model_validate_json(read_bytes(path))
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} is not the card of a reranker for OpenVINO.", remedy=remedy) from error
