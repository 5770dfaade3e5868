"""The snippets of a release's results as the next release takes them over."""

from __future__ import annotations

import pyarrow as pa

SNIPPETS = pa.schema(
    [
        pa.field("snippet_key", pa.string(), nullable=False),  # of all that it depends on (``tasks.snippets.results``)
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),  # 0: the text is blank, and has no snippet
        pa.field("cut_start", pa.bool_(), nullable=False),
        pa.field("cut_end", pa.bool_(), nullable=False),
        pa.field("highlights", pa.list_(pa.int32()), nullable=False),  # where each begins and ends, in turn
    ]
)
