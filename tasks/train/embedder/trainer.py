"""What looks on while a dual encoder is trained. Importing this loads sentence-transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.base.sampler import DefaultBatchSampler
from transformers import TrainerCallback

from nightrank.tasks.models.card import MEASURES
from nightrank.tasks.train.embedder.examine import examine, mean_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from datasets import Dataset
    from numpy.typing import NDArray
    from sentence_transformers.base.model import BaseModel
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from nightrank.tasks.settings.index import EmbedderSettings
    from nightrank.tasks.train.embedder.examine import Examination
    from nightrank.tasks.train.embedder.rows import TrainingRow

VALIDATION_MEASURE = MEASURES[0]
TOKENS_A_TEXT = 128  # about; decides how many texts make a batch


class HeldOutEvaluator(BaseEvaluator):
    """Measures the dense leg of some held-out queries.

    Args:
        validation: The queries, and the passages that they are measured over.
        prompts: What is put before queries and passages.
        batch_tokens: About so many tokens make a batch.
    """

    def __init__(self, validation: Examination, prompts: EmbedderSettings, *, batch_tokens: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # sentence-transformers leaves it untyped
        self.primary_metric = VALIDATION_MEASURE
        self._validation = validation
        self._prompts = prompts
        self._batch = max(1, batch_tokens // TOKENS_A_TEXT)

    def __call__(
        self,
        model: BaseModel,
        output_path: str | None = None,  # noqa: ARG002 - as the trainer calls it
        epoch: float = -1,  # noqa: ARG002
        steps: int = -1,  # noqa: ARG002
    ) -> dict[str, float]:
        """The measures by name; the model is left as it was."""
        was_training = model.training
        evaluation = examine(
            self._validation,
            embed_queries=lambda texts: self._embed(model, texts, self._prompts.query_prompt),
            embed_passages=lambda texts: self._embed(model, texts, self._prompts.passage_prompt),
        )
        model.train(was_training)
        return {measure: mean_of(evaluation, measure) for measure in MEASURES}

    def _embed(self, model: BaseModel, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        vectors = model.encode(  # type: ignore[operator]  # every dual encoder has it, the base class does not
            [prompt + text for text in texts],
            batch_size=self._batch,
            show_progress_bar=False,
            normalize_embeddings=True,
        )
        return np.asarray(vectors, dtype=np.float32)


class Trainer(SentenceTransformerTrainer):
    """Keeps answers apart in batches, and writes no model card, as our own card says what the model is.

    Args:
        rows: What is learnt from; the training data set has the same rows.
        arguments: As the class above takes them.
    """

    def __init__(self, rows: Sequence[TrainingRow], **arguments: Any) -> None:  # noqa: ANN401
        self._rows = rows
        super().__init__(**arguments)

    def get_batch_sampler(  # noqa: PLR0917 - as the class above has it
        self,
        dataset: Dataset,
        batch_size: int,
        drop_last: bool,  # noqa: ARG002 - as the class above calls it
        valid_label_columns: list[str] | None = None,  # noqa: ARG002
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> AnswerAwareBatches:
        """Which rows make a batch."""
        return AnswerAwareBatches(dataset, self._rows, batch_size=batch_size, generator=generator, seed=seed)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Nothing is collected for it."""


class Advance(TrainerCallback):
    """Tells of each update, and at the beginning of those that a stopped run had done.

    Args:
        advance: Called with how many more are done.
    """

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance

    def on_train_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002 - as the trainer calls it
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: object,  # noqa: ARG002
    ) -> None:
        """Told once."""
        self._advance(state.global_step)

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002 - as the trainer calls it
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **kwargs: object,  # noqa: ARG002
    ) -> None:
        """Told after each update."""
        self._advance(1)


class AnswerAwareBatches(DefaultBatchSampler):
    """Batches in which no passage is shown to a query that it answers, but as that query's own.

    Every passage of a batch is a negative of all its other queries. So rows are kept apart whose queries or texts are
    the same, and those one of which shows what answers the other. Each row is used once an epoch; where many rows must
    be kept apart, the last batches are small.

    Args:
        dataset: The rows, as the trainer has them.
        rows: The same, with what they show and what answers them.
        batch_size: Rows of a batch.
        generator: What decides the order, with ``seed`` and the epoch.
        seed: Of the order.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: Sequence[TrainingRow],
        *,
        batch_size: int,
        generator: torch.Generator | None,
        seed: int,
    ) -> None:
        super().__init__(dataset, batch_size=batch_size, drop_last=False, generator=generator, seed=seed)
        self._rows = rows

    def __iter__(self) -> Iterator[list[int]]:
        """The numbers of the rows of each batch, in a new order each epoch."""
        if self.generator is not None:
            self.generator.manual_seed(self.seed + self.epoch)
        waiting = torch.randperm(len(self._rows), generator=self.generator).tolist()
        while waiting:
            batch, waiting = self._filled(waiting)
            yield batch

    def _filled(self, waiting: list[int]) -> tuple[list[int], list[int]]:
        """A batch of the first rows that go together, and the rows that are left, in order."""
        batch: list[int] = []
        passed_over: list[int] = []
        texts: set[str] = set()
        shown: set[str] = set()
        answering: set[str] = set()
        for place, number in enumerate(waiting):
            row = self._rows[number]
            if not (
                texts.isdisjoint((row.query, *row.texts))
                and shown.isdisjoint(row.answering)
                and answering.isdisjoint(row.shown)
            ):
                passed_over.append(number)
                continue
            batch.append(number)
            texts.update((row.query, *row.texts))
            shown |= row.shown
            answering |= row.answering
            if len(batch) == self.batch_size:
                return batch, passed_over + waiting[place + 1 :]
        return batch, passed_over
