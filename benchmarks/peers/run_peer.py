"""Run one peer on chips, in the peer's own environment: no import of ours.

usage: run_peer.py PEER INPUT OUTPUT

INPUT holds ``<chip>.npz`` with ``vv`` and ``vh`` (linear power, float32, NaN no data). OUTPUT receives ``<chip>.npz``
with ``water`` (uint8: 0 dry, 1 water, 255 no data), ``seconds`` and ``cpu_seconds``, and ``facts.json`` with version
and peak memory.
"""

import importlib.metadata
import json
import resource
import sys
import time
import types
from pathlib import Path

import numpy as np

WATER, NO_DATA = 1, 255


def hydrosar(vv, vh):
    """HydroSAR's own tiling, EM threshold and fuzzy refinement, unmodified; only its GDAL file access is replaced.

    The chips come without elevation. HAND is smooth relief of 0.1 to 10.1 m, inside every limit of HydroSAR: it refuses
    HAND = 0, and its membership table of slopes (steps of 0.1 degree) is empty on ground flatter than that.
    """
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    relief = gaussian_filter(rng.normal(size=vv.shape), 25)
    hand = 0.1 + 10.0 * (relief - relief.min()) / np.ptp(relief)
    rasters = {
        "vv.tif": np.ma.masked_invalid(vv.astype(np.float64)),
        "vh.tif": np.ma.masked_invalid(vh.astype(np.float64)),
        "hand.tif": np.ma.masked_array(hand, mask=np.zeros(hand.shape, bool)),
    }
    written = {}
    module = _hydrosar_without_gdal(rasters, written)
    module.make_water_map("out.tif", "vv.tif", "vh.tif", "hand.tif")
    water = written["out.tif"]
    return np.where(np.isfinite(vv), np.where(water == 1, WATER, 0), NO_DATA)


def _hydrosar_without_gdal(rasters, written):
    """Stand-ins for file access only: osgeo.gdal, asf_tools.raster, asf_tools.util, asf_tools.aws, HAND download."""

    def stand_in(name, **content):
        module = types.ModuleType(name)
        module.__dict__.update(content)
        sys.modules[name] = module
        return module

    def info(*_, **__):
        return {"geoTransform": [0.0, 10.0, 0.0, 0.0, 0.0, -10.0], "size": next(iter(rasters.values())).shape[::-1]}

    gdal = types.SimpleNamespace(Info=info, GDT_Byte=1, UseExceptions=lambda: None)
    stand_in("osgeo", gdal=gdal)

    def read(path, **_):
        return rasters[Path(str(path)).name].copy()

    def write(path, array, **_):
        written[Path(str(path)).name] = np.asarray(array)

    stand_in("asf_tools.raster", read_as_masked_array=read, write_cog=write)
    stand_in("asf_tools.util", get_epsg_code=lambda *_: 32632)
    stand_in("asf_tools.aws", get_path_to_s3_file=None, upload_file_to_s3=None)
    stand_in("hydrosar.hand", __path__=[])
    stand_in("hydrosar.hand.prepare", prepare_hand_for_raster=None)
    import hydrosar.water_map as module

    # The module is imported once and keeps the first chip's functions: each chip brings its own.
    module.read_as_masked_array, module.write_cog = read, write
    return module


def dask_flood_mapper(vv, _vh):
    """The TU Wien core: Bayesian decision on VV, land expectation -9 dB with 1.8 dB, 38 degrees: no history here."""
    import xarray as xr
    from dask_flood_mapper.calculation import bayesian_flood_decision

    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = 10 * np.log10(vv)
    plane = lambda value: xr.DataArray(np.full(vv.shape, value, np.float32), dims=("y", "x"))  # noqa: E731
    data = xr.Dataset({
        "sig0": xr.DataArray(sigma, dims=("y", "x")),
        "wbsc": plane(-0.394181 * 38 - 4.142015),
        "hbsc": plane(-9.0),
        "STD": plane(1.8),
    })  # fmt: skip
    decision = bayesian_flood_decision(data).to_numpy()
    return np.where(np.isnan(decision), NO_DATA, np.where(decision == 1, WATER, 0))


def _autofloods(vv, vh, least):
    import xarray as xr
    from autofloods.detectors.otsu import OtsuDetector

    wet = xr.DataArray(np.stack([vv, vh]), dims=("band", "y", "x"), coords={"band": ["vv_ds", "vh_ds"]})
    found = OtsuDetector().detect(None, wet).to_numpy()
    return np.where(np.isnan(found), NO_DATA, np.where(found >= least, WATER, 0))


def autofloods_any(vv, vh):
    """Otsu on either polarisation."""
    return _autofloods(vv, vh, 1)


def autofloods_both(vv, vh):
    """Otsu on both polarisations: the peer's "high confidence"."""
    return _autofloods(vv, vh, 3)


PEERS = {
    "hydrosar": (hydrosar, "hydrosar"),
    "dask-flood-mapper": (dask_flood_mapper, "dask-flood-mapper"),
    "autofloods-any": (autofloods_any, "autofloods"),
    "autofloods-both": (autofloods_both, "autofloods"),
}


def main(peer, source, target):
    run, distribution = PEERS[peer]
    source, target = Path(source), Path(target)
    target.mkdir(parents=True, exist_ok=True)
    errors = {}
    for path in sorted(source.glob("*.npz")):
        with np.load(path) as chip:
            vv, vh = chip["vv"], chip["vh"]
        start, used = time.perf_counter(), time.process_time()
        try:
            water = run(vv, vh)
        except Exception as error:  # noqa: BLE001 - a peer's crash is a result, and is reported as one
            errors[path.stem] = f"{type(error).__name__}: {error}"
            water = np.full(vv.shape, NO_DATA)
        spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - used}
        np.savez_compressed(target / path.name, water=water.astype(np.uint8), **spent)
    facts = {
        "version": importlib.metadata.version(distribution),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "errors": errors,
    }
    (target / "facts.json").write_text(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
