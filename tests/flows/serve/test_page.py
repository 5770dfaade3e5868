"""What the search page shows of a result."""

from __future__ import annotations

import pytest

from nightrank.flows.serve.answer import Answer
from nightrank.flows.serve.routes.page import Shown
from nightrank.storage.serving.cache import Result

OURS = "/?document=a%2F..%2F%3Fb"


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://example.org/a", "https://example.org/a"),
        ("javascript:alert(1)", OURS),
        ("http://[::1", OURS),  # no address at all
        ("//example.org", OURS),
        (["https://example.org"], OURS),
        (None, OURS),
    ],
)
def test_a_result_leads_to_an_address_of_the_web_or_to_our_own_page(url: object, link: str) -> None:
    assert Shown("", 10).link(Result(1, "a/../?b", "c", 0.0, "", "", {"url": url})) == link  # type: ignore[dict-item]


@pytest.mark.parametrize(("told", "more"), [("read a csv file", ": read a csv file."), (None, ".")])
def test_a_near_answer_names_the_query_that_it_is_of_where_that_may_be_told(told: str | None, more: str) -> None:
    answer = Answer("csv", None, "near", told, 0.9, "r1", "", None, None, ())
    shown = Shown("csv", 10, answer=answer)
    assert (shown.how, shown.how_more) == ("Answered by a like query", more)
