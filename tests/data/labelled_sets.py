"""Small fake data sets with the folder layout, file names, codes and units of the real ones.

Backscatter is drawn from gamma speckle over a round lake, so that every detector has something to find. Each recipe
returns its root.
"""

from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from rasterio.transform import from_origin

LAND_DB = {"vv": -10.0, "vh": -17.0}
WATER_DB = {"vv": -19.0, "vh": -26.0}
LOOKS = 5.0


def lake(size: int, radius: float) -> np.ndarray:
    row, column = np.mgrid[:size, :size]
    return (row - size / 2) ** 2 + (column - size / 2) ** 2 < radius**2


def decibel(water: np.ndarray, polarisation: str, rng: np.random.Generator) -> np.ndarray:
    mean = 10 ** (np.where(water, WATER_DB[polarisation], LAND_DB[polarisation]) / 10)
    return (10 * np.log10(mean * rng.gamma(LOOKS, 1 / LOOKS, water.shape))).astype(np.float32)


def picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def raster(path: Path, bands: np.ndarray, descriptions: tuple[str, ...] = (), **profile: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    place = {"crs": "EPSG:4326", "transform": from_origin(-65.0, -13.0, 1e-4, 1e-4)} | profile
    with rasterio.open(path, "w", "GTiff", width=width, height=height, count=count, dtype=bands.dtype, **place) as out:
        out.write(bands)
        for index, text in enumerate(descriptions, 1):
            out.set_band_description(index, text)


def stretched(decibels: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip(255 * (decibels - low) / (high - low), 0, 254)


def sen1floods11(root: Path, *, size: int = 96, seed: int = 1) -> Path:
    """Five chips of four events: two with a lake, one without water, one without data, one half empty with holes."""
    rng = np.random.default_rng(seed)
    chips = {"USA_905409": 30, "India_900498": 40, "Ghana_53713": 0, "Paraguay_34417": 30, "Bolivia_312675": 25}
    for name, radius in chips.items():
        water = lake(size, radius)
        sar = np.stack([decibel(water, "vv", rng), decibel(water, "vh", rng)])
        label = water.astype(np.int16)
        if name.startswith("Paraguay"):
            sar[:] = np.nan
        if name.startswith("Bolivia"):
            sar[:, : size // 3] = np.nan
            label[: size // 3] = -1
        raster(root / "S1Hand" / f"{name}_S1Hand.tif", sar, ("VV", "VH"), nodata=np.nan)
        raster(root / "LabelHand" / f"{name}_LabelHand.tif", label[None])
    optical = rng.integers(300, 3000, (13, size, size)).astype(np.int16)
    raster(root / "S2Hand" / "USA_905409_S2Hand.tif", optical)
    splits = root / "meta" / "official"
    splits.mkdir(parents=True)
    lines = [f"{name}_S1Hand.tif,{name}_LabelHand.tif" for name in chips if not name.startswith(("Bolivia", "India"))]
    (splits / "flood_test_data.csv").write_text("\n".join(lines))
    (splits / "flood_train_data.csv").write_text("India_900498_S1Hand.tif,India_900498_LabelHand.tif\n")
    return root


def etci2021(root: Path, *, size: int = 64, seed: int = 2) -> Path:
    """One labelled scene of 2 x 2 tiles with blank fill, and a weakly labelled dry scene of one of its tiles, shifted."""
    rng = np.random.default_rng(seed)
    scene, dry = "northal_20190302t234651", "northal_20190630t234655"
    for column in (10, 11):
        for row in (10, 11):
            name, water = f"{scene}_x-{column}_y-{row}", lake(size, 6 * (column - 9))
            fill = np.zeros((size, size), bool)
            fill[:, : size // 2] = (column, row) == (11, 11)
            for band, low, high in (("vv", -30.9, 4.8), ("vh", -36.7, -12.0)):
                pixels = np.where(fill, 255, stretched(decibel(water, band, rng), low, high))
                picture(root / scene / "tiles" / band / f"{name}_{band}.png", pixels)
            picture(root / scene / "tiles" / "flood_label" / f"{name}.png", 255 * water)
            picture(root / scene / "tiles" / "water_body_label" / f"{name}.png", 255 * lake(size, 3))
    tiles = root / dry / "tiles"
    for band, low, high in (("vv", -30.9, 4.8), ("vh", -36.7, -12.0)):
        pixels = np.roll(stretched(decibel(lake(size, 3), band, rng), low, high), (7, -7), axis=(0, 1))
        picture(tiles / band / f"{dry}_x-10_y-10_{band}.png", pixels)
    (tiles / "labels.csv").write_text(f"tile,flood_label,water_body_label\n{dry}_x-10_y-10.png,0,1\n")
    return root


def ombria(root: Path, *, events: int = 3, per_row: int = 3, size: int = 64, seed: int = 3, first: int = 1) -> Path:
    """Chips cut side by side from a few scenes, numbered through, every third one in test, stretched one by one."""
    rng = np.random.default_rng(seed)
    number = first
    for _ in range(events):
        shape = (2 * size, per_row * size)
        water = _lakes(shape, rng)
        texture = _filtered(rng.normal(0, 8, shape))
        after = _filtered(decibel(water, "vv", rng) + texture)
        before = _filtered(decibel(np.zeros(shape, bool), "vv", rng) + texture)
        for row in range(2):
            for column in range(per_row):
                window = np.s_[row * size : (row + 1) * size, column * size : (column + 1) * size]
                split = "test" if number % 3 == 0 else "train"
                home = root / "OmbriaS1" / split
                for when, image in (("after", after), ("before", before)):
                    chip = image[window]
                    scaled = 255 * (chip - chip.min()) / np.ptp(chip)
                    picture(home / when.upper() / f"S1_{when}_{number:04d}.png", scaled)
                picture(home / "MASK" / f"S1_mask_{number:04d}.png", 255 * water[window])
                colour = rng.integers(0, 255, (size, size, 3))
                picture(root / "OmbriaS2" / split / "AFTER" / f"S2_after_{number:04d}.png", colour)
                number += 1
    return root


def _lakes(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    row, column = np.mgrid[: shape[0], : shape[1]]
    water = np.zeros(shape, bool)
    for _ in range(4):
        y, x, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(8, 20)
        water |= (row - y) ** 2 + (column - x) ** 2 < radius**2
    return water


def _filtered(image: np.ndarray) -> np.ndarray:
    """Neighbouring real pixels share speckle: the point spread of the sensor and resampling."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, 1.6)


def cems_rcnn(root: Path, *, size: int = 120, seed: int = 4) -> Path:
    """One tile, three quarters black, with label pixels in the black part."""
    rng = np.random.default_rng(seed)
    water, area, tile = lake(size, 40), root / "EMSR763_AOI01", "552_333.png"
    black = np.ones((size, size), bool)
    black[: size // 2, : size // 2] = False
    for folder, when, wet in (("POST_S1", "post", water), ("PRE_S1", "pre", np.zeros_like(water))):
        for band, low, high in (("vv", -25, 0), ("vh", -32, -5)):
            pixels = np.where(black, 0, stretched(decibel(wet, band, rng), low, high) + 1)
            picture(area / folder / f"{band.upper()}_{when}" / tile, pixels)
    picture(area / "Labels" / tile, 255 * water)
    return root


def chips(root: Path, *, size: int = 64, seed: int = 5) -> Path:
    """A generic folder with two splits, linear power in one band order that only the descriptions tell."""
    rng = np.random.default_rng(seed)
    for split, radius in (("train", 20), ("test", 15)):
        water = lake(size, radius)
        sar = np.stack([10 ** (decibel(water, name, rng) / 10) for name in ("vh", "vv")]).astype(np.float32)
        raster(root / split / "images" / f"{split}-1_image.tif", sar, ("VH", "VV"))
        raster(root / split / "labels" / f"{split}-1_label.tif", water.astype(np.uint8)[None])
    return root


def radar_chip(path: Path, water: np.ndarray, rng: np.random.Generator, **profile: object) -> None:
    """VV and VH in dB over the given water."""
    raster(path, np.stack([decibel(water, name, rng) for name in ("vv", "vh")]), ("VV", "VH"), **profile)


def stac_overflow(root: Path, *, size: int = 64, seed: int = 6) -> Path:
    """One chip with a lake, one without water and partly empty; the table names the place of both."""
    rng = np.random.default_rng(seed)
    for name, radius, crs in (("awc00", 0, "EPSG:32720"), ("qxb32", 20, "EPSG:32644")):
        water = lake(size, radius)
        place = {"crs": crs, "transform": from_origin(500_000, 1_000_000, 10, 10), "nodata": np.nan}
        radar_chip(root / "S1Hand" / f"{name}_S1Hand.tif", water, rng, **place)
        raster(root / "LabelHand" / f"{name}_LabelHand.tif", water.astype(np.int16)[None], nodata=-1)
    rows = [f"awc00_{band},awc00,awc,{band},Bolivia,2018-02-15" for band in ("vh", "vv")]
    rows += [f"qxb32_{band},qxb32,qxb,{band},Sri Lanka,2017-05-30" for band in ("vh", "vv")]
    (root / "chips.csv").write_text("\n".join(["image_id,chip_id,flood_id,polarization,location,scene_start", *rows]))
    return root


def unlabelled(root: Path, *, size: int = 64, seed: int = 7) -> Path:
    """A chip of each of the two naming schemes; beside one lies a label that must not be read."""
    rng = np.random.default_rng(seed)
    for name in ("India_207862", "ayt12"):
        radar_chip(root / "S1Hand" / f"{name}_S1Hand.tif", lake(size, 15), rng, nodata=np.nan)
    raster(root / "LabelHand" / "India_207862_LabelHand.tif", lake(size, 15).astype(np.int16)[None])
    return root


def dfc2024(root: Path, *, size: int = 64, seed: int = 8) -> Path:
    """One chip with every "not known" of its ancillary bands, and one without ancillary bands."""
    rng = np.random.default_rng(seed)
    for name, radius in (("dfc0", 25), ("dfc7", 0)):
        water = lake(size, radius)
        radar_chip(root / "S1Hand" / f"{name}_S1Hand.tif", water, rng, crs=None)
        raster(root / "LabelHand" / f"{name}_LabelHand.tif", water.astype(np.int16)[None], nodata=-1, crs=None)
    merit = np.where(lake(size, 25), -9999, 12)
    copernicus, occurrence = np.full((size, size), 7), np.where(lake(size, 25), 80, 0)
    copernicus[0, 0], occurrence[0, 0] = -9999, 101
    ancillary = np.stack([merit, copernicus, np.full((size, size), 30), occurrence]).astype(np.int16)
    raster(root / "Ancillary" / "dfc0_Ancillary.tif", ancillary, crs=None)
    return root


def paraguay_24341(root: Path, *, size: int = 64, seed: int = 9) -> Path:
    """VV alone, the optical index, and the label."""
    rng = np.random.default_rng(seed)
    water = lake(size, 20)
    raster(root / "S1Hand_VVonly.tif", decibel(water, "vv", rng)[None], nodata=np.nan)
    raster(root / "S2_NDWI.tif", np.where(water, 0.3, -0.4).astype(np.float32)[None])
    raster(root / "LabelHand.tif", water.astype(np.int16)[None], nodata=-1)
    return root


def puerto_rico_2017(root: Path, *, size: int = 64, seed: int = 10) -> Path:
    """A cell half of sea with a flood, one inland with an elevation model's single hole, one without either raster."""
    rng = np.random.default_rng(seed)
    column = np.mgrid[:size, :size][1]
    for number, sea in ((6, column < size // 2), (2, column < 1), (11, column < 0)):
        cell = root / f"cell_{number:02d}"
        flood = lake(size, 10) & ~sea
        for date in ("preflood1", "preflood2", "preflood3", "postflood1", "postflood2"):
            radar_chip(cell / f"{date}.tif", sea | (flood if date == "postflood1" else False), rng, nodata=np.nan)
        if number != 11:
            raster(cell / "dem.tif", np.where(sea, 0, 9).astype(np.float32)[None])
            extent = flood.astype(np.uint8)
            extent[:3] = 255
            raster(cell / "gfm_flood.tif", extent[None], nodata=255)
    return root


def finland_months(root: Path, *, size: int = 64, seed: int = 11) -> Path:
    """Two months of forest, both directions."""
    rng = np.random.default_rng(seed)
    for month in (0, 11):
        bands = [decibel(np.zeros((size, size), bool), name, rng) for name in ("vv", "vh", "vv", "vh")]
        raster(root / "000aa810" / f"{month:02d}.tif", np.stack(bands), crs=None)
    return root


def pixel_tables(root: Path, *, pixels: int = 40, seed: int = 12) -> Path:
    """The three tables: text rows with a header, and series with a class a month."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    header = np.array(["system:index", "VH", "VV", "waterType"])
    kind = rng.integers(0, 2, pixels)
    rows = [
        [str(k), str(-26.0 if wet else -17.0), str(-19.0 if wet else -10.0), str(wet)] for k, wet in enumerate(kind)
    ]
    np.savez(root / "india_polygons.npz", header=header, rows=np.array(rows))
    for name, months in (("us_lakes", 12), ("us_land", 3)):
        codes = rng.integers(0, 9, (pixels, months)).astype(np.uint8)
        series = np.zeros((pixels, months, 18))
        series[..., 0], series[..., 1] = np.where(codes == 0, -19, -10), np.where(codes == 0, -26, -17)
        np.savez(root / f"{name}.npz", s1_s2_era5_srtm=series, dynamic_world=codes)
    return root
