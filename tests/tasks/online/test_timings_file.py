from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.inputs.tiny_models import tiny_embedder
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.online import timing as timings
from nightrank.tasks.online.timing import Conditions, machine
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_times_are_of_a_model_of_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.model_validate(
        {
            "documents": {"source": "a"},
            "queries": {"log": "b"},
            "embedder": {"model": str(tiny_embedder(tmp_path / "model"))},
            "execution": {"device": "cpu"},
        }
    )
    plan = plan_embedder(settings.embedder, settings.execution, base=tmp_path)
    reported = tmp_path / "cpuinfo"
    monkeypatch.setattr(timings, "CPUINFO", reported)

    def key_on(processor: str) -> str:
        reported.write_text(f"processor\t: 0\nmodel name\t: {processor}\n\nprocessor\t: 1\nmodel name\t: {processor}\n")
        assert f"cores, {processor}" in machine("cpu")
        return Conditions.of(settings, plan, None, None, texts=1).key

    assert key_on("A 1") == key_on("A 1") != key_on("B 2")
    reported.unlink()
    assert machine("cpu").rpartition(", ")[2]
