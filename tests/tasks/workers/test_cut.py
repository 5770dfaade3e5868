from __future__ import annotations

from typing import TYPE_CHECKING, cast

from nightrank.tasks.workers.cut import Place, Sharding

if TYPE_CHECKING:
    from nightrank.tasks.workers.cut import Workers


def test_workers_compute_where_the_run_would_unless_a_device_is_named() -> None:
    workers = cast("Workers", None)  # which are not asked
    assert Sharding(workers, Place(()), texts=1, pairs=1).place_on("cuda").devices == ("cuda",)
    assert Sharding(workers, Place(("cuda:1",)), texts=1, pairs=1).place_on("cpu").devices == ("cuda:1",)
