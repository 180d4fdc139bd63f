"""Sentinel-2 L2A products of an overpass, as Planetary Computer's ``sentinel-2-l2a`` keeps them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from pipeline_lib.world.item import asset, extent_of, item, utc
from pipeline_lib.world.optical import GSD_PX, SUN_AZIMUTH_DEG, SUN_ZENITH_DEG, OpticalScene
from pipeline_lib.world.raster import Written, write_cog

COLLECTION = "sentinel-2-l2a"
TILE = "32TNR"
BASELINE = "05.11"
OFFSET = 1000
"""Added to 10000 x reflectance since processing baseline 04.00."""
DESCRIBED = {
    "B01": ("Band 1 - Coastal aerosol", "coastal", 0.443, 0.027),
    "B02": ("Band 2 - Blue", "blue", 0.49, 0.098),
    "B03": ("Band 3 - Green", "green", 0.56, 0.045),
    "B04": ("Band 4 - Red", "red", 0.665, 0.038),
    "B05": ("Band 5 - Vegetation red edge 1", "rededge", 0.704, 0.019),
    "B06": ("Band 6 - Vegetation red edge 2", "rededge", 0.74, 0.018),
    "B07": ("Band 7 - Vegetation red edge 3", "rededge", 0.783, 0.028),
    "B08": ("Band 8 - NIR", "nir", 0.842, 0.145),
    "B8A": ("Band 8A - Vegetation red edge 4", "rededge", 0.865, 0.033),
    "B09": ("Band 9 - Water vapor", None, 0.945, 0.026),
    "B11": ("Band 11 - SWIR (1.6)", "swir16", 1.61, 0.143),
    "B12": ("Band 12 - SWIR (2.2)", "swir22", 2.19, 0.242),
}
"""Description, common name, centre wavelength and width in micrometres."""


def write_optical(root: Path, scene: OpticalScene, geobox: GeoBox) -> dict[str, Any]:
    """Write an overpass and return its item."""
    overpass = scene.optical_pass
    generated = overpass.when + timedelta(hours=4, minutes=11, seconds=7)
    item_id = (
        f"{overpass.platform}_MSIL2A_{overpass.when:%Y%m%dT%H%M%S}_R{overpass.relative_orbit:03d}_T{TILE}"
        f"_{generated:%Y%m%dT%H%M%S}"
    )
    assets = _write_assets(root, scene, geobox, f"assets/{COLLECTION}/{item_id}/T{TILE}_{overpass.when:%Y%m%dT%H%M%S}")
    properties = {
        "datetime": utc(overpass.when),
        "platform": f"Sentinel-2{overpass.platform[-1]}",
        "constellation": "Sentinel 2",
        "instruments": ["msi"],
        "proj:epsg": 32632,
        "proj:code": "EPSG:32632",
        "sat:orbit_state": "descending",
        "sat:relative_orbit": overpass.relative_orbit,
        **_product_names(scene, item_id, generated.strftime("%Y%m%dT%H%M%S")),
        "s2:generation_time": utc(generated),
        **_class_shares(scene.scene_class),
    }
    return item(item_id, COLLECTION, extent_of(geobox), properties, assets, ("eo", "sat", "proj", "file"))


def _product_names(scene: OpticalScene, item_id: str, generated: str) -> dict[str, Any]:
    """``s2:`` identifiers and the sun."""
    overpass = scene.optical_pass
    dotted, plain = BASELINE, BASELINE.replace(".", "")
    sensed, orbit = overpass.when.strftime("%Y%m%dT%H%M%S"), f"A{overpass.absolute_orbit:06d}"
    return {
        "s2:mgrs_tile": TILE,
        "s2:product_uri": item_id.replace("_R", f"_N{plain}_R", 1) + ".SAFE",
        "s2:granule_id": f"{overpass.platform}_OPER_MSI_L2A_TL_2BPS_{generated}_{orbit}_T{TILE}_N{dotted}",
        "s2:datatake_id": f"G{overpass.platform}_{sensed}_{orbit[1:]}_N{dotted}",
        "s2:datastrip_id": f"{overpass.platform}_OPER_MSI_L2A_DS_2BPS_{generated}_S{sensed}_N{dotted}",
        "s2:product_type": "S2MSI2A",
        "s2:datatake_type": "INS-NOBS",
        "s2:processing_baseline": BASELINE,
        "s2:mean_solar_zenith": SUN_ZENITH_DEG,
        "s2:mean_solar_azimuth": SUN_AZIMUTH_DEG,
        "s2:reflectance_conversion_factor": 1.0117,
        "s2:degraded_msi_data_percentage": 0.0,
        "s2:saturated_defective_pixel_percentage": 0.0,
    }


def _class_shares(scene_class: NDArray[np.uint8]) -> dict[str, float]:
    """Percentages of the scene classification, under their names in the archive, and the cloud cover they sum to."""
    names = {
        0: "s2:nodata_pixel_percentage", 2: "s2:dark_features_percentage", 3: "s2:cloud_shadow_percentage",
        4: "s2:vegetation_percentage", 5: "s2:not_vegetated_percentage", 6: "s2:water_percentage",
        7: "s2:unclassified_percentage", 8: "s2:medium_proba_clouds_percentage", 9: "s2:high_proba_clouds_percentage",
        10: "s2:thin_cirrus_percentage", 11: "s2:snow_ice_percentage",
    }  # fmt: skip
    counts = np.bincount(scene_class.ravel(), minlength=12) * 100 / scene_class.size
    shares = {name: round(float(counts[code]), 6) for code, name in names.items()}
    shares["eo:cloud_cover"] = round(float(counts[8:11].sum()), 6)
    return shares


def _write_assets(root: Path, scene: OpticalScene, geobox: GeoBox, stem: str) -> dict[str, dict[str, Any]]:
    """Every band on its own grid, the classification, the true-colour image and the atmosphere's maps."""
    assets = {}
    for name, reflectance in scene.bands.items():
        gsd = GSD_PX[name] * 10
        numbers = np.clip(reflectance * 10_000 + OFFSET, 1, 65_535)
        written = write_cog(
            root,
            f"{stem}_{name}_{gsd}m.tif",
            np.rint(numbers).astype(np.uint16),
            _coarse_grid(geobox, gsd // 10),
            nodata=0,
        )
        assets[name] = _asset(written, f"{DESCRIBED[name][0]} - {gsd}m", gsd, [_band(name)])
    written = write_cog(
        root, f"{stem}_SCL_20m.tif", scene.scene_class, _coarse_grid(geobox, 2), nodata=0, resampling="MODE"
    )
    assets["SCL"] = _asset(written, "Scene classfication map (SCL)", 20)
    colour = np.clip(scene.reflectance(("B04", "B03", "B02")) * (255 / 0.355), 1, 255).astype(np.uint8)
    written = write_cog(root, f"{stem}_TCI_10m.tif", colour, geobox, nodata=0)
    assets["visual"] = _asset(written, "True color image", 10, [_band(name) for name in ("B04", "B03", "B02")])
    for name, title, value in (("AOT", "Aerosol optical thickness (AOT)", 121), ("WVP", "Water vapour (WVP)", 1430)):
        written = write_cog(root, f"{stem}_{name}_10m.tif", np.full(geobox.shape, value, np.uint16), geobox, nodata=0)
        assets[name] = _asset(written, title, 10)
    return assets


def _asset(written: Written, title: str, gsd: int, bands: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """An asset with the fields that the archive keeps on it."""
    projection = {name: value for name, value in written.projection().items() if name not in {"proj:code", "proj:epsg"}}
    more: dict[str, Any] = {"gsd": float(gsd), **projection}
    if bands:
        more["eo:bands"] = bands
    return asset(written, title, **more)


def _band(name: str) -> dict[str, Any]:
    """``eo:bands`` entry."""
    description, common, centre, width = DESCRIBED[name]
    entry = {
        "name": name,
        "common_name": common,
        "description": description,
        "center_wavelength": centre,
        "full_width_half_max": width,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _coarse_grid(geobox: GeoBox, factor: int) -> GeoBox:
    """The same upper left corner with pixels ``factor`` times as large."""
    rows, columns = (-(-int(side) // factor) for side in geobox.shape)
    return GeoBox((rows, columns), geobox.affine * geobox.affine.scale(factor), geobox.crs)
