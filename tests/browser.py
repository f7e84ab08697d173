"""The page of a report in headless Chromium, where there is one."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium"
)


def check_page(path, report, versions):
    """Its table has every row, sorting works, nothing is asked of others.

    Args:
        path: Where the page is.
        report: The report it was made of.
        versions: How many models are compared on it.
    """
    api = pytest.importorskip("playwright.sync_api")
    asked, wrong = [], []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        tab = browser.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: wrong.append(error))
        tab.goto(path.as_uri())
        rows = tab.locator("#layers tbody tr")
        assert rows.count() == len(report.rows)
        assert tab.locator("#versions tbody tr").count() == versions
        heads = tab.locator("#layers th").all_inner_texts()
        orders = {}
        for heading in ("before", "layer", "error"):
            head = tab.locator("#layers th").nth(heads.index(heading))
            for direction in ("ascending", "descending"):
                head.click()
                assert head.get_attribute("aria-sort") == direction
                orders[heading, direction] = rows.locator(
                    f"td:nth-child({heads.index(heading) + 1})"
                ).all_inner_texts()
        browser.close()
    assert asked == [path.as_uri()]
    assert not wrong
    sizes = [row.params_before for row in report.rows]
    for direction, is_down in (("ascending", False), ("descending", True)):
        shown = [int(x.replace(",", "")) for x in orders["before", direction]]
        assert shown == sorted(sizes, reverse=is_down)
    assert orders["layer", "ascending"] != orders["layer", "descending"]
    # Layers without an error come last, whichever way it goes.
    kept = len(report.rows) - len(report.replaced)
    assert all(x == "" for x in orders["error", "ascending"][-kept:])
    assert all(x == "" for x in orders["error", "descending"][-kept:])
    for direction, is_down in (("ascending", False), ("descending", True)):
        shown = [float(x) for x in orders["error", direction][:-kept]]
        assert shown == sorted(shown, reverse=is_down)
        assert len(set(shown)) > 1
