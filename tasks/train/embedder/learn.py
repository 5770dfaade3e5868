"""Training a dual encoder: contrastive, with the other passages of a batch as negatives, by sentence-transformers.

Both towers are one network. Each query is to prefer its own passage to all others of the batch, the mined negatives of
all queries among them:

    loss = mean over q of -log( exp(s * cos(q, own(q))) / sum over all passages p of the batch of exp(s * cos(q, p)) )

No text is in a batch twice, and no row that shows what is known to answer another one's query, so that no answer is a
negative. Held-out queries are looked at several times; each
time leaves a checkpoint, from which a training that was stopped goes on, and the best of which is the outcome.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from nightrank.storage.errors import InputError
from nightrank.storage.foreign import passing_failure
from nightrank.storage.places import read_bytes
from nightrank.tasks.models.card import MEASURES
from nightrank.tasks.models.curve import LOSSES
from nightrank.tasks.models.files import load_quietly, resolve_batch_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentence_transformers import SentenceTransformer
    from torch.nn import Module

    from nightrank.tasks.settings.index import EmbedderSettings
    from nightrank.tasks.settings.operation import ExecutionSettings
    from nightrank.tasks.train.embedder.examine import Examination
    from nightrank.tasks.train.embedder.options import EmbedderTraining
    from nightrank.tasks.train.embedder.rows import TrainingRow

WARM_UP_SHARE = 0.1
CHECKPOINTS_KEPT = 2  # the newest and the best
VALIDATION_MEASURE = MEASURES[0]


class Learnt(BaseModel):
    """What a training did.

    Attributes:
        steps: Updates, those of stopped runs included.
        steps_planned: As many as there were to be.
        best_step: After which the model was taken.
        rows: Pairs, each with its negatives.
        validation_queries: Held-out queries that were looked at on the way.
        validation_passages: Over so many passages.
        validation: nDCG@10 of these queries after the best step.
        first_loss: Mean over the first tenth of the updates.
        last_loss: Mean over the last tenth.
        device: On which it ran.
        cached: Whether batches were learnt from in parts.
    """

    model_config = ConfigDict(frozen=True)

    steps: int
    steps_planned: int
    best_step: int
    rows: int
    validation_queries: int
    validation_passages: int
    best_validation: float
    first_loss: float
    last_loss: float
    device: str
    cached: bool


def require_training_libraries() -> None:
    """See whether what trains models is installed.

    Raises:
        InputError: It is not.
    """
    from sentence_transformers.util import is_training_available

    if not is_training_available():
        message = "Training needs the packages `datasets` and `accelerate`, which are not installed."
        raise InputError(message, remedy="Install them with `pip install nightrank[train]`.")


def contrastive_loss(model: SentenceTransformer, training: EmbedderTraining) -> Module:
    """The loss of a batch: in one piece where it fits, else in parts, with the same value and gradients."""
    from sentence_transformers.sentence_transformer import losses

    if training.batch <= training.mini_batch:
        return losses.MultipleNegativesRankingLoss(model, scale=training.scale)
    return losses.CachedMultipleNegativesRankingLoss(model, scale=training.scale, mini_batch_size=training.mini_batch)


def load_model(folder: Path, *, device: str) -> SentenceTransformer:
    """A dual encoder to be trained, in single precision.

    Raises:
        InputError: The folder holds no model that sentence-transformers reads.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    load_quietly()
    try:
        return SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )
    except (OSError, ValueError, KeyError) as error:
        if (told := passing_failure(error, where=folder)) is not None:
            raise told from error
        message = f"{folder} holds no model that sentence-transformers can read: {error}"
        raise InputError(message, remedy="Give the folder or the id of a sentence-transformers model.") from error


