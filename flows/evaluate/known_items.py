"""What a release without judgments is worth by its known items, as its night measured them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.flows.evaluate.outcome import Evaluated
from nightrank.storage.errors import InputError
from nightrank.tasks.evaluate.measures import parse_measure
from nightrank.tasks.release import StoredRelease

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.flows.settings_file import Configuration


def measured_by_known_items(
    configuration: Configuration, release_id: str | None, *, measures: Sequence[str] | None, per_query: bool
) -> Evaluated | None:
    """The measures that a release keeps; None where it has no known items.

    Args:
        configuration: Where the release is.
        release_id: Its id; None for the current one.
        measures: As ir_measures writes them; None for all that were kept.
        per_query: Tell the figures of single items.

    Raises:
        InputError: There is no such release, or a measure is unknown or was not kept.
    """
    for name in measures or ():
        parse_measure(name)
    with configuration.workspace.reading():
        release = StoredRelease.open(configuration.workspace, release_id)
        if not release.files.known_evaluation.is_there():
            return None
        found = release.files.known_evaluation.read()
    kept = found.column("measure").unique().to_pylist()
    if missing := [name for name in measures or () if name not in kept]:
        message = f"Known items were measured by {', '.join(kept)}, and not by {', '.join(missing)}."
        raise InputError(message, remedy="Name it in [evaluation].measures for the next night, or leave it out.")
    wanted = pa.array(list(measures or kept), pa.string())
    found = found.filter(pc.is_in(found.column("measure"), value_set=wanted))
    return Evaluated(release.release_id, found, "known items", per_query=per_query)
