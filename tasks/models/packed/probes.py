"""Whether a model comes out as its library has it: what is taken over is probed at loading."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from nightrank.storage.files.text import plain_text
from nightrank.tasks.models.tokens import RowTokenizer, fast_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.models.tokens import PackedTokens, TokenRows

logger = logging.getLogger(__name__)


class HasPacked(Protocol):
    """Sequences, as tokens."""

    def packed(self, rows: NDArray[np.intp], /) -> PackedTokens:
        """Some of the sequences, end to end, in the order of ``rows`` int (n,)."""
        ...


PROBES = ("", "a", "how a lock file keeps a second run away, and why")
FAR_PROBE = " ".join(f"word {number}" for number in range(90))  # longer than local attention sees
LONG_PROBE = 4096  # words at most, that show how what is too long is cut
# By precision, of scores and of vectors, in relation to the largest.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.1}
# What a model of a type that only looks known may raise.
EXPECTED = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError)


def row_tokenizer(model: Any) -> RowTokenizer:  # noqa: ANN401
    """What makes the tokens of a model of sentence-transformers.

    Raises:
        ValueError: It makes them in another way than is known.
    """
    if model.max_seq_length is None:
        raise ValueError("It does not say how long its sequences may be.")
    return RowTokenizer(fast_tokenizer(model.tokenizer), max_tokens=model.max_seq_length)


def long_probe(model: Any) -> str:  # noqa: ANN401
    """A text that is cut by a model of sentence-transformers."""
    words: int = min(model.max_seq_length, LONG_PROBE)
    return "table " * words


def prompt_of(model: Any) -> str:  # noqa: ANN401
    """What a model of sentence-transformers puts before every input unless it is told otherwise; empty for nothing."""
    prompt: str | None = model.prompts.get(model.default_prompt_name)
    return prompt or ""


def require_same_tokens(
    model: Any,  # noqa: ANN401
    tokens_of: Callable[[Any], HasPacked],
    inputs: Sequence[Any],
    *,
    prompt: str = "",
) -> None:
    """Raise ValueError unless tokens are those that sentence-transformers gives a model behind a prompt."""
    features = model.preprocess(list(inputs), prompt=prompt)
    ids = features["input_ids"][features["attention_mask"].bool()]
    if not np.array_equal(tokens_of(inputs).packed(np.arange(len(inputs))).ids, ids.numpy()):
        raise ValueError("Its tokens are others.")


def require_same(model: Any, found: NDArray[np.float32], expected: NDArray[np.floating]) -> None:  # noqa: ANN401
    """Raise ValueError unless probes came out as sentence-transformers has them."""
    tolerance = TOLERANCE[next(model.parameters()).dtype] * max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(found - expected).max())
    if difference > tolerance or not np.isfinite(difference):
        raise ValueError(f"Probes differ by {difference:.2g}, more than {tolerance:.2g}.")


def packed_batches(rows: TokenRows, batches: Sequence[NDArray[np.intp]]) -> list[PackedTokens]:
    """Batches of rows, by their numbers int (m,) each."""
    return [rows.packed(places) for places in batches]


def tell(what: str, error: Exception) -> None:
    """Say what is left to a model's own library, and why: it gives the same, and takes longer."""
    logger.warning("%s, which takes longer: %s", what, plain_text(str(error)))
