"""The schema of every table that a release or its refresh holds, by the name of its file's kind.

``storage.release.files`` has the kinds, and says which file each of them is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.filters.allowed import ALLOWED_CHUNKS
from nightrank.storage.records import (
    ACCOUNT,
    BAD_ROWS,
    CANDIDATES,
    CHUNKS,
    DOCUMENTS,
    EXTERNAL_RUN,
    FRESH_CHUNKS,
    FUSED,
    LEG,
    QUERIES,
    WATCHED,
)
from nightrank.storage.release.documents import DIGESTS, RAW_DOCUMENTS
from nightrank.storage.release.evaluation import (
    COMPARISON,
    COVERAGE,
    DEPTHS,
    DIAGNOSIS,
    DROPPED,
    EVALUATION,
    GAPS,
    KNOWN_ITEMS,
    LATER_DAY,
)
from nightrank.storage.release.gate_records import JUDGMENTS, PAST_RANKINGS, PAST_RELEASES, PROFILE
from nightrank.storage.release.leg_lists import LEG_LISTS
from nightrank.storage.release.snippets import SNIPPETS

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMAS: Mapping[str, pa.Schema] = {
    "RawDocuments": RAW_DOCUMENTS,
    "Documents": DOCUMENTS,
    "DocumentDigests": pa.schema([DOCUMENTS.field(name) for name in DIGESTS]),
    "FreshChunks": FRESH_CHUNKS,
    "Chunks": CHUNKS,
    "Queries": QUERIES,
    "ExternalRun": EXTERNAL_RUN,
    "AllowedSets": ALLOWED_CHUNKS,
    "Watched": WATCHED,
    "Bm25Leg": LEG,
    "DenseLeg": LEG,
    "SparseLeg": LEG,
    "Fused": FUSED,
    "DenseLists": LEG_LISTS,
    "SparseLists": LEG_LISTS,
    "Candidates": CANDIDATES,
    "CarriedSnippets": SNIPPETS,
    "Evaluation": EVALUATION,
    "Depths": DEPTHS,
    "Diagnosis": DIAGNOSIS,
    "Comparison": COMPARISON,
    "Coverage": COVERAGE,
    "LaterDay": LATER_DAY,
    "Drops": DROPPED,
    "Gaps": GAPS,
    "KnownItems": KNOWN_ITEMS,
    "BadRows": BAD_ROWS,
    "AccountKept": ACCOUNT,
    "JudgmentsKept": JUDGMENTS,
    "PastReleases": PAST_RELEASES,
    "PastRankings": PAST_RANKINGS,
    "Profile": PROFILE,
}
