"""``nightrank quantize``: the reranker of the settings as a folder for OpenVINO, and what became of its scores."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from nightrank.tasks.rerank.openvino_card import read_openvino_card

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Command
    from tests.support.collection import Collection

needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="the extra openvino is not installed")


@needs_openvino
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_folder_is_a_reranker_whose_scores_are_compared(
    published: Collection, nightrank: Command, tmp_path: Path, precision: str
) -> None:
    output = tmp_path / "made"
    command = ("quantize", "-c", published.settings_file, "--output", output, "--precision", precision, "--json")

    ended = nightrank(*command)

    assert (ended.code, ended.err) == (0, "")
    found = ended.json
    assert (found["output"], found["precision"]) == (str(output), precision)
    assert read_openvino_card(output).precision == precision
    assert min(found["pairs_per_second"], found["pairs_per_second_before"]) > 0
    if precision == "float32":  # the same network: the same order
        assert found["agreement"]["correlation"] == pytest.approx(1.0, abs=1e-4)
        assert found["agreement"]["first"] == 1.0
    again = nightrank(*command)
    assert again.code == 2
    assert str(output) in again.err


@needs_openvino
def test_people_are_shown_what_to_do_next(published: Collection, nightrank: Command, tmp_path: Path) -> None:
    output = tmp_path / "made"
    ended = nightrank("quantize", "-c", published.settings_file, "--output", output)
    assert ended.code == 0
    assert "nightrank evaluate --grid reranker.model=" in ended.out


def test_settings_without_a_reranker_of_ones_own_are_refused(
    collection: Collection, nightrank: Command, tmp_path: Path
) -> None:
    collection.settings["reranker"]["model"] = "none"
    collection.write()
    ended = nightrank("quantize", "-c", collection.settings_file, "--output", tmp_path / "made")
    assert ended.code == 2
    assert "no reranker that runs here" in ended.err
    assert not (tmp_path / "made").exists()
