"""Upkeep of LanceDB's tables: rows that nothing reaches go, tags move on, files are put together.

Each step leaves every tagged version readable, so that a process may be killed between any two. The caller is the
workspace's one writer; what removes files says so and wants no reader about.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nightrank.storage.errors import MachineError
from nightrank.storage.foreign import placed
from nightrank.storage.lance.table import ChunkTable

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from numpy.typing import NDArray

    from nightrank.storage.lance.place import LancePlace

# Of what lies on the disk: a table is written anew when more is dead, so a dead row costs at most four written ones.
DEAD_SHARE = 0.2
DEAD_BYTES = 500_000  # so much may be dead in any case: manifests, and a table too small for its dead to matter
# Every commit makes a fragment, which is a file to open; LanceDB fills fragments up to a million rows.
LOOSE_FRAGMENTS = 32
ROWS_OF_A_FRAGMENT = 1_048_576
ROW_IDS_HELD = 10_000  # of one deletion, some 200 kB of SQL


class ChunkPruning:
    """The newest version of a table, for whoever looks after it.

    Args:
        place: Where LanceDB's tables are.
        name: The table's name.

    Raises:
        MachineError: The table is not there.
    """

    def __init__(self, place: LancePlace, name: str) -> None:
        self._place, self._name = place, name
        if name not in place.table_names():
            message = f"LanceDB's table {name} is missing from {place}."
            raise MachineError(message, remedy="Run `nightrank refresh` to build a new release.")
        self._table: Any = place.connect().open_table(name)

    def rows(self) -> pa.RecordBatchReader:
        """A reader of ``chunk_hash`` and ``_rowid`` of every row."""
        schema = pa.schema([pa.field("chunk_hash", pa.string()), pa.field("_rowid", pa.uint64())])
        batches = ChunkTable(self._table, self._place).stream_with_row_ids(["chunk_hash"])
        return pa.RecordBatchReader.from_batches(
            schema, (pa.record_batch(batch.columns, schema=schema) for batch in batches)
        )

    def remove(self, row_ids: NDArray[np.uint64]) -> None:
        """Remove rows from the newest version; versions before it keep them.

        Args:
            row_ids: uint64 (n,), as ``rows`` gave them.
        """
        for start in range(0, len(row_ids), ROW_IDS_HELD):
            self._place.check_writer()
            # LanceDB takes SQL text alone. Nothing but digits can come of these.
            numbers = ",".join(str(int(row_id)) for row_id in row_ids[start : start + ROW_IDS_HELD])
            with placed(self._place):
                self._table.delete(f"_rowid IN ({numbers})")

    def stale_tags(self, release_ids: Collection[str]) -> list[str]:
        """The tags that name none of the releases."""
        return sorted(set(self._table.tags.list()) - set(release_ids))

    def move_tags(self, release_ids: Collection[str]) -> None:
        """Let the tags of these releases name the newest version, and let all other tags go."""
        self._place.check_writer()
        with placed(self._place):
            self._move_tags(release_ids)

    def _move_tags(self, release_ids: Collection[str]) -> None:
        tags, newest = self._table.tags, self._table.version
        there = {name: tag["version"] for name, tag in tags.list().items()}
        for release_id in sorted(release_ids):
            if release_id not in there:
                tags.create(release_id, newest)
            elif there[release_id] != newest:
                tags.update(release_id, newest)
        for stale in self.stale_tags(release_ids):
            tags.delete(stale)

    def is_due(self) -> bool:
        """Whether so much is dead or loose that putting the table together pays.

        The bounds hold what a table takes within 1.25 times what a fresh one would, and the files of a scan within a
        few dozen, while a night that changed little writes nothing.
        """
        statistics = self._table.stats()
        fragments = statistics["fragment_stats"]["num_fragments"]
        written = fragments * statistics["fragment_stats"]["lengths"]["mean"]
        alive = statistics["total_bytes"] * min(1.0, statistics["num_rows"] / max(1, written))
        on_disk = self._place.table_bytes(self._name)
        return bool(
            on_disk > alive / (1 - DEAD_SHARE) + DEAD_BYTES
            or fragments > LOOSE_FRAGMENTS + 2 * (statistics["num_rows"] // ROWS_OF_A_FRAGMENT)
        )

    def put_together(self) -> None:
        """Write small and half-dead fragments anew, as one more version. Older versions, and their files, stay."""
        self._place.check_writer()
        with placed(self._place):
            self._table.optimize()

    def write_anew(self) -> None:
        """Write the whole table anew where a row in it is dead, as one more version; else put it together.

        LanceDB rewrites a fragment only when a tenth of it is dead: removed rows would stay in its bytes.
        """
        statistics = self._table.stats()
        lengths = statistics["fragment_stats"]
        if statistics["num_rows"] >= round(lengths["num_fragments"] * lengths["lengths"]["mean"]):
            self.put_together()
            return
        self._place.check_writer()
        with placed(self._place):
            rows = self._table.search().select(self._table.schema.names)
            self._table.add(rows.to_batches(), mode="overwrite")

    def remove_old_versions(self) -> None:
        """Remove all versions but the newest, which all tags must name, with their files. No reader may be about."""
        self._place.check_writer()
        # Of 0 milliseconds LanceDB warns; the newest version it keeps however old it is.
        with placed(self._place):
            self._table.optimize(
                cleanup_older_than=timedelta(milliseconds=1), delete_unverified=self._place.ends_with_its_writer
            )
