"""A training starts from a reranker that keeps what it knows, or from a dual encoder with a fresh head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from nightrank.storage.errors import InputError
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.rerank.openvino_card import CARD_FILE, OpenvinoCard
from nightrank.tasks.rerank.packaged import network_of
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings
from nightrank.tasks.settings.whole import Settings
from nightrank.tasks.train.job import TrainingJob
from nightrank.tasks.train.reranker.base import base_files, base_name, load_base

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Models


def run_of(models: Models, folder: Path, *, reranker: str) -> TrainingJob:
    settings = Settings.model_validate(
        {
            "documents": {"source": "corpus.jsonl"},
            "queries": {"log": "queries.jsonl"},
            "embedder": {"model": str(models.embedder)},
            "reranker": {"model": reranker},
            "execution": {"device": "cpu"},
        }
    )
    embedder = plan_embedder(settings.embedder, settings.execution, base=folder)
    return TrainingJob(settings, folder, FolderWorkspace(folder / "workspace"), "reranker", folder, embedder)


def test_a_cross_encoder_starts_with_the_scores_that_it_gives(models: Models) -> None:
    pairs = [("read csv", "The csv module reads tables."), ("read csv", "A lock file.")]
    plan = plan_local(
        RerankerSettings(model=str(models.reranker)), ExecutionSettings(device="cpu"), base=models.reranker
    )
    lengths = np.array([6, 4])
    expected = Reranker(plan, batch_tokens=512).score(
        [query for query, _ in pairs], [text for _, text in pairs], lengths
    )
    encoder = load_base(models.reranker, max_length=64, device="cpu", seed=1)
    found = encoder.predict(pairs, show_progress_bar=False, convert_to_numpy=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_it_is_told_what_the_trained_one_will_be_told_and_keeps_it(models: Models, tmp_path: Path) -> None:
    pairs = [("read csv", "The csv module reads tables."), ("read csv", "A lock file.")]

    def scores(**settings: str) -> list[float]:
        plan = plan_local(RerankerSettings.model_validate(settings), ExecutionSettings(device="cpu"), base=tmp_path)
        queries, texts = zip(*pairs, strict=True)
        found: list[float] = Reranker(plan, batch_tokens=512).score(queries, texts, np.array([6, 4])).tolist()
        return found

    told = scores(model=str(models.reranker), prompt="find tables ")
    assert told != scores(model=str(models.reranker))
    encoder = load_base(models.reranker, max_length=64, device="cpu", seed=1, prompt="find tables ")
    found = encoder.predict(pairs, show_progress_bar=False, convert_to_numpy=True)
    np.testing.assert_allclose(found, told, atol=1e-5)
    encoder.save_pretrained(str(tmp_path / "trained"), create_model_card=False)
    np.testing.assert_allclose(scores(model="trained"), told, atol=1e-5)


def test_the_seed_decides_a_fresh_head_and_nothing_else(models: Models) -> None:
    networks = [
        network_of(load_base(models.embedder, max_length=64, device="cpu", seed=seed)).state_dict()
        for seed in (1, 1, 2)
    ]
    same = {name for name, value in networks[0].items() if torch.equal(value, networks[2][name])}
    assert "classifier.weight" not in same
    assert {name for name in networks[0] if name.startswith("bert.embeddings")} <= same
    assert all(torch.equal(value, networks[1][name]) for name, value in networks[0].items())


def test_without_a_word_it_starts_from_the_present_reranker_and_without_one_from_the_packaged(
    models: Models, tmp_path: Path
) -> None:
    present = run_of(models, tmp_path, reranker=str(models.reranker))
    assert base_name(present, None) == str(models.reranker)
    assert base_files(present, str(models.reranker))[0] == models.reranker
    absent = run_of(models, tmp_path, reranker="none")
    assert base_name(absent, None) == "nightrank-minilm"
    assert base_files(absent, "nightrank-minilm")[0].name == "nightrank-minilm"
    assert base_files(absent, "embedder")[0] == models.embedder


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no model that a reranker can be made of"):
        load_base(tmp_path, max_length=64, device="cpu", seed=1)


def test_a_reranker_that_is_made_for_openvino_is_no_start_and_its_source_is_named(
    models: Models, tmp_path: Path
) -> None:
    card = OpenvinoCard(
        source="models/cross",
        source_fingerprint="f",
        precision="int8",
        max_tokens=64,
        pad_token_id=0,
        weight=1.0,
        openvino="2026.1",
        sha256={},
    )
    (tmp_path / "fast").mkdir()
    (tmp_path / "fast" / CARD_FILE).write_text(card.model_dump_json())
    job = run_of(models, tmp_path, reranker="fast")
    with pytest.raises(InputError, match="'fast' is made for OpenVINO") as refused:
        base_files(job, base_name(job, None))
    assert "--base models/cross" in refused.value.remedy
