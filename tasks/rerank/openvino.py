"""A reranker that OpenVINO runs: on CPUs about as exact as torch and faster, in 8-bit arithmetic several times so.

Its folder is made by ``nightrank quantize`` from any cross-encoder, and is a model like others
then: named in ``[reranker].model``, fingerprinted by its files, watched by the drift check.

Pairs are scored in batches, and the last digits of a score depend on its batch: the score that is stored decides.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.tasks.models.batches import batches_by_budget
from nightrank.tasks.models.files import resolve_batch_tokens
from nightrank.tasks.models.tokens import RowTokenizer
from nightrank.tasks.rerank.openvino_card import NETWORK, TOKENIZER, OpenvinoCard, read_openvino_card

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.tasks.models.tokens import PackedTokens
    from nightrank.tasks.rerank.plan import RerankerPlan


# Neighbouring activations of one token that share an 8-bit range; 64 are a sixth faster and change a little more of the
# best ten.
ACTIVATIONS_A_RANGE = 32


class OpenvinoReranker:
    """A reranker in OpenVINO, loaded.

    Args:
        plan: What to load.
        batch_tokens: Token budget of a batch, or None for what suits the device.
        threads: CPU threads, or None for OpenVINO's own choice.

    Raises:
        InputError: OpenVINO is not installed, or cannot read the folder.
    """

    def __init__(self, plan: RerankerPlan, *, batch_tokens: int | None = None, threads: int | None = None) -> None:
        openvino = import_openvino()
        self.plan = plan
        self._card = read_openvino_card(plan.folder)
        self._batch_tokens = resolve_batch_tokens(batch_tokens, device=plan.device)
        self._tokenizer = _tokenizer(plan.folder, self._card)
        # Without this hint processors that have it compute in bfloat16, and scores would depend on the machine.
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if self._card.precision == "int8":
            options["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = str(ACTIVATIONS_A_RANGE)
        options |= {} if threads is None else {"INFERENCE_NUM_THREADS": threads}
        try:
            compiled = openvino.Core().compile_model(str(plan.folder / NETWORK), "CPU", options)
        except RuntimeError as error:
            message = f"OpenVINO cannot read {plan.folder / NETWORK}: {str(error).splitlines()[0]}"
            raise InputError(message, remedy="Make the folder again, with the version that is installed.") from error
        self._inputs = [entry.any_name for entry in compiled.inputs]
        self._request = compiled.create_infer_request()

    def score(self, queries: Sequence[str], texts: Sequence[str], lengths: NDArray[np.integer]) -> NDArray[np.float32]:  # noqa: ARG002 (tokens are counted before batches are made)
        """Raw scores (logits) of pairs, float32 (n,); higher is more relevant."""
        rows = self._tokenizer.pairs(queries, texts)
        scores = np.empty(len(queries), dtype=np.float32)
        for batch in batches_by_budget(rows.lengths, budget=self._batch_tokens):
            scores[batch] = self._predict(rows.packed(batch))
        return scores

    def _predict(self, tokens: PackedTokens) -> NDArray[np.float32]:
        mask = np.arange(int(tokens.lengths.max())) < tokens.lengths[:, np.newaxis]
        fed = {
            "input_ids": np.full(mask.shape, self._card.pad_token_id, dtype=np.int64),
            "attention_mask": mask.astype(np.int64),
            "token_type_ids": np.zeros(mask.shape, dtype=np.int64),
        }
        fed["input_ids"][mask] = tokens.ids
        fed["token_type_ids"][mask] = tokens.types
        outputs = self._request.infer({name: fed[name] for name in self._inputs})
        scores: NDArray[np.float32] = outputs[0][:, 0].astype(np.float32)  # a copy: the next batch overwrites it
        return scores


def _tokenizer(folder: Path, card: OpenvinoCard) -> RowTokenizer:
    from tokenizers import Tokenizer

    try:
        return RowTokenizer(Tokenizer.from_file(str(folder / TOKENIZER)), max_tokens=card.max_tokens)
    except ValueError as error:
        message = f"The tokenizer in {folder} makes pairs in a way that is not known: {error}"
        raise InputError(message, remedy="Use the reranker that this one was made from.") from error


def import_openvino() -> Any:  # noqa: ANN401 (an extra, whose types are not there without it)
    """The module ``openvino``, without its telemetry: from here on this process finds no package of that.

    Raises:
        InputError: It is not installed.
    """
    if "openvino" not in sys.modules:
        # The import alone would tell its makers of each use; where the package is missing they leave it.
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # what Python takes for "not there"
    try:
        import openvino
    except ImportError as error:
        message = "Rerankers for OpenVINO need packages that are not installed."
        raise InputError(message, remedy="Install them: `pip install nightrank[openvino]`.") from error
    return openvino
