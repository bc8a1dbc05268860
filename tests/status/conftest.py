import os

import pytest
from playwright.sync_api import sync_playwright

import service as world


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    with world.running(tmp_path_factory.mktemp("service")) as running:
        running.ask(world.HOSTILE)
        for resource, seconds in (("https://storage.azure.com", 40 * world.MINUTE), ("api://late", 3 * world.MINUTE)):
            assert running.ask_for_one_that_lives(resource, seconds)
        running.ask("api://orders/" + "very-long-segment/" * 30)
        for identity in ("reports", "payroll"):
            running.ask("api://billing", identity=identity)
        yield running


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        # As root it has no sandbox; it sees nothing but a page of ours.
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=flags)
        yield browser
        browser.close()


@pytest.fixture
def seen(browser, service):
    """Opens the page as a browser of this size and taste sees it, and holds all that the browser says of it."""
    contexts = []

    def see(width=1280, height=900, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.answer = page.goto(service.page())
        return page

    yield see
    for context in contexts:
        context.close()
