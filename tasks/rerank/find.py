"""The reranker: (query, chunk) pairs in, raw relevance scores out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.storage.keys import fingerprint, sha256_of_file
from nightrank.tasks.models.batches import batches_by_budget, halving_on_memory
from nightrank.tasks.rerank.hosted.plan import plan_hosted
from nightrank.tasks.models.files import find_model, load_quietly, resolve_batch_tokens, resolve_device, resolve_precision
from nightrank.tasks.rerank.openvino import CARD_FILE as OPENVINO_CARD
from nightrank.tasks.rerank.openvino import FILES as OPENVINO_FILES
from nightrank.tasks.rerank.openvino import WEIGHTS as OPENVINO_WEIGHTS
from nightrank.tasks.rerank.openvino import read_openvino_card
from nightrank.tasks.rerank.packaged import CARD_FILE, load_reranker, read_card
from nightrank.tasks.settings.file import NOT_HOSTED
from nightrank.tasks.models.card import CARD, read_training_card

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.rerank.hosted.plan import HostedPlan
    from nightrank.tasks.settings.file import ExecutionSettings, RerankerSettings

NO_RERANKER = "none"
PRETRAINED = Path(__file__).parent / "pretrained"


@dataclass(frozen=True, slots=True)
class RerankerPlan:
    """Everything about a reranker that can be known without loading it.

    Attributes:
        folder: Its files.
        has_card: Whether it is one of ours: a delta on the packaged base, with a card.
        weight: Of its score against the first stage.
        fingerprint: Decides its scores: files, truncation, precision class.
        runtime: What runs it.
    """

    folder: Path
    has_card: bool
    weight: float
    max_tokens: int | None
    device: str
    precision: str
    fingerprint: str
    runtime: Literal["torch", "openvino"] = "torch"

    @property
    def key(self) -> str:
        """Decides a ranking: the scores, and how much they count."""
        return f"{self.fingerprint} at {self.weight:g}"


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
    if (folder / CARD_FILE).is_file():
        card = read_card(folder)
        if settings.sha256 not in (None, card.delta_sha256):
            message = f"The weights of {settings.model} have SHA-256 {card.delta_sha256}, not {settings.sha256}."
            raise InputError(message, remedy="Restore the model's folder, or correct `sha256` if the change is meant.")
        max_tokens = settings.max_tokens or card.max_length
        weight = card.weight if settings.weight is None else settings.weight
        key = fingerprint([card.base_sha256, card.delta_sha256, max_tokens, precision])
        return RerankerPlan(folder, True, weight, max_tokens, device, precision, key)
    if (folder / OPENVINO_CARD).is_file():
        return _plan_openvino(settings, folder)
    files = find_model(settings.model, base=base, revision=settings.revision, sha256=settings.sha256)
    _require_scoring_head(files.folder, name=settings.model)
    key = files.fingerprint(max_tokens=settings.max_tokens, precision=precision)
    weight = _weight_of(files.folder) if settings.weight is None else settings.weight
    return RerankerPlan(files.folder, False, weight, settings.max_tokens, device, precision, key)


def _plan_openvino(settings: RerankerSettings, folder: Path) -> RerankerPlan:
    card = read_openvino_card(folder)
    remedy = "Make the folder again with `python -m nightrank.flows.models.openvino`, or restore it."
    changed = [name for name, digest in card.sha256.items() if not _has_digest(folder / name, digest)]
    if changed or set(card.sha256) != set(OPENVINO_FILES):
        message = f"{folder} is not as it was made: {', '.join(changed) or 'its card names other files'}."
        raise InputError(message, remedy=remedy)
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


class Reranker:
    """A loaded cross-encoder with one output.

    Args:
        plan: What to load.
        batch_tokens: Token budget of a batch, or None for what suits the device.
        threads: CPU threads, or None for torch's own choice.

    Raises:
        InputError: The folder holds no cross-encoder with one output.
    """

    def __init__(self, plan: RerankerPlan, *, batch_tokens: int | None = None, threads: int | None = None) -> None:
        import torch

        from nightrank.tasks.models.packed import packed_scorer  # it imports torch

        load_quietly()
        if threads is not None:
            torch.set_num_threads(threads)
        model = load_cross_encoder(plan)
        if plan.max_tokens is not None:
            model.max_seq_length = plan.max_tokens
        model.model.to(getattr(torch, plan.precision))
        model.eval()
        if model.num_labels != 1:
            message = f"The reranker in {plan.folder} has {model.num_labels} outputs, expected one."
            raise InputError(message, remedy="Use a cross-encoder trained for ranking.")
        self.plan = plan
        self.max_tokens: int = model.max_seq_length or 512
        self._identity = torch.nn.Identity()
        self._batch_tokens = resolve_batch_tokens(batch_tokens, device=plan.device)
        self._packed = packed_scorer(model, batch_tokens=self._batch_tokens)
        self._model = model if self._packed is None else None  # whose weights are not kept twice

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:
        """Raw scores (logits) of pairs; higher is more relevant.

        Args:
            queries: (n,) normalised queries.
            texts: (n,) what models read of the chunks.
            lengths: int (n,), the texts' tokens, to batch by where the model's own tokens are not counted first.

        Returns:
            float32 (n,).
        """
        if self._packed is not None:
            return self._packed.score(queries, texts, batch_tokens=self._batch_tokens)
        scores = np.empty(len(queries), dtype=np.float32)
        pair_lengths = np.minimum(lengths + np.array([len(query) // 4 + 3 for query in queries]), self.max_tokens)
        for batch in batches_by_budget(pair_lengths, budget=self._batch_tokens):
            for rows, found in halving_on_memory(
                lambda rows: self._predict([(queries[row], texts[row]) for row in rows]), batch
            ):
                scores[rows] = found
        return scores

    def _predict(self, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        assert self._model is not None  # pairs come here only where it is needed
        scores: NDArray[np.float32] = self._model.predict(
            pairs,
            batch_size=len(pairs),
            activation_fn=self._identity,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return scores.astype(np.float32, copy=False)


def about_tokens(texts: Sequence[str]) -> NDArray[np.int64]:
    """About how many tokens texts have, int64 (n,), where nobody counted: to make batches by."""
    return np.array([len(text) // 4 + 1 for text in texts], dtype=np.int64)


def _require_scoring_head(folder: Path, *, name: str) -> None:
    """Refuse what a cross-encoder would be made of with a head of random weights: an embedder, a bare network."""
    remedy = "Use a cross-encoder trained for ranking."
    try:
        config = json.loads((folder / "config.json").read_bytes())
        architectures = [str(architecture) for architecture in config["architectures"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"The reranker {name!r} has no config.json in {folder} that names its architecture."
        raise InputError(message, remedy=remedy) from error
    if not any(architecture.endswith(("ForSequenceClassification", "ForCausalLM")) for architecture in architectures):
        message = f"The model {name!r} is no cross-encoder: it is a {', '.join(architectures)}, without a scoring head."
        raise InputError(message, remedy=remedy)


def load_cross_encoder(plan: RerankerPlan) -> Any:  # noqa: ANN401 (its network's type differs from model to model)
    """The model of a plan, as sentence-transformers knows it.

    Raises:
        InputError: The folder holds no cross-encoder.
    """
    from sentence_transformers import CrossEncoder

    if plan.has_card:
        return load_reranker(plan.folder, device=plan.device)
    try:
        return CrossEncoder(
            str(plan.folder),
            device=plan.device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError) as error:
        message = f"{plan.folder} holds no cross-encoder that sentence-transformers reads: {error}"
        raise InputError(message, remedy="Give the folder or the id of a cross-encoder.") from error
