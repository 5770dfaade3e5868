"""A last layer for the first token alone leaves scores as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from sentence_transformers import CrossEncoder

from nightrank.tasks.models.first_token import FirstTokenLayer, read_first_tokens_only

if TYPE_CHECKING:
    from tests.conftest import Models


def test_scores_stay_as_they_are_whatever_is_padded(models: Models) -> None:
    model = CrossEncoder(str(models.reranker), device="cpu", local_files_only=True)
    pairs = [("read csv", "sort"), ("", ""), ("a lock file", "keeps a second run away " * 30), ("sort", "a")]
    expected = model.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False)
    assert read_first_tokens_only(model.model)
    assert isinstance(model.model.bert.encoder.layer[-1], FirstTokenLayer)
    found = model.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_network_of_another_type_is_left_as_it_is() -> None:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    network = DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=10, dim=8, n_layers=1, n_heads=2, hidden_dim=8)
    )
    assert not read_first_tokens_only(network)
