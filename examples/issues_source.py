"""A connector: the issues of a tracker with an API like GitHub's as documents.

Install it in a package of your own that says, in its pyproject.toml:

    [project.entry-points."nightrank.sources"]
    issues = "issues_source:IssuesSource"

and name it in nightrank.toml: source = "issues:https://api.github.com/repos/acme/shop". A token is taken from the
environment (ISSUES_TOKEN), never from the settings. Run as a program it lists what it finds.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar

import httpx

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.sources.source import Fetched, Listed, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = 100  # issues a request lists
LONGEST_WAIT_SECONDS = 900.0
TRIES = 5
GONE, UNAUTHORISED, OURS = (404, 410), 401, 500


class IssuesSource(Source):
    """Issues by number, with their comments; a version is when something of an issue was last changed.

    Args:
        place: The address of a repository in the API.
    """

    calls: ClassVar[int] = 4  # requests at the same time

    def __init__(self, place: str) -> None:
        token = os.environ.get("ISSUES_TOKEN")
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._client = httpx.Client(base_url=place.rstrip("/"), headers=headers, timeout=30.0)

    def listing(self) -> Iterator[Listed]:
        """Every issue, page by page; the oldest first, so that new ones move none from one page to another."""
        for page in self._pages("GET"):
            for issue in page.json():
                yield Listed(str(issue["number"]), issue["updated_at"])

    def fetch(self, wanted: Sequence[Listed]) -> Iterator[Fetched]:
        """An issue with its comments; one that was deleted meanwhile is left out."""
        for one in wanted:
            found = self._ask("GET", f"/issues/{one.key}", may_be=GONE)
            if found.status_code in GONE:
                continue
            issue = found.json()
            texts = [issue["body"] or ""]
            if issue["comments"]:
                comments = self._ask("GET", f"/issues/{one.key}/comments?per_page={PAGE}").json()
                texts += [comment["body"] for comment in comments]
            fields: dict[str, Any] = {
                "title": issue["title"],
                "text": "\n\n".join(texts),
                "url": issue["html_url"],
                "state": issue["state"],
                "labels": [label["name"] for label in issue["labels"]],
            }
            yield Fetched(one.key, issue["updated_at"], fields)

    def signature(self) -> str:
        """The ETags of all pages, which come without their issues."""
        return " ".join(page.headers["ETag"] for page in self._pages("HEAD"))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _pages(self, method: str) -> Iterator[httpx.Response]:
        address: str | None = f"/issues?state=all&sort=created&direction=asc&per_page={PAGE}"
        while address is not None:
            page = self._ask(method, address)
            yield page
            address = page.links.get("next", {}).get("url")

    def _ask(self, method: str, address: str, *, may_be: tuple[int, ...] = ()) -> httpx.Response:
        """What is at an address; waited for where the tracker asks for patience."""
        for _ in range(TRIES):
            answer = self._client.request(method, address)
            if answer.is_success or answer.status_code in may_be:
                return answer
            if answer.status_code == UNAUTHORISED:
                raise InputError("The tracker does not know this token.", remedy="Set ISSUES_TOKEN.")
            wait = _asked_to_wait(answer)
            if wait is None or wait > LONGEST_WAIT_SECONDS:
                break
            time.sleep(wait)
        raise MachineError(
            f"The tracker answers {answer.status_code} to {answer.request.url.path}.", remedy="Run again later."
        )


def _asked_to_wait(answer: httpx.Response) -> float | None:
    """Seconds after which a request may be made again; None where that would not help."""
    headers = answer.headers
    if "retry-after" in headers:
        return float(headers["retry-after"])
    if headers.get("x-ratelimit-remaining") == "0":
        return max(0.0, float(headers["x-ratelimit-reset"]) - time.time())
    return 1.0 if answer.status_code >= OURS else None


if __name__ == "__main__":
    with IssuesSource(sys.argv[1]) as source:
        for item in source.listing():
            print(item.key, item.version)  # noqa: T201
