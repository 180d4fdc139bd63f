"""The event's page in a real browser, from disk, with no network: what a person sees and can do."""

import contextlib
import importlib.util
import re
import shutil
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS = 300_000
"""A busy machine is slow to start a browser, and to draw."""
SYNTHETIC = Path(__file__).parents[1] / "unit" / "pipeline_lib" / "publish" / "conftest.py"


def _synthetic():
    """The synthetic flood of the publishing tests, by path: several folders have a module of that name."""
    spec = importlib.util.spec_from_file_location("synthetic_flood", SYNTHETIC)
    module = importlib.util.module_from_spec(spec)
    sys.modules["synthetic_flood"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def event_folder(tmp_path_factory) -> Path:
    from pipeline_lib.publish.publication import publish

    out = tmp_path_factory.mktemp("page")
    publish(_synthetic().make_flood().publication(3), out)
    return out / "river-2024"


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = {"args": ["--no-sandbox", "--disable-gpu"], "timeout": PATIENCE_MS}
        started = playwright.chromium.launch(executable_path=CHROMIUM, **options)
        yield started
        started.close()


@pytest.fixture
def page(browser, event_folder):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    opened.said, opened.asked = [], []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(f"file://{event_folder}/index.html")
    opened.wait_for_selector("body[data-ready]")
    yield opened
    context.close()


def colours(page) -> dict[str, int]:
    """How many pixels of the map's canvas are red, blue, grey ..."""
    return page.evaluate(
        """() => { const c = document.querySelector('#map canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const n = { red: 0, orange: 0, grey: 0, any: 0 };
        for (let i = 0; i < d.length; i += 4) { const [r, g, b, a] = d.slice(i, i + 4); if (!a) continue; n.any++;
          if (r > 170 && g < 90 && b < 90) n.red++; if (r > 190 && g > 110 && g < 170 && b < 90) n.orange++;
          if (Math.abs(r - g) < 6 && Math.abs(g - b) < 6) n.grey++; } return n; }"""
    )


@contextlib.contextmanager
def redrawn(page):
    """What is done in the block has the page drawn anew once; the block ends when that is done."""
    before = page.get_attribute("body", "data-ready")
    yield
    page.wait_for_function("before => document.body.dataset.ready !== before", arg=before)


def test_opens_from_disk_without_network_or_complaint(page, event_folder):
    assert page.said == []
    assert all(url.startswith(("file://", "data:", "blob:")) for url in page.asked)
    seen = colours(page)
    assert seen["red"] > 1000
    assert seen["orange"] > 1000
    assert seen["grey"] > 10000
    assert "River & town <flood>" in page.title()
    for href in page.eval_on_selector_all("a[data-file]", "all => all.map(a => a.getAttribute('href'))"):
        assert (event_folder / href).is_file(), href


def test_layers_opacity_and_legend(page):
    for value in page.eval_on_selector_all("#layer option", "all => all.map(o => o.value)"):
        with redrawn(page):
            page.select_option("#layer", value)
        assert page.inner_text("#legend").strip().endswith("not observed"), value
    with redrawn(page):
        page.select_option("#layer", "classes")
    page.evaluate(
        "() => { const o = document.getElementById('opacity'); o.value = 0; o.dispatchEvent(new Event('input')); }"
    )
    assert colours(page)["red"] == 0
    assert page.said == []


def test_time_slider_shows_each_pass_and_what_it_did_not_see(page):
    whole = colours(page)["red"]
    page.focus("#time")
    with redrawn(page):
        page.keyboard.press("Home")
    assert "10 May 2024, 05:30 UTC" in page.inner_text("#when")
    assert 0 < colours(page)["red"] < whole
    with redrawn(page):
        page.keyboard.press("ArrowRight")
    assert "12 May 2024" in page.inner_text("#when")
    hatched = page.evaluate(
        """() => { const c = document.querySelector('#map canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 0; i < d.length; i += 4) if (d[i] === 0x5d && d[i+1] === 0x68 && d[i+2] === 0x73) n++; return n; }"""
    )
    assert hatched > 300


def test_click_and_keyboard_tell_the_values(page):
    box = page.locator("#map").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.4)
    page.wait_for_selector(".leaflet-popup-content")
    words = page.inner_text(".leaflet-popup-content")
    assert "Looks that could tell" in words
    assert re.search(r"43\.9\d+, 5\.3\d+", words)
    page.keyboard.press("Escape")
    page.focus("#map")
    page.keyboard.press("Enter")
    page.wait_for_selector(".leaflet-popup-content")


def test_swipe_with_the_keyboard(page):
    with redrawn(page):
        page.click("#compare")
    half = colours(page)["red"]
    page.focus("#divider")
    page.keyboard.press("End")
    page.wait_for_selector("#divider[aria-valuenow='100']")
    assert colours(page)["red"] == 0
    page.keyboard.press("Home")
    page.wait_for_selector("#divider[aria-valuenow='0']")
    assert colours(page)["red"] > half > 0


def test_every_control_has_a_name_and_text_has_contrast(page):
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, [role=slider], [role=button]')].filter(e =>
        !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim())).map(e => e.outerHTML)"""
    )
    assert nameless == []
    low = page.evaluate(
        """() => { const lum = c => { const v = c.map(x => { x /= 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
          return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
        const nums = s => s.match(/[\\d.]+/g).map(Number);
        const ground = e => { for (; e; e = e.parentElement) { const c = nums(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
        return [...document.querySelectorAll('body *')].filter(e => e.childNodes.length && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && e.offsetParent && !['SCRIPT', 'STYLE'].includes(e.tagName))
          .map(e => { const a = lum(nums(getComputedStyle(e).color)), b = lum(ground(e)); return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.slice(0, 40)]; })
          .filter(([ratio]) => ratio < 4.5); }"""
    )
    assert low == []


def test_fits_a_phone(browser, event_folder):
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, device_scale_factor=2, is_mobile=True, has_touch=True
    )
    context.set_default_timeout(PATIENCE_MS)
    phone = context.new_page()
    phone.goto(f"file://{event_folder}/index.html")
    phone.wait_for_selector("body[data-ready]")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    with redrawn(phone):
        phone.tap("#compare")
    assert phone.is_visible("#divider")
    context.close()


def test_prints_on_one_page(page, tmp_path):
    document = page.pdf(path=str(tmp_path / "report.pdf"), prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", document)) == 1
