"""Bad input at the command line: one clear sentence, a non-zero exit code, no traceback, nothing written."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from shapely.geometry import shape
from typer.testing import CliRunner

from benchmarks.inputs.area_files import circle, comb, polygon
from flows.cli import build_app, describe, main
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.steps.event import area_of_flags

FLAGS = {"--id": "po", "--bbox": "9.2,45.2,9.3,45.3", "--start": "2025-10-28", "--end": "2025-11-09"}


def run(capsys, monkeypatch, *arguments):
    """Run the command in this process; return its exit code and what it wrote to standard error."""
    monkeypatch.setattr(sys, "argv", ["overbank", *map(str, arguments)])
    monkeypatch.delenv("OVERBANK_DEBUG", raising=False)
    with pytest.raises(SystemExit) as left:
        main()
    captured = capsys.readouterr()
    return left.value.code, captured.err + captured.out


def flags(**changes):
    given = FLAGS | {f"--{name}": value for name, value in changes.items()}
    return [part for flag, value in given.items() if value is not None for part in (flag, value)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bbox": "9.2,45.3,9.3,45.2"}, "wrong order"),
        ({"bbox": "9.3,45.2,9.2,45.3"}, "west > east"),
        ({"bbox": "9.2,45.2,9.3"}, "not four numbers"),
        ({"bbox": "9.2,45.2,9.3,145.3"}, "off the Earth"),
        ({"bbox": "a,b,c,d"}, "not four numbers"),
        ({"bbox": None}, "--bbox or --aoi"),
        ({"end": "2025-10-01"}, "before it starts"),
        ({"start": "yesterday"}, "start"),
        ({"start": None}, "--start"),
        ({"id": "../elsewhere"}, "cannot name a folder"),
        ({"catalog": "nasa"}, "nasa"),
        ({"bbox": "9,86,10,87"}, "beyond UTM"),
        ({"detector": "nosuch"}, "Unknown detector"),
    ],
)
def test_flags_that_cannot_be_meant(capsys, monkeypatch, tmp_path, changes, says):
    code, said = run(
        capsys, monkeypatch, "map", *flags(**{"catalog": "planetary-computer", **changes}), "--out", tmp_path
    )
    assert code == 2
    assert says in said
    assert "Traceback" not in said
    assert said.count("\n") <= 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"type": "Point", "coordinates": [9.2, 45.2]}, "has no area"),
        ({"type": "Polygon", "coordinates": [[[9, 45], [10, 46], [10, 45], [9, 46], [9, 45]]]}, "not valid"),
        ("<kml/>", "holds no shapes; expected polygons"),
    ],
)
def test_area_files_that_cannot_be_meant(capsys, monkeypatch, tmp_path, content, says):
    path = tmp_path / "area.geojson"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    code, said = run(capsys, monkeypatch, "plan", *flags(bbox=None, aoi=str(path)))
    assert (code, says in said) == (2, True), said


def test_an_area_file_as_windows_writes_it_with_a_feature_that_has_no_place(tmp_path):
    place = area_of_bbox(9.2, 45.2, 9.3, 45.3)
    features = [{"type": "Feature", "properties": {}, "geometry": geometry} for geometry in (None, place)]
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8-sig")
    assert area_of_flags(None, path) == place


def test_area_with_hole_and_clockwise_ring_is_planned(capsys, monkeypatch, tmp_path, archive, event):
    west, south, east, north = shape(event.aoi).bounds
    ring = [[west, south], [west, north], [east, north], [east, south], [west, south]]
    x, y = (west + east) / 2, (south + north) / 2
    middle = [[x, y], [x + 0.002, y], [x + 0.002, y + 0.002], [x, y]]
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring, middle]}))
    window = {"start": event.start.isoformat(), "end": event.end.isoformat()}
    code, said = run(capsys, monkeypatch, "plan", *flags(bbox=None, aoi=str(path), catalog=archive, **window))
    assert code == 0, said
    assert "passes to map" in said


def test_event_files_that_cannot_be_meant(capsys, monkeypatch, tmp_path):
    cases = {
        "missing.yaml": (None, "cannot be read"),
        "broken.yaml": ("event_id: [", "not YAML"),
        "list.yaml": ("- 1\n- 2\n", "holds a list"),
        "typo.yaml": ("event_id: po\nbbox: [9, 45, 10, 46]\nstrat: 2025-10-28\nend: 2025-11-09\n", "strat"),
    }
    for name, (content, says) in cases.items():
        if content is not None:
            (tmp_path / name).write_text(content)
        code, said = run(capsys, monkeypatch, "map", tmp_path / name, "--out", tmp_path / "out")
        assert code == 2, (name, said)
        assert says in said, (name, said)


def test_unknown_detector_is_said_before_anything_is_read(capsys, monkeypatch, tmp_path, archive, small_world):
    code, said = run(
        capsys, monkeypatch, "plan", small_world / "event.yaml", "--catalog", archive, "--detector", "crystal-ball"
    )
    assert code == 2
    assert "Unknown detector 'crystal-ball'; known are: default" in said


def test_option_with_a_typo_is_named(capsys, monkeypatch, tmp_path, archive, small_world):
    (tmp_path / "options.yaml").write_text("plan: {max_refrences: 3}\n")
    code, said = run(
        capsys,
        monkeypatch,
        "plan",
        small_world / "event.yaml",
        "--catalogue",
        archive,
        "--options",
        tmp_path / "options.yaml",
    )
    assert code == 2
    assert "max_refrences" in said


def test_no_acquisition_is_said(capsys, monkeypatch, archive):
    code, said = run(capsys, monkeypatch, "plan", *flags(catalog=archive, start="2001-01-01", end="2001-02-01"))
    assert code == 4
    assert "Traceback" not in said


def test_event_without_reference_is_said(capsys, monkeypatch, archive, small_world, tmp_path):
    options = tmp_path / "options.yaml"
    options.write_text("search: {reference_days: 0}\n")
    code, said = run(
        capsys, monkeypatch, "plan", small_world / "event.yaml", "--catalog", archive, "--options", options
    )
    assert code == 4
    assert "reference" in said


def test_catalogue_that_is_down_is_said(capsys, monkeypatch, small_world, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    options = tmp_path / "options.yaml"
    options.write_text("search: {attempts: 2, backoff_s: 0.01, total_time_s: 5}\n")
    code, said = run(
        capsys,
        monkeypatch,
        "plan",
        small_world / "event.yaml",
        "--catalog",
        f"http://127.0.0.1:{port}",
        "--options",
        options,
    )
    assert code == 3
    assert str(port) in said
    assert "Traceback" not in said


def test_area_over_the_antimeridian_reaches_the_catalogue(capsys, monkeypatch, archive):
    code, said = run(capsys, monkeypatch, "plan", *flags(catalog=archive, bbox="179.9,-17,-179.9,-16.9"))
    assert code == 4, said


def test_version_tells_what_can_change_a_pixel(capsys, monkeypatch):
    code, said = run(capsys, monkeypatch, "--version")
    assert code == 0
    assert said.startswith("overbank ")
    assert "rasterio" in said


def test_unexpected_errors_ask_for_debug():
    sentence, code = describe(RuntimeError("boom"))
    assert code == 70
    assert "--debug" in sentence


def test_an_embedded_server_that_stays_silent_is_said():
    sentence, code = describe(RuntimeError("Timed out while attempting to connect to ephemeral Prefect API server."))
    assert code == 70
    assert "PREFECT_HOME" in sentence
    assert "PREFECT_API_URL" in sentence


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_is_not_writable(capsys, monkeypatch, tmp_path, archive, small_world):
    tmp_path.chmod(0o500)
    code, said = run(capsys, monkeypatch, "map", small_world / "event.yaml", "--catalog", archive, "--out", tmp_path)
    assert code == 7, said


def test_out_that_is_a_file_is_said(capsys, monkeypatch, tmp_path, archive, small_world):
    (tmp_path / "out").write_text("in the way")
    code, said = run(
        capsys, monkeypatch, "map", small_world / "event.yaml", "--catalog", archive, "--out", tmp_path / "out"
    )
    assert code == 7, said
    assert "Traceback" not in said


def test_help_of_every_command_names_its_purpose():
    app = build_app()
    names = ("map", "plan", "demo", "detect", "watch", "up", "doctor", "events", "evaluate", "train", "world")
    said = {name: CliRunner().invoke(app, [name, "--help"]) for name in names}
    assert {name: done.exit_code for name, done in said.items()} == dict.fromkeys(names, 0)
    purposes = [done.output.split("Usage: ")[1].splitlines()[2].strip() for done in said.values()]
    assert all(len(purpose) > 20 for purpose in purposes)
    assert len(set(purposes)) == len(names)
    command = [sys.executable, "-m", "flows", "map", "--help"]
    alone = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert purposes[0] in alone.stdout


@pytest.mark.parametrize("command", ["map", "plan"])
def test_no_catalogue_is_asked_about_what_no_answer_makes_possible(capsys, monkeypatch, tmp_path, command):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # nobody listens: asking would end as a CatalogError, with another exit code
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.chdir(tmp_path)
        code, said = run(capsys, monkeypatch, command, *flags(catalog=url, bbox="0,0,20,20"))
    assert (code, "mapped as one event" in said) == (2, True), said
    assert list(tmp_path.iterdir()) == []


def test_pages_that_cannot_be_served_have_no_address(capsys, monkeypatch, tmp_path):
    code, said = run(capsys, monkeypatch, "serve", tmp_path / "nowhere")
    assert (code, "There is no folder" in said, "http" in said) == (2, True, False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, said = run(capsys, monkeypatch, "serve", tmp_path, "--port", taken.getsockname()[1])
    assert (code, "Cannot listen" in said, "http" in said) == (2, True, False)


def test_bbox_area_is_what_the_flags_said():
    assert area_of_bbox(9.2, 45.2, 9.3, 45.3)["type"] == "Polygon"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"--bbox": "-180,-90,180,90"}, "mapped as one event"),
        ({"--bbox": "9,86,10,87"}, "beyond UTM"),
        ({"--every": "999999999999d"}, "longer than time itself"),
    ],
)
def test_a_watch_whose_every_poll_would_fail_is_refused(capsys, monkeypatch, tmp_path, changes, says):
    given = {"--bbox": "9.2,45.2,9.3,45.3", "--every": "15m", "--out": str(tmp_path)} | changes
    code, said = run(capsys, monkeypatch, "watch", "add", "po", *(f"{flag}={value}" for flag, value in given.items()))
    assert (code, says in said) == (2, True), said


def test_the_order_of_a_box_that_was_meant_is_told_and_where_the_area_lies(capsys, monkeypatch, archive, event):
    west, south, east, north = shape(event.aoi).bounds
    window = {"start": event.start.isoformat(), "end": event.end.isoformat()}
    code, said = run(
        capsys, monkeypatch, "plan", *flags(catalog=archive, bbox=f"{south},{west},{north},{east}", **window)
    )
    assert code == 4
    assert "in Somaliland. Read as south,west,north,east it is 2.7 x 2.71 km in Italy" in said
    code, said = run(
        capsys, monkeypatch, "plan", *flags(catalog=archive, bbox=f"{west},{east},{south},{north}", **window)
    )
    assert code == 2
    assert "mapped as one event" in said
    assert "Read as west,east,south,north it is 2.7 x 2.71 km in Italy" in said
    code, said = run(
        capsys, monkeypatch, "plan", *flags(catalog=archive, bbox=f"{west},{south},{east},{north}", **window)
    )
    assert (code, ": 2.7 x 2.71 km in Italy" in said) == (0, True), said


def test_a_watch_of_60000_vertices_is_taken_or_refused_at_once(capsys, monkeypatch, tmp_path):
    for name, ring, expected, says in (
        ("round", circle(60_000), 0, "Watching round (2.65 x 2.65 km in Italy)"),
        ("comb", comb(3000), 2, "6,003 vertices"),
    ):
        path = tmp_path / f"{name}.geojson"
        path.write_text(json.dumps(polygon(ring)))
        code, said = run(capsys, monkeypatch, "watch", "add", name, "--aoi", path, "--out", tmp_path / "out")
        assert (code, says in said) == (expected, True), said


@pytest.mark.parametrize(("more", "says"), [((), "stays as it is"), (("--dataset", "ombria"), "give both")])
def test_a_model_that_comes_with_overbank_is_not_changed(capsys, monkeypatch, more, says):
    code, said = run(capsys, monkeypatch, "models", "quantize", "shipped_post_event", *more)
    assert (code, says in said) == (2, True), said
