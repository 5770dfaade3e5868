"""What makes a score of an encoder's states, by the kind of cross-encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from torch.nn import functional

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


class LastHead(NamedTuple):
    """The parts of a reranker that reads the last token of a decoder.

    Attributes:
        network: The decoder.
        padding: Tokens at the end that are not read; None where all are.
        score: Makes raw scores (n, 1) of the last tokens' states, (n, dim).
    """

    network: Any
    padding: int | None
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
        pooler, classifier = network.bert.pooler, network.classifier  # and not the network, whose weights can then go
        return Head(network.bert, False, lambda states: classifier(pooler(states.unsqueeze(1))))
    if kind in _ROBERTA:
        classifier = network.classifier
        return Head(network.roberta, False, lambda states: classifier(states.unsqueeze(1)))
    if kind == "ModernBertForSequenceClassification":
        head, classifier = network.head, network.classifier
        is_mean = network.config.classifier_pooling == "mean"
        return Head(network.model, is_mean, lambda states: classifier(head(states)))
    raise ValueError(f"{kind} is no cross-encoder of a known type.")


def _of_parts(parts: Sequence[Any]) -> Head:
    kinds = [type(part).__name__ for part in parts]
    if kinds[:2] != ["Transformer", "Pooling"] or not set(kinds[2:]) <= _PARTS:
        raise ValueError(f"It is made of {', '.join(kinds)}.")
    pooling = parts[1].pooling_mode
    if pooling not in ("cls", "mean"):
        raise ValueError(f"It pools by {pooling}.")

    layers = parts[2:]

    def score(pooled: Tensor) -> Tensor:
        features = {"sentence_embedding": pooled}
        for part in layers:
            features = part(features)
        return features["scores"]

    return Head(parts[0].model, pooling == "mean", score)


def last_head_of(model: Any) -> LastHead:  # noqa: ANN401 (its type differs from model to model)
    """The parts of a cross-encoder of sentence-transformers that is made of a decoder.

    Args:
        model: A causal language model and the words whose logits make the score, or a network with a classifier.

    Raises:
        ValueError: They are of other types than are known.
    """
    kinds = [type(part).__name__ for part in model]
    network = model[0].model
    kind = type(network).__name__
    if kinds == ["Transformer"] and kind.endswith("ForSequenceClassification"):
        return LastHead(network.model, network.config.pad_token_id, network.score)
    if kinds != ["Transformer", "LogitScore"] or not kind.endswith("ForCausalLM"):
        raise ValueError(f"It is made of {', '.join(kinds)}.")
    if getattr(network.config, "final_logit_softcapping", None) is not None or network.lm_head.bias is not None:
        raise ValueError("Its logits are not known.")
    words = [model[1].true_token_id, model[1].false_token_id]
    weights = [network.lm_head.weight[word].detach().clone().float() for word in words if word is not None]

    def score(states: Tensor) -> Tensor:
        """Of all the vocabulary's logits, one or two."""
        logits = [functional.linear(states.float(), weight[None]) for weight in weights]
        return logits[0] if len(logits) == 1 else logits[0] - logits[1]

    return LastHead(network.model, None, score)
