from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from tokenizers import Tokenizer

from nightrank.storage.errors import InputError
from nightrank.tasks.evaluate.token_vectors import StaticEmbedder
from tests.support.collection import LONG_SENTENCES, TEXTS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.conftest import Models

SENTENCES = [*LONG_SENTENCES, *(text for _, text in TEXTS.values()), "", "tea", "Tea tea tea!"]


@pytest.fixture(scope="module")
def embedder(models: Models) -> StaticEmbedder:
    found = StaticEmbedder.of(models.embedder)
    assert found is not None
    return found


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def by_hand(folder: Path, text: str, matrix: torch.Tensor, *, tokens: int = 254) -> NDArray[np.float64]:
    """The mean of the vectors of a text's tokens, one after the other, at length 1."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = tokenizer.encode(text, add_special_tokens=False).ids[:tokens]
    mean = np.mean([matrix[number].double().numpy() for number in ids], axis=0)
    unit: NDArray[np.float64] = mean / np.linalg.norm(mean)
    return unit


def with_weights(models: Models, folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """The tiny embedder's tokenizer beside other weights."""
    shutil.copytree(models.embedder, folder)
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_a_vector_is_the_mean_of_the_vectors_of_the_tokens_at_length_one(
    embedder: StaticEmbedder, models: Models
) -> None:
    matrix = weights(models.embedder)["embeddings.word_embeddings.weight"]
    texts = [text for text in SENTENCES if text]

    vectors = embedder.embed(texts)

    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts), embedder.dimensions) == (len(texts), 32)
    expected = [by_hand(models.embedder, text, matrix) for text in texts]
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_the_order_of_words_says_nothing(embedder: StaticEmbedder) -> None:
    one, other = embedder.embed(["bees make honey", "honey make bees"])
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_text_without_a_token_is_zero(embedder: StaticEmbedder) -> None:
    assert embedder.embed(["", " "]).tolist() == np.zeros((2, 32)).tolist()
    assert embedder.embed([]).shape == (0, 32)


@given(st.lists(st.sampled_from(SENTENCES), max_size=12), st.sampled_from(SENTENCES))
def test_a_vector_is_the_same_to_the_last_bit_whatever_is_embedded_along_with_it(
    embedder: StaticEmbedder, others: list[str], text: str
) -> None:
    alone = embedder.embed([text])[0]
    assert embedder.embed([*others, text])[-1].tobytes() == alone.tobytes()
    assert embedder.embed([text, *others])[0].tobytes() == alone.tobytes()


def test_as_many_tokens_are_read_as_the_dual_encoder_reads(models: Models, tmp_path: Path) -> None:
    matrix = weights(models.embedder)["embeddings.word_embeddings.weight"]
    folder = with_weights(models, tmp_path / "model", {"embeddings.word_embeddings.weight": matrix})
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 6}))
    embedder = StaticEmbedder.of(folder)
    assert embedder is not None
    text = LONG_SENTENCES[0]
    np.testing.assert_allclose(embedder.embed([text])[0], by_hand(folder, text, matrix, tokens=4), atol=1e-6)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "embeddings.tok_embeddings.weight", "shared.weight"])
def test_the_matrix_is_found_by_the_names_that_architectures_give_it(
    name: str, kind: torch.dtype, models: Models, tmp_path: Path
) -> None:
    matrix = torch.randn(30522, 8, dtype=torch.float64).to(kind)
    folder = with_weights(models, tmp_path / "model", {name: matrix, "head.weight": torch.ones(30522, 3)})
    embedder = StaticEmbedder.of(folder)
    assert embedder is not None
    np.testing.assert_allclose(
        embedder.embed(["bees make honey"])[0], by_hand(folder, "bees make honey", matrix), atol=1e-6
    )


@pytest.mark.parametrize(
    "tensors",
    [
        {"encoder.layer.weight": torch.ones(30522, 8)},  # a name that nobody gives it
        {"not_word_embeddings.weight": torch.ones(30522, 8)},
        {"embeddings.word_embeddings.weight": torch.ones(100, 8)},  # another vocabulary's
        {"embeddings.word_embeddings.weight": torch.ones(30522, 8, dtype=torch.int8)},  # quantised
        {"embeddings.word_embeddings.weight": torch.ones(30522)},
    ],
)
def test_where_there_is_no_matrix_of_token_vectors_there_is_no_static_embedder(
    tensors: dict[str, torch.Tensor], models: Models, tmp_path: Path
) -> None:
    assert StaticEmbedder.of(with_weights(models, tmp_path / "model", tensors)) is None


def test_a_tokenizer_that_cannot_be_read_is_the_users_error(models: Models, tmp_path: Path) -> None:
    shutil.copytree(models.embedder, tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer\.json cannot be read"):
        StaticEmbedder.of(tmp_path / "model")
