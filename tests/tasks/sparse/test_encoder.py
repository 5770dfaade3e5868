"""Vectors are sentence-transformers' own, whoever computes them, and to the bit a function of their text alone."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sentence_transformers import SparseEncoder as Published
from sentence_transformers.base.modules import Router
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.keys import sha256_of_file
from nightrank.storage.memo.sparse_vectors import SparseVectors
from nightrank.tasks.models import files as files_module
from nightrank.tasks.models.packed.splade import PackedSplade
from nightrank.tasks.models.plain import PlainSparse
from nightrank.tasks.settings.index import SparseSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.quality import DriftCheckSettings
from nightrank.tasks.sparse import encoder as module
from nightrank.tasks.sparse.encoder import SparseEncoder, SparsePlan, check_stored_sparse, plan_sparse

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.conftest import Models

WORDS = ["read", "and", "write", "tables", "of", "comma", "separated", "values", "while", "a", "lock", "naïveté"]
CPU = ExecutionSettings(device="cpu")


def texts_of(seed: int, count: int, *, longest: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, generator.integers(0, longest))) for _ in range(count)]


def plan_of(folder: Path | str, base: Path | None = None, **settings: Any) -> SparsePlan:  # noqa: ANN401
    from pathlib import Path

    return plan_sparse(SparseSettings(model=str(folder), **settings), CPU, base=base or Path())


def dense(vectors: SparseVectors) -> NDArray[np.float32]:
    values = np.zeros((len(vectors), 30522), dtype=np.float32)
    values[np.repeat(np.arange(len(vectors)), np.diff(vectors.bounds)), vectors.tokens] = vectors.weights
    return values


def published(folder: Path, *, max_tokens: int = 256) -> Any:  # noqa: ANN401
    model: Any = Published(str(folder), device="cpu", local_files_only=True)
    model.max_seq_length = max_tokens
    return model


def expected_of(values: torch.Tensor, *, min_weight: float = 0.01) -> NDArray[np.float32]:
    found = values.to_dense().numpy()
    return np.where(found < min_weight, np.float32(0.0), found)


def changed(folder: Path, to: Path, **pooling: str) -> Path:
    """The model with another pooling."""
    model = published(folder)
    for name, value in pooling.items():
        setattr(model[1], name, value)
    model.save_pretrained(str(to))
    return to


@pytest.fixture(scope="module")
def inference_free(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose queries are looked up in a table."""
    model = published(models.splade)
    torch.manual_seed(5)
    table = SparseStaticEmbedding(model.tokenizer, weight=torch.rand(30522) * 3.0, frozen=True)
    router = Router.for_query_document(query_modules=[table], document_modules=[model[0], model[1]])
    folder = tmp_path_factory.mktemp("inference-free")
    Published(modules=[router], device="cpu").save_pretrained(str(folder))
    return folder


def test_vectors_are_those_of_encode(models: Models) -> None:
    encoder = SparseEncoder(plan_of(models.splade), threads=2)
    texts = ["", *texts_of(1, 30, longest=90)]
    vectors = encoder.encode_passages(texts)
    assert isinstance(encoder._network._passages, PackedSplade)
    expected = expected_of(published(models.splade).encode_document(texts))
    np.testing.assert_allclose(dense(vectors), expected, atol=2e-4)  # an entry may fall below the smallest weight
    assert 10 < vectors.tokens.size / len(texts) < 3000
    assert all(
        np.all(np.diff(vectors.tokens[a:b]) > 0) for a, b in zip(vectors.bounds, vectors.bounds[1:], strict=False)
    )


@pytest.mark.parametrize("kind", ["packed", "plain"])
def test_a_vector_is_to_the_bit_the_same_in_any_company(models: Models, tmp_path: Path, kind: str) -> None:
    folder = models.splade if kind == "packed" else changed(models.splade, tmp_path, pooling_strategy="sum")
    texts = texts_of(2, 24, longest=60)
    one, two = (SparseEncoder(plan_of(folder), threads=threads) for threads in (1, 2))
    expected = [next(one.encode_passages([text]).contents()) for text in texts]
    order = np.random.default_rng(0).permutation(len(texts))
    assert [*two.encode_passages(texts).contents()] == expected
    assert [*one.encode_passages([texts[number] for number in order]).contents()] == [expected[n] for n in order]


