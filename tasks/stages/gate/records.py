"""What the gates keep of a release and read of the live one; it is no stage of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nightrank.storage.records import Judgment
from nightrank.storage.release.compare import rankings_of
from nightrank.storage.release.files import Named, ReleaseFiles
from nightrank.storage.release.gate_records import JUDGMENTS, PAST_RANKINGS
from nightrank.storage.release.whole import whole_file
from nightrank.tasks.gates.judgments import JudgmentCounts
from nightrank.tasks.gates.past import Past, PastRelease
from nightrank.tasks.gates.quality import ranking_values
from nightrank.tasks.gates.rules import Incomparable
from nightrank.tasks.read.told import characters_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.tasks.night import Night
    from nightrank.tasks.stages.built import Built

JUDGED_KEPT, OTHERS_KEPT = 1000, 500  # queries whose rankings are kept, those with the lowest keys


@dataclass(frozen=True, slots=True)
class LiveRecords:
    """What the live release has kept for the gates.

    Attributes:
        judgments: That it was measured by.
        past: It and the releases before it, those that the night is held against.
        profile: Schema PROFILE.
        damaged: Names of files of these that are missing or damaged, though the release has had them.
    """

    judgments: tuple[Judgment, ...] | Incomparable
    past: Past
    profile: pa.Table | Incomparable
    damaged: tuple[str, ...] = ()

    @classmethod
    def of(cls, night: Night) -> LiveRecords:
        """Of the release that is live when the night begins; what is missing or damaged is not compared with."""
        current = night.current
        if current is None:
            first = Incomparable("it is the first release")
            return cls(first, Past(), first)
        kept: tuple[Named[Any], ...] = (
            ReleaseFiles.judgments,
            ReleaseFiles.past_releases,
            ReleaseFiles.past_rankings,
            ReleaseFiles.profile,
        )
        files = ReleaseFiles.of(night.workspace, current.release_id, only=kept)
        judgments, profile = whole_file(files.judgments, current), whole_file(files.profile, current)
        releases, rankings = whole_file(files.past_releases, current), whole_file(files.past_rankings, current)
        found = zip(kept, (judgments, releases, rankings, profile), strict=True)
        damaged = tuple(named.name for named, file in found if file is None and named.name in current.files)
        past = Past() if releases is None or rankings is None else Past.of(releases.read(), rankings.read())
        return cls(
            Incomparable("the live release has kept no judgments")
            if judgments is None
            else tuple(Judgment(**row) for row in judgments.read().to_pylist()),
            past.within(night.settings.gates.drift_days, now=night.now),
            Incomparable("the live release has no profile") if profile is None else profile.read(),
            damaged,
        )


def keep_judgments(night: Night, judgments: Sequence[Judgment]) -> None:
    """Keep what the release is measured by."""
    rows = [(one.query_id, one.document_id, one.grade, one.judged_by) for one in judgments]
    columns = list(zip(*rows, strict=True)) or [()] * len(JUDGMENTS)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, JUDGMENTS, strict=True)]
    night.files.judgments.write(pa.table(arrays, schema=JUDGMENTS))


def keep_past(night: Night, built: Built, past: Past, judgments: Sequence[Judgment], *, ended: Sequence[str]) -> None:
    """Keep the record of the releases before this one, and this one's own, for when it is live.

    Args:
        night: The run.
        built: The new release.
        past: What it was held against.
        judgments: The qrels.
        ended: Gates whose record begins anew: the release fails them and is published all the same, or is judged by
            something else.
    """
    rankings = _rankings(night, built, judgments)
    values = [value for value in rankings.column("value").to_pylist() if value is not None]
    with_text, characters = characters_of(built.account)
    own = PastRelease(
        release_id=night.release_id,
        published_at=night.now,
        measure=night.settings.gates.measure,
        mean=float(np.mean(values)) if values else None,
        judged=JudgmentCounts.of(judgments),
        documents_with_text=with_text,
        characters=characters,
    )
    whole = past.accepting(ended).followed_by(own, rankings)
    night.files.past_releases.write(whole.table())
    night.files.past_rankings.write(whole.rankings)


def all_candidates(built: Built, keys: Sequence[str]) -> dict[str, list[str]]:
    """The documents that were found for some queries, best first: those that are published, then the other candidates.

    Args:
        built: The new release.
        keys: Of queries; those that it does not answer are left out.
    """
    published = rankings_of(built.results.results.path, keys)
    rows = built.candidates.read_rows("query_key", pa.array(sorted(keys), pa.string()))
    rows = rows.select(["query_key", "document_id", "rank"]).sort_by(
        [("query_key", "ascending"), ("rank", "ascending")]
    )
    found: dict[str, dict[str, None]] = {key: dict.fromkeys(ranking) for key, ranking in published.items()}
    for key, document_id in zip(*(rows.column(name).to_pylist() for name in ("query_key", "document_id")), strict=True):
        if key in found:
            found[key].setdefault(document_id)
    return {key: list(ranking) for key, ranking in found.items()}


def digests_of(built: Built, document_ids: Sequence[str]) -> dict[str, str]:
    """The digests of the contents of some documents, by id; those that are not in the collection are left out."""
    rows = built.inputs.digests.read_rows("document_id", pa.array(sorted(set(document_ids)), pa.string()))
    return dict(zip(*(rows.column(name).to_pylist() for name in ("document_id", "content_digest")), strict=True))


def _rankings(night: Night, built: Built, judgments: Sequence[Judgment]) -> pa.Table:
    """What the new release answers judged queries and a sample of the others with, schema PAST_RANKINGS."""
    judged = {judgment.query_id for judgment in judgments}
    queries = built.asked.queries.read(["query_key", "query_ids"]).sort_by("query_key")
    ids = dict(zip(*(column.to_pylist() for column in queries.columns), strict=True))
    of_judged = {key: sorted(judged.intersection(of)) for key, of in ids.items() if not judged.isdisjoint(of)}
    others = [key for key in ids if key not in of_judged][:OTHERS_KEPT]
    keys = [*list(of_judged)[:JUDGED_KEPT], *others]
    found = rankings_of(built.results.results.path, keys)
    wanted = {(query_id, tuple(found[key])) for key in found for query_id in of_judged.get(key, ())}
    values = ranking_values(
        wanted,
        judgments,
        measure=night.settings.gates.measure,
        ignore_identical_ids=night.settings.judgments.ignore_identical_ids,
    )
    digests = digests_of(built, [document_id for ranking in found.values() for document_id in ranking])
    rows = [
        {
            "release_id": night.release_id,
            "query_key": key,
            "query_ids": of_judged.get(key, []),
            "value": float(np.mean([values[query_id, tuple(found[key])] for query_id in of_judged[key]]))
            if key in of_judged
            else None,
            "document_ids": found[key],
            "content_digests": [digests.get(document_id, "") for document_id in found[key]],
        }
        for key in keys
        if key in found
    ]
    return pa.Table.from_pylist(rows, schema=PAST_RANKINGS)
