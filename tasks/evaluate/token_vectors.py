"""Static embeddings: a text as the mean of its tokens' vectors, with nothing of the network between them.

What a dual encoder reads before its first layer: the rows of its own input embedding matrix, so that the difference to
the dual encoder is what the network adds. A bag of tokens: their order says nothing. Prompts are left out, as they
would move every text by the same vector.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.sparse import csr_array

from nightrank.storage.errors import InputError
from nightrank.storage.places import read_bytes
from nightrank.tasks.chunk.boundaries import SPECIAL_TOKENS
from nightrank.tasks.models.files import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# How architectures call the matrix: BERT and its kin, ModernBERT, Qwen and Mistral, T5, GPT-2, static models.
MATRIX_NAMES = (
    "word_embeddings.weight",
    "tok_embeddings.weight",
    "embed_tokens.weight",
    "shared.weight",
    "wte.weight",
    "embedding.weight",
)
_FLOATS = {"F64", "F32", "F16", "BF16"}


class StaticEmbedder:
    """The token vectors of a dual encoder and its tokenizer; made by ``of``.

    Args:
        matrix: float32 (n_tokens, dim), a vector for each token of the vocabulary.
        tokenizer: A ``tokenizers.Tokenizer``.
    """

    def __init__(self, matrix: NDArray[np.float32], tokenizer: Any) -> None:  # noqa: ANN401 (tokenizers ships no types)
        self._matrix = matrix
        self._tokenizer = tokenizer

    @classmethod
    def of(cls, model_folder: Path) -> Self | None:
        """The static embedder within a dual encoder; None where its weights hold no matrix of a known name.

        Args:
            model_folder: With ``model.safetensors`` and ``tokenizer.json``.

        Raises:
            InputError: The tokenizer cannot be read.
        """
        from tokenizers import Tokenizer

        path = model_folder / "tokenizer.json"
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise InputError(
                f"{path} cannot be read as a tokenizer: {error}.",
                remedy="Use a model that comes with a tokenizer.json.",
            ) from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        if (tokens := _tokens_read(model_folder)) is not None:
            tokenizer.enable_truncation(tokens)
        matrix = _read_matrix(model_folder / WEIGHTS, rows=tokenizer.get_vocab_size())
        return None if matrix is None else cls(matrix, tokenizer)

    @property
    def dimensions(self) -> int:
        """The length of a vector; another one than the dual encoder's in some architectures."""
        return int(self._matrix.shape[1])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, float32 (n, dim); zeros for a text without a token.

        A vector depends on its text alone, to the last bit, and not on what is embedded along with it.
        """
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        tokens = [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
        starts = np.append(0, np.cumsum([part.size for part in tokens], dtype=np.int64))
        columns = np.concatenate([np.zeros(0, np.int32), *tokens])
        # Row by row, token by token: a product of sparse and dense adds in this order and no other.
        counts = csr_array(
            (np.ones(columns.size, np.float32), columns, starts), shape=(len(texts), len(self._matrix)), copy=False
        )
        return unit_vectors(counts @ self._matrix)


def unit_vectors(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of length 1 in the same directions, float32 (n, dim); zeros stay zeros.

    A mean has the direction of its sum, so dividing by the number of tokens would change nothing.

    >>> unit_vectors(np.array([[-3.0, 4.0], [0.0, 0.0]], np.float32)).round(4).tolist()
    [[-0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    values = sums.astype(np.float64)
    lengths = np.sqrt(np.einsum("nd,nd->n", values, values))[:, None]
    return (values / np.where(lengths > 0.0, lengths, 1.0)).astype(np.float32)


def _tokens_read(model_folder: Path) -> int | None:
    """How many tokens of a text the dual encoder reads, special tokens not counted; None where its folder is silent."""
    path = model_folder / "sentence_bert_config.json"
    if not path.is_file():
        return None
    length = json.loads(read_bytes(path)).get("max_seq_length")
    return max(1, length - SPECIAL_TOKENS) if isinstance(length, int) else None


def _read_matrix(weights: Path, *, rows: int) -> NDArray[np.float32] | None:
    """float32 (n_tokens, dim), or None where no tensor of a known name has ``rows`` rows or more."""
    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as file:
        found = [
            name for end in MATRIX_NAMES for name in sorted(file.keys(), key=len) if f".{name}".endswith(f".{end}")
        ]
        for name in found:
            slice_ = file.get_slice(name)
            shape = slice_.get_shape()
            if len(shape) == 2 and shape[0] >= rows and slice_.get_dtype() in _FLOATS:
                if slice_.get_dtype() == "BF16":
                    return _read_bfloat16(weights, name)
                matrix: NDArray[np.float32] = file.get_tensor(name).astype(np.float32, copy=False)
                return matrix
    return None


def _read_bfloat16(weights: Path, name: str) -> NDArray[np.float32]:
    """A tensor of the type that NumPy lacks."""
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        matrix: NDArray[np.float32] = file.get_tensor(name).float().numpy()
    return matrix
