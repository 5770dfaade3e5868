"""Whatever a model computes comes from files that its fingerprint holds: a copy of these alone computes the same."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer.modules import Dense
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding

from nightrank.tasks.models.files import find_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nightrank.tasks.models.files import ModelFiles
    from tests.conftest import Models

TEXTS = ["what is a lock", "apples and stones"]


def embedder(models: Models, folder: Path) -> None:
    model = SentenceTransformer(str(models.embedder), device="cpu")
    dimensions = model.get_embedding_dimension()
    assert dimensions is not None
    torch.manual_seed(3)
    model.append(Dense(dimensions, 5))
    model.save_pretrained(str(folder))


def reranker(models: Models, folder: Path) -> None:
    shutil.copytree(models.reranker, folder)


def sparse(models: Models, folder: Path) -> None:
    model = SparseEncoder(str(models.splade), device="cpu")
    torch.manual_seed(4)
    table = SparseStaticEmbedding(model.tokenizer, weight=torch.rand(30522), frozen=True)
    routed: Any = Router.for_query_document(query_modules=[table], document_modules=[*model])
    SparseEncoder(modules=[routed], device="cpu").save_pretrained(str(folder))


def vectors(folder: Path) -> np.ndarray[Any, Any]:
    return np.asarray(SentenceTransformer(str(folder), device="cpu").encode(TEXTS))


def scores(folder: Path) -> np.ndarray[Any, Any]:
    return np.asarray(CrossEncoder(str(folder), device="cpu").predict([(text, TEXTS[0]) for text in TEXTS]))


def sparse_vectors(folder: Path) -> np.ndarray[Any, Any]:
    model = SparseEncoder(str(folder), device="cpu")
    return np.concatenate(
        [
            np.asarray(side(TEXTS, convert_to_sparse_tensor=False))
            for side in (model.encode_query, model.encode_document)
        ]
    )


def found(folder: Path) -> ModelFiles:
    return find_model(str(folder), base=folder.parent, revision=None, sha256=None)


@pytest.mark.parametrize(
    ("make", "compute"),
    [(embedder, vectors), (reranker, scores), (sparse, sparse_vectors)],
    ids=lambda one: one.__name__,
)
def test_every_file_that_decides_is_in_the_fingerprint(
    models: Models,
    tmp_path: Path,
    make: Callable[[Models, Path], None],
    compute: Callable[[Path], np.ndarray[Any, Any]],
) -> None:
    make(models, tmp_path / "model")
    files = found(tmp_path / "model")
    for name in files.digests:
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(files.folder / name, tmp_path / "copy" / name)
    expected = compute(files.folder)
    np.testing.assert_array_equal(compute(tmp_path / "copy"), expected)
    for weights in sorted(files.folder.rglob("*.safetensors")):
        before = weights.read_bytes()
        changed = {
            name: torch.flip(value, [0]) + 0.25
            for name, value in load_file(weights).items()
            if value.is_floating_point()
        }
        save_file({**load_file(weights), **changed}, weights, metadata={"format": "pt"})
        assert not np.array_equal(compute(files.folder), expected), weights
        assert found(files.folder).fingerprint() != files.fingerprint(), weights
        weights.write_bytes(before)
