from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

import nightrank.storage.rates as module
from nightrank.storage.rates import BurstCounter

ROWS = st.lists(st.tuples(st.integers(-(2**63), -(2**63) + 2), st.integers(0, 2), st.integers(1, 3)), max_size=20)


@settings(max_examples=30)
@given(ROWS, st.integers(1, 5))
def test_users_over_a_limit_are_found_whatever_the_order_and_the_batches(
    rows: list[tuple[int, int, int]], limit: int
) -> None:
    sent = Counter[tuple[int, int]]()
    before, module.BATCH = module.BATCH, 3
    try:
        with BurstCounter() as counter:
            for user, minute, queries in rows:
                counter.add(user, minute=minute, queries=queries)
                sent[user, minute] += queries
            found = counter.users_over(limit)
    finally:
        module.BATCH = before
    assert found == {user for (user, _), queries in sent.items() if queries > limit}
