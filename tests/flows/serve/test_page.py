"""What the search page shows of a result."""

from __future__ import annotations

import pytest

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