@pytest.mark.parametrize(
    ("pooling", "kind"),
    [({"activation_function": "log1p_relu"}, PackedSplade), ({"pooling_strategy": "sum"}, PlainSparse)],
    ids=["second logarithm", "sum"],
)
def test_other_poolings_are_those_of_encode(
    models: Models, tmp_path: Path, pooling: dict[str, str], kind: type[object]
) -> None:
    folder = changed(models.splade, tmp_path, **pooling)
    encoder = SparseEncoder(plan_of(folder), threads=2)
    texts = texts_of(3, 12, longest=40)
    found = dense(encoder.encode_passages(texts))
    assert isinstance(encoder._network._passages, kind)
    np.testing.assert_allclose(found, expected_of(published(folder).encode_document(texts)), atol=2e-4)


def masked_language_model(folder: Path, models: Models, kind: str) -> Path:
    """A model of another type with random weights, and the tiny one's tokenizer."""
    from transformers import DistilBertConfig, DistilBertForMaskedLM, RobertaConfig, RobertaForMaskedLM

    keep = shutil.ignore_patterns("*.safetensors", "config.json")
    shutil.copytree(models.splade, folder, ignore=keep, dirs_exist_ok=True)
    torch.manual_seed(17)
    model: Any
    if kind == "distilbert":
        distilbert = DistilBertConfig(
            vocab_size=30522, dim=32, hidden_dim=64, n_layers=2, n_heads=2, initializer_range=0.5
        )
        model = DistilBertForMaskedLM(distilbert)
        bias = model.vocab_projector.bias
    else:
        roberta = RobertaConfig(
            vocab_size=30522,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=514,
            type_vocab_size=1,
            pad_token_id=0,
            initializer_range=0.5,
        )
        model = RobertaForMaskedLM(roberta)
        bias = model.lm_head.bias
    with torch.no_grad():
        bias.fill_(-9.0)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["distilbert", "roberta"])
