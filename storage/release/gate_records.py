"""What a release keeps for the gates of later nights, so that they need nothing of releases that are gone.

Each release carries the record of those that were live before it, so that a rollback goes back in the record too, and
removing a release removes nothing from it.
"""

from __future__ import annotations

import pyarrow as pa

# judgments.parquet: the judgments that the release was measured by.
JUDGMENTS = pa.schema(
    [
        pa.field("query_id", pa.string(), nullable=False),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("grade", pa.int32(), nullable=False),
        pa.field("judged_by", pa.string(), nullable=False),  # people, known items, clicks or model
    ]
)

# past_releases.parquet: this release and those that were live before it, a row each.
PAST_RELEASES = pa.schema(
    [
        pa.field("release_id", pa.string(), nullable=False),
        pa.field("published_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("measure", pa.string(), nullable=False),  # of the gates, then
        pa.field("mean", pa.float64()),  # of the queries' values; null where nothing was judged
        pa.field("queries_judged", pa.int64(), nullable=False),  # that a relevant document is known for
        pa.field("judgments", pa.int64(), nullable=False),
        pa.field("judgments_relevant", pa.int64(), nullable=False),
        pa.field("documents_with_text", pa.int64(), nullable=False),
        pa.field("characters", pa.int64(), nullable=False),  # of all texts
        # What later releases are held against it for; what was accepted on purpose ends that.
        pa.field("held_for", pa.list_(pa.string()), nullable=False),
    ]
)

# past_rankings.parquet: what those releases answered judged queries, and a sample of the others, with.
PAST_RANKINGS = pa.schema(
    [
        pa.field("release_id", pa.string(), nullable=False),
        pa.field("query_key", pa.string(), nullable=False),
        pa.field("query_ids", pa.list_(pa.string()), nullable=False),
        pa.field("value", pa.float64()),  # mean of the measure over its judged ids, then; null where it was not judged
        pa.field("document_ids", pa.list_(pa.string()), nullable=False),  # best first
        pa.field("content_digests", pa.list_(pa.string()), nullable=False),  # of these documents, then
    ]
)

# profile.parquet: values of a sample of chunks and queries, by which a release is told from a broken one.
PROFILE = pa.schema(
    [
        pa.field("signal", pa.string(), nullable=False),  # one of nightrank.tasks.gates.profile.gates.Signal
        pa.field("key", pa.string(), nullable=False),  # of chunk, query, or "query chunk"; empty: of all
        pa.field("depends_on", pa.string(), nullable=False),  # values are compared where this is equal
        pa.field("value", pa.float64(), nullable=False),
    ]
)
