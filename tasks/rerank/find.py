"""The reranker: (query, chunk) pairs in, raw relevance scores out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.foreign import passing_failure
from nightrank.storage.keys import fingerprint, sha256_of_file
from nightrank.storage.places import read_bytes
from nightrank.tasks.models.card import CARD, read_training_card
from nightrank.tasks.models.files import (
    find_model,
    resolve_device,
    resolve_precision,
)
from nightrank.tasks.rerank.hosted.plan import plan_hosted
from nightrank.tasks.rerank.openvino_card import CARD_FILE as OPENVINO_CARD
from nightrank.tasks.rerank.openvino_card import FILES as OPENVINO_FILES
from nightrank.tasks.rerank.openvino_card import WEIGHTS as OPENVINO_WEIGHTS
from nightrank.tasks.rerank.openvino_card import read_openvino_card
from nightrank.tasks.rerank.packaged import CARD_FILE, read_card
from nightrank.tasks.rerank.plan import RerankerPlan
from nightrank.tasks.settings.ranking import NOT_HOSTED

if TYPE_CHECKING:
    from nightrank.tasks.rerank.hosted.plan import HostedPlan
    from nightrank.tasks.settings.operation import ExecutionSettings
    from nightrank.tasks.settings.ranking import RerankerSettings

NO_RERANKER = "none"
PRETRAINED = Path(__file__).parent / "pretrained"


def plan_reranker(
    settings: RerankerSettings, execution: ExecutionSettings, *, base: Path
) -> RerankerPlan | HostedPlan | None:
    """Find a reranker, check what is there of it, and take its fingerprint; None where the settings say "none".

    Raises:
        InputError: The model or the device is not there, the weights are not the expected ones, or a hosted
            reranker's settings do not go together.
    """
    if settings.model == NO_RERANKER:
        return None
    if settings.hosted.api != NOT_HOSTED:
        return plan_hosted(settings)
    return plan_local(settings, execution, base=base)


def plan_local(settings: RerankerSettings, execution: ExecutionSettings, *, base: Path) -> RerankerPlan:
    """The plan of a reranker that runs here.

    Raises:
        InputError: The model or the device is not there, or the weights are not the expected ones.
    """
    device = resolve_device(execution.device)
    precision = resolve_precision(settings.precision, device=device)
    folder = packaged_folder(settings.model) or base / settings.model
    prompt = settings.prompt
    told = {} if prompt is None else {"prompt": prompt}
    if (folder / CARD_FILE).is_file():
        card = read_card(folder)
        if settings.sha256 not in (None, card.delta_sha256):
            message = f"The weights of {settings.model} have SHA-256 {card.delta_sha256}, not {settings.sha256}."
            raise InputError(message, remedy="Restore the model's folder, or correct `sha256` if the change is meant.")
        max_tokens = settings.max_tokens or card.max_length
        weight = card.weight if settings.weight is None else settings.weight
        key = fingerprint([card.base_sha256, card.delta_sha256, max_tokens, precision, *told.values()])
        return RerankerPlan(folder, True, weight, max_tokens, device, precision, key, prompt=prompt)
    if (folder / OPENVINO_CARD).is_file():
        return _plan_openvino(settings, folder)
    files = find_model(settings.model, base=base, revision=settings.revision, sha256=settings.sha256)
    _require_scoring_head(files.folder, name=settings.model)
    key = files.fingerprint(max_tokens=settings.max_tokens, precision=precision, **told)
    weight = _weight_of(files.folder) if settings.weight is None else settings.weight
    return RerankerPlan(files.folder, False, weight, settings.max_tokens, device, precision, key, prompt=prompt)


def _plan_openvino(settings: RerankerSettings, folder: Path) -> RerankerPlan:
    card = read_openvino_card(folder)
    remedy = "Make the folder again with `nightrank quantize`, or restore it."
    changed = [name for name, digest in card.sha256.items() if not _has_digest(folder / name, digest)]
    if changed or set(card.sha256) != set(OPENVINO_FILES):
        message = f"{folder} is not as it was made: {', '.join(changed) or 'its card names other files'}."
        raise InputError(message, remedy=remedy)
    if settings.prompt is not None:
        raise InputError(f"The reranker in {folder} takes no prompt.", remedy="Leave `prompt` out.")
    if settings.max_tokens not in (None, card.max_tokens) or settings.precision not in ("auto", card.precision):
        message = f"The reranker in {folder} was made for {card.max_tokens} tokens in {card.precision}."
        raise InputError(message, remedy="Leave `max_tokens` and `precision` out, or make it again from its source.")
    if settings.sha256 not in (None, card.sha256[OPENVINO_WEIGHTS]):
        message = f"{folder / OPENVINO_WEIGHTS} has another SHA-256 than the settings expect."
        raise InputError(message, remedy="Restore the folder, or correct `sha256` if the change is meant.")
    weight = card.weight if settings.weight is None else settings.weight
    key = fingerprint(["openvino", card.precision, card.max_tokens, card.sha256])
    return RerankerPlan(folder, False, weight, card.max_tokens, "cpu", card.precision, key, runtime="openvino")


def _has_digest(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_of_file(path) == digest


def packaged_folder(name: str) -> Path | None:
    """The folder of a packaged reranker; None where none has that name."""
    folder = PRETRAINED / name
    return folder if Path(name).name == name and folder.is_dir() else None


def _weight_of(folder: Path) -> float:
    """The weight that a trained reranker's card names; 1.0 of any other."""
    if not (folder / CARD).is_file():
        return 1.0
    weight = read_training_card(folder).weight
    return 1.0 if weight is None else weight


def _require_scoring_head(folder: Path, *, name: str) -> None:
    """Refuse what a cross-encoder would be made of with a head of random weights: an embedder, a bare network."""
    remedy = "Use a cross-encoder trained for ranking."
    try:
        config = json.loads(read_bytes(folder / "config.json"))
        architectures = [str(architecture) for architecture in config["architectures"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        if (told := passing_failure(error)) is not None:
            raise told from error
        message = f"The reranker {name!r} has no config.json in {folder} that names its architecture."
        raise InputError(message, remedy=remedy) from error
    with_head = any(name.endswith(("ForSequenceClassification", "ForCausalLM")) for name in architectures)
    if not with_head and not _has_scoring_module(folder):
        message = f"The model {name!r} is not a cross-encoder: it is a {', '.join(architectures)} without scoring head."
        raise InputError(message, remedy=remedy)


def _has_scoring_module(folder: Path) -> bool:
    """Whether a bare network is followed by modules of sentence-transformers, one of which makes the scores."""
    try:
        modules = json.loads(read_bytes(folder / "modules.json"))
        dense = [module for module in modules if str(module["type"]).endswith(".Dense")]
        configs = [json.loads(read_bytes(folder / module["path"] / "config.json")) for module in dense]
        return any(config.get("module_output_name") == "scores" for config in configs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if (told := passing_failure(error)) is not None:
            raise told from error
        return False
