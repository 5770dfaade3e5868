"""The model that a reranker's training starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.keys import fingerprint
from nightrank.tasks.models.files import find_model, load_quietly
from nightrank.tasks.rerank.cross_encoder import set_prompt
from nightrank.tasks.rerank.find import NO_RERANKER, packaged_folder
from nightrank.tasks.rerank.openvino_card import CARD_FILE as OPENVINO_CARD
from nightrank.tasks.rerank.openvino_card import read_openvino_card
from nightrank.tasks.rerank.packaged import CARD_FILE, load_reranker, new_cross_encoder, read_card
from nightrank.tasks.settings.ranking import NOT_HOSTED

if TYPE_CHECKING:
    from pathlib import Path

    from sentence_transformers import CrossEncoder

    from nightrank.tasks.train.job import TrainingJob

EMBEDDER = "embedder"
PACKAGED = "nightrank-minilm"


def base_name(job: TrainingJob, asked: str | None) -> str:
    """The name of the model to start from: what is asked for, else the present reranker, else the packaged one.

    Raises:
        InputError: The present reranker is a hosted one, with which no trained one can be compared for nothing.
    """
    if job.settings.reranker.hosted.api != NOT_HOSTED:
        message = "A trained reranker is compared with the present one, which is a hosted one here and would be paid."
        raise InputError(message, remedy="Train under settings without [reranker.hosted].")
    if asked is not None:
        return asked
    present = job.settings.reranker.model
    return PACKAGED if present == NO_RERANKER else present


def base_files(job: TrainingJob, name: str) -> tuple[Path, str]:
    """The folder of the model to start from, and the fingerprint of its files.

    Raises:
        InputError: It is not there, or it is made for OpenVINO.
    """
    if name == EMBEDDER:
        return job.embedder.files.folder, job.embedder.files.fingerprint()
    folder = packaged_folder(name) or job.base / name
    if (folder / OPENVINO_CARD).is_file():
        source = read_openvino_card(folder).source
        message = f"The reranker {name!r} is made for OpenVINO, which cannot be trained."
        raise InputError(message, remedy=f"Start from the model that it was made from: --base {source}.")
    if (folder / CARD_FILE).is_file():
        card = read_card(folder)
        return folder, fingerprint([card.base_sha256, card.delta_sha256])
    files = find_model(name, base=job.base, revision=None, sha256=None)
    return files.folder, files.fingerprint()


def load_base(folder: Path, *, max_length: int, device: str, seed: int, prompt: str | None = None) -> CrossEncoder:
    """A cross-encoder to be trained, in single precision.

    Args:
        folder: Of the model.
        max_length: Tokens of a pair.
        device: Where it is put.
        seed: A head that the model lacks is drawn from it.
        prompt: What it is told with each pair, in training and ever after; None for what is the model's own.

    Raises:
        InputError: The folder holds no model that a cross-encoder with one output can be made of.
    """
    import torch

    load_quietly()
    torch.manual_seed(seed)
    try:
        if (folder / CARD_FILE).is_file():
            encoder = load_reranker(folder, device=device)
            encoder.max_seq_length = max_length
        else:
            encoder = new_cross_encoder(folder, max_length=max_length, device=device)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        message = f"{folder} holds no model that a reranker can be made of: {error}"
        raise InputError(message, remedy="Give a cross-encoder with one output, or a dual encoder.") from error
    set_prompt(encoder, prompt)
    return encoder
