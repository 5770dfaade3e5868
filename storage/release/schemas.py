"""The schema of every table that a release or its refresh holds, by the kind of its file.

``storage.release.files`` says which file each of them is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.filters.allowed import ALLOWED_CHUNKS
from nightrank.storage.records import (
    BAD_ROWS,
    CANDIDATES,
    CHUNKS,
    DOCUMENTS,
    EXTERNAL_RUN,
    FRESH_CHUNKS,
    FUSED,
    LEG,
    QUERIES,
)
from nightrank.storage.release import files
from nightrank.storage.release.dense_lists import DENSE_LISTS
from nightrank.storage.release.documents import DIGESTS, RAW_DOCUMENTS
from nightrank.storage.release.evaluation import COMPARISON, COVERAGE, DEPTHS, DIAGNOSIS, DROPPED, EVALUATION

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMAS: Mapping[type[files.TableReference], pa.Schema] = {
    files.RawDocuments: RAW_DOCUMENTS,
    files.Documents: DOCUMENTS,
    files.DocumentDigests: pa.schema([DOCUMENTS.field(name) for name in DIGESTS]),
    files.FreshChunks: FRESH_CHUNKS,
    files.Chunks: CHUNKS,
    files.Queries: QUERIES,
    files.OutsideRun: EXTERNAL_RUN,
    files.AllowedSets: ALLOWED_CHUNKS,
    files.Bm25Leg: LEG,
    files.DenseLeg: LEG,
    files.Fused: FUSED,
    files.DenseLists: DENSE_LISTS,
    files.StaticLists: DENSE_LISTS,
    files.Candidates: CANDIDATES,
    files.Evaluation: EVALUATION,
    files.Depths: DEPTHS,
    files.Diagnosis: DIAGNOSIS,
    files.Comparison: COMPARISON,
    files.Coverage: COVERAGE,
    files.Drops: DROPPED,
    files.BadRows: BAD_ROWS,
}
