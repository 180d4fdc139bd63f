"""Modes, satellites and processors of which there is no real product at hand: a real annotation rewritten as theirs are.

Each variant is written as a SAFE product with a sparse image; what the chain makes of it is held against the rewritten
XML itself, read here in the plainest way.
"""

import shutil
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from defusedxml.ElementTree import fromstring, parse
from rasterio.windows import Window

from pipeline_lib.load.safe_xml import BEYOND
from pipeline_lib.load.sentinel1_grd import open_grd
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.sar.border import needs_border_mask
from pipeline_lib.sar.range_doppler import RadarGeometry, ecef, to_radar

ROME = "s1_safe/sarsen/tests/data/S1B_IW_GRDH_1SDV_20211223T051122_20211223T051147_030148_039993_5371.SAFE"
DN = 300
WRITTEN = (512, 512)
"""Lines and pixels at the middle of the image that hold data."""


class Product:
    """The real product's XML, to be rewritten and written as a SAFE folder."""

    def __init__(self, source: Path) -> None:
        folder = source / "annotation"
        self.annotation = parse(next(folder.glob("s1b-*.xml"))).getroot()
        self.calibration = parse(next(folder.glob("calibration/calibration-*.xml"))).getroot()
        self.noise = parse(next(folder.glob("calibration/noise-*.xml"))).getroot()
        self.manifest = (source / "manifest.safe").read_text()
        self.stem = "{platform}-{mode}-grd-{pol}-20211223t051122-20211223t051147-030148-039993-{number:03d}"

    def set(self, path: str, text: str) -> None:
        for root in (self.annotation, self.calibration, self.noise):
            for element in root.iterfind(path):
                element.text = text

    def header(self, platform: str, mode: str, swath: str) -> None:
        self.platform, self.mode = platform.lower(), swath.lower()
        self.set("adsHeader/missionId", platform)
        self.set("adsHeader/mode", mode)
        self.set("adsHeader/swath", swath)

    def processor(self, version: str) -> None:
        self.manifest = self.manifest.replace('version="003.40"', f'version="{version}"')

    def coarser(self, times: int) -> None:
        """Lines and pixels ``times`` as far apart, as in a product of medium resolution."""
        info = self.annotation.find("imageAnnotation/imageInformation")
        for name in ("numberOfSamples", "numberOfLines"):
            info.find(name).text = str(int(info.find(name).text) // times)
        for name in ("rangePixelSpacing", "azimuthPixelSpacing", "azimuthTimeInterval"):
            info.find(name).text = repr(float(info.find(name).text) * times)
        for point in self.annotation.iterfind(".//geolocationGridPoint"):
            for name in ("line", "pixel"):
                point.find(name).text = repr(float(point.find(name).text) / times)
        kinds = (
            (self.calibration, "calibrationVector"),
            (self.noise, "noiseRangeVector"),
            (self.noise, "noiseAzimuthVector"),
        )
        places = [
            place for root, kind in kinds for name in ("line", "pixel") for place in root.iterfind(f".//{kind}/{name}")
        ]
        for place in places:
            place.text = " ".join(repr(float(value) / times) for value in place.text.split())
        for block in self.noise.iter("noiseAzimuthVector"):
            for name in ("firstAzimuthLine", "lastAzimuthLine", "firstRangeSample", "lastRangeSample"):
                block.find(name).text = str(int(block.find(name).text) // times)

    def swaths(self, names: tuple[str, ...]) -> None:
        """As many azimuth blocks side by side as there are names, each with a factor of its own."""
        holder = self.noise.find("noiseAzimuthVectorList")
        first = holder.find("noiseAzimuthVector")
        lut, width = first.find("noiseAzimuthLut"), self.size[1]
        values = np.array(lut.text.split(), float)
        kept = ET.tostring(first)
        for old in list(holder):
            holder.remove(old)
        for number, name in enumerate(names):
            block = fromstring(kept)
            block.find("swath").text = name
            block.find("firstRangeSample").text = str(width * number // len(names))
            block.find("lastRangeSample").text = str(width * (number + 1) // len(names) - 1)
            block.find("noiseAzimuthLut").text = " ".join(f"{value * (1 + 0.1 * number):.6f}" for value in values)
            holder.append(block)

    def without_azimuth_noise(self) -> None:
        """As IPF before 2.90 wrote its noise."""
        self.noise.remove(self.noise.find("noiseAzimuthVectorList"))
        for old, new in (
            ("noiseRangeVectorList", "noiseVectorList"),
            ("noiseRangeVector", "noiseVector"),
            ("noiseRangeLut", "noiseLut"),
        ):
            for element in self.noise.iter(old):
                element.tag = new

    @property
    def size(self) -> tuple[int, int]:
        info = self.annotation.find("imageAnnotation/imageInformation")
        return int(info.find("numberOfLines").text), int(info.find("numberOfSamples").text)

    def write(self, folder: Path, polarisations: tuple[str, ...], suffix: str = "") -> Path:
        for name in ("annotation/calibration", "measurement"):
            (folder / name).mkdir(parents=True)
        (folder / "manifest.safe").write_text(self.manifest)
        for number, pol in enumerate(polarisations, start=1):
            self.set("adsHeader/polarisation", pol.upper())
            stem = self.stem.format(platform=self.platform, mode=self.mode, pol=pol, number=number) + suffix
            for root, name in (
                (self.annotation, f"annotation/{stem}.xml"),
                (self.calibration, f"annotation/calibration/calibration-{stem}.xml"),
                (self.noise, f"annotation/calibration/noise-{stem}.xml"),
            ):
                ET.ElementTree(root).write(folder / name)
            self.image(folder / f"measurement/{stem}.tiff")
        return folder

    def image(self, path: Path) -> None:
        """Digital numbers at the middle, nothing stored elsewhere."""
        lines, samples = self.size
        profile = {"driver": "GTiff", "dtype": "uint16", "count": 1, "height": lines, "width": samples, "nodata": 0}
        profile |= {"tiled": True, "blockxsize": 1024, "blockysize": 1024, "compress": "zstd", "sparse_ok": True}
        with rasterio.open(path, "w", **profile) as target:
            at = Window(samples // 2, lines // 2, WRITTEN[1], WRITTEN[0])
            target.write(np.full(WRITTEN, DN, np.uint16), 1, window=at)


@pytest.fixture
def product(real_data):
    return Product(real_data / ROME)


def plain_noise(noise: ET.Element, line: int, pixel: int, scale: float = 1.0) -> float:
    """Range noise times azimuth factor at a sample, straight from the XML."""
    vectors = [*noise.iter("noiseRangeVector"), *noise.iter("noiseVector")]
    at = [float(vector.find("line").text) for vector in vectors]

    def along(vector):
        lut = vector.find("noiseRangeLut") if vector.find("noiseRangeLut") is not None else vector.find("noiseLut")
        return np.interp(pixel, np.array(vector.find("pixel").text.split(), float), np.array(lut.text.split(), float))

    value, factor = np.interp(line, at, [along(vector) for vector in vectors]) * scale, 1.0
    for block in noise.iter("noiseAzimuthVector"):
        if block.find("firstRangeSample") is None or (
            int(block.find("firstRangeSample").text) <= pixel <= int(block.find("lastRangeSample").text)
            and int(block.find("firstAzimuthLine").text) <= line <= int(block.find("lastAzimuthLine").text)
        ):
            lines, lut = (np.array(block.find(name).text.split(), float) for name in ("line", "noiseAzimuthLut"))
            factor = np.interp(line, lines, lut)
    return float(value * factor)


def check_pixels(product: Product, measurement, scale: float = 1.0) -> None:
    """Calibrated numbers at the middle of the image against the XML read plainly; no data where none is stored."""
    line, pixel = (size // 2 for size in product.size)
    block = measurement.intensity((line - 8, pixel, 520, 512), "beta0", border=None)
    assert np.isnan(block[:8]).all()
    beta = float(product.calibration.find(".//betaNought").text.split()[0])
    for down, right in ((8, 0), (200, 333), (519, 511)):
        wanted = (DN**2 - plain_noise(product.noise, line - 8 + down, pixel + right, scale)) / beta**2
        assert block[down, right] == pytest.approx(max(wanted, 1e-5), rel=2e-4)


def check_geometry(annotation) -> None:
    """Every tie point, with its height, falls where the annotation says."""
    tie, geometry = annotation.geolocation, RadarGeometry.of(annotation)
    line, pixel, *_ = to_radar(geometry, ecef(tie.longitude_deg, tie.latitude_deg, tie.height_m))
    assert np.sqrt(np.mean((line - tie.line) ** 2)) <= 0.2
    assert np.sqrt(np.mean((pixel - tie.pixel) ** 2)) <= 0.2


def test_extra_wide_of_two_polarisations_and_five_swaths(product, tmp_path):
    product.header("S1A", "EW", "EW")
    product.coarser(4)
    product.swaths(("EW1", "EW2", "EW3", "EW4", "EW5"))
    opened = open_grd(str(product.write(tmp_path / "S1A_EW_GRDM_1SDH_X.SAFE", ("hh", "hv"))))
    assert tuple(opened.measurements) == ("hh", "hv")
    note = opened.measurements["hh"].annotation
    assert (note.platform, note.mode, note.polarisation) == ("S1A", "EW", "hh")
    assert note.image.range_pixel_m == pytest.approx(40, rel=0.01)
    assert [block.swath for block in note.noise.azimuth_blocks] == ["EW1", "EW2", "EW3", "EW4", "EW5"]
    check_geometry(note)
    for measurement in opened.measurements.values():
        check_pixels(product, measurement)


@pytest.mark.parametrize("limits", ["whole image", "not stated", "no vectors"])
def test_stripmap_of_one_polarisation(product, tmp_path, limits):
    product.header("S1C", "SM", "S3")
    product.swaths(("S3",))
    holder = product.noise.find("noiseAzimuthVectorList")
    block = holder.find("noiseAzimuthVector")
    if limits == "not stated":
        for name in ("swath", "firstAzimuthLine", "lastAzimuthLine", "firstRangeSample", "lastRangeSample"):
            block.remove(block.find(name))
    elif limits == "no vectors":
        holder.remove(block)
    opened = open_grd(str(product.write(tmp_path / "S1C_S3_GRDH_1SSV_X.SAFE", ("vv",))))
    note = opened.measurements["vv"].annotation
    assert (note.platform, note.mode, tuple(opened.measurements)) == ("S1C", "SM", ("vv",))
    blocks = note.noise.azimuth_blocks
    assert len(blocks) == (limits != "no vectors")
    if limits == "not stated":
        assert (blocks[0].first_line, blocks[0].last_pixel) == (0, BEYOND)
    check_pixels(product, opened.measurements["vv"])


def test_the_fourth_satellite_as_cog_safe_and_as_zip(product, tmp_path):
    product.header("S1D", "IW", "IW")
    product.processor("004.01")
    folder = product.write(tmp_path / "S1D_IW_GRDH_1SDV_X_COG.SAFE", ("vv", "vh"), suffix="-cog")
    with zipfile.ZipFile(tmp_path / "S1D_IW_GRDH_1SDV_X_COG.SAFE.zip", "w") as archive:
        for file in folder.rglob("*.*"):
            archive.write(file, f"{folder.name}/{file.relative_to(folder)}")
    for source in (folder, tmp_path / "S1D_IW_GRDH_1SDV_X_COG.SAFE.zip"):
        opened = open_grd(str(source))
        note = opened.measurements["vh"].annotation
        assert (note.platform, note.polarisation, note.ipf_version) == ("S1D", "vh", (4, 1))
        assert tuple(opened.measurements) == ("vv", "vh")
        check_pixels(product, opened.measurements["vh"])
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(("version", "scale"), [("002.36", "dn squared"), ("002.53", 1.0), ("002.72", 1.0)])
def test_processors_of_2015_without_azimuth_noise(product, tmp_path, version, scale):
    """Noise in one dimension; before 2.50 in other units; border noise still in the image."""
    product.header("S1A", "IW", "IW")
    product.processor(version)
    product.without_azimuth_noise()
    if scale == "dn squared":
        dn = float(product.calibration.find(".//dn").text.split()[0])
        scale = 75088.7 * dn**2
        for lut in product.noise.iter("noiseLut"):
            lut.text = " ".join(repr(float(value) / scale) for value in lut.text.split())
    opened = open_grd(str(product.write(tmp_path / "S1A_IW_GRDH_1SSH_X.SAFE", ("hh",))))
    note = opened.measurements["hh"].annotation
    assert note.noise.azimuth_blocks == ()
    assert needs_border_mask(note.ipf_version)
    check_pixels(product, opened.measurements["hh"], scale)
    kept = open_grd(str(tmp_path / "S1A_IW_GRDH_1SSH_X.SAFE"), CalibrateOptions(remove_noise=False))
    assert kept.measurements["hh"].annotation.noise is None
