from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.embed.encoder import Embedder, EmbedderPlan, plan_embedder
from nightrank.tasks.models.files import PACKAGED_EMBEDDER
from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings

if TYPE_CHECKING:
    from tests.conftest import Models

# Of very different lengths; one is longer than the 256 tokens that the model reads, one is empty, two are equal.
TEXTS = [
    "The csv module reads and writes tabular data.",
    "sort",
    "A lock file keeps a second run away. " * 60,
    "",
    "Combien de langues? Une seule \u2014 ou deux.",
    "sort",
    "Vectors of unit length make the inner product a cosine.",
]


def plan(model: str | Path = PACKAGED_EMBEDDER, **changes: object) -> EmbedderPlan:
    settings = EmbedderSettings.model_validate({"model": str(model), **changes})
    return plan_embedder(settings, ExecutionSettings(device="cpu"), base=Path("/nowhere"))


@pytest.fixture(scope="module")
def packaged() -> EmbedderPlan:
    return plan(query_prompt="query: ")


def test_the_packaged_model_gives_what_sentence_transformers_gives_whatever_the_batches(packaged: EmbedderPlan) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(packaged.files.folder), device="cpu", local_files_only=True)
    expected = theirs.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    for batch_tokens in (64, 100_000):
        embedder = Embedder(packaged, batch_tokens=batch_tokens)
        done: list[int] = []
        vectors = embedder.embed_passages(TEXTS, on_batch=done.append)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(TEXTS), 384) == (len(TEXTS), embedder.dimensions)
        assert sum(done) == len(TEXTS)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    prompted = theirs.encode(["query: sort"], normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(embedder.embed_queries(["sort"]), prompted, atol=1e-5)
    assert embedder.embed_passages([]).shape == (0, 384)
    assert embedder.max_tokens == 256


def test_vectors_have_unit_length_in_half_precision_too(models: Models) -> None:
    vectors = Embedder(plan(models.embedder, precision="bfloat16"), batch_tokens=512).embed_passages(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_everything_that_decides_a_vector_is_in_the_fingerprint_and_where_it_runs_is_not(models: Models) -> None:
    changes: list[dict[str, object]] = [{}, {"query_prompt": "q "}, {"passage_prompt": "q "}, {"precision": "bfloat16"}]
    keys = {plan(models.embedder, **change).fingerprint for change in changes} | {plan().fingerprint}
    assert len(keys) == 5
    elsewhere = ExecutionSettings(device="cpu", batch_tokens=64, threads=1)
    settings = EmbedderSettings(model=str(models.embedder))
    assert plan_embedder(settings, elsewhere, base=Path("/else")).fingerprint == plan(models.embedder).fingerprint


def test_a_folder_that_holds_no_model_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no model that sentence-transformers can read"):
        Embedder(plan(tmp_path), batch_tokens=512)
