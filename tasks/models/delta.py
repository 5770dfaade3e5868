"""A fine-tuned model as its difference from a base that is installed anyway.

Only the tensors that training changed are kept. A matrix is stored as its difference from the base in
eight-bit integers with one scale an output row; a vector, and whatever the base does not have (a fresh
classifier), is stored whole. A 90 MB cross-encoder so becomes one file of some 11 MB, which is worth
nothing without exactly the base it was made from: whoever applies it checks the base's digest first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.files.atomic import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

QUANTISED, SCALE, WHOLE = ".delta_int8", ".delta_scale", ".whole"


def quantise_rows(delta: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix in eight-bit integers with one scale a row.

    Args:
        delta: float32 (n_rows, n_columns).

    Returns:
        int8 (n_rows, n_columns) from -127 to 127 and float32 (n_rows,): their product, row by row, differs from
        ``delta`` by at most half a scale. A row of zeros has the scale 0.

    >>> import torch
    >>> values, scales = quantise_rows(torch.tensor([[-2.54, 1.27, 1.27], [0.0, 0.0, 0.0]]))
    >>> values.tolist()
    [[-127, 64, 64], [0, 0, 0]]
    >>> [round(scale, 4) for scale in scales.tolist()]
    [0.02, 0.0]
    """
    import torch

    scales = delta.abs().amax(dim=1) / 127
    steps = delta / torch.where(scales > 0, scales, torch.ones_like(scales)).unsqueeze(1)
    return steps.round().clamp(-127, 127).to(torch.int8), scales


def save_delta(path: Path, base: Mapping[str, Tensor], tuned: Mapping[str, Tensor]) -> None:
    """Write what ``tuned`` has that ``base`` has not, in place of an older file at once.

    Args:
        path: The safetensors file to write; its folder exists.
        base: Parameters of the base model by the tuned model's names; may lack some and have others.
        tuned: Every parameter of the tuned model, in float32.

    Raises:
        InputError: A parameter has another shape than the base's.
    """
    import torch
    from safetensors.torch import save

    kept: dict[str, Tensor] = {}
    for name, value in tuned.items():
        origin = base.get(name)
        if origin is not None and origin.shape != value.shape:
            raise InputError(
                f"{name} has the shape {tuple(value.shape)}, in the base model {tuple(origin.shape)}.",
                remedy="Save a delta against the model that training started from.",
            )
        if origin is not None and torch.equal(origin, value):
            continue
        if origin is None or value.dim() != 2:
            kept[name + WHOLE] = value.detach().clone().contiguous()
        else:
            kept[name + QUANTISED], kept[name + SCALE] = quantise_rows(value.detach() - origin)
    write_bytes(path, save(kept))


def apply_delta(base: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tuned model's parameters: those of the base, changed and completed by a delta file.

    Raises:
        InputError: The file cannot be read as a delta, or changes a parameter that the base does not have.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    remedy = "Restore the model's folder from a release of Nightrank."
    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read as model weights: {error}.", remedy=remedy) from error
    tuned = dict(base)
    for key, value in stored.items():
        if key.endswith(WHOLE):
            tuned[key.removesuffix(WHOLE)] = value
        elif key.endswith(QUANTISED):
            name = key.removesuffix(QUANTISED)
            scales = stored.get(name + SCALE)
            if name not in base or scales is None or base[name].shape != value.shape:
                raise InputError(f"{path} changes {name}, which the base model does not have so.", remedy=remedy)
            tuned[name] = base[name] + value.to(torch.float32) * scales.unsqueeze(1)
        elif not key.endswith(SCALE):
            raise InputError(f"{path} holds {key}, which is no part of a delta.", remedy=remedy)
    return tuned
