"""Settings of columns: which column of a table is what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from nightrank.tasks.settings.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

ColumnName = Annotated[str | None, Field(min_length=1, max_length=1_000)]


class ColumnsSettings(Section):
    """Names of columns, or ``none`` for no column; where nothing is said, usual names are known."""

    @property
    def chosen(self) -> Mapping[str, str]:
        """The names that are given, by what the columns are."""
        return {role: name for role, name in self.model_dump().items() if name is not None}


class DocumentColumns(ColumnsSettings):
    """``[documents.columns]``: columns of tables, as in `text = "body"`; `none`: no column is.

    Without a name here usual ones are known, whatever their case (`id`, `doc_id`; `title`, `name`; `text`, `body`,
    `content`, `abstract`), and every guess is told.
    """

    id: ColumnName = Field(default=None, description="Column of the ids.")
    title: ColumnName = Field(default=None, description="Column of the titles.")
    text: ColumnName = Field(default=None, description="Column of the texts; `none`: titles are all there is.")
    metadata: ColumnName = Field(default=None, description="Column of objects whose fields are metadata.")
    language: ColumnName = Field(
        default=None,
        description="Column of the languages, by English names or ISO codes. It stays a field of the metadata; where "
        "`[bm25].language` is `auto` texts are in it whose own words are not clearly of another.",
    )


class QueryColumns(ColumnsSettings):
    """``[queries.columns]``: columns of the log, as in `count = "hits"`; `none`: no column is.

    Without a name here usual ones are known, whatever their case (`query`, `search term`, `Top queries`; `count`,
    `searches`, `impressions`, `clicks`; `timestamp`, `date`), and every guess is told.
    """

    query: ColumnName = Field(default=None, description="Column of the queries.")
    query_id: ColumnName = Field(default=None, description="Column of the ids by which judgments and runs name them.")
    count: ColumnName = Field(default=None, description="Column of how often a query was asked; `none`: once a row.")
    timestamp: ColumnName = Field(default=None, description="Column of when.")
    user: ColumnName = Field(default=None, description="Column of who.")
    session: ColumnName = Field(default=None, description="Column of the session.")
    user_agent: ColumnName = Field(default=None, description="Column of the program that asked.")
    clicked: ColumnName = Field(default=None, description="Column of the documents that were opened.")
    filter: ColumnName = Field(default=None, description="Column of filters.")
    segment: ColumnName = Field(default=None, description="Column of the segments that `tune` splits by.")
