"""Two people judge in a real browser: by keys, saved at each, undone, across a kill; harmless and readable."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.storage.grades import read_acts
from nightrank.tasks.read.account import Account
from nightrank.tasks.trec.qrels import read_judgments
from tests.end_to_end.test_report_in_browser import CONTRAST, NARROW, WIDE, browser
from tests.end_to_end.test_search_page_in_browser import HOSTILE, picture
from tests.support.collection import small_collection
from tests.support.server_process import server_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Page

    from tests.conftest import Models

__all__ = ["browser"]  # a fixture

pytestmark = pytest.mark.long
ARGUMENTS = ("--by", "people", "--queries", "3")


@pytest.fixture(scope="module")
def settings_file(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people") / "project"
    collection = small_collection(folder, embedder=models.embedder, reranker=models.reranker)
    collection.documents.append({"_id": "<i>x</i>", "title": HOSTILE, "text": f"Honey. {HOSTILE}", "letters": 1})
    collection.log[0] = ("q-honey", HOSTILE, 9)
    collection.settings["judgments"] = {"qrels": "none"}
    collection.write()
    refresh_plainly(collection.settings_file)
    return collection.settings_file


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": WIDE, "height": 900}, color_scheme=request.param)
    troubles: list[str] = []
    requests: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        troubles.append(dialog.message)
        dialog.dismiss()

    opened.on("console", lambda message: troubles.append(message.text))
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("dialog", dismiss)
    opened.on("request", lambda asked: requests.append(asked.url))
    yield opened
    picture(opened, request.node.name)
    opened.close()
    assert troubles == []
    assert all(url.startswith("http://127.0.0.1:") for url in requests)


def begin(page: Page, address: str, judge: str) -> None:
    page.goto(address)
    page.get_by_label("Your name").fill(judge)
    page.keyboard.press("Enter")
    page.locator("#grades").wait_for()


def press(page: Page, key: str) -> None:
    """Press a key, and wait until the next page is there."""
    with page.expect_navigation():
        page.keyboard.press(key)


def far(page: Page) -> str:
    return page.get_by_role("status").inner_text()


def test_two_people_judge_by_keys_and_are_told_how_far_they_agree(page: Page, settings_file: Path) -> None:
    folder = settings_file.parent / "judgments"
    for path in folder.glob("*"):
        path.unlink()
    with server_process(settings_file, *ARGUMENTS, command="judge") as running:
        begin(page, running.address, "Ann")
        assert page.locator("h1").inner_text() == " ".join(HOSTILE.lower().split())
        assert (page.locator("img").count(), page.locator("script").count()) == (0, 1)  # our own
        for count, key in enumerate("3102", 1):
            press(page, key)
            assert f"{count} of" in far(page)
            acts = read_acts((folder / "people.jsonl").read_bytes(), name="log")
            assert [act.grade for act in acts] == [int(each) for each in "3102"[:count]]  # saved at each key

        shown = page.locator("article").inner_text()
        press(page, "s")
        assert page.locator("article").inner_text() != shown
        press(page, "u")
        assert page.locator("article").inner_text() == shown
        press(page, "u")
        assert "3 of" in far(page)

        running.process.send_signal(signal.SIGKILL)
    with server_process(settings_file, *ARGUMENTS, command="judge") as running:
        page.goto(f"{running.address}/?judge=Ann")
        assert "3 of" in far(page)  # nothing was lost
        while page.locator("#grades button[data-key='0']").count():
            press(page, "2")
        assert "you have judged all" in page.locator("main").inner_text()
        begin(page, running.address, "Ben")
        for key in ("2", "2", "0"):
            press(page, key)
        page.get_by_role("link", name="Agreement").click()
        page.locator("td", has_text="Ann and Ben").wait_for()
        code, errors = running.stop()
        assert (code, "Traceback" in errors) == (0, False), errors
    judgments = read_judgments(folder / "people.tsv", name="people.tsv", account=Account())
    assert {judgment.judged_by for judgment in judgments} == {"people"}
    assert len({judgment.query_id for judgment in judgments}) == 3


def test_the_page_is_readable_wide_and_narrow(page: Page, settings_file: Path) -> None:
    with server_process(settings_file, *ARGUMENTS, command="judge") as running:
        begin(page, running.address, "Cem")
        for selector in ("body", ".far", "h1", "h2", ".id", "article .passage"):
            assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector
        page.set_viewport_size({"width": NARROW, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW
        bar = page.locator(".bar").bounding_box()
        assert bar is not None
        assert bar["y"] + bar["height"] <= 700
        press(page, "1")
        page.get_by_role("button", name="Undo").click()
        page.goto(running.address)
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW
        page.set_viewport_size({"width": WIDE, "height": 900})
        page.goto(f"{running.address}/?judge=Cem")
        assert page.evaluate("document.documentElement.scrollWidth") == WIDE
        running.stop()


def test_without_script_the_buttons_do_the_same(browser: Browser, settings_file: Path) -> None:
    with server_process(settings_file, *ARGUMENTS, command="judge") as running:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(f"{running.address}/?judge=Dora")
        page.get_by_role("button", name="Answers it", exact=False).last.click()
        page.get_by_text(re.compile(r"^1 of \d+ judged")).wait_for()
        log = (settings_file.parent / "judgments" / "people.jsonl").read_text().splitlines()
        assert json.loads(log[-1])["judge"] == "Dora"
        context.close()
        running.stop()
