"""Training a dual encoder: what its loss sees, that both towers learn, and that it goes on where it was stopped."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.train.embedder.examine import Examination
from nightrank.tasks.train.embedder.learn import (
    contrastive_loss,
    load_model,
    loss_table,
    newest_checkpoint,
    train_embedder,
)
from nightrank.tasks.train.embedder.options import EmbedderTraining
from nightrank.tasks.train.embedder.rows import TrainingRow
from tests.support.collection import TEXTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

    from nightrank.tasks.train.embedder.learn import Learnt
    from tests.conftest import Models

QUERIES = ["how do bees make honey", "black tea", "wild yeast"]
ANSWERS = ["Bees dry nectar until it is honey.", "Black tea is left to wilt.", "A sourdough holds wild yeast."]
NEGATIVES = ["Young bees sweat wax.", "Coffee beans are seeds.", "Knead the dough and bake it."]
NAMES = list(TEXTS)
ROWS = [TrainingRow(TEXTS[name][0].lower(), (TEXTS[name][1], TEXTS[NAMES[i - 1]][1])) for i, name in enumerate(NAMES)]
VALIDATION_MEASURE = Examination(
    [row[0] for row in ROWS], [{name: 1} for name in NAMES], [row[1][0] for row in ROWS], NAMES
)


@pytest.fixture
def model(models: Models) -> SentenceTransformer:
    loaded = load_model(models.embedder, device="cpu")
    loaded.eval()  # without dropout a loss can be computed again
    return loaded


def features(model: SentenceTransformer, *columns: Sequence[str]) -> list[dict[str, Any]]:
    return [model.preprocess(list(column)) for column in columns]


def by_hand(queries: NDArray[np.float32], passages: NDArray[np.float32], *, scale: float) -> float:
    """The loss as the literature writes it: the own passage against all passages of the batch."""
    queries, passages = (
        vectors.astype(np.float64) / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (queries, passages)
    )
    scores = np.exp(scale * queries @ passages.T)
    own = np.diag(scores[:, : len(queries)])
    return float(-np.log(own / scores.sum(axis=1)).mean())


@pytest.mark.parametrize("mini_batch", [64, 2])
def test_the_loss_is_that_of_hand_over_all_passages_of_the_batch(model: SentenceTransformer, mini_batch: int) -> None:
    loss = contrastive_loss(model, EmbedderTraining(batch=3, mini_batch=mini_batch, scale=20.0))
    vectors = [model.encode(column) for column in (QUERIES, ANSWERS, NEGATIVES)]

    with torch.enable_grad():
        value = loss(features(model, QUERIES, ANSWERS, NEGATIVES), None).item()

    assert value == pytest.approx(by_hand(vectors[0], np.concatenate(vectors[1:]), scale=20.0), rel=1e-4)
    # Without the other queries' passages it would be another one: they are negatives too.
    alone = [by_hand(vectors[0][[i]], np.stack([vectors[1][i], vectors[2][i]]), scale=20.0) for i in range(3)]
    assert value > np.mean(alone) + 0.01


def test_other_queries_passages_of_the_batch_are_negatives(model: SentenceTransformer) -> None:
    loss = contrastive_loss(model, EmbedderTraining(batch=3))

    with_others = loss(features(model, QUERIES, ANSWERS), None).item()
    singly = [loss(features(model, [query], [answer]), None).item() for query, answer in zip(QUERIES, ANSWERS)]  # noqa: B905

    assert singly == pytest.approx([0.0] * 3, abs=1e-6)  # nothing to prefer the answer to
    assert with_others > 0.01


@pytest.mark.parametrize("mini_batch", [64, 2])
def test_gradients_flow_through_both_towers(model: SentenceTransformer, mini_batch: int) -> None:
    words = dict(model.named_parameters())["0.model.embeddings.word_embeddings.weight"]
    loss = contrastive_loss(model, EmbedderTraining(batch=3, mini_batch=mini_batch))
    encoded = features(model, QUERIES, ANSWERS, NEGATIVES)

    loss(encoded, None).backward()

    def touched(side: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> list[float]:
        """Gradients of the words that one side alone has."""
        own, others = (
            {int(i) for column in columns for i in column["input_ids"].flatten()} for columns in (side, other)
        )
        assert words.grad is not None
        return [words.grad[i].abs().sum().item() for i in sorted(own - others)]

    of_queries, of_passages = touched(encoded[:1], encoded[1:]), touched(encoded[1:], encoded[:1])
    assert len(of_queries) > 2
    assert len(of_passages) > 10
    assert min(*of_queries, *of_passages) > 0.0


def test_in_parts_a_batch_has_the_same_gradients(model: SentenceTransformer) -> None:
    found = []
    for mini_batch in (64, 2):
        model.zero_grad()
        how = EmbedderTraining(batch=3, mini_batch=mini_batch)
        contrastive_loss(model, how)(features(model, QUERIES, ANSWERS, NEGATIVES), None).backward()
        found.append([parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None])

    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-3, atol=1e-5)


def train(
    folder: Path, base: Path, *, checkpoints: Path | None = None, **how: float
) -> tuple[Learnt, pa.Table, SentenceTransformer]:
    training = EmbedderTraining.model_validate(
        {"steps": 24, "batch": 8, "learning_rate": 1e-3, "evaluations": 4, "patience": 10, **how}
    )
    learnt, losses = train_embedder(
        ROWS,
        VALIDATION_MEASURE,
        training,
        base=base,
        folder=folder / "trained",
        checkpoints=folder / "checkpoints" if checkpoints is None else checkpoints,
        prompts=EmbedderSettings(query_prompt="query: "),
        execution=ExecutionSettings(threads=1),
        device="cpu",
    )
    return learnt, losses, load_model(folder / "trained", device="cpu")


@pytest.fixture(scope="module")
def undisturbed(
    models: Models, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Learnt, pa.Table, SentenceTransformer]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return (folder, *train(folder, models.embedder))


@pytest.mark.long
def test_the_loss_goes_down_and_the_curve_is_kept(
    undisturbed: tuple[Path, Learnt, pa.Table, SentenceTransformer],
) -> None:
    _, learnt, losses, _ = undisturbed

    values = losses.column("loss").to_numpy()
    assert losses.column("step").to_pylist() == list(range(1, 25))
    assert values[-6:].mean() < values[:6].mean() - 0.2
    assert learnt.last_loss < learnt.first_loss
    looked_at = [row["step"] for row in losses.to_pylist() if row["held_out"] is not None]
    assert looked_at == [6, 12, 18, 24]
    assert learnt.best_validation == max(value for value in losses.column("held_out").to_pylist() if value is not None)


def test_the_trained_model_keeps_its_own_limit_of_tokens(
    undisturbed: tuple[Path, Learnt, pa.Table, SentenceTransformer], models: Models
) -> None:
    *_, trained = undisturbed
    assert trained.max_seq_length == load_model(models.embedder, device="cpu").max_seq_length


@pytest.mark.long
def test_a_training_that_was_stopped_comes_to_the_same_model(
    undisturbed: tuple[Path, Learnt, pa.Table, SentenceTransformer], models: Models, tmp_path: Path
) -> None:
    folder, learnt, losses, trained = undisturbed
    stopped = tmp_path / "checkpoints"
    shutil.copytree(folder / "checkpoints" / "checkpoint-12", stopped / "checkpoint-12")
    torn = stopped / "checkpoint-21"
    shutil.copytree(stopped / "checkpoint-12", torn)
    (torn / "trainer_state.json").write_text('{"half')  # killed while it was being written
    assert newest_checkpoint(stopped) == str(stopped / "checkpoint-12")

    again, losses_again, trained_again = train(tmp_path, models.embedder, checkpoints=stopped)

    assert again == learnt
    assert losses_again.equals(losses)
    for name, weights in trained.state_dict().items():
        torch.testing.assert_close(trained_again.state_dict()[name], weights)


def test_a_training_that_was_done_when_it_was_stopped_does_nothing_more(
    undisturbed: tuple[Path, Learnt, pa.Table, SentenceTransformer], models: Models, tmp_path: Path
) -> None:
    folder, learnt, losses, trained = undisturbed
    shutil.copytree(folder / "checkpoints", tmp_path / "checkpoints")

    again, losses_again, trained_again = train(tmp_path, models.embedder)

    assert (again, losses_again) == (learnt, losses)
    for name, weights in trained.state_dict().items():
        torch.testing.assert_close(trained_again.state_dict()[name], weights)


def test_training_ends_early_and_takes_the_best_where_nothing_is_gained(models: Models, tmp_path: Path) -> None:
    # Updates too small to change any ranking: each look finds what the first one found.
    learnt, losses, _ = train(tmp_path, models.embedder, learning_rate=1e-12, evaluations=12, patience=2)

    assert learnt.steps == 6
    assert learnt.best_step == 2
    assert losses.num_rows == 6


@pytest.mark.long
@pytest.mark.parametrize("newest", [4, 6])
def test_a_training_that_was_stopped_ends_early_where_it_would_have(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newest: int
) -> None:
    monkeypatch.setattr("nightrank.tasks.train.embedder.learn.CHECKPOINTS_KEPT", 9)
    learnt, losses, _ = train(tmp_path, models.embedder, learning_rate=1e-12, evaluations=12, patience=2)
    stopped = tmp_path / "stopped"
    for step in range(2, newest + 1, 2):
        shutil.copytree(tmp_path / "checkpoints" / f"checkpoint-{step}", stopped / f"checkpoint-{step}")

    again, losses_again, _ = train(
        tmp_path, models.embedder, checkpoints=stopped, learning_rate=1e-12, evaluations=12, patience=2
    )

    assert learnt.steps == 6
    assert (again, losses_again) == (learnt, losses)


def test_the_outcome_keeps_a_share_of_the_model_it_started_from(
    undisturbed: tuple[Path, Learnt, pa.Table, SentenceTransformer], models: Models, tmp_path: Path
) -> None:
    folder, *_, trained = undisturbed
    shutil.copytree(folder / "checkpoints", tmp_path / "checkpoints")  # learnt, and not yet blended

    *_, blended = train(tmp_path, models.embedder, base_share=0.25)

    base = load_model(models.embedder, device="cpu").state_dict()
    for name, weights in trained.state_dict().items():
        torch.testing.assert_close(blended.state_dict()[name], 0.75 * weights + 0.25 * base[name])


def test_a_longer_text_is_cut_in_training(models: Models, tmp_path: Path) -> None:
    lengths = []
    loaded = load_model(models.embedder, device="cpu")
    preprocess = type(loaded).preprocess

    def noted(self: SentenceTransformer, inputs: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        encoded = preprocess(self, inputs, **kwargs)
        if kwargs.get("max_length") is not None:
            lengths.append(encoded["input_ids"].shape[1])
        return encoded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(loaded), "preprocess", noted)
        train(tmp_path, models.embedder, steps=2, evaluations=1, max_tokens=9)

    assert max(lengths) == 9


def test_a_log_without_steps_in_between_is_a_table() -> None:
    table = loss_table([{"step": 2, "loss": 1.0, "learning_rate": 0.1}, {"step": 2, "eval_nDCG@10": 0.5}])

    assert json.loads(json.dumps(table.to_pylist())) == [
        {"step": 2, "loss": 1.0, "learning_rate": 0.1, "held_out": 0.5}
    ]
