"""The Prefect UI of a desk in a real browser: form filled in, run approved by a person and watched, artifacts seen.

``OVERBANK_SCREENSHOTS=FOLDER`` keeps pictures of what was seen.
"""

import json
import os
import shutil
import time

import pytest
from prefect.client.base import PrefectHttpxSyncClient

from benchmarks.soak.runs import free_port
from flows.desk.services import Desk
from flows.desk.start import start_detached, stop
from pipeline_lib.steps.event import read_event
from pipeline_lib.world.server import serve

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.enable_socket,
    pytest.mark.xdist_group("desk"),
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 300
"""A busy machine is slow to start a run's process, and to draw."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    desk = Desk(out=tmp_path_factory.mktemp("desk"), port=free_port(), pages_port=free_port())
    start_detached(desk)
    try:
        yield desk
    finally:
        stop(desk)


@pytest.fixture
def api(desk):
    """Prefect's own way of asking: SQLite may be locked for a moment, which the server answers with 503, *again later*."""
    with PrefectHttpxSyncClient(base_url=desk.api_url, timeout=60) as client:
        yield client


@pytest.fixture
def page(desk):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = {"args": ["--no-sandbox", "--disable-gpu"], "timeout": PATIENCE_S * 1000}
        browser = playwright.chromium.launch(executable_path=CHROMIUM, **options)
        opened = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        opened.set_default_timeout(PATIENCE_S * 1000)
        yield opened
        browser.close()


def keep(page, name):
    """A picture for the documentation, where a folder is asked for."""
    if folder := os.environ.get("OVERBANK_SCREENSHOTS"):
        page.wait_for_timeout(1500)
        page.screenshot(path=f"{folder}/{name}.png")


def fill(page, parameters):
    """The whole form at once: as JSON, then back to fields, as the form's own menu offers."""
    heading = page.get_by_text("Parameters", exact=True).first
    place = heading.bounding_box()
    menu = (1225, place["y"] + place["height"] / 2)
    page.mouse.click(*menu)
    page.get_by_text("Use JSON input").first.click()
    page.locator("[contenteditable=true], .monaco-editor, textarea:not([class*=hidden])").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(json.dumps(parameters, indent=1))
    page.mouse.click(*menu)
    page.get_by_text("Use form input").first.click()


def submit(button, happened):
    """Press as a person would: again, where the server said *later* and the form stayed."""
    for _ in range(4):
        if button.is_visible():
            button.click()
        deadline = time.monotonic() + PATIENCE_S / 2
        while time.monotonic() < deadline:
            if happened():
                return
            time.sleep(1)
    raise AssertionError("the form was submitted four times, and the server shows nothing of it")


def run_named(api, name):
    wanted = {"flow_runs": {"name": {"any_": [name]}}}
    found = api.post("/flow_runs/filter", json=wanted).json()
    return found[0] if found else None


def wait_for_state(api, name, *states):
    deadline = time.monotonic() + 2 * PATIENCE_S
    while time.monotonic() < deadline:
        run = run_named(api, name)
        if run and run["state"]["name"] in (*states, "Failed", "Crashed"):
            assert run["state"]["name"] in states, run["state"]["message"]
            return run
        time.sleep(1)
    raise AssertionError(f"{name} did not become {states}: {run and run['state']}")


def test_from_the_form_to_the_map(desk, api, small_world, page):
    home = f"http://127.0.0.1:{desk.port}"
    event = read_event(small_world / "event.yaml")
    with serve(small_world) as archive:
        parameters = {
            "event": event.model_dump(mode="json"),
            "catalog": archive,
            "out": str(desk.out),
            "options": {"approval": {"required": True}},
        }
        deployment = api.get("/deployments/name/map-event/map-event").json()["id"]
        page.goto(f"{home}/deployments/deployment/{deployment}/run")
        page.get_by_text("Names the output folder").wait_for()
        fill(page, parameters)
        page.get_by_text("GeoJSON Polygon or MultiPolygon").first.wait_for()
        keep(page, "prefect-form")
        name = f"map {event.event_id}"
        submit(page.get_by_role("button", name="Submit"), lambda: run_named(api, name))
        run = wait_for_state(api, name, "Suspended")
        assert not (desk.out / event.event_id).exists()
        page.goto(f"{home}/runs/flow-run/{run['id']}")
        page.get_by_role("button", name="Resume").first.click()
        form = page.locator(".p-modal")
        form.get_by_text("Your name (Optional)").wait_for()
        form.locator("img").first.wait_for()
        page.wait_for_function("() => document.querySelector('.p-modal img').naturalWidth > 300")
        form.locator("input[type=checkbox]").evaluate("box => box.click()")
        form.locator("textarea").nth(0).fill("The gauge upstream agrees.")
        form.locator("textarea").nth(1).fill("Duty desk")
        keep(page, "prefect-approval")
        waiting = ("Suspended", "Paused")
        submit(form.get_by_role("button", name="Submit"), lambda: run_named(api, name)["state"]["name"] not in waiting)
        wait_for_state(api, name, "Completed")
        page.get_by_text("Completed", exact=True).first.wait_for()  # on the page that was open all the time

    page.goto(f"{home}/runs/flow-run/{run['id']}")
    page.get_by_text("Completed", exact=True).first.wait_for()
    page.get_by_text("submitting flow run").first.wait_for()  # its log; only the lines in sight are drawn, oldest first
    keep(page, "prefect-run")
    for kept in (desk.state / "prefect" / "storage").glob("*"):
        json.loads(kept.read_text())  # what Prefect keeps of a run that waited; its own way is a pickle
    item = next((desk.out / event.event_id / "current" / "event").glob("*-event.json"))
    approval = json.loads(item.read_text())["properties"]["overbank:decision"]["approval"]
    assert (approval["approved"], approval["by"]) == (True, "Duty desk")
    wanted = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}, "sort": "CREATED_DESC"}
    found = api.post("/artifacts/filter", json=wanted).json()
    by_key = {one["key"]: one["id"] for one in reversed(found)}
    page.goto(f"{home}/artifacts/artifact/{by_key['stages']}")
    page.get_by_text("cpu s", exact=True).first.wait_for()
    keep(page, "prefect-stages")
    page.goto(f"{home}/artifacts/artifact/{by_key['summary']}")
    page.get_by_text("flooded area", exact=True).first.wait_for()
    keep(page, "prefect-summary")
    page.goto(f"{home}/artifacts/artifact/{by_key['map']}")
    page.locator("img[src^='data:image/png']").first.wait_for()
