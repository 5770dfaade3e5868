"""The memo of answers: what a language model said to a prompt, word for word, under the model's fingerprint.

One file a model, ``memo/answers-<fingerprint>.duckdb``. An answer is kept whether it was of use or not: it was paid
for, and the same prompt would be paid for again. Each is committed as it arrives.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.files.database import connect_for_writing, only_row
from nightrank.storage.files.listing import entries
from nightrank.storage.keys import digest
from nightrank.storage.memo.file import MemoFile, written_anew

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

PREFIX = "answers-"

ANSWERS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("about", pa.string(), nullable=False),  # the document that the prompt is about, see `about`
        pa.field("answer", pa.string(), nullable=False),
    ]
)

CREATE_ANSWERS = """
CREATE TABLE IF NOT EXISTS answers (key UUID NOT NULL, about UUID NOT NULL, answer VARCHAR NOT NULL)
"""
_COUNT = "SELECT count(*) FROM answers"
_APPEND = """
INSERT INTO answers SELECT batch.key, batch.about, batch.answer
FROM (SELECT key::UUID AS key, about::UUID AS about, answer FROM batch) AS batch ANTI JOIN answers USING (key)
"""
_KNOWN = """
SELECT answers.key::VARCHAR AS key, answers.answer
FROM answers SEMI JOIN (SELECT key::UUID AS key FROM wanted) AS wanted USING (key)
"""
_IS_ABOUT = "SELECT count(*) FROM answers WHERE about IN (SELECT about::UUID FROM gone)"
_LIVING = "SELECT key, about, answer FROM answers WHERE about NOT IN (SELECT about::UUID FROM gone)"
_INSERT = "INSERT INTO answers SELECT key::UUID, about::UUID, answer FROM living"


class AnswerMemo(MemoFile):
    """Answers of one model.

    Args:
        folder: The workspace's folder of memos; made where it is missing.
        model: The model's fingerprint.
    """

    def __init__(self, folder: Path, *, model: str) -> None:
        super().__init__(folder / f"{PREFIX}{model}.duckdb", create=CREATE_ANSWERS, count=_COUNT)

    def append(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Commit answers; one whose key is there already stays as it was.

        Args:
            rows: Of schema ANSWERS.
        """
        self.run_over("batch", pa.Table.from_pylist(list(rows), schema=ANSWERS), _APPEND)

    def answers_of(self, keys: Collection[str]) -> dict[str, str]:
        """What is known of some prompts, by their keys."""
        known = self.run_over("wanted", pa.table({"key": pa.array(list(keys), pa.string())}), _KNOWN)
        columns = (known.column("key").to_pylist(), known.column("answer").to_pylist())
        return {key.replace("-", ""): answer for key, answer in zip(*columns, strict=True)}


def forget_documents(folder: Path, documents: Collection[str]) -> int:
    """Write every memo of answers anew without what is about some documents, at once or not at all.

    Args:
        folder: The workspace's folder of memos.
        documents: Their ids.

    Returns:
        How many answers went.
    """
    gone = pa.table({"about": pa.array(map(about, documents), pa.string())})
    forgotten = 0
    for path in entries(folder, f"{PREFIX}*.duckdb"):
        with closing(connect_for_writing(path)) as memo:
            memo.register("gone", gone)
            count = int(only_row(memo, _IS_ABOUT)[0])
            if not count:
                continue
            with written_anew(path, memo) as anew:
                anew.execute(CREATE_ANSWERS)
                anew.register("living", memo.sql(_LIVING).to_arrow_table())
                anew.execute(_INSERT)
                anew.unregister("living")
            forgotten += count
    return forgotten


def about(document_id: str) -> str:
    """What stands for a document in a memo."""
    return digest("answer about", document_id)
