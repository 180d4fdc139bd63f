"""A folder of GeoTIFFs named as HyP3 names them, mapped from end to end by one command."""

import json
import shutil

import pytest
import xarray as xr
from typer.testing import CliRunner

from flows.cli import build_app
from pipeline_lib.steps.published import published_product
from pipeline_lib.world.truth import flood_of, open_land, truth_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]

PASSES = ("S1C_IW_20250920T171450", "S1A_IW_20250926T171450", "S1C_IW_20251002T171450", "S1A_IW_20251008T171450",
          "S1C_IW_20251014T171450", "S1A_IW_20251101T171450")  # fmt: skip


@pytest.fixture
def scenes(small_world, tmp_path):
    """Twelve files: five passes before the flood and one of it, VV and VH; no elevation, no occurrence, no metadata."""
    folder = tmp_path / "my scenes"
    folder.mkdir()
    for number, name in enumerate(PASSES):
        platform, _, start = name.split("_")
        items = sorted((small_world / "items" / "sentinel-1-rtc").glob(f"{platform}_*_1SDV_{start}_*.json"))
        assets = json.loads(items[0].read_text())["assets"]
        for pol in ("vv", "vh"):
            product = f"{name}_DVP_RTC10_G_gpuned_{number:04X}"
            shutil.copyfile(small_world / assets[pol]["href"], folder / f"{product}_{pol.upper()}.tif")
    assert len(list(folder.iterdir())) == 12
    return folder


def test_twelve_files_are_mapped_by_one_command(scenes, small_world, event, tmp_path):
    west, south, east, north = 9.201425, 45.308151, 9.235968, 45.33252
    arguments = ["map", "--id", "mine", "--bbox", f"{west},{south},{east},{north}", "--start", "2025-10-28", "--end",
                 "2025-11-09", "--catalog", str(scenes), "--out", str(tmp_path / "out")]  # fmt: skip
    done = CliRunner().invoke(build_app(), arguments)
    assert done.exit_code == 0, done.output
    product = published_product(tmp_path / "out", "mine")
    assert product.figures.passes == 1
    folder = tmp_path / "out" / "mine" / "current"
    plan = json.loads((folder / "plan.json").read_text())
    (planned,) = plan["passes"]
    assert planned["acquisition"]["acquisition_id"] == "S1A_20251101T171450_R015_A"
    assert len(planned["references"]) == 5
    path = next((folder / "passes").glob("*/flood_extent.tif"))
    with xr.open_dataarray(path, engine="rasterio", mask_and_scale=False) as opened:
        codes = opened.squeeze("band", drop=True).load()
    scene, place = path.parent.name, {"x": codes.x, "y": codes.y, "method": "nearest"}
    told = open_land(small_world).sel(**place).to_numpy() & (codes.to_numpy() < 2)
    wet, true = (codes.to_numpy() == 1) & told, flood_of(truth_for(small_world, scene)).sel(**place).to_numpy() & told
    assert (wet & true).sum() / (wet | true).sum() > 0.6
