"""The memo of answers: what a language model said to a prompt, word for word, under the model's fingerprint.

One file a model, ``memo/answers-<fingerprint>.duckdb``. An answer is kept whether it was of use or not: it was paid
for, and the same prompt would be paid for again. Each is committed as it arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from nightrank.storage.files.listing import entries
from nightrank.storage.keys import digest
from nightrank.storage.memo.file import MemoFile

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
_FORGET = "DELETE FROM answers WHERE about IN (SELECT about::UUID FROM gone)"


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

    def forget(self, documents: Collection[str]) -> None:
        """Remove what is about some documents."""
        gone = pa.table({"about": pa.array(map(about, documents), pa.string())})
        self.run_over("gone", gone, _FORGET)


def about(document_id: str) -> str:
    """What stands for a document in a memo."""
    return digest("answer about", document_id)


def answer_memos(folder: Path) -> list[str]:
    """The fingerprints of the models that a folder has memos of."""
    return [path.stem.removeprefix(PREFIX) for path in entries(folder, f"{PREFIX}*.duckdb")]
