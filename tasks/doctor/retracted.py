"""The check that readers get nothing that was taken down, and whole answers without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nightrank.storage.doctor.faults import Fault, fault_of
from nightrank.storage.keys import sha256_of_file
from nightrank.storage.release.results.file import ResultsFile
from nightrank.storage.retracted.answers import open_answers, path_of_answers
from nightrank.storage.retracted.listed import read_retracted
from nightrank.tasks.doctor.examined import Findings
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.takedown.answers import answers_without

if TYPE_CHECKING:
    from nightrank.storage.retracted.listed import Retracted
    from nightrank.tasks.doctor.examined import Examined


class _Entry(msgspec.Struct, frozen=True):
    """What of a result is looked at."""

    document_id: str


_ENTRIES = msgspec.json.Decoder(list[_Entry])


def check_retracted(examined: Examined) -> Findings:
    """Readers of the live release get no document that was taken down, and what its candidates give without it.

    Of other releases nothing is compared: they get their answers before the pointer names them.
    """
    retracted = read_retracted(examined.workspace)
    release_id = examined.manifest.release_id
    if not retracted.documents or examined.workspace.current_release_id() != release_id:
        return Findings({}, [])
    counted = {"documents taken down": len(retracted.documents)}
    with open_answers(examined.workspace, release_id, retracted) as answers:
        shown = [
            f"{key} {entry.document_id}"
            for key, _, results in answers.rows()
            for entry in _ENTRIES.decode(results)
            if entry.document_id in retracted.documents
        ]
    faults = fault_of("documents that were taken down and are still in answers", shown)
    return Findings(counted, [*faults, *_unfilled(examined, retracted)])


def _unfilled(examined: Examined, retracted: Retracted) -> list[Fault]:
    """Answers that are not what the candidates give without what was taken down."""
    replaced = retracted.releases.get(examined.manifest.release_id)
    if replaced is None:
        return [Fault("the list of what was taken down does not speak of it: answers are shorter, and do not fill up")]
    wanted = answers_without(StoredRelease.open(examined.workspace, examined.manifest.release_id), retracted.documents)
    made = {key: results for key, _, results in wanted.rows}
    if replaced.file is None:
        return fault_of("answers that hold what was taken down and are not replaced", made)
    path = path_of_answers(examined.workspace, replaced)
    damaged = [] if sha256_of_file(path) == replaced.sha256 else [replaced.file]
    with ResultsFile(path) as stored:
        there = {key: results.decode() for key, _, results in stored.rows()}
    differing = {key for key in made.keys() | there.keys() if made.get(key) != there.get(key)}
    return [
        *fault_of("replaced answers whose SHA-256 is not the list's", damaged),
        *fault_of("replaced answers that are not what the candidates give", differing),
    ]
