"""Sentinel-1 GRD as a Scene on the grid: read, calibrated, geocoded and terrain-flattened, tile by tile.

References:
    docs/explanation/grd_chain.md tells the whole chain.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from pyproj import CRS

from pipeline_lib.catalog.signing import access_of
from pipeline_lib.errors import AssetError, RasterError
from pipeline_lib.load.geoid import geoid_of
from pipeline_lib.load.safe_annotation import read_annotation
from pipeline_lib.load.safe_files import SafeFiles, choose_polarisations, find_assets, find_safe
from pipeline_lib.load.safe_measurement import Measurement
from pipeline_lib.load.safe_tile import INCIDENCE, MASK, Elevation, GrdProduct, layers_of, map_tile
from pipeline_lib.model import Acquisition, Grid, check_scene
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.pixel import ground_size_m
from pipeline_lib.sar.elevation import BLOCK, Relief
from pipeline_lib.sar.lattice import MapFrame, dem_position
from pipeline_lib.sar.range_doppler import RadarGeometry


def load_grd(
    acquisition: Acquisition,
    grid: Grid,
    dem: xr.DataArray,
    *,
    options: CalibrateOptions | None = None,
    sign: Callable[[str], str],
    gdal: Mapping[str, str | int] | None = None,
) -> xr.Dataset:
    """Open one GRD pass lazily as a Scene on the grid.

    Args:
        acquisition: a GRD pass; where slices overlap the earlier one is taken.
        grid: the event's grid.
        dem: elevation, float32 (y, x), metres, with its CRS; on the grid or, better, on its own grid with a margin:
            the two or three pixels along the edge of the DEM cannot be flattened and stay without data.
        options: calibration, geometry and chunks.
        sign: turns an href into one that can be read now.
        gdal: access settings of the catalogue's profile.

    Returns:
        Scene: dims (y, x), float32, linear gamma0 (1), NaN = not observed or radar shadow; with
        ``local_incidence_angle`` (degree) and ``layover_shadow`` (bits of `Exclusion`).

    Raises:
        AssetError: a file of the product is missing or damaged.
        RasterError: the DEM has no CRS or does not meet the grid, or a polarisation is not in the product.
    """
    options = options or CalibrateOptions()
    wanted = options.polarisations or acquisition.polarisations or None
    products = []
    for item in acquisition.slices:
        own, access = access_of(item, sign, gdal)
        settings = {key: str(value) for key, value in access.items()}
        whole = item.assets.get("safe")
        files = (
            find_safe(own(whole), access=settings)
            if whole
            else find_assets(item.item_id, item.assets, sign=own, access=settings)
        )
        products.append(open_grd(files, options.model_copy(update={"polarisations": wanted}), gdal=access))
    scene = scene_of(tuple(products), grid, dem, options)
    facts: dict[str, Any] = {
        "acquisition_id": acquisition.acquisition_id,
        "datetime": acquisition.start.isoformat(),
        "relative_orbit": acquisition.relative_orbit,
        "orbit_direction": acquisition.orbit_direction.value if acquisition.orbit_direction else "",
        "platform": acquisition.platform,
    }
    return scene.assign_attrs({name: value for name, value in facts.items() if value is not None})


def open_grd(
    source: SafeFiles | str,
    options: CalibrateOptions | None = None,
    *,
    gdal: Mapping[str, str | int] | None = None,
) -> GrdProduct:
    """Open one GRD product: its annotation is parsed, its images are checked and left unread.

    Args:
        source: files, or the path or URL of a SAFE folder or zip.
        options: polarisations, noise and orbit files are taken from it.
        gdal: access settings.

    Raises:
        AssetError: a file is missing or damaged.
        RasterError: a polarisation is not in the product.
    """
    options = options or CalibrateOptions()
    files = (
        find_safe(source, access={k: str(v) for k, v in (gdal or {}).items()}) if isinstance(source, str) else source
    )
    measurements: dict[str, Measurement] = {}
    for pol in choose_polarisations(files, options.polarisations):
        annotation = read_annotation(files, pol, remove_noise=options.remove_noise, orbit_files=options.orbit_files)
        measurements[pol] = Measurement(
            name=files.name,
            href=files.polarisations[pol].measurement,
            sign=files.sign,
            annotation=annotation,
            gdal=gdal or {},
        )
        measurements[pol].check()
    first = next(iter(measurements.values())).annotation
    if any(
        (m.annotation.image.lines, m.annotation.image.samples) != (first.image.lines, first.image.samples)
        for m in measurements.values()
    ):
        raise AssetError(f"{files.name}: the polarisations differ in size; the product's files are mixed up.")
    return GrdProduct(
        geometry=RadarGeometry.of(first),
        measurements=measurements,
        level_area=float(1 / np.tan(np.radians(np.median(first.geolocation.incidence_deg)))),
    )


def scene_of(products: tuple[GrdProduct, ...], grid: Grid, dem: xr.DataArray, options: CalibrateOptions) -> xr.Dataset:
    """Map opened products onto a grid, lazily; see `load_grd`.

    Args:
        products: slices of one pass, opened by `open_grd`.
        grid: target.
        dem: (y, x) elevation in metres with a CRS, NaN = void.
        options: what to do.

    Returns:
        Scene with dims (y, x): linear power of the shared polarisations, the local incidence angle in degrees, and bits
        of shadow and layover.

    Raises:
        AssetError: the products share no polarisation.
    """
    elevation, dem_box = _elevation(dem)
    frame = MapFrame(
        crs=grid.crs,
        transform=grid.geobox.affine,
        dem_crs=_horizontal(dem_box),
        dem_transform=dem_box.affine,
        geoid=geoid_of(options.vertical_datum, options.geoid_file),
        pixel_m=_pixel_m(grid.geobox),
    )
    _check_overlap(frame, grid, dem_box)
    polarisations = tuple(pol for pol in products[0].measurements if all(pol in each.measurements for each in products))
    if not polarisations:
        raise AssetError("The slices of the pass have no polarisation in common; map them one by one.")
    stack = _tiles(products, polarisations, frame, elevation, grid, options)
    coords = xr_coords(grid.geobox)
    layers = layers_of(polarisations)
    scene = xr.Dataset(coords=coords)
    for number, name in enumerate(layers):
        scene[name] = (("y", "x"), stack[number])
        scene[name].attrs["units"] = "degree" if name == INCIDENCE else "1"
    scene[MASK] = scene[MASK].fillna(0).astype(np.uint8).assign_attrs(units="1")
    first = next(iter(products[0].measurements.values())).annotation
    facts: dict[str, Any] = {
        "backscatter": options.backscatter,
        "terrain_flattened": int(options.flatten and options.backscatter == "gamma0"),
        "acquisition_id": next(iter(products[0].measurements.values())).name.removesuffix(".SAFE").removesuffix(".zip"),
        "datetime": first.epoch.isoformat(),
        "orbit_direction": first.orbit_direction,
        "platform": first.platform,
        "orbit_source": first.orbit.source,
    }
    if first.relative_orbit is not None:
        facts["relative_orbit"] = first.relative_orbit
    return check_scene(scene.assign_attrs(facts))


def _tiles(
    products: tuple[GrdProduct, ...],
    polarisations: tuple[str, ...],
    frame: MapFrame,
    elevation: Elevation,
    grid: Grid,
    options: CalibrateOptions,
) -> da.Array:
    """The layers as one lazy array (layer, y, x): a tile's layers are made together."""
    chunked = tuple(
        tuple(min(options.chunk, size - start) for start in range(0, size, options.chunk)) for size in grid.shape
    )
    compute = partial(
        _tile, products=products, polarisations=polarisations, frame=frame, elevation=elevation, options=options
    )
    layers = len(layers_of(polarisations))
    name = "grd-" + tokenize(
        [(m.name, m.href, pol) for each in products for pol, m in each.measurements.items()],
        options.model_dump(), grid.model_dump(), elevation.values.data, polarisations,
    )  # fmt: skip
    return da.map_blocks(
        compute, chunks=((layers,), *chunked), dtype=np.float32, meta=np.empty((0, 0, 0), np.float32), name=name
    )


