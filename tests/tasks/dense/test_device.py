"""Products on a device: the lists are those of the processor, to the last bit."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nightrank.storage.errors import InputError, MachineError
from nightrank.tasks.dense import device, products, retrieve
from nightrank.tasks.dense.retrieve import device_of, retrieve_dense
from nightrank.tasks.kernels.top_documents import Documents
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.settings.operation import ExecutionSettings
from tests.support.legs_by_loop import documents_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nightrank.tasks.dense.products import OnDevice, Reaching
    from nightrank.tasks.dense.scan import Block

GPU = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])
OUT_OF_MEMORY: Any = torch.OutOfMemoryError  # torch leaves it untyped
KEPT = np.uint32(0xFFFFE000)  # what TF32 keeps of a float32


def texts_of(said: list[int]) -> Texts:
    return Texts.of(pa.array([f"{text:032x}" for text in said], pa.string()))


def blocks_of(vectors: NDArray[np.float32], texts: Texts, sizes: list[int]) -> Iterator[Block]:
    """The vectors of the texts in blocks of these sizes, again and again."""
    numbers = texts.numbers_of(pa.array([f"{text:032x}" for text in range(len(vectors))], pa.string()))
    known = numbers >= 0
    numbers, vectors, first = numbers[known], vectors[known], 0
    while first < len(numbers):
        for size in sizes:
            if first < len(numbers):
                yield numbers[first : first + size], vectors[first : first + size]
            first += size


def truncated(values: torch.Tensor) -> torch.Tensor:
    """What is left of factors that are cut off behind the bits that TF32 keeps."""
    return torch.from_numpy((values.contiguous().numpy().view(np.uint32) & KEPT).view(np.float32))


def multiply_truncated(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """A matrix product as a tensor core might make it: every sum is cut off as well, never rounded."""
    left, right = truncated(left), truncated(right)
    total = torch.zeros((left.shape[0], right.shape[1]), dtype=torch.float64)
    for place in range(left.shape[1]):
        total = total + left[:, place, None].double() * right[None, place].double()
        single = total.float()
        toward_zero = torch.nextafter(single, torch.zeros_like(single))
        total = torch.where(single.double().abs() > total.abs(), toward_zero, single).double()
    return total.float()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The device makes all products."""
    monkeypatch.setattr(retrieve, "PRODUCTS_HERE", 0)
    return monkeypatch


@pytest.mark.long
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 60),
    dimensions=st.sampled_from([1, 3, 17]),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    depth=st.sampled_from([1, 4, 100]),
    pieces=st.tuples(st.integers(1, 16), st.integers(1, 4), st.sampled_from([1, 40, 10_000])),
    kind=st.sampled_from(["whole", "alike", "real"]),
    scale=st.sampled_from([0.0, 1e-42, 1e-30, 1e-19, 1.0, 1e15, 1e18, 3e19, 1e30]),
    chunks_a_document=st.none() | st.integers(1, 2),
    is_cut_off=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_any_vectors_in_any_blocks_give_the_lists_of_the_processor(
    seed: int,
    count: int,
    dimensions: int,
    sizes: list[int],
    depth: int,
    pieces: tuple[int, int, int],
    kind: str,
    scale: float,
    chunks_a_document: int | None,
    is_cut_off: bool,
) -> None:
    generator = np.random.default_rng(seed)

    def drawn(n: int) -> NDArray[np.number]:
        if kind == "whole":  # many tie, and some are zero
            return generator.integers(-2, 3, (n, dimensions))
        noise = generator.standard_normal((n, dimensions))
        if kind == "alike":
            return np.linspace(1.0, 2.0, dimensions) + 1e-7 * noise
        return noise * 10.0 ** generator.integers(-3, 4, (n, 1))

    vectors, queries = (drawn(n).astype(np.float32) for n in (count, 5))
    with np.errstate(over="ignore"):
        vectors, queries = vectors * np.float32(scale), queries * np.float32(generator.choice([1.0, 1e-10, 1e10]))
    said = [*generator.permutation(count).tolist(), *generator.integers(0, max(1, count), min(count, 9)).tolist()]
    texts = texts_of(said)
    documents = None
    if chunks_a_document is not None and said:
        documents = Documents(documents_of(len(said), generator), chunks_a_document)

    def found(where: str | None) -> pa.Table:
        blocks = blocks_of(vectors, texts, sizes)
        return retrieve_dense(queries, blocks, texts, depth=depth, documents=documents, device=where)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(retrieve, "PRODUCTS_HERE", int(generator.choice([0, 200])))
        for name, value in zip(("TEXTS_HELD", "FIRST_TEXTS"), pieces, strict=False):
            patched.setattr(device, name, value)
        patched.setattr(products, "SCORES_ELSEWHERE", pieces[2])
        if is_cut_off:
            patched.setattr(torch, "matmul", multiply_truncated)
        on_device = found("cpu")

    assert on_device.equals(found(None))


