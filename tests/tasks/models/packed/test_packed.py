"""Over packed tokens a model computes what sentence-transformers computes, or it is left to it."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer

from nightrank.tasks.models.execution import InBatches, OneByOne
from nightrank.tasks.models.packed.bert import PackedBert
from nightrank.tasks.models.packed.embedder import PackedEmbedder, packed_embedder
from nightrank.tasks.models.packed.scorer import PackedScorer, packed_scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nightrank.tasks.models.execution import Execution
    from nightrank.tasks.models.tokens import PackedTokens
    from tests.conftest import Models

WORDS = ["read", "and", "write", "tables", "of", "comma", "separated", "values", "while", "a", "lock", "naïveté"]
GPU = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])


def texts_of(seed: int, count: int, *, longest: int) -> list[str]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, longest, count)
    return [" ".join(generator.choice(WORDS, length)) for length in lengths]


def cross_encoder(folder: Path, *, device: str = "cpu") -> Any:  # noqa: ANN401
    return CrossEncoder(str(folder), device=device, local_files_only=True, max_length=64)


def pool(model: Any, how: str) -> None:  # noqa: ANN401
    model[1].pooling_mode = how


@pytest.fixture(scope="module")
def xlm_roberta(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaForSequenceClassification

    folder = tmp_path_factory.mktemp("xlm")
    tokenizer = Tokenizer.from_file(str(models.reranker / "tokenizer.json"))
    frame = [("[CLS]", 101), ("[SEP]", 102)]
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] [SEP] $B [SEP]", special_tokens=frame
    )
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer, pad_token="[PAD]", model_input_names=["input_ids", "attention_mask"]
    ).save_pretrained(folder)
    torch.manual_seed(3)
    config = XLMRobertaConfig(
        vocab_size=30522,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
        type_vocab_size=1,
        pad_token_id=0,
        initializer_range=0.5,
    )
    config.num_labels = 1
    XLMRobertaForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("kind", ["bert", "xlm_roberta"])
@pytest.mark.parametrize("execution", [lambda: InBatches(64), lambda: InBatches(100_000), lambda: OneByOne(2)])
def test_scores_are_those_of_predict(
    models: Models, request: pytest.FixtureRequest, kind: str, device: str, execution: Callable[[], Execution]
) -> None:
    folder = models.reranker if kind == "bert" else request.getfixturevalue(kind)
    model = cross_encoder(folder, device=device)
    queries, texts = texts_of(1, 40, longest=12), texts_of(2, 40, longest=90)
    expected = model.predict(list(zip(queries, texts, strict=True)), activation_fn=torch.nn.Identity())
    scorer = packed_scorer(model, execution())
    assert scorer is not None
    np.testing.assert_allclose(scorer.score(queries, texts), expected, atol=2e-5)


def test_a_distilled_encoder_gives_the_vectors_of_encode(models: Models, tmp_path: Path) -> None:
    import shutil

    from transformers import DistilBertConfig, DistilBertModel

    shutil.copytree(models.embedder, tmp_path, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True)
    torch.manual_seed(19)
    config = DistilBertConfig(vocab_size=30522, dim=32, hidden_dim=64, n_layers=2, n_heads=2, initializer_range=0.5)
    DistilBertModel(config).save_pretrained(tmp_path)
    model = SentenceTransformer(str(tmp_path), device="cpu", local_files_only=True)
    texts = texts_of(5, 20, longest=60)
    embedder = packed_embedder(model, OneByOne(1))
    assert embedder is not None
    expected = model.encode(texts)
    for places, found in embedder.embed(texts):
        np.testing.assert_allclose(found, expected[places], atol=2e-5)


def attended_one_by_one(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    query_bounds: torch.Tensor,
    bounds: torch.Tensor,
    longest_query: int,
    longest: int,
    *,
    window_size: tuple[int, int],
    enable_gqa: bool,
) -> torch.Tensor:
    """What the kernel for sequences of varying lengths computes, one sequence after the other.

    Queries are the last tokens of what is seen where their window ends at themselves, the first ones elsewhere.
    """
    assert enable_gqa == (query.shape[1] != key.shape[1])
    key, value = (states.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for states in (key, value))
    assert query_bounds.dtype == bounds.dtype == torch.int32
    assert (int(query_bounds.diff().max()), int(bounds.diff().max())) == (longest_query, longest)
    parts = []
    for row in range(bounds.numel() - 1):
        asked = query[query_bounds[row] : query_bounds[row + 1]]
        key_value = slice(int(bounds[row]), int(bounds[row + 1]))
        weights = torch.einsum("qhd,khd->hqk", asked, key[key_value]) / query.shape[-1] ** 0.5
        behind, ahead = (weights.shape[2] if side == -1 else side for side in window_size)
        places = torch.arange(weights.shape[2])
        first = weights.shape[2] - asked.shape[0] if window_size == (-1, 0) else 0
        distances = places - (first + torch.arange(asked.shape[0]))[:, None]
        weights[:, (distances > ahead) | (distances < -behind)] = -torch.inf
        parts.append(torch.einsum("hqk,khd->qhd", weights.softmax(dim=-1), value[key_value]))
    return torch.cat(parts)


def test_the_kernel_for_varying_lengths_is_told_where_sequences_are(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch.nn.attention.varlen

    monkeypatch.setattr("nightrank.tasks.models.packed.bert.attends_varying", lambda _weight, head_size: head_size > 0)
    monkeypatch.setattr(torch.nn.attention.varlen, "varlen_attn", attended_one_by_one)
    queries, texts = texts_of(1, 20, longest=12), texts_of(2, 20, longest=90)
    model = cross_encoder(models.reranker)
    expected = model.predict(list(zip(queries, texts, strict=True)), activation_fn=torch.nn.Identity())
    np.testing.assert_allclose(PackedScorer(model, InBatches(300)).score(queries, texts), expected, atol=2e-5)

    encoder = SentenceTransformer(str(models.embedder), device="cpu", local_files_only=True)
    vectors = encoder.encode(texts, show_progress_bar=False)
    for rows, found in PackedEmbedder(encoder, InBatches(300)).embed(texts):
        np.testing.assert_allclose(found, vectors[rows], atol=2e-5)  # which the model's last part made unit ones


def test_without_onednn_the_scores_are_the_same(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    model = cross_encoder(models.reranker)
    queries, texts = texts_of(1, 20, longest=12), texts_of(2, 20, longest=90)
    fused = PackedScorer(model, InBatches(300)).score(queries, texts)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    plain = PackedScorer(model, InBatches(300)).score(queries, texts)
    np.testing.assert_allclose(plain, fused, atol=2e-5)


def test_a_batch_that_does_not_fit_into_memory_is_halved(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = PackedScorer(cross_encoder(models.reranker), InBatches(100_000))
    queries, texts = texts_of(1, 20, longest=12), texts_of(2, 20, longest=90)
    expected = scorer.score(queries, texts)
    states, sizes = PackedBert.states, []

    def states_of_three(encoder: PackedBert, batches: Sequence[PackedTokens]) -> list[torch.Tensor]:
        [tokens] = batches
        sizes.append(tokens.lengths.size)
        if tokens.lengths.size > 3:
            raise torch.OutOfMemoryError
        return states(encoder, batches)

    monkeypatch.setattr(PackedBert, "states", states_of_three)
    np.testing.assert_allclose(scorer.score(queries, texts), expected, atol=1e-5)
    assert max(sizes) == 20
    assert sum(size for size in sizes if size <= 3) == 20


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_in_half_precision_scores_are_near_those_of_predict(models: Models, precision: str, device: str) -> None:
    queries, texts = texts_of(1, 40, longest=12), texts_of(2, 40, longest=90)
    exact = cross_encoder(models.reranker, device=device)
    expected = exact.predict(list(zip(queries, texts, strict=True)), activation_fn=torch.nn.Identity())
    exact.model.to(getattr(torch, precision))
    found = PackedScorer(exact, InBatches(512)).score(queries, texts)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)
    assert np.corrcoef(found, expected)[0, 1] > 0.995


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_those_of_encode(models: Models, tmp_path: Path, pooling: str, device: str) -> None:
    model = SentenceTransformer(str(models.embedder), device=device, local_files_only=True)
    pool(model, pooling)
    texts = texts_of(4, 40, longest=300)
    expected = model.encode(texts, show_progress_bar=False)
    embedder = packed_embedder(model, InBatches(700))
    assert embedder is not None
    found = np.empty_like(expected)
    done: list[int] = []
    for rows, vectors in embedder.embed(texts, on_batch=done.append):
        found[rows] = vectors
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)
    assert sum(done) == len(texts)


def test_a_model_of_another_type_is_left_to_sentence_transformers(models: Models, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertForSequenceClassification

    AutoTokenizer.from_pretrained(models.reranker).save_pretrained(tmp_path)
    config = DistilBertConfig(dim=32, n_layers=1, n_heads=2, hidden_dim=32)
    config.num_labels = 1
    DistilBertForSequenceClassification(config).save_pretrained(tmp_path)
    assert packed_scorer(cross_encoder(tmp_path), InBatches(512)) is None

    config_file = models.reranker / "config.json"
    other = tmp_path / "relu"
    AutoTokenizer.from_pretrained(models.reranker).save_pretrained(other)
    from transformers import BertForSequenceClassification

    BertForSequenceClassification.from_pretrained(models.reranker, hidden_act="relu").save_pretrained(other)
    assert json.loads((other / "config.json").read_text())["hidden_act"] == "relu" != config_file.read_text()
    assert packed_scorer(cross_encoder(other), InBatches(512)) is None


def test_a_model_that_pools_otherwise_is_left_to_sentence_transformers(models: Models) -> None:
    model = SentenceTransformer(str(models.embedder), device="cpu", local_files_only=True)
    pool(model, "max")
    assert packed_embedder(model, InBatches(512)) is None


def test_a_model_whose_probes_come_out_otherwise_is_left_to_sentence_transformers(
    models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    model = cross_encoder(models.reranker)
    with torch.no_grad():  # as a library would that computes layers in another way than is known
        model.model.bert.encoder.layer[0].attention.self.scaling *= 1.5
    with caplog.at_level(logging.WARNING, logger="nightrank.tasks.models.packed"):
        assert packed_scorer(model, InBatches(512)) is None
    assert "Probes differ" in caplog.text


def test_a_model_that_sees_other_tokens_is_left_to_sentence_transformers(
    models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    model = cross_encoder(models.reranker)
    model.tokenizer.truncation_side = "left"
    with caplog.at_level(logging.WARNING, logger="nightrank.tasks.models.packed"):
        assert packed_scorer(model, InBatches(512)) is None
    assert "cut at the end" in caplog.text

    shorter = cross_encoder(models.reranker)
    preprocess = shorter.preprocess
    shorter.preprocess = lambda inputs, **_: preprocess([(query, text[:9]) for query, text in inputs])
    with caplog.at_level(logging.WARNING, logger="nightrank.tasks.models.packed"):
        assert packed_scorer(shorter, InBatches(512)) is None
    assert "Its tokens are others" in caplog.text


def test_a_prompt_of_the_models_own_is_kept(models: Models) -> None:
    model = SentenceTransformer(
        str(models.embedder), device="cpu", local_files_only=True, prompts={"q": "x: "}, default_prompt_name="q"
    )
    assert packed_embedder(model, InBatches(512)) is None