def _tile(
    *,
    products: tuple[GrdProduct, ...],
    polarisations: tuple[str, ...],
    frame: MapFrame,
    elevation: Elevation,
    options: CalibrateOptions,
    block_info: Any,
) -> NDArray[np.float32]:
    """One block: the slices one after the other, the first that sees a pixel keeps it."""
    _, (top, bottom), (left, right) = block_info[None]["array-location"]
    window = (top, left, bottom - top, right - left)
    out = np.full((len(layers_of(polarisations)), bottom - top, right - left), np.nan, np.float32)
    for product in products:
        chosen = GrdProduct(
            product.geometry, {pol: product.measurements[pol] for pol in polarisations}, product.level_area
        )
        layer = map_tile(chosen, frame, elevation, window, options)
        taken = np.isfinite(out[-1]) & (np.isfinite(out[0]) | ~np.isfinite(layer[0]))
        out = np.where(taken, out, layer)
    return out


def _elevation(dem: xr.DataArray) -> tuple[Elevation, GeoBox]:
    """Check the DEM, index its relief block row by block row, and keep it lazy."""
    box = dem.odc.geobox if dem.ndim == 2 else None
    if box is None or box.crs is None:
        raise RasterError(
            "The elevation model has no CRS or is not a regular (y, x) grid; give a DEM such as Copernicus GLO-30."
        )
    rows, columns = dem.shape
    # Relief is read in stripes, so that a DEM of a whole scene is never held.
    stripes = []
    for start in range(0, rows, 8 * BLOCK):
        part = dem[start : start + 8 * BLOCK]
        stripes.append(Relief.of(np.asarray(part.to_numpy(), dtype=np.float32)))
    relief = Relief(np.concatenate([s.lowest for s in stripes]), np.concatenate([s.highest for s in stripes]))
    if not np.isfinite(relief.lowest).any():
        raise RasterError(
            f"The elevation model of {rows} x {columns} pixels holds no height at all; give one that covers the area."
        )
    return Elevation(dem, relief, _pixel_m(box)), box


