"""A reranker's folder opens to a real cross-encoder, and only on the base that it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from nightrank.storage.errors import InputError
from nightrank.storage.keys import sha256_of_file
from nightrank.tasks.models.delta import save_delta
from nightrank.tasks.rerank import packaged
from nightrank.tasks.rerank.find import PRETRAINED
from nightrank.tasks.rerank.packaged import (
    CARD_FILE,
    DELTA_FILE,
    RerankerCard,
    base_folder,
    base_parameters,
    load_reranker,
    network_of,
    new_cross_encoder,
    read_card,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sentence_transformers import CrossEncoder
    from torch import Tensor

    from tests.conftest import Models

PAIRS = [("red", "a red thing"), ("red", "a blue thing")]


def enlarged(model: CrossEncoder) -> dict[str, Tensor]:
    """Its parameters, all but the word embeddings a little larger."""
    state = network_of(model).state_dict()
    return {name: value * (1.0 if "word_embeddings" in name else 1.1) for name, value in state.items()}


@pytest.fixture
def folder(tmp_path: Path, models: Models) -> Path:
    """A reranker on the tiny base."""
    torch.manual_seed(1)
    tuned = enlarged(new_cross_encoder(models.embedder, max_length=24))
    save_delta(tmp_path / DELTA_FILE, base_parameters(models.embedder), tuned)
    card = RerankerCard(
        name="tiny",
        base_package="a package",
        base_sha256=sha256_of_file(models.embedder / "model.safetensors"),
        delta_sha256=sha256_of_file(tmp_path / DELTA_FILE),
        max_length=24,
        weight=0.4,
        data=[],
        training={},
        figures={},
        command="",
        remarks=[],
    )
    (tmp_path / CARD_FILE).write_text(card.model_dump_json())
    return tmp_path


def test_it_scores_as_the_tuned_model_does_in_raw_logits(folder: Path, models: Models) -> None:
    torch.manual_seed(1)
    tuned = new_cross_encoder(models.embedder, max_length=24)
    state = {
        name: value * (1.0 if "word_emb" in name else 1.1) for name, value in network_of(tuned).state_dict().items()
    }
    network_of(tuned).load_state_dict(state)
    expected = tuned.predict(PAIRS, convert_to_numpy=True)
    loaded = load_reranker(folder, base=models.embedder)
    found = loaded.predict(PAIRS, convert_to_numpy=True)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=0.02)
    assert isinstance(loaded.activation_fn, torch.nn.Identity)
    assert loaded.max_seq_length == 24


def test_another_base_is_refused(folder: Path, models: Models) -> None:
    with pytest.raises(InputError, match="the card of tiny asks for"):
        load_reranker(folder, base=models.reranker)


def test_a_changed_delta_is_refused(folder: Path, models: Models) -> None:
    with (folder / DELTA_FILE).open("ab") as file:
        file.write(b"0")
    with pytest.raises(InputError, match=r"delta\.safetensors has the SHA-256"):
        load_reranker(folder, base=models.embedder)


def test_a_card_with_a_weight_above_one_is_refused(folder: Path) -> None:
    card = folder / CARD_FILE
    card.write_text(card.read_text().replace('"weight":0.4', '"weight":1.4'))
    with pytest.raises(InputError, match="less than or equal to 1"):
        read_card(folder)


def test_a_folder_without_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no card\.json"):
        read_card(tmp_path)


def test_a_base_whose_tokenizer_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = base_folder()
    for path in installed.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.json").write_bytes((installed / "tokenizer.json").read_bytes() + b" ")
    monkeypatch.setattr(packaged, "base_folder", lambda: tmp_path)
    with pytest.raises(InputError, match=r"tokenizer\.json has the SHA-256"):
        load_reranker(PRETRAINED / "nightrank-minilm")
