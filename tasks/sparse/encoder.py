"""The learned sparse encoder: planned from its files without loading it, and loaded when a text needs it.

A plan is enough to know whether vectors are current; only what is not there yet asks for the network. Models are those
that sentence-transformers' ``SparseEncoder`` loads; SPLADE encoders of BERT's type run over packed tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from nightrank.storage.errors import InputError
from nightrank.storage.foreign import passing_failure
from nightrank.storage.memo.sparse_vectors import largest_difference
from nightrank.tasks.models.drift_check import require_agreement
from nightrank.tasks.models.execution import execution_on
from nightrank.tasks.models.files import (
    find_model,
    load_quietly,
    resolve_batch_tokens,
    resolve_device,
    resolve_precision,
)
from nightrank.tasks.sparse.static import StaticQueries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nightrank.storage.memo.sparse_vectors import SparseVectors
    from nightrank.tasks.models.execution import InBatches, OneByOne
    from nightrank.tasks.models.files import ModelFiles
    from nightrank.tasks.models.packed.splade import PackedSplade
    from nightrank.tasks.models.plain import PlainSparse
    from nightrank.tasks.settings.index import SparseSettings
    from nightrank.tasks.settings.operation import ExecutionSettings
    from nightrank.tasks.settings.quality import DriftCheckSettings

# Prompts by what is read, in the order in which sentence-transformers looks for them.
PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}


@dataclass(frozen=True, slots=True)
class SparsePlan:
    """Everything about a sparse encoder that can be known without loading it.

    Attributes:
        fingerprint: Decides its vectors: files, truncation, smallest weight, precision class.
    """

    files: ModelFiles
    settings: SparseSettings
    device: str
    precision: str
    fingerprint: str


def plan_sparse(settings: SparseSettings, execution: ExecutionSettings, *, base: Path) -> SparsePlan:
    """Find a sparse encoder's files, check them, and take its fingerprint.

    Raises:
        InputError: The model or the device is not there, or the weights are not the expected ones.
    """
    files = find_model(settings.model, base=base, revision=settings.revision, sha256=settings.sha256)
    device = resolve_device(execution.device)
    precision = resolve_precision(settings.precision, device=device)
    key = files.fingerprint(max_tokens=settings.max_tokens, min_weight=settings.min_weight, precision=precision)
    return SparsePlan(files, settings, device, precision, key)


class SparseEncoder:
    """A learned sparse encoder, whose network is loaded when it is first needed.

    On a processor a text's vector is a function of the text, whatever is encoded beside it; on a GPU its last digits
    depend on its batch.

    Args:
        plan: What to load.
        batch_tokens: Token budget of a batch on a GPU, or None for what suits the device.
        threads: CPU threads, or None for torch's own choice.
    """

    def __init__(self, plan: SparsePlan, *, batch_tokens: int | None = None, threads: int | None = None) -> None:
        self.plan = plan
        self._batch_tokens, self._threads = batch_tokens, threads
        settings = plan.settings
        self._static = StaticQueries.in_folder(
            plan.files.folder, max_tokens=settings.max_tokens, min_weight=settings.min_weight
        )

    @property
    def looks_queries_up(self) -> bool:
        """Whether queries ask no network."""
        return self._static is not None

    def encode_queries(self, texts: Sequence[str]) -> SparseVectors:
        """Vectors of queries (n,), by the side of the model that is meant for them.

        Raises:
            InputError: The folder holds no model that sentence-transformers reads.
        """
        return self._network.encode_queries(texts) if self._static is None else self._static.encode(texts)

    def encode_passages(
        self, texts: Sequence[str], *, on_batch: Callable[[int], None] = lambda _done: None
    ) -> SparseVectors:
        """Vectors of chunks (n,).

        Args:
            texts: (n,) what models read.
            on_batch: Called after each batch with how many texts it had.

        Raises:
            InputError: The folder holds no model that sentence-transformers reads.
        """
        return self._network.encode_passages(texts, on_batch=on_batch)

    @cached_property
    def _network(self) -> _Network:
        return _Network(self.plan, batch_tokens=self._batch_tokens, threads=self._threads)


class _Network:
    """A loaded model."""

    def __init__(self, plan: SparsePlan, *, batch_tokens: int | None, threads: int | None) -> None:
        import sentence_transformers
        import torch

        load_quietly()
        try:
            model = sentence_transformers.SparseEncoder(
                str(plan.files.folder),
                device=plan.device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True, "dtype": getattr(torch, plan.precision)},
            )
        except (OSError, ValueError, KeyError) as error:
            if (told := passing_failure(error, where=plan.files.folder)) is not None:
                raise told from error
            message = f"{plan.files.folder} holds no model that sentence-transformers can read: {error}"
            raise InputError(message, remedy="Give the folder or the id of a SPLADE-type model.") from error
        model.eval()
        settings = plan.settings
        if model.max_seq_length is None or model.max_seq_length > settings.max_tokens:
            model.max_seq_length = settings.max_tokens
        budget = resolve_batch_tokens(batch_tokens, device=plan.device)
        execution = execution_on(plan.device, batch_tokens=budget, threads=threads)

        # Weights are not kept twice: where queries are read like texts, one reads both.
        self._passages = _side_of(model, "document", execution, settings)
        self._queries = self._passages if _is_one(model) else _side_of(model, "query", execution, settings)
        self._prompts = {task: _prompt_of(model, task) for task in PROMPTS}

    def encode_queries(self, texts: Sequence[str]) -> SparseVectors:
        return self._queries.encode([self._prompts["query"] + text for text in texts])

    def encode_passages(self, texts: Sequence[str], *, on_batch: Callable[[int], None]) -> SparseVectors:
        return self._passages.encode([self._prompts["document"] + text for text in texts], on_batch=on_batch)


def check_stored_sparse(
    encoder: SparseEncoder, texts: Sequence[str], stored: SparseVectors, *, settings: DriftCheckSettings
) -> None:
    """Require that an encoder says again what is stored of it.

    Args:
        encoder: The one that the vectors are of.
        texts: (n,) what models read.
        stored: Their vectors.
        settings: The tolerance.

    Raises:
        MachineError: An entry differs by more than the tolerance.
    """
    plan = encoder.plan
    difference = largest_difference(encoder.encode_passages(texts), stored, min_weight=plan.settings.min_weight)
    require_agreement("sparse vectors", difference, settings=settings, precision=plan.precision)


def _side_of(
    model: Any,  # noqa: ANN401 (sentence-transformers leaves it untyped)
    task: Literal["query", "document"],
    execution: OneByOne | InBatches,
    settings: SparseSettings,
) -> PackedSplade | PlainSparse:
    """What reads queries, or texts."""
    from nightrank.tasks.models.packed.splade import packed_splade
    from nightrank.tasks.models.plain import PlainSparse

    plain = PlainSparse(model, execution, task=task, min_weight=settings.min_weight)
    parts = list(model) if _is_one(model) else list(model[0].sub_modules[task])
    return packed_splade(parts, plain, execution) or plain


def _is_one(model: Any) -> bool:  # noqa: ANN401
    """Whether queries take the way of texts."""
    return not hasattr(model[0], "sub_modules")


def _prompt_of(model: Any, task: str) -> str:  # noqa: ANN401
    named = next((name for name in PROMPTS[task] if name in model.prompts), model.default_prompt_name)
    return str(model.prompts.get(named) or "")
