"""The search page of a real server in a real browser: quiet, harmless, readable; the server ends when it is told."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from tests.end_to_end.test_report_in_browser import CONTRAST, NARROW, WIDE, Opened, browser
from tests.support.collection import small_collection
from tests.support.server_process import server_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Dialog, Page, Request

    from tests.conftest import Models
    from tests.support.server_process import ServerProcess

__all__ = ["browser"]  # a fixture

HOSTILE = "<script>alert(1)</script> \"><img src=x onerror=alert(1)> 'and' wax"
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("page") / "project"
    collection = small_collection(folder, embedder=models.embedder, reranker=models.reranker)
    for number, document in enumerate(collection.documents):
        document["kind"] = ("nature", "craft", "<b>food</b>")[number % 3]
        document["year"] = 2020 + number % 4
    collection.documents.append(
        {
            "_id": "hostile/../x?y",
            "title": HOSTILE,
            "text": f"Wax. {HOSTILE}",
            "letters": 1,
            "url": "javascript:alert(1)",
        }
    )
    collection.settings["results"] = {"depth": 30}  # all of it: the models are random
    collection.write()
    refresh_plainly(collection.settings_file)
    with server_process(collection.settings_file) as running:
        yield running
        code, errors = running.stop()
        assert (code, "Traceback" in errors) == (0, False), errors


@pytest.fixture(params=["light", "dark"])
def opened(server: ServerProcess, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Opened]:
    page = browser.new_page(viewport={"width": WIDE, "height": 900}, color_scheme=request.param)
    shown = Opened(page, server.address)

    def dismiss(dialog: Dialog) -> None:
        shown.troubles.append(dialog.message)
        dialog.dismiss()

    def note(asked: Request) -> None:
        shown.requests.append(asked.url)

    page.on("console", lambda message: shown.troubles.append(message.text))
    page.on("pageerror", lambda error: shown.troubles.append(str(error)))
    page.on("dialog", dismiss)
    page.on("request", note)
    yield shown
    picture(page, request.node.name)
    page.close()
    assert [trouble for trouble in shown.troubles if "status of 400" not in trouble] == []
    assert all(url.startswith(server.address) for url in shown.requests)


def picture(page: Page, name: str) -> None:
    """A picture of what is seen, where somebody wants to look at it."""
    if "NIGHTRANK_PICTURES" in os.environ:
        folder = Path(os.environ["NIGHTRANK_PICTURES"])
        page.screenshot(path=folder / f"{''.join(filter(str.isalnum, name))}-{page.viewport_size['width']}.png")  # type: ignore[index]


def test_a_search_shows_results_with_what_answers_marked_and_how_they_were_made(opened: Opened) -> None:
    page = opened.page
    page.goto(opened.uri)
    page.get_by_label("Search for").fill("how do bees make honey")
    page.keyboard.press("Enter")
    assert page.get_by_role("status").inner_text() == "Answered in advance."
    assert page.locator("ol li").count() == 24
    assert {text.lower() for text in page.locator("ol mark").all_inner_texts()} >= {"bees", "honey", "make"}

    page.get_by_label("Search for").fill("bees in the garden")
    page.get_by_role("button", name="Search").click()
    assert page.get_by_role("status").inner_text().startswith("Answered now")
    page.locator("ol a", has_text="gardener").click()
    assert page.locator("article .passage").first.inner_text().startswith("A garden begins")


def test_what_is_typed_is_completed_and_clicks_are_noted(opened: Opened) -> None:
    page = opened.page
    page.goto(opened.uri)
    with page.expect_response(lambda reply: "/suggest" in reply.url):
        page.get_by_label("Search for").press_sequentially("how do", delay=20)
    page.wait_for_function("document.querySelectorAll('#completions option').length > 0")
    options = page.eval_on_selector_all("#completions option", "found => found.map(option => option.value)")
    assert "how do bees make honey" in options
    page.get_by_label("Search for").fill("how do bees make honey")
    page.keyboard.press("Enter")
    page.locator("ol a").first.wait_for()
    # The page stays, for the browser tells nothing of replies to a page that was left.
    page.evaluate("addEventListener('click', event => event.preventDefault())")
    with page.expect_response(lambda reply: reply.url.endswith("/clicks")) as told:
        page.locator("ol a").first.click()
    assert told.value.status == 204


def test_a_field_narrows_the_search(opened: Opened) -> None:
    page = opened.page
    page.goto(f"{opened.uri}/?{urlencode({'q': 'black tea'})}")
    assert page.locator(".filters select").count() == 3
    page.get_by_label("kind").select_option("<b>food</b>")
    page.get_by_role("button", name="Search").click()
    assert page.get_by_role("status").inner_text().startswith("Answered now")
    assert page.locator("ol li").count() == 7
    assert page.get_by_label("kind").input_value() == json.dumps("<b>food</b>")


def test_hostile_queries_and_documents_are_shown_as_they_are(opened: Opened) -> None:
    page = opened.page
    for query in ("<script>alert(1)</script>", HOSTILE):
        page.goto(f"{opened.uri}/?{urlencode({'q': query})}")
        assert page.get_by_label("Search for").input_value() == query
        assert page.locator("ol a", has_text="onerror").count() == 1
        assert (page.locator("img").count(), page.locator("script").count()) == (0, 1)  # our own
    page.locator("ol a", has_text="onerror").click()  # its address is a script, so that our own page is shown
    assert page.locator("article h2").inner_text() == " ".join(HOSTILE.split())


def test_a_query_of_ten_thousand_characters_is_refused_on_the_page(opened: Opened) -> None:
    page = opened.page
    found = page.goto(f"{opened.uri}/?{urlencode({'q': 'honey ' * 1667})}")
    assert found is not None
    assert found.status == 400
    assert "10002 characters, and may have 1000" in page.get_by_role("alert").inner_text()
    page.set_viewport_size({"width": NARROW, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW


def test_a_phone_shows_the_page_without_scrolling_sideways(opened: Opened) -> None:
    page = opened.page
    page.set_viewport_size({"width": NARROW, "height": 800})
    page.goto(f"{opened.uri}/?{urlencode({'q': 'honey and wax'})}")
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW
    page.goto(f"{opened.uri}/?{urlencode({'document': 'garden'})}")
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW


def test_texts_stand_out_from_the_page(opened: Opened) -> None:
    page = opened.page
    page.goto(f"{opened.uri}/?{urlencode({'q': 'honey and wax'})}")
    for selector in ("body", ".how", ".how b", "h2 a", ".id", "footer", ".filters label"):
        assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium is installed")
def test_the_policy_lets_nothing_in(opened: Opened) -> None:
    found = opened.page.goto(opened.uri)
    assert found is not None
    policy = found.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
