"""What makes a score of an encoder's states, by the kind of cross-encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

_ROBERTA = {"RobertaForSequenceClassification", "XLMRobertaForSequenceClassification"}
_PARTS = {"Dense", "LayerNorm"}  # of sentence-transformers, that stand behind a pooling


class Head(NamedTuple):
    """The parts of a cross-encoder.

    Attributes:
        network: The encoder.
        takes_mean: Of the tokens' states; else the first one's is taken.
        score: Makes raw scores (n, 1) of what was taken, (n, dim).
    """

    network: Any
    takes_mean: bool
    score: Callable[[Tensor], Tensor]


def head_of(model: Any) -> Head:  # noqa: ANN401 (its type differs from model to model)
    """The parts of a cross-encoder of sentence-transformers.

    Args:
        model: One network with a classifier, or an encoder, a pooling and layers behind it.

    Raises:
        ValueError: They are of other types than are known.
    """
    if len(model) > 1:
        return _of_parts(list(model))
    network = model[0].model
    kind = type(network).__name__
    if kind == "BertForSequenceClassification":
        bert = network.bert
        return Head(bert, False, lambda states: network.classifier(bert.pooler(states.unsqueeze(1))))
    if kind in _ROBERTA:
        return Head(network.roberta, False, lambda states: network.classifier(states.unsqueeze(1)))
    if kind == "ModernBertForSequenceClassification":
        is_mean = network.config.classifier_pooling == "mean"
        return Head(network.model, is_mean, lambda states: network.classifier(network.head(states)))
    raise ValueError(f"{kind} is no cross-encoder of a known type.")


def _of_parts(parts: Sequence[Any]) -> Head:
    kinds = [type(part).__name__ for part in parts]
    if kinds[:2] != ["Transformer", "Pooling"] or not set(kinds[2:]) <= _PARTS:
        raise ValueError(f"It is made of {', '.join(kinds)}.")
    pooling = parts[1].pooling_mode
    if pooling not in ("cls", "mean"):
        raise ValueError(f"It pools by {pooling}.")

    def score(pooled: Tensor) -> Tensor:
        features = {"sentence_embedding": pooled}
        for part in parts[2:]:
            features = part(features)
        return features["scores"]

    return Head(parts[0].model, pooling == "mean", score)