def test_encoders_of_related_types_are_packed_too(models: Models, tmp_path: Path, kind: str) -> None:
    folder = masked_language_model(tmp_path, models, kind)
    if kind == "roberta":  # its positions are counted from 1 + pad_token_id, and it has one type of tokens
        config = json.loads((folder / "tokenizer_config.json").read_text())
        config = {
            **config,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_input_names": ["input_ids", "attention_mask"],
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    encoder = SparseEncoder(plan_of(folder), threads=1)
    texts = texts_of(11, 10, longest=60)
    found = dense(encoder.encode_passages(texts))
    assert isinstance(encoder._network._passages, PackedSplade)
    np.testing.assert_allclose(found, expected_of(published(folder).encode_document(texts)), atol=2e-4)


def test_what_is_too_long_is_cut_and_what_weighs_little_is_dropped(models: Models) -> None:
    encoder = SparseEncoder(plan_of(models.splade, max_tokens=16, min_weight=0.75), threads=1)
    texts = [" ".join(WORDS * 20)]
    found = dense(encoder.encode_passages(texts))
    expected = expected_of(published(models.splade, max_tokens=16).encode_document(texts), min_weight=0.75)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert found[found > 0].min() >= 0.75


def test_queries_and_texts_have_the_prompts_that_the_model_has_for_them(models: Models, tmp_path: Path) -> None:
    model = published(models.splade)
    model.prompts = {"query": "comma ", "document": "values "}
    model.save_pretrained(str(tmp_path))
    encoder = SparseEncoder(plan_of(tmp_path), threads=1)
    bare = SparseEncoder(plan_of(models.splade), threads=1)
    assert [*encoder.encode_queries(["a lock"]).contents()] == [*bare.encode_queries(["comma a lock"]).contents()]
    assert [*encoder.encode_passages(["a lock"]).contents()] == [*bare.encode_queries(["values a lock"]).contents()]


def test_queries_of_an_inference_free_model_ask_no_network(
    inference_free: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = ["", *texts_of(4, 20, longest=12), " ".join(WORDS * 60)]
    expected = expected_of(published(inference_free).encode_query(queries))
    monkeypatch.setattr(module, "_Network", None)  # whoever asks for it fails
    found = SparseEncoder(plan_of(inference_free)).encode_queries(queries)
    np.testing.assert_array_equal(dense(found), expected)


def test_a_table_may_be_written_as_json(inference_free: Path, tmp_path: Path) -> None:
    shutil.copytree(inference_free, tmp_path, dirs_exist_ok=True)
    part = tmp_path / "query_0_SparseStaticEmbedding"
    (part / "idf.json").write_text(json.dumps({"lock": 2.5, "table": 0.001, "no such token": 1.0}))
    (part / "config.json").write_text(json.dumps({"path": "idf.json"}))
    found = SparseEncoder(plan_of(tmp_path)).encode_queries(["a lock and table"])
    assert found.weights.tolist() == [2.5]


def test_texts_of_an_inference_free_model_go_through_its_network(inference_free: Path, models: Models) -> None:
    encoder = SparseEncoder(plan_of(inference_free), threads=1)
    texts = texts_of(6, 5, longest=30)
    found = [*encoder.encode_passages(texts).contents()]
    assert isinstance(encoder._network._passages, PackedSplade)
    assert found == [*SparseEncoder(plan_of(models.splade), threads=1).encode_passages(texts).contents()]
    weights = inference_free / "document_0_Transformer" / "model.safetensors"
    assert encoder.plan.files.weights_sha256 == sha256_of_file(weights)


def test_the_fingerprint_names_all_that_decides_a_vector(models: Models, tmp_path: Path) -> None:
    shutil.copytree(models.splade, tmp_path, dirs_exist_ok=True)
    plans = [
        plan_of(models.splade),
        plan_of(models.splade, max_tokens=64),
        plan_of(models.splade, min_weight=0.5),
        plan_of(models.splade, precision="bfloat16"),
    ]
    assert plan_of(tmp_path).fingerprint == plans[0].fingerprint
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert len({plan.fingerprint for plan in [*plans, plan_of(tmp_path)]}) == 5


def test_the_packaged_model_is_found_without_running_its_package_and_held_to_its_digest(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def locate_file(self, path: str) -> Path:
            assert path == "cognition/model"
            return models.splade

    def missing(name: str) -> Installed:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(files_module, "distribution", lambda _name: Installed())
    with pytest.raises(InputError, match="SHA-256"):
        plan_of("splade-tiny")
    digest = sha256_of_file(models.splade / "model.safetensors")
    monkeypatch.setattr(files_module, "SPLADE_TINY_SHA256", digest)
    assert plan_of("splade-tiny").files.folder == models.splade
    monkeypatch.setattr(files_module, "distribution", missing)
    with pytest.raises(InputError, match="not installed") as caught:
        plan_of("splade-tiny")
    assert "nightrank[sparse]" in str(caught.value)


def test_a_folder_without_a_model_is_refused(models: Models, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        plan_of(tmp_path)
    shutil.copy(models.splade / "model.safetensors", tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="holds no model that sentence-transformers can read"):
        SparseEncoder(plan_of(tmp_path)).encode_passages(["a"])


def test_stored_vectors_are_held_against_fresh_ones(models: Models) -> None:
    encoder = SparseEncoder(plan_of(models.splade), threads=1)
    texts, watched = texts_of(8, 6, longest=30), DriftCheckSettings()
    stored = encoder.encode_passages(texts)
    check_stored_sparse(encoder, texts, stored, settings=watched)
    off = SparseVectors(stored.bounds, stored.tokens, stored.weights + np.float32(0.01))
    with pytest.raises(MachineError, match="of 6 stored sparse vectors are not what the model says now"):
        check_stored_sparse(encoder, texts, off, settings=watched)


def test_an_entry_at_the_smallest_weight_may_come_and_go_without_being_drift(models: Models) -> None:
    texts = texts_of(9, 6, longest=30)
    probe = SparseEncoder(plan_of(models.splade), threads=1).encode_passages(texts)
    edge = float(np.sort(probe.weights)[probe.weights.size // 2])
    encoder = SparseEncoder(plan_of(models.splade, min_weight=edge), threads=1)
    stored = encoder.encode_passages(texts)
    place = int(np.flatnonzero(stored.weights == np.float32(edge))[0])
    row = int(np.searchsorted(stored.bounds, place, side="right")) - 1
    bounds = stored.bounds - (np.arange(stored.bounds.size) > row)
    without = SparseVectors(bounds, np.delete(stored.tokens, place), np.delete(stored.weights, place))
    check_stored_sparse(encoder, texts, without, settings=DriftCheckSettings())
