"""Queries of inference-free encoders: each token of a query has a weight of its own, whatever stands beside it.

Such a model (Shen et al., 2025, arXiv:2411.04403) reads texts with a network and looks queries up in a table, so that
a query costs what its tokenizer costs. Neither torch nor the network is loaded for it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.storage.memo.sparse_vectors import SparseVectors
from nightrank.storage.places import read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer

ROUTES, PROMPTS, TOKENIZER = "router_config.json", "config_sentence_transformers.json", "tokenizer.json"
STATIC = "SparseStaticEmbedding"  # what sentence-transformers calls such a table


class StaticQueries:
    """A table of weights.

    Args:
        tokenizer: Of the package tokenizers; this changes it.
        weights: float32 (vocabulary,).
        prompt: Text put before each query.
        max_tokens: Of a query; longer ones are cut.
        min_weight: Entries below it are dropped.
    """

    def __init__(
        self, tokenizer: Tokenizer, weights: NDArray[np.float32], *, prompt: str, max_tokens: int, min_weight: float
    ) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer, self._weights = tokenizer, weights
        self._prompt, self._max_tokens, self._min_weight = prompt, max_tokens, min_weight

    @classmethod
    def in_folder(cls, folder: Path, *, max_tokens: int, min_weight: float) -> Self | None:
        """The table of a model's folder; None where its queries go through a network, or through what is not known."""
        from tokenizers import Tokenizer

        if not (folder / ROUTES).is_file():
            return None
        routes = json.loads(read_bytes(folder / ROUTES))
        path = routes.get("structure", {}).get("query", [])
        if len(path) != 1 or not str(routes["types"].get(path[0], "")).endswith(STATIC):
            return None
        part = folder / path[0]
        if not (part / TOKENIZER).is_file():
            return None
        tokenizer = Tokenizer.from_file(str(part / TOKENIZER))
        weights = _weights_in(part, tokenizer)
        limit = _limit_in(part)
        return cls(
            tokenizer,
            weights,
            prompt=_prompt_in(folder),
            max_tokens=max_tokens if limit is None else min(max_tokens, limit),
            min_weight=min_weight,
        )

    def encode(self, texts: Sequence[str]) -> SparseVectors:
        """The vectors of queries (n,)."""
        rows = []
        prompted = [self._prompt + text for text in texts]
        for encoding in self._tokenizer.encode_batch_fast(prompted, add_special_tokens=False):
            tokens = np.unique(np.array(encoding.ids[: self._max_tokens], dtype=np.int32))
            weights = self._weights[tokens]
            kept = weights >= self._min_weight
            rows.append((tokens[kept], weights[kept]))
        return SparseVectors.of(rows)


def _weights_in(part: Path, tokenizer: Tokenizer) -> NDArray[np.float32]:
    from safetensors.numpy import load_file

    config = json.loads(read_bytes(part / "config.json"))
    named = str(config.get("path") or "")
    if not named.endswith(".json"):
        weights: NDArray[np.float32] = load_file(part / "model.safetensors")["weight"].astype(np.float32)
        return weights
    if Path(named).name != named:  # a change of it would go unnoticed
        raise InputError(
            f"{part / 'config.json'} names weights in another folder: {named!r}.",
            remedy="Copy that file beside it, and name it alone.",
        )
    weights = np.zeros(tokenizer.get_vocab_size(), dtype=np.float32)
    for token, weight in json.loads(read_bytes(part / named)).items():
        number = tokenizer.token_to_id(token)
        if number is not None:
            weights[number] = weight
    return weights


def _limit_in(part: Path) -> int | None:
    path = part / "tokenizer_config.json"
    limit = json.loads(read_bytes(path)).get("model_max_length") if path.is_file() else None
    return int(limit) if limit is not None and limit < 1_000_000 else None  # "no limit" is written as 10^30


def _prompt_in(folder: Path) -> str:
    path = folder / PROMPTS
    config = json.loads(read_bytes(path)) if path.is_file() else {}
    prompts = config.get("prompts", {})
    return str(prompts.get("query", prompts.get(config.get("default_prompt_name"), "")) or "")
