"""ModernBERT over packed tokens: as a classifier, as a network with a head of parts, as an encoder of either kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling
from sentence_transformers.sparse_encoder.modules import SpladePooling

from nightrank.storage.memo.sparse_vectors import largest_difference
from nightrank.tasks.models.execution import InBatches, OneByOne
from nightrank.tasks.models.packed.embedder import packed_embedder
from nightrank.tasks.models.packed.scorer import PackedScorer, packed_scorer
from nightrank.tasks.models.packed.splade import packed_splade
from nightrank.tasks.models.plain import PlainSparse
from tests.tasks.models.packed.test_packed import GPU, attended_one_by_one, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nightrank.tasks.models.execution import Execution
    from tests.conftest import Models

LONGEST = 512  # tokens


def config_of(**changed: Any) -> Any:  # noqa: ANN401
    from transformers import ModernBertConfig

    config = ModernBertConfig(
        vocab_size=30522,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=LONGEST,
        local_attention=32,
        pad_token_id=0,
        initializer_range=0.3,
        **changed,
    )
    config.num_labels = 1
    return config


def saved(models: Models, network: Any, folder: Path) -> Path:  # noqa: ANN401
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_file=str(models.reranker / "tokenizer.json"),
        pad_token="[PAD]",
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def encoder(models: Models, tmp_path: Path) -> Path:
    from transformers import ModernBertModel

    torch.manual_seed(5)
    return saved(models, ModernBertModel(config_of()), tmp_path)


def classifier(models: Models, folder: Path, *, device: str = "cpu", **changed: Any) -> Any:  # noqa: ANN401
    from transformers import ModernBertForSequenceClassification

    torch.manual_seed(5)
    saved(models, ModernBertForSequenceClassification(config_of(**changed)), folder)
    return CrossEncoder(str(folder), device=device, local_files_only=True, max_length=LONGEST)


def of_parts(encoder: Path, *, pooling: str) -> Any:  # noqa: ANN401
    transformer = Transformer(str(encoder), max_seq_length=LONGEST)
    head = [
        Dense(32, 32, bias=False, activation_function=torch.nn.GELU()),
        LayerNorm(32),
        Dense(32, 1, activation_function=torch.nn.Identity(), module_output_name="scores"),
    ]
    return CrossEncoder(modules=[transformer, Pooling(32, pooling_mode=pooling), *head], device="cpu")


def asked() -> tuple[list[str], list[str]]:
    """Pairs of 3 tokens to more than a model takes."""
    return [*texts_of(1, 40, longest=12), "", "tables"], [*texts_of(2, 40, longest=600), "", "values " * 600]


def require_scores_of_predict(model: Any, execution: Execution) -> None:  # noqa: ANN401
    queries, texts = asked()
    expected = model.predict(list(zip(queries, texts, strict=True)), activation_fn=torch.nn.Identity())
    scorer = packed_scorer(model, execution)
    assert scorer is not None
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(scorer.score(queries, texts), expected, atol=2e-5)


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("execution", [lambda: InBatches(2000), lambda: OneByOne(2)])
def test_a_classifier_scores_as_predict_does(
    models: Models, tmp_path: Path, device: str, pooling: str, execution: Callable[[], Execution]
) -> None:
    require_scores_of_predict(classifier(models, tmp_path, device=device, classifier_pooling=pooling), execution())


def test_a_classifier_whose_last_layer_sees_neighbours_alone_scores_as_predict_does(
    models: Models, tmp_path: Path
) -> None:
    model = classifier(models, tmp_path, global_attn_every_n_layers=2)
    assert model.model.config.layer_types[-1] == "sliding_attention"
    require_scores_of_predict(model, InBatches(2000))


def test_layers_with_biases_score_as_predict_does(models: Models, tmp_path: Path) -> None:
    biases: dict[str, Any] = dict.fromkeys(("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"), True)
    require_scores_of_predict(classifier(models, tmp_path, **biases), OneByOne(1))


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_an_encoder_with_a_head_of_parts_scores_as_predict_does(encoder: Path, pooling: str) -> None:
    require_scores_of_predict(of_parts(encoder, pooling=pooling), OneByOne(1))


def test_an_encoder_with_parts_that_are_not_known_is_left_to_its_library(encoder: Path) -> None:
    model = of_parts(encoder, pooling="max")
    assert packed_scorer(model, OneByOne(1)) is None


def test_scaled_positions_and_other_activations_are_left_to_their_library(models: Models, tmp_path: Path) -> None:
    model = classifier(models, tmp_path / "relu", hidden_activation="relu")
    assert packed_scorer(model, OneByOne(1)) is None
    scaled = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}
    plain = {"rope_type": "default", "rope_theta": 10_000.0}
    turns = {"full_attention": scaled, "sliding_attention": plain}
    model = classifier(models, tmp_path / "scaled", rope_parameters=turns)
    assert packed_scorer(model, OneByOne(1)) is None


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_dual_encoder_gives_the_vectors_of_encode(encoder: Path, pooling: str) -> None:
    transformer = Transformer(str(encoder), max_seq_length=LONGEST)
    model = SentenceTransformer(modules=[transformer, Pooling(32, pooling_mode=pooling)], device="cpu")
    _, texts = asked()
    expected = model.encode(texts, normalize_embeddings=True)
    embedder = packed_embedder(model, OneByOne(1))
    assert embedder is not None
    for places, found in embedder.embed(texts):
        np.testing.assert_allclose(found, expected[places], atol=2e-5)


def test_a_sparse_encoder_gives_the_weights_of_encode(models: Models, tmp_path: Path) -> None:
    from transformers import ModernBertForMaskedLM

    torch.manual_seed(5)
    folder = saved(models, ModernBertForMaskedLM(config_of()), tmp_path)
    transformer = Transformer(str(folder), transformer_task="fill-mask", max_seq_length=LONGEST)
    model = SparseEncoder(modules=[transformer, SpladePooling("max")], device="cpu")
    plain = PlainSparse(model, OneByOne(1), task="document", min_weight=0.01)
    packed = packed_splade(list(model), plain, OneByOne(1))
    assert packed is not None
    texts = texts_of(2, 6, longest=300)
    assert largest_difference(packed.encode(texts), plain.encode(texts), min_weight=0.01).max() < 1e-3


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_in_half_precision_scores_are_near_those_of_predict(models: Models, tmp_path: Path, precision: str) -> None:
    model = classifier(models, tmp_path)
    queries, texts = asked()
    expected = model.predict(list(zip(queries, texts, strict=True)), activation_fn=torch.nn.Identity())
    model.model.to(getattr(torch, precision))
    found = PackedScorer(model, InBatches(2000)).score(queries, texts)
    assert np.abs(found - expected).max() < 0.15 * np.ptp(expected)


def test_the_kernel_for_varying_lengths_is_told_what_layers_see(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch.nn.attention.varlen

    monkeypatch.setattr(
        "nightrank.tasks.models.packed.modernbert.attends_varying", lambda _weight, head_size: head_size > 0
    )
    monkeypatch.setattr(torch.nn.attention.varlen, "varlen_attn", attended_one_by_one)
    require_scores_of_predict(classifier(models, tmp_path), InBatches(2000))
