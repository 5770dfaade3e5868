"""The models of a process that computes shards: loaded for the first shard that needs one, kept for the next ones.

A process has a seat for each device that it may use. One shard at a time sits there, with the model that was last
loaded there: another model takes its place, so that a device holds one.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeVar

from nightrank.storage.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightrank.storage.bucket.shards import SharedFile
    from nightrank.tasks.workers.cut import DriftSample, Place

M = TypeVar("M", covariant=True)  # noqa: PLC0105 (a model, whichever it is)


class Reference(Protocol[M]):
    """A model by what it is: some hundred bytes from which any machine that has its files loads it."""

    @property
    def fingerprint(self) -> str:
        """Decides what it computes."""
        ...

    def load(self, place: Place, device: str) -> M:
        """The model."""
        ...


class Seat:
    """A device of this process.

    Args:
        device: As torch names it.

    Attributes:
        device: As given.
    """

    def __init__(self, device: str) -> None:
        self.lock = Lock()
        self.device = device
        self._held: tuple[object, object] | None = None
        self._checked_sample: SharedFile | None = None

    def model(
        self,
        reference: Reference[M],
        place: Place,
        drift_sample: DriftSample | None,
        check: Callable[[M, DriftSample], None],
    ) -> M:
        """The model, which has said again what is stored: in each run once, before its first shard."""
        key = (reference.fingerprint, place.batch_tokens, place.threads)
        if self._held is None or self._held[0] != key:
            self._held = self._checked_sample = None  # first, so that two never share the device's memory
            self._held = (key, reference.load(place, self.device))
        model: M = self._held[1]  # type: ignore[assignment]  # what the reference with this fingerprint has loaded
        if drift_sample is not None and self._checked_sample != drift_sample.file:
            check(model, drift_sample)
            self._checked_sample = drift_sample.file
        return model

    def leave(self) -> None:
        """Forget the model."""
        with self.lock:
            self._held = self._checked_sample = None


@contextmanager
def model_at(
    place: Place, reference: Reference[M], drift_sample: DriftSample | None, check: Callable[[M, DriftSample], None]
) -> Iterator[M]:
    """The model of a shard, on a device that no other shard of this process uses meanwhile.

    Args:
        place: Where to compute.
        reference: The model.
        drift_sample: What it must say again; None where nothing is stored.
        check: Compares a model with that.

    Raises:
        InputError: The model or the device is not there.
        MachineError: The model is another one here, or does not say again what is stored.
    """
    with place.slot(), _free_seat(devices_of(place)) as seat:
        yield seat.model(reference, place, drift_sample, check)


@contextmanager
def device_at(place: Place) -> Iterator[str]:
    """The device of a shard that needs no model; no other shard of this process uses it meanwhile.

    Args:
        place: Where to compute.
    """
    with place.slot(), _free_seat(devices_of(place)) as seat:
        yield seat.device


def forget_models() -> None:
    """Forget every model of this process."""
    for seat in _seats().values():
        seat.leave()


@cache
def _seats() -> dict[str, Seat]:
    """Of this process: what a worker keeps between shards has no other home."""
    return {}


@contextmanager
def _free_seat(devices: tuple[str, ...]) -> Iterator[Seat]:
    """A seat that nobody has; there are as many shards in a process as seats, or they wait for the first one."""
    seats = [_seats().setdefault(device, Seat(device)) for device in devices]
    taken = next((seat for seat in seats if seat.lock.acquire(blocking=False)), None)
    if taken is None:
        taken = seats[0]
        taken.lock.acquire()
    try:
        yield taken
    finally:
        taken.lock.release()


def devices_of(place: Place) -> tuple[str, ...]:
    """The devices that a shard may use here."""
    if not place.gpus_by_ray:
        return place.devices
    import ray

    numbers = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    return (f"cuda:{numbers[0]}",)


def require_same_model(name: str, found: str, expected: str) -> None:
    """Refuse a model whose fingerprint here is another than where the run was started.

    Raises:
        MachineError: It is.
    """
    if found != expected:
        message = f"The model {name!r} on {socket.gethostname()} has other files than where the run was started."
        raise MachineError(message, remedy="Put the same model on all machines, then run again.")
