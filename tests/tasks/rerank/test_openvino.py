"""Rerankers in OpenVINO say what they said in torch; skipped where the extra is not installed."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local
from nightrank.tasks.rerank.openvino import OpenvinoReranker
from nightrank.tasks.rerank.openvino_card import CARD_FILE, NETWORK, read_openvino_card
from nightrank.tasks.rerank.openvino_convert import convert
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings

if TYPE_CHECKING:
    from nightrank.tasks.rerank.plan import RerankerPlan
    from tests.conftest import Models

if find_spec("openvino") is None:
    pytest.skip("the extra openvino is not installed", allow_module_level=True)

TEXTS = ["sort", "The csv module reads and writes tabular data.", "A lock file keeps a second run away. " * 60, ""]
PAIRS = [(query, text) for query in ("read csv", "sort a list", "a much longer query " * 5) for text in TEXTS]


def plan(model: str | Path, **changes: object) -> RerankerPlan:
    settings = RerankerSettings.model_validate({"model": str(model), **changes})
    return plan_local(settings, ExecutionSettings(device="cpu"), base=Path("/nowhere"))


def scores_of(reranker: Reranker | OpenvinoReranker, pairs: list[tuple[str, str]] = PAIRS) -> list[float]:
    lengths = np.array([len(text.split()) for _, text in pairs], dtype=np.int64)
    scores = reranker.score([query for query, _ in pairs], [text for _, text in pairs], lengths)
    assert scores.dtype == np.float32
    return [float(score) for score in scores]


@pytest.fixture(scope="module")
def converted(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("openvino") / "exact"
    convert(plan(models.reranker), folder, name="tiny", precision="float32")
    return folder


def test_in_single_precision_scores_are_torchs_whatever_the_batches(models: Models, converted: Path) -> None:
    expected = scores_of(Reranker(plan(models.reranker), batch_tokens=4096))
    for batch_tokens in (64, 100_000):
        made = OpenvinoReranker(plan(converted), batch_tokens=batch_tokens, threads=1)
        np.testing.assert_allclose(scores_of(made), expected, atol=1e-4)
        np.testing.assert_allclose(scores_of(made, PAIRS[::-1]), expected[::-1], atol=1e-4)
    assert scores_of(made, []) == []


def test_in_eight_bits_scores_are_near_torchs(models: Models, tmp_path: Path) -> None:
    card = convert(plan(models.reranker), tmp_path / "int8", name="tiny")
    made = plan(tmp_path / "int8")
    assert (card.precision, made.precision, made.runtime) == ("int8", "int8", "openvino")
    expected = np.array(scores_of(Reranker(plan(models.reranker), batch_tokens=4096)))
    found = np.array(scores_of(OpenvinoReranker(made, batch_tokens=4096)))
    assert np.abs(found - expected).max() < 0.2 * np.ptp(expected) + 0.02
    assert made.fingerprint != plan(models.reranker).fingerprint


def test_what_decides_scores_is_in_the_fingerprint(models: Models, converted: Path, tmp_path: Path) -> None:
    convert(plan(models.reranker, max_tokens=32), tmp_path / "short", name="tiny", precision="float32")
    short = plan(tmp_path / "short")
    assert short.max_tokens == 32
    assert len({short.fingerprint, plan(converted).fingerprint, plan(models.reranker).fingerprint}) == 3
    assert plan(converted, weight=0.3).fingerprint == plan(converted).fingerprint


def test_a_folder_that_is_not_as_it_was_made_is_refused(converted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(converted, folder)
    with pytest.raises(InputError, match=r"was made for .* tokens in float32"):
        plan(folder, max_tokens=17)
    with pytest.raises(InputError, match=r"was made for .* tokens in float32"):
        plan(folder, precision="bfloat16")
    with pytest.raises(InputError, match="takes no prompt"):
        plan(folder, prompt="q: ")
    with pytest.raises(InputError, match="another SHA-256"):
        plan(folder, sha256="0" * 64)
    (folder / NETWORK).write_text("<net/>")
    with pytest.raises(InputError, match=f"not as it was made: {NETWORK}"):
        plan(folder)
    (folder / CARD_FILE).write_text("{}")
    with pytest.raises(InputError, match="not the card of a reranker for OpenVINO"):
        plan(folder)


def test_a_folder_that_is_there_is_not_written_over(models: Models, converted: Path) -> None:
    before = read_openvino_card(converted)
    with pytest.raises(InputError, match="is there already"):
        convert(plan(models.reranker), converted, name="tiny", precision="float32")
    assert read_openvino_card(converted) == before
    assert sorted(path.name for path in converted.parent.iterdir()) == ["exact"]


def test_nobody_is_told_of_its_use(converted: Path) -> None:
    OpenvinoReranker(plan(converted), batch_tokens=512)
    assert "openvino_telemetry" in sys.modules
    assert sys.modules.get("openvino_telemetry") is None
    assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]
