from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from nightrank.storage.bucket.shards import FolderOnDisk, SharedFile
from nightrank.storage.errors import MachineError
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.embed.shards import EmbedderReference
from nightrank.tasks.settings.index import EmbedderSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.workers.cut import DriftSample, Place
from nightrank.tasks.workers.seats import device_at, forget_models, model_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.tasks.settings.quality import DriftCheckSettings
    from tests.conftest import Models


@dataclass(frozen=True)
class Named:
    """A reference whose model is its name and the device."""

    fingerprint: str
    loads: list[str] = field(default_factory=list)

    def load(self, place: Place, device: str) -> str:  # noqa: ARG002 (as models are loaded)
        self.loads.append(device)
        return f"{self.fingerprint} on {device}"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    forget_models()
    yield
    forget_models()


def ignore(model: str, drift_sample: DriftSample) -> None:
    """Nothing is stored."""


def watching(name: str) -> DriftSample:
    return DriftSample(SharedFile(FolderOnDisk(Path("unused")), name, 0, ""), cast("DriftCheckSettings", None))


def used(place: Place, reference: Named) -> str:
    with model_at(place, reference, None, ignore) as model:
        return model


def test_a_model_is_loaded_once_and_kept_until_another_is_needed() -> None:
    place, first, second = Place(("cpu",)), Named("first"), Named("second")

    assert [used(place, first), used(place, first)] == ["first on cpu", "first on cpu"]
    assert first.loads == ["cpu"]
    used(place, second)
    used(place, first)
    assert (first.loads, second.loads) == (["cpu", "cpu"], ["cpu"])


def test_other_threads_or_batches_make_it_another_model() -> None:
    reference = Named("first")
    for place in (Place(("cpu",)), Place(("cpu",), threads=2), Place(("cpu",), threads=2, batch_tokens=64)):
        used(place, reference)
        used(place, reference)
    assert len(reference.loads) == 3


def test_shards_at_the_same_time_share_the_devices_out() -> None:
    place, reference = Place(("cuda:0", "cuda:1")), Named("first")
    together = threading.Barrier(2)
    seen: list[str] = []

    def work() -> None:
        with model_at(place, reference, None, ignore) as model:
            together.wait(timeout=20)  # both hold one now
            seen.append(model)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(seen) == ["first on cuda:0", "first on cuda:1"]


def test_a_device_serves_one_shard_at_a_time() -> None:
    place, reference = Place(("cpu",)), Named("first")
    order: list[str] = []

    def work() -> None:
        order.append("waits")
        with model_at(place, reference, None, ignore):
            order.append("has it")

    worker = threading.Thread(target=work)
    with model_at(place, reference, None, ignore):
        worker.start()
        worker.join(timeout=0.2)
        order.append("gives back")
    worker.join()
    assert order == ["waits", "gives back", "has it"]


def test_a_device_without_a_model_is_one_that_no_shard_uses() -> None:
    place = Place(("cpu", "cuda:0"))
    with device_at(place) as first, device_at(place) as second:
        assert (first, second) == ("cpu", "cuda:0")
    with model_at(place, Named("first"), None, ignore) as model, device_at(place) as other:
        assert (model, other) == ("first on cpu", "cuda:0")


def test_what_is_stored_is_compared_once_a_run_and_before_each_first_shard() -> None:
    checked: list[tuple[str, str]] = []

    def check(model: str, drift_sample: DriftSample) -> None:
        checked.append((model, drift_sample.file.name))

    place, reference = Place(("cpu",)), Named("first")
    for run in ("monday", "monday", "tuesday"):
        with model_at(place, reference, watching(run), check):
            assert checked[-1] == ("first on cpu", run)
    assert [run for _, run in checked] == ["monday", "tuesday"]


def test_a_model_that_does_not_say_what_is_stored_is_asked_again_each_time() -> None:
    def refuse(model: str, drift_sample: DriftSample) -> None:
        message = "they differ"
        raise MachineError(message)

    place, reference = Place(("cpu",)), Named("first")
    for _ in range(2):
        with pytest.raises(MachineError), model_at(place, reference, watching("monday"), refuse):
            pytest.fail("the shard was computed")


def test_a_worker_with_other_weights_under_the_same_name_refuses(models: Models, tmp_path: Path) -> None:
    settings, execution = EmbedderSettings(model=str(models.embedder)), ExecutionSettings(device="cpu")
    plan = plan_embedder(settings, execution, base=tmp_path)
    place = Place(("cpu",), threads=1)
    same = EmbedderReference(settings, tmp_path, plan.precision, plan.fingerprint)
    assert same.load(place, "cpu").plan.fingerprint == plan.fingerprint

    with pytest.raises(MachineError, match=r"has other files than where the run was started"):
        EmbedderReference(settings, tmp_path, plan.precision, "of other weights").load(place, "cpu")


def test_the_precision_is_the_runs_and_not_what_suits_the_worker(models: Models, tmp_path: Path) -> None:
    settings = EmbedderSettings(model=str(models.embedder))
    half = settings.model_copy(update={"precision": "float16"})
    plan = plan_embedder(half, ExecutionSettings(device="cpu"), base=tmp_path)

    loaded = EmbedderReference(settings, tmp_path, "float16", plan.fingerprint).load(Place(("cpu",)), "cpu")
    assert loaded.plan.precision == "float16"