@pytest.mark.parametrize("where", ["cpu", GPU])
def test_little_comes_back_and_it_is_enough(at_once: pytest.MonkeyPatch, where: str) -> None:
    generator = np.random.default_rng(3)
    vectors, queries = (generator.standard_normal((n, 24)).astype(np.float32) for n in (20_000, 40))
    texts, came_back = texts_of([*range(len(vectors))]), []
    inner = products.DeviceProducts.reaching

    def counted(self: products.DeviceProducts, *arguments: Any) -> Reaching:  # noqa: ANN401
        reaching = inner(self, *arguments)
        came_back.append(len(reaching.places))
        return reaching

    at_once.setattr(products.DeviceProducts, "reaching", counted)
    blocks = list(blocks_of(vectors, texts, [3906]))
    found = retrieve_dense(queries, blocks, texts, depth=10, device=where)

    assert found.equals(retrieve_dense(queries, blocks, texts, depth=10))
    assert sum(came_back) < 0.05 * len(queries) * len(vectors)


def test_a_score_that_is_not_a_number_is_an_error(at_once: pytest.MonkeyPatch) -> None:
    del at_once
    vectors = np.array([[1.0, 0.0], [np.nan, 1.0], [2.0, 2.0]], dtype=np.float32)
    with pytest.raises(MachineError, match="not a number"):
        retrieve_dense(
            vectors[:1], [(np.arange(3, dtype=np.int32), vectors)], texts_of([0, 1, 2]), depth=1, device="cpu"
        )


def test_little_work_starts_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nightrank.tasks.dense.device", None)  # an import of it raises
    vectors = np.eye(3, dtype=np.float32)
    blocks = [(np.arange(3, dtype=np.int32), vectors)] * 1
    found = retrieve_dense(vectors, blocks, texts_of([0, 1, 2]), depth=1, device="cpu")
    assert found["chunk_number"].to_pylist() == [0, 1, 2]


@pytest.mark.parametrize("fits", [0, 3, 10, 2**30])
def test_where_memory_is_short_less_is_tried_and_then_the_processor(
    at_once: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fits: int
) -> None:
    generator = np.random.default_rng(5)
    vectors, queries = (generator.integers(-2, 3, (n, 4)).astype(np.float32) for n in (90, 12))
    texts, inner = texts_of([*range(90)]), products.DeviceProducts.reaching

    def narrow(self: products.DeviceProducts, there: OnDevice, part: slice, cuts: NDArray[np.float32]) -> Reaching:
        if part.stop - part.start > fits:
            raise OUT_OF_MEMORY("CUDA out of memory")
        return inner(self, there, part, cuts)

    at_once.setattr(products.DeviceProducts, "reaching", narrow)
    at_once.setattr(products, "LEAST_SCORES", 32)
    at_once.setattr(device, "FIRST_TEXTS", 16)
    found = retrieve_dense(queries, blocks_of(vectors, texts, [30]), texts, depth=9, device="cpu")

    assert found.equals(retrieve_dense(queries, blocks_of(vectors, texts, [30]), texts, depth=9))
    assert len(caplog.records) == (fits < 2)
    assert all("The memory of cpu does not suffice" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("name", ["__init__", "memory", "send"])
def test_a_device_that_is_full_is_left_alone(
    at_once: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("MPS backend out of memory")

    at_once.setattr(products.DeviceProducts, name, full)
    vectors, texts = np.eye(5, dtype=np.float32), texts_of([*range(5)])
    found = retrieve_dense(vectors, blocks_of(vectors, texts, [2]), texts, depth=1, device="cpu")
    assert found["chunk_number"].to_pylist() == [*range(5)]
    assert len(caplog.records) == 1


def test_a_device_with_next_to_nothing_free_is_left_alone(
    at_once: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    at_once.setattr(products, "free_bytes", lambda _: 1_000_000)
    at_once.setattr(products.DeviceProducts, "reaching", None)  # no query goes there by itself
    vectors, texts = np.eye(5, dtype=np.float32), texts_of([*range(5)])
    found = retrieve_dense(vectors, blocks_of(vectors, texts, [2]), texts, depth=1, device="cpu")
    assert found["chunk_number"].to_pylist() == [*range(5)]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["__init__", "send", "reaching"])
def test_another_fault_of_a_device_is_raised(at_once: pytest.MonkeyPatch, name: str) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    at_once.setattr(products.DeviceProducts, name, broken)
    vectors, texts = np.eye(5, dtype=np.float32), texts_of([*range(5)])
    with pytest.raises(RuntimeError, match="launch failure"):
        retrieve_dense(vectors, blocks_of(vectors, texts, [2]), texts, depth=1, device="cpu")


def test_queries_that_a_device_does_not_hold_go_there_each_time(at_once: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(8)
    vectors, queries = (generator.integers(-2, 3, (n, 4)).astype(np.float32) for n in (60, 9))
    at_once.setattr(products, "free_bytes", lambda _: 4 * 4 * 4 * 4)  # four queries in a quarter of it
    at_once.setattr(products, "BYTES_A_SCORE", 1)
    at_once.setattr(products, "LEAST_SCORES", 16)
    at_once.setattr(device, "FIRST_TEXTS", 16)
    texts = texts_of([*range(60)])
    found = retrieve_dense(queries, blocks_of(vectors, texts, [30]), texts, depth=9, device="cpu")
    assert found.equals(retrieve_dense(queries, blocks_of(vectors, texts, [30]), texts, depth=9))


def test_the_settings_name_the_device() -> None:
    assert device_of(ExecutionSettings(device="cpu")) is None
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="does not have"):
            device_of(ExecutionSettings(device="cuda"))