def _pixel_m(box: GeoBox) -> float:
    """Pixel size in metres, roughly, also of grids in degrees: the smaller side."""
    middle = (box.boundingbox.bottom + box.boundingbox.top) / 2
    return min(ground_size_m(box.affine.e, box.affine.a, str(box.crs), middle))


def _horizontal(box: GeoBox) -> str:
    """The horizontal part of a CRS as text (a DEM may carry a compound one)."""
    crs = CRS.from_user_input(str(box.crs))
    if crs.is_compound:
        crs = crs.sub_crs_list[0]
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else crs.to_wkt()


def _check_overlap(frame: MapFrame, grid: Grid, dem_box: GeoBox) -> None:
    """Refuse a DEM that lies elsewhere; where it covers a part, the rest stays without data."""
    rows, columns = grid.shape
    column, row = np.meshgrid(np.linspace(0, columns, 21), np.linspace(0, rows, 21))
    u, v = dem_position(frame, *(frame.transform * (column, row)))
    height, width = (int(side) for side in dem_box.shape)
    known = np.isfinite(u) & np.isfinite(v)
    if not known.any() or u[known].max() < 0 or v[known].max() < 0 or u[known].min() > width or v[known].min() > height:
        raise RasterError(
            f"The elevation model covers {_bounds(dem_box)}, the grid {_bounds(grid.geobox)} "
            "(west, south, east, north); give a DEM of the area."
        )


def _bounds(box: GeoBox) -> str:
    """Extent in degrees, for a message."""
    extent = box.geographic_extent.boundingbox
    return f"{extent.left:.3f}, {extent.bottom:.3f}, {extent.right:.3f}, {extent.top:.3f}"
