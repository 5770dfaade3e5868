"""What training computes is what the network computes: logits and gradients, whatever the batch and the precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from nightrank.tasks.rerank.packaged import network_of, new_cross_encoder
from nightrank.tasks.train.reranker import forward as module
from nightrank.tasks.train.reranker.forward import BertForward, PairForward, training_precision

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

    from tests.conftest import Models

QUERIES = ["red"] * 4
TEXTS = ["a very long text about a red thing", "blue", "two words", "red"]


@pytest.fixture
def encoder(models: Models) -> CrossEncoder:
    torch.manual_seed(5)
    model = new_cross_encoder(models.embedder, max_length=32)
    network_of(model).train(mode=False)
    return model


def gradients(encoder: CrossEncoder, logits: torch.Tensor) -> torch.Tensor:
    network = network_of(encoder)
    network.zero_grad()
    torch.log_softmax(logits, dim=0)[0].backward()  # type: ignore[no-untyped-call]
    parameters = [each for name, each in network.named_parameters() if "position_embeddings" not in name]
    return torch.cat([each.grad.flatten() for each in parameters if each.grad is not None])


@pytest.mark.parametrize("piece_tokens", [1, 24, 2400])
def test_logits_and_gradients_are_the_networks_own(
    encoder: CrossEncoder, monkeypatch: pytest.MonkeyPatch, piece_tokens: int
) -> None:
    monkeypatch.setattr(module, "PIECE_TOKENS", piece_tokens)
    network, tokenizer = network_of(encoder), encoder.tokenizer
    batch = tokenizer(QUERIES, TEXTS, padding=True, return_tensors="pt")
    theirs = network(**batch).logits[:, 0]
    expected = gradients(encoder, theirs)
    ours, tokens = PairForward(network, tokenizer, precision=torch.float32)(QUERIES, TEXTS, max_lengths=[32] * 4)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients(encoder, ours), expected, rtol=1e-3, atol=1e-5)
    assert tokens == int(batch["attention_mask"].sum())


def test_bfloat16_points_the_same_way(encoder: CrossEncoder) -> None:
    network, tokenizer = network_of(encoder), encoder.tokenizer
    single, half = (
        gradients(encoder, PairForward(network, tokenizer, precision=each)(QUERIES, TEXTS, max_lengths=[32] * 4)[0])
        for each in (torch.float32, torch.bfloat16)
    )
    assert torch.nn.functional.cosine_similarity(single, half, dim=0) > 0.99
    assert not torch.equal(single, half)


def test_another_network_than_a_bert_computes_by_itself(encoder: CrossEncoder) -> None:
    network, tokenizer = network_of(encoder), encoder.tokenizer
    expected, _ = PairForward(network, tokenizer, precision=torch.float32)(QUERIES, TEXTS, max_lengths=[32] * 4)

    class OtherNetwork:
        device = network.device

        def __call__(self, **batch: torch.Tensor) -> object:
            return network(**batch)

    forward = PairForward(OtherNetwork(), tokenizer, precision=torch.float32)
    assert not isinstance(forward._forward, BertForward)
    torch.testing.assert_close(forward(QUERIES, TEXTS, max_lengths=[32] * 4)[0], expected, rtol=1e-4, atol=1e-5)


def test_a_query_longer_than_a_pair_may_be_is_cut_too(encoder: CrossEncoder) -> None:
    forward = PairForward(network_of(encoder), encoder.tokenizer)
    _, tokens = forward(["red " * 40] * 2, ["blue " * 40] * 2, max_lengths=[16, 12])
    assert tokens == 16 + 12


def test_the_precision_is_one_that_the_processor_multiplies() -> None:
    known = torch.cpu.get_capabilities()
    halves = known.get("avx512_bf16", False) or known.get("amx_bf16", False)
    assert training_precision(torch.device("cpu")) == (torch.bfloat16 if halves else torch.float32)
