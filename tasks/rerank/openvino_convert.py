"""Making a cross-encoder a model for OpenVINO, in single precision or with weights in 8 bits.

Weights are quantised by their own ranges, one for each row; activations, by OpenVINO, by the ranges that they have when
they come. Ranges fixed in advance by a sample of pairs are faster, and change twice as many of the best ten.
"""

from __future__ import annotations

import io
import tempfile
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nightrank.storage.errors import InputError
from nightrank.storage.files.atomic import publish_folder, write_text
from nightrank.storage.keys import sha256_of_file
from nightrank.tasks.rerank.cross_encoder import load_cross_encoder
from nightrank.tasks.rerank.openvino import import_openvino
from nightrank.tasks.rerank.openvino_card import CARD_FILE, FILES, NETWORK, TOKENIZER, OpenvinoCard
from nightrank.tasks.rerank.packaged import network_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.tasks.rerank.plan import RerankerPlan


def convert(
    plan: RerankerPlan,
    folder: Path,
    *,
    name: str,
    precision: Literal["float32", "int8"] = "int8",
) -> OpenvinoCard:
    """Write a reranker as a folder that OpenVINO runs; at once or not at all.

    Args:
        plan: Of the reranker.
        folder: Where it goes; must not be there.
        name: Of the reranker, for people.
        precision: Of the result.

    Returns:
        The card that was written.

    Raises:
        InputError: The folder is there, the packages are not, or the model has no fast tokenizer.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already.", remedy="Name a folder that is not.")
    import torch

    from nightrank.tasks.models.first_token import read_first_tokens_only  # it imports torch

    openvino = import_openvino()
    encoder = load_cross_encoder(plan)
    network, tokenizer = network_of(encoder), encoder.tokenizer
    torch.nn.Module.eval(torch.nn.Module.float(network))
    max_tokens = plan.max_tokens or encoder.max_seq_length or 512
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or tokenizer.pad_token_id is None:
        raise InputError(f"The reranker {name!r} has no fast tokenizer with padding.", remedy="Use another model.")

    def encoded(some: Sequence[tuple[str, str]]) -> dict[str, Any]:
        queries, texts = zip(*some, strict=True)
        options = {"padding": True, "truncation": "longest_first", "max_length": max_tokens, "return_tensors": "pt"}
        return dict(tokenizer(list(queries), list(texts), **options))

    example = encoded([("a short query", "a passage"), ("another", "and a somewhat longer passage that is padded")])
    read_first_tokens_only(network)
    network.config.return_dict = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: what it fixes, batch and length, is left open below
        model = openvino.convert_model(network, example_input=example)
        if precision == "int8":
            model = _with_8_bit_weights(model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".openvino-") as scratch:
        made = Path(scratch) / "model"
        made.mkdir()
        openvino.save_model(model, str(made / NETWORK), compress_to_fp16=False)
        backend.save(str(made / TOKENIZER))
        card = OpenvinoCard(
            source=name,
            source_fingerprint=plan.fingerprint,
            precision=precision,
            max_tokens=max_tokens,
            pad_token_id=tokenizer.pad_token_id,
            weight=plan.weight,
            openvino=openvino.get_version(),
            sha256={file: sha256_of_file(made / file) for file in FILES},
        )
        write_text(made / CARD_FILE, card.model_dump_json(indent=2) + "\n")
        publish_folder(made, folder)
    return card


def _with_8_bit_weights(model: Any) -> Any:  # noqa: ANN401 (OpenVINO's model)
    try:
        import nncf
    except ImportError as error:
        message = "Quantizing a reranker needs a package that is not installed."
        raise InputError(message, remedy="Install it: `pip install nightrank[openvino]`.") from error
    with redirect_stdout(io.StringIO()):  # NNCF draws a progress bar of a second's work where results are expected
        return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
