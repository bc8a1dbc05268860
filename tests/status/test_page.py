"""The status page in Chromium: what it shows, that it asks for nothing else, and how it looks."""

import os
import re
from pathlib import Path

import pytest

import service as world

SIZES = {"wide": (1280, 900), "middle": (820, 1100), "narrow": (360, 740)}


def rows(page, section):
    return page.locator(f"section[aria-labelledby={section}] tbody tr")


def test_it_shows_identities_credentials_keys_and_faults(seen):
    page = seen()
    assert page.title() == "Bursar: status"
    assert [row.split("\n")[0].split("\t")[0] for row in rows(page, "identities").all_inner_texts()] == [
        "reports", "archive", "payroll"
    ], "who fails stands first"
    assert "failing" in rows(page, "identities").nth(0).inner_text()
    assert "rests, and is tried again in" in rows(page, "credentials").filter(has_text="reports").inner_text()
    ends = rows(page, "credentials").filter(has_text="a week or less")
    assert ends.count() == 1 and "secret#2" in ends.inner_text()
    vault = rows(page, "keys").filter(has_text=f"{world.VAULT}/.default")
    assert "held ready" in vault.inner_text() and "fresh" in vault.inner_text()
    assert rows(page, "keys").first.inner_text().startswith("api://late"), "what ends first stands first"
    fault = rows(page, "faults").filter(has_text="reports")
    assert "invalid_client" in fault.inner_text() and "The operator's turn" in fault.inner_text()
    assert page.evaluate("document.documentElement.lang") == "en"


def test_a_hostile_name_is_text(seen):
    page = seen()
    shown = page.locator("section[aria-labelledby=keys]").inner_text()
    assert world.HOSTILE.replace("\u0301", r"\u{301}").replace("\ue001", r"\u{e001}") in shown
    assert page.title() == "Bursar: status"
    assert page.locator("script, img, b").count() == 0
    turning = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
    assert not turning.search(page.content())


def test_it_asks_for_nothing_else_and_breaks_no_rule_of_its_own(seen, service):
    page = seen()
    page.wait_for_load_state("networkidle")
    assert page.said == []
    assert [url for url in page.asked if not url.startswith("data:")] == [service.page()]
    style = page.evaluate("getComputedStyle(document.querySelector('.badge')).borderTopLeftRadius")
    assert style != "0px", "its style is allowed"


def test_what_its_policy_forbids_does_not_run(seen):
    page = seen()
    # As if somebody had found a way to write markup into it.
    page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = "document.title = 'owned'";
        const image = document.createElement('img');
        image.src = '/healthz';
        document.body.append(script, image);
    }""")
    page.wait_for_timeout(200)
    assert page.title() == "Bursar: status"
    assert any("Content Security Policy" in said for said in page.said), page.said


def test_it_refreshes_itself(seen, service):
    page = seen()
    # Another key than any other test asks for.
    resource = "api://asked-for-meanwhile"
    assert rows(page, "keys").filter(has_text=resource).count() == 0
    service.ask(resource)
    rows(page, "keys").filter(has_text=resource).wait_for(timeout=15_000)
    assert page.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_and_can_be_read(seen, size, scheme):
    page = seen(*SIZES[size], scheme)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow == 0, "nothing but a table scrolls sideways"
    page.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{size}-{scheme}.png", full_page=True)
    poor = page.evaluate(CONTRAST)
    assert poor == []


def test_tables_can_be_walked_through(seen):
    page = seen(*SIZES["narrow"])
    for region in page.get_by_role("region").all():
        assert region.get_attribute("aria-labelledby")
    assert page.get_by_role("table").count() == page.locator("caption").count() == 4
    assert page.locator("th:not([scope])").count() == 0
    assert page.get_by_role("heading", level=1).count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "region", "those that scroll by the keyboard"


# Texts with less contrast than WCAG 2 asks for (1.4.3, level AA).
CONTRAST = """() => {
    const parse = (color) => {
        const parts = color.match(/[\\d.]+/g).map(Number);
        return { rgb: parts.slice(0, 3), alpha: parts.length > 3 ? parts[3] : 1 };
    };
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const { rgb, alpha } = parse(getComputedStyle(at).backgroundColor);
            if (alpha === 1) return rgb;
        }
        return [255, 255, 255];
    };
    const poor = [];
    for (const element of document.body.querySelectorAll('*')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own) continue;
        const [a, b] = [luminance(parse(getComputedStyle(element).color).rgb), luminance(ground(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) poor.push(`${element.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return poor;
}"""
