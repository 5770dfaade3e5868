from __future__ import annotations

import pytest

from benchmarks.parts import machine


@pytest.mark.long
def test_a_rate_counts_what_its_calls_do_in_their_time() -> None:
    # A product of two 2048 x 2048 matrices is 17 billion operations: no processor does fewer than a tenth of one a
    # second, or more than ten thousand, and 3 x 256 MB added take neither a minute nor a microsecond.
    assert 1e9 < machine.matrix_rate() < 1e14
    assert 1e8 < machine.memory_bandwidth() < 1e13