def train_embedder(
    rows: Sequence[TrainingRow],
    validation: Examination,
    training: EmbedderTraining,
    *,
    base: Path,
    folder: Path,
    checkpoints: Path,
    prompts: EmbedderSettings,
    execution: ExecutionSettings,
    device: str,
    advance: Callable[[int], None] = lambda _done: None,
) -> tuple[Learnt, pa.Table]:
    """Train a dual encoder, going on from the newest whole checkpoint if there is one.

    Args:
        rows: As ``tasks.train.embedder.rows`` gives them.
        validation: What is looked at on the way, to keep the best and to stop early.
        training: How to learn.
        base: The folder of the model to start from.
        folder: Where the outcome goes; replaced where it is there.
        checkpoints: The folder of the checkpoints.
        prompts: What is put before queries and passages.
        execution: Threads, and how long a batch may be where the model is only used.
        device: Where it runs.
        advance: Called with 1 after each update.

    Returns:
        What was done, and the loss curve, schema LOSSES.
    """
    import torch
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator
    from transformers import EarlyStoppingCallback, PrinterCallback, set_seed

    from nightrank.tasks.train.embedder.trainer import Advance, HeldOutEvaluator, Trainer

    if execution.threads is not None:
        torch.set_num_threads(execution.threads)
    for name in ("sentence_transformers", "transformers", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    set_seed(training.seed)
    model = load_model(base, device=device)
    batch = min(training.batch, len(rows))
    planned = training.planned(len(rows))
    every = training.every(planned)
    checkpoint = newest_checkpoint(checkpoints)
    last = given_up_at(checkpoint, patience=training.patience) or planned
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        max_steps=last,
        per_device_train_batch_size=batch,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        warmup_steps=math.ceil(WARM_UP_SHARE * planned),
        lr_scheduler_type="linear",
        dataloader_pin_memory=False,
        seed=training.seed,
        data_seed=training.seed,
        use_cpu=device == "cpu",
        bf16=device.startswith("cuda") and torch.cuda.is_bf16_supported(),
        logging_strategy="steps",
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=CHECKPOINTS_KEPT,
        restore_callback_states_from_checkpoint=True,  # looks without a gain are counted on
        load_best_model_at_end=True,
        metric_for_best_model=f"eval_{VALIDATION_MEASURE}",
        greater_is_better=True,
        disable_tqdm=True,
        report_to="none",
    )
    trainer = Trainer(
        rows,
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(_columns(rows, prompts)),
        loss=contrastive_loss(model, training),
        evaluator=HeldOutEvaluator(
            validation, prompts, batch_tokens=resolve_batch_tokens(execution.batch_tokens, device=device)
        ),
        data_collator=SentenceTransformerDataCollator(preprocess_fn=model.preprocess, max_length=training.max_tokens),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=training.patience), Advance(advance)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=checkpoint)
    blend(model, load_model(base, device=device), share=training.base_share)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(str(folder), create_model_card=False)
    # Going on from the last checkpoint of all, the trainer makes one more update, at a learning rate of 0.
    losses = loss_table([entry for entry in trainer.state.log_history if entry["step"] <= last])
    known = losses.column("loss").drop_null().to_numpy()
    tenth = max(1, known.size // 10)
    state = trainer.state
    return Learnt(
        steps=min(state.global_step, last),
        steps_planned=planned,
        best_step=state.best_global_step or state.global_step,
        rows=len(rows),
        validation_queries=len(validation.queries),
        validation_passages=len(validation.passages),
        best_validation=float(state.best_metric or 0.0),
        first_loss=float(known[:tenth].mean()),
        last_loss=float(known[-tenth:].mean()),
        device=device,
        cached=training.batch > training.mini_batch,
    ), losses


def blend(model: SentenceTransformer, base: SentenceTransformer, *, share: float) -> None:
    """Give each weight of a model a share of the weight that another one of the same shape has there.

    Args:
        model: Changed in place.
        base: The other one.
        share: Of the other one; 0 changes nothing.
    """
    import torch

    with torch.no_grad():
        for weight, other in zip(model.parameters(), base.parameters(), strict=True):
            weight.lerp_(other.to(weight.device), share)


def newest_checkpoint(folder: Path) -> str | None:
    """The checkpoint to go on from: the newest that is whole; its state is what the trainer writes last."""
    found = sorted(folder.glob("checkpoint-*/trainer_state.json"), key=lambda path: int(path.parent.name.split("-")[1]))
    for path in reversed(found):
        try:
            json.loads(read_bytes(path))
        except ValueError:
            continue
        return str(path.parent)
    return None


def given_up_at(checkpoint: str | None, *, patience: int) -> int | None:
    """After how many updates a training had ended early that left this checkpoint; None where it had not."""
    if checkpoint is None:
        return None
    state = json.loads(read_bytes(Path(checkpoint) / "trainer_state.json"))
    looks = state["stateful_callbacks"]["EarlyStoppingCallback"]["attributes"]["early_stopping_patience_counter"]
    return int(state["global_step"]) if looks >= patience else None


def loss_table(history: Sequence[dict[str, float]]) -> pa.Table:
    """What a trainer logged, as a table of schema LOSSES, a row a step."""
    steps: dict[int, dict[str, float]] = {}
    for entry in history:
        row = steps.setdefault(int(entry["step"]), {"step": int(entry["step"])})
        names = {"loss": "loss", "learning_rate": "learning_rate", f"eval_{VALIDATION_MEASURE}": "held_out"}
        row.update({names[name]: float(value) for name, value in entry.items() if name in names})
    return pa.Table.from_pylist([steps[step] for step in sorted(steps)], schema=LOSSES)


def _columns(rows: Sequence[TrainingRow], prompts: EmbedderSettings) -> dict[str, list[str]]:
    columns = {"anchor": [prompts.query_prompt + row.query for row in rows]}
    for number, texts in enumerate(zip(*(row.texts for row in rows), strict=True)):
        name = f"negative_{number}" if number else "positive"
        columns[name] = [prompts.passage_prompt + text for text in texts]
    return columns
