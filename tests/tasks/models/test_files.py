from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.models.files import PACKAGED_EMBEDDER, ModelFiles, find_model, resolve_device, resolve_precision

if TYPE_CHECKING:
    from pathlib import Path

PUBLISHED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of all-MiniLM-L6-v2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {"model.safetensors": "weights", "config.json": "{}", "vocab.txt": "a b", "1_Pooling/config.json": "{}"}
    for name, content in files.items():
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_text(content)
    return tmp_path / "model"


def find(folder: Path, *, sha256: str | None = None) -> ModelFiles:
    return find_model(str(folder), base=folder.parent, revision=None, sha256=sha256)


def test_a_folder_is_found_beside_the_settings_and_by_its_whole_path(folder: Path) -> None:
    for name in ("model", "./model", str(folder)):
        assert find_model(name, base=folder.parent, revision=None, sha256=None).folder == folder


def test_weights_of_the_expected_sha256_are_taken_and_others_refused(folder: Path) -> None:
    right = hashlib.sha256(b"weights").hexdigest()
    assert find(folder, sha256=right).weights_sha256 == right
    with pytest.raises(InputError) as caught:
        find(folder, sha256="0" * 64)
    assert right in caught.value.message
    assert "0" * 64 in caught.value.message
    assert caught.value.remedy


def test_a_folder_without_safetensors_is_refused_even_if_it_has_other_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"has no model\.safetensors") as caught:
        find(folder)
    assert "save_pretrained" in caught.value.remedy


def test_a_part_whose_weights_are_pickled_is_refused(folder: Path) -> None:
    modules = [{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "pytorch_model.bin").write_text("pickled")
    with pytest.raises(InputError, match=r"2_Dense/pytorch_model\.bin"):
        find(folder)
    (folder / "2_Dense" / "model.safetensors").write_text("weights")
    before = find(folder).fingerprint()
    (folder / "2_Dense" / "model.safetensors").write_text("others")
    assert find(folder).fingerprint() != before


def test_weights_of_another_name_do_not_make_a_pickled_part_safe(folder: Path) -> None:
    (folder / "router_config.json").write_text(
        json.dumps({"types": {"query_0": "x"}, "structure": {"query": ["query_0"]}})
    )
    (folder / "query_0").mkdir()
    (folder / "query_0" / "pytorch_model.bin").write_text("pickled")
    (folder / "query_0" / "older.safetensors").write_text("weights that nothing loads")
    with pytest.raises(InputError, match=r"query_0/pytorch_model\.bin"):
        find(folder)


def test_a_part_elsewhere_and_an_adapter_are_refused(folder: Path) -> None:
    (folder / "modules.json").write_text(json.dumps([{"path": ""}, {"path": "../others"}]))
    with pytest.raises(InputError, match="outside its folder"):
        find(folder)
    (folder / "modules.json").unlink()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "elsewhere"}')
    with pytest.raises(InputError, match=r"adapter, adapter_config\.json") as caught:
        find(folder)
    assert "merge_and_unload" in caught.value.remedy


def test_a_part_that_is_a_link_to_a_folder_is_in_the_fingerprint(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "model.safetensors").write_text("weights")
    (folder / "2_Dense").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(folder)
    before = find(folder).fingerprint()
    (tmp_path / "elsewhere" / "model.safetensors").write_text("others")
    assert find(folder).fingerprint() != before


def test_what_no_part_is_loaded_from_is_left_alone(folder: Path) -> None:
    (folder / "openvino").mkdir()
    (folder / "openvino" / "openvino_model.bin").write_text("weights")
    (folder / "pytorch_model.bin").write_text("the same, pickled")
    find(folder)


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "config.json",
        "vocab.txt",
        "1_Pooling/config.json",
        "new.json",
        "spiece.model",
        "chat_template.jinja",
    ],
)
def test_a_file_that_decides_what_is_computed_changes_the_fingerprint(folder: Path, name: str) -> None:
    before = find(folder).fingerprint()
    (folder / name).write_text("other")
    assert find(folder).fingerprint() != before


@pytest.mark.parametrize("name", ["README.md", "data_config.json", "picture.png", "train_script.py"])
def test_a_file_that_decides_nothing_does_not(folder: Path, name: str) -> None:
    before = find(folder).fingerprint()
    (folder / name).write_text("other")
    assert find(folder).fingerprint() == before


def test_where_the_model_lies_does_not_change_the_fingerprint(folder: Path) -> None:
    before = find(folder).fingerprint()
    assert find(folder.rename(folder.parent / "moved")).fingerprint() == before


def test_every_decision_changes_the_fingerprint(folder: Path) -> None:
    files = find(folder)
    keys = {
        files.fingerprint(query_prompt="", passage_prompt="", precision="float32"),
        files.fingerprint(query_prompt="query: ", passage_prompt="", precision="float32"),
        files.fingerprint(query_prompt="", passage_prompt="query: ", precision="float32"),
        files.fingerprint(query_prompt="", passage_prompt="", precision="float16"),
    }
    assert len(keys) == 4


def test_the_packaged_embedder_is_found_offline_and_is_the_published_one(tmp_path: Path) -> None:
    files = find_model(PACKAGED_EMBEDDER, base=tmp_path, revision=None, sha256=PUBLISHED_SHA256)
    assert files.weights_sha256 == PUBLISHED_SHA256
    assert "tokenizer.json" in files.digests


def test_a_folder_of_the_packaged_models_name_goes_before_it(folder: Path) -> None:
    place = folder.parent / PACKAGED_EMBEDDER
    place.parent.mkdir()
    folder.rename(place)
    assert find_model(PACKAGED_EMBEDDER, base=folder.parent, revision=None, sha256=None).folder == place


@pytest.mark.parametrize("name", ["absent", "./absent", "/absent", "~/absent", "a/b/c", ""])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    base = tmp_path / "empty" if name else tmp_path / "missing"
    with pytest.raises(InputError, match="There is no model folder") as caught:
        find_model(name, base=base, revision=None, sha256=None)
    assert repr(name) in caught.value.message


@pytest.mark.parametrize(
    ("name", "revision"), [("nobody/no-such-model", None), (PACKAGED_EMBEDDER, "0" * 40), ("bad name/x y", None)]
)
def test_a_hub_model_that_cannot_be_fetched_offline_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, revision: str | None
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="not in the hub's cache") as caught:
        find_model(name, base=tmp_path, revision=revision, sha256=None)
    assert name in caught.value.message
    assert caught.value.remedy


def test_a_device_that_is_not_there_is_refused() -> None:
    import torch

    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in {"cpu", "cuda", "mps"}
    with pytest.raises(InputError, match=f"cuda:{torch.cuda.device_count()}"):
        resolve_device(f"cuda:{torch.cuda.device_count()}")


def test_where_no_gpu_can_be_torch_is_not_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def is_available() -> bool:
        asked.append("torch")
        return False

    monkeypatch.setattr("torch.cuda.is_available", is_available)
    monkeypatch.setattr("nightrank.tasks.models.files.sys.platform", "linux")
    monkeypatch.setattr("nightrank.tasks.models.files.GPU_DEVICES", (tmp_path / "gpu",))
    assert (resolve_device("auto"), asked) == ("cpu", [])
    (tmp_path / "gpu").touch()
    resolve_device("auto")
    assert asked == ["torch"]


def test_a_precision_that_is_named_is_taken_on_every_device() -> None:
    assert resolve_precision("bfloat16", device="cpu") == "bfloat16"
    assert resolve_precision("float32", device="cuda") == "float32"
    assert resolve_precision("auto", device="mps") == "float32"
