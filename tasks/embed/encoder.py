"""The dual encoder: texts in, unit vectors out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.storage.foreign import passing_failure
from nightrank.storage.lance.table import vectors_of
from nightrank.tasks.models.drift_check import compare_with_stored
from nightrank.tasks.models.execution import execution_on
from nightrank.tasks.models.files import (
    find_model,
    load_quietly,
    resolve_batch_tokens,
    resolve_device,
    resolve_precision,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.tasks.models.files import ModelFiles
    from nightrank.tasks.settings.index import EmbedderSettings
    from nightrank.tasks.settings.operation import ExecutionSettings
    from nightrank.tasks.settings.quality import DriftCheckSettings


@dataclass(frozen=True, slots=True)
class EmbedderPlan:
    """Everything about an embedder that can be known without loading it.

    Attributes:
        fingerprint: Decides its vectors: files, prompts, precision class.
    """

    files: ModelFiles
    settings: EmbedderSettings
    device: str
    precision: str
    fingerprint: str


def plan_embedder(settings: EmbedderSettings, execution: ExecutionSettings, *, base: Path) -> EmbedderPlan:
    """Find an embedder's files, check them, and take its fingerprint.

    Raises:
        InputError: The model or the device is not there, or the weights are not the expected ones.
    """
    files = find_model(settings.model, base=base, revision=settings.revision, sha256=settings.sha256)
    device = resolve_device(execution.device)
    precision = resolve_precision(settings.precision, device=device)
    key = files.fingerprint(
        query_prompt=settings.query_prompt, passage_prompt=settings.passage_prompt, precision=precision
    )
    return EmbedderPlan(files, settings, device, precision, key)


class Embedder:
    """A loaded dual encoder.

    On a processor a text's vector is a function of the text, whatever is embedded beside it; on a GPU its last digits
    depend on its batch.

    Args:
        plan: What to load.
        batch_tokens: Token budget of a batch on a GPU, or None for what suits the device.
        threads: CPU threads, or None for torch's own choice.

    Raises:
        InputError: The folder holds no model that sentence-transformers reads.
    """

    def __init__(self, plan: EmbedderPlan, *, batch_tokens: int | None = None, threads: int | None = None) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        from nightrank.tasks.models.packed.embedder import packed_embedder  # it imports torch
        from nightrank.tasks.models.plain import PlainEmbedder

        load_quietly()
        try:
            model = SentenceTransformer(
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
            raise InputError(message, remedy="Give the folder or the id of a sentence-transformers model.") from error
        model.eval()
        dimensions = model.get_embedding_dimension()
        assert dimensions is not None  # every model of ours pools
        self.plan = plan
        self.dimensions = dimensions
        self.max_tokens = model.max_seq_length or 512
        budget = resolve_batch_tokens(batch_tokens, device=plan.device)
        execution = execution_on(plan.device, batch_tokens=budget, threads=threads)
        # Only one of both, so that weights are not kept twice.
        self._model = packed_embedder(model, execution) or PlainEmbedder(model, execution)

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of queries, float32 (n, dim), the query prompt before each."""
        return self._embed([self.plan.settings.query_prompt + text for text in texts])

    def embed_passages(
        self, texts: Sequence[str], *, on_batch: Callable[[int], None] = lambda _done: None
    ) -> NDArray[np.float32]:
        """Unit vectors of chunks, float32 (n, dim), the passage prompt before each.

        Args:
            texts: (n,) what models read.
            on_batch: Called after each batch with how many texts it had.
        """
        return self._embed([self.plan.settings.passage_prompt + text for text in texts], on_batch)

    def _embed(self, texts: Sequence[str], on_batch: Callable[[int], None] = lambda _done: None) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for rows, found in self._model.embed(texts, on_batch=on_batch):
            vectors[rows] = found
        return vectors


def check_stored_vectors(embedder: Embedder, stored: pa.Table, *, settings: DriftCheckSettings) -> None:
    """Require that an embedder says again what is stored of it.

    Args:
        embedder: The one that the vectors are of.
        stored: ``text`` and ``vector`` of some chunks.
        settings: The tolerance.

    Raises:
        MachineError: A vector differs by more than the tolerance.
    """
    fresh = embedder.embed_passages(stored.column("text").to_pylist())
    vectors = vectors_of(stored, embedder.dimensions)
    compare_with_stored("embeddings", vectors, fresh, settings=settings, precision=embedder.plan.precision)
