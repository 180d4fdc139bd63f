"""Keys: for every kind of result that is kept, everything that it depends on, by content.

A result is found again by its key alone. So a key holds what can change the result and nothing else: catalogue items by
name, path and what the archive says of their versions; files of this machine and models by the digest of what is in
them; options in full, with every default; stored inputs by their own keys; and the code (`pipeline_lib.steps.sources`).
Where something lies, how it is reached, in which chunks and by whom it is computed is no part of any key.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pipeline_lib.catalog.profiles import is_whole_dem, profile_of
from pipeline_lib.content import digest_of_file
from pipeline_lib.errors import AssetError, shown
from pipeline_lib.load.orbit_file import orbit_files_near
from pipeline_lib.load.sea import sea_cells
from pipeline_lib.model import Acquisition, CatalogItem, MappingPlan, PlannedPass, ProductType, Stored, digest_of
from pipeline_lib.options.detect import EnsembleOptions
from pipeline_lib.options.learned import LearnedOptions
from pipeline_lib.steps.sources import MAPS, code
from pipeline_lib.water import Detector, detector
from pipeline_lib.water.ensemble import EnsembleDetector
from pipeline_lib.water.fused import FusedDetector
from pipeline_lib.water.learned import LearnedDetector

CARD_FOR_PEOPLE = frozenset({"description", "recipe", "data", "metrics", "limits", "software"})
"""What a model's card says to its readers. All else decides what the network answers, or is written beside it."""


def elevation_key(plan: MappingPlan) -> str:
    """Of the elevation as it is read onto the grid."""
    return _key("elevation", grid=plan.grid.identity, dem=_items(plan.dem))


def terrain_key(plan: MappingPlan) -> str:
    """Of elevation, slope and height above the nearest drainage."""
    return _key("terrain", elevation=elevation_key(plan), drainage_area_km2=plan.options.prepare.drainage_area_km2)


def occurrence_key(plan: MappingPlan) -> str:
    """Of long-term water."""
    return _key("occurrence", grid=plan.grid.identity, tiles=_items(plan.water_occurrence))


def scene_key(plan: MappingPlan, acquisition: Acquisition, base: Stored | None = None) -> str:
    """Of a pass as it is read onto the grid, and laid onto an optical composite where there is a ``base``."""
    options = plan.options.prepare
    made_of: dict[str, Any] = {"grid": plan.grid.identity, "acquisition": _acquisition(acquisition)}
    if acquisition.product is ProductType.GRD:
        sea = sea_cells(plan.event.aoi, plan.dem) if is_whole_dem(plan.dem) else ()
        made_of |= {"dem": _items(plan.dem), "sea": sea, "calibrate": _calibration(plan, acquisition)}
    else:
        made_of |= {"resampling": options.resampling}
    if base is not None:
        made_of |= {"base": _stored(base), "shift": [options.max_shift_px, options.min_correction_px]}
    return _key("scene", **made_of)


def history_key(plan: MappingPlan, references: Iterable[Acquisition], base: Stored | None = None) -> str:
    """Of the stacked reference passes of one orbit."""
    return _key("history", scenes=[scene_key(plan, reference, base) for reference in references])


def pass_key(
    plan: MappingPlan, acquisition: Acquisition, history: Stored | None = None, base: Stored | None = None
) -> str:
    """Of a pass of the event: as `scene_key`, laid onto its references and filtered."""
    options = plan.options.prepare
    made_of: dict[str, Any] = {"scene": scene_key(plan, acquisition, base), "filter": options.speckle_filter}
    if options.speckle_filter != "none":
        made_of |= {"window": options.speckle_window, "looks": options.looks}
    if history is not None:
        made_of |= {"history": _stored(history), "shift": [options.max_shift_px, options.min_correction_px]}
    return _key("pass", **made_of)


def composite_key(plan: MappingPlan, overpasses: Iterable[Acquisition]) -> str:
    """Of the best clear Sentinel-2 pixels before the event."""
    seen = [overpass_key(plan, overpass) for overpass in overpasses]
    return _key("composite", overpasses=seen, before=plan.event.start.isoformat())


def overpass_key(plan: MappingPlan, overpass: Acquisition) -> str:
    """Of one Sentinel-2 overpass with its water."""
    return _key(
        "overpass",
        grid=plan.grid.identity,
        acquisition=_acquisition(overpass),
        offsets=[profile_of(item.catalog or plan.catalog).reflectance_offset for item in overpass.slices],
        cloud_margin_px=plan.options.prepare.cloud_margin_px,
    )


def optical_shift_key(plan: MappingPlan, scene: Stored, composite: Stored) -> str:
    """Of the shift of a pass against the composite."""
    max_shift_px = plan.options.prepare.max_shift_px
    return _key("optical shift", scene=_stored(scene), composite=_stored(composite), max_shift_px=max_shift_px)


def water_key(
    plan: MappingPlan,
    scene: Stored,
    history: Stored | None = None,
    terrain: Stored | None = None,
    occurrence: Stored | None = None,
    *,
    on_gpu: bool = False,
) -> str:
    """Of the water in a pass, by the plan's detector.

    Args:
        plan: whose detector it is.
        scene: the pass.
        history: its reference passes.
        terrain: elevation, slope, height above drainage.
        occurrence: long-term water.
        on_gpu: whether a cluster's workers with a GPU run the detector, whatever this machine has.

    Raises:
        UnknownNameError: no such detector or model.
        InputError: an option that the detector does not have.
        ModelError: a model that it would use is damaged.
    """
    found = detector(plan.options.detect.detector, plan.options.detect.parameters)
    return _key(
        "water",
        scene=_stored(scene),
        history=_stored(history),
        terrain=_stored(terrain),
        occurrence=_stored(occurrence),
        detector=_detector(found, with_history=history is not None, on_gpu=on_gpu),
    )


def archive_key(plan: MappingPlan, history: Stored) -> str:
    """Of the statistics of the reference passes of one orbit."""
    return _key("archive", history=_stored(history), options=plan.options.derive.reference.model_dump(mode="json"))


def flood_key(
    plan: MappingPlan,
    planned: PlannedPass,
    scene: Stored,
    history: Stored | None,
    water: Stored,
    terrain: Stored | None,
    occurrence: Stored | None,
) -> str:
    """Of the flood of one pass."""
    return _key(
        "flood",
        acquisition=[planned.acquisition.acquisition_id, planned.acquisition.start.isoformat()],
        references=[reference.acquisition_id for reference in planned.references],
        scene=_stored(scene),
        history=_stored(history),
        water=_stored(water),
        terrain=_stored(terrain),
        occurrence=_stored(occurrence),
        options=plan.options.derive.model_dump(mode="json", exclude={"mosaic_rule"}),
    )


def mosaic_key(plan: MappingPlan, floods: Iterable[Stored]) -> str:
    """Of the event over its passes."""
    return _key(
        "event",
        floods=[_stored(flood) for flood in floods],
        starts=[planned.acquisition.start.isoformat() for planned in plan.passes],
        rule=plan.options.derive.mosaic_rule,
        grid=plan.grid.identity,
        aoi=plan.event.aoi,
    )


def named_contents(plan: MappingPlan) -> dict[str, str]:
    """Digests of what decides the pixels of a plan and is no part of it: code, models, files of orbits and geoids.

    Raises:
        UnknownNameError: no such detector or model.
        ModelError: a model that would be used is damaged.
        AssetError: a file that would be used cannot be read.
    """
    found = detector(plan.options.detect.detector, plan.options.detect.parameters)
    compared = sorted({bool(planned.references) for planned in plan.passes})
    passes = [one for planned in plan.passes for one in (planned.acquisition, *planned.references)]
    detection = [_detector(found, with_history=with_history, on_gpu=False) for with_history in compared]
    calibration = [_calibration(plan, one) for one in passes if one.product is ProductType.GRD]
    return {
        "code": digest_of(code(MAPS)),
        "detection": digest_of(detection),
        "calibration": digest_of(calibration),
    }


def _key(kind: str, **made_of: Any) -> str:
    return digest_of({"kind": kind, "code": code(MAPS), **made_of})


def _stored(record: Stored | None) -> list[str] | None:
    """A stored dataset is its kind and key, wherever it lies."""
    return None if record is None else [record.kind, record.key]


def _items(items: Iterable[CatalogItem]) -> list[Any]:
    return [[item.identity, _local_files(item)] for item in items]


def _acquisition(acquisition: Acquisition) -> dict[str, Any]:
    """A pass without the share of an area that it covers: events share passes."""
    identity = {name: value for name, value in acquisition.identity.items() if name != "coverage"}
    return {**identity, "local": [_local_files(item) for item in acquisition.slices]}


def _local_files(item: CatalogItem) -> dict[str, str]:
    """Content of the assets that lie on this machine; an archive's own files are known by what their item says."""
    parts = {key: urlsplit(href) for key, href in item.assets.items()}
    paths = {key: Path(unquote(part.path)) for key, part in parts.items() if part.scheme in {"", "file"}}
    within = {key: next((one for one in (path, *path.parents) if one.is_file()), None) for key, path in paths.items()}
    return {key: digest_of_file(path) for key, path in within.items() if path is not None}  # of a member, its zip


def _calibration(plan: MappingPlan, acquisition: Acquisition) -> dict[str, Any]:
    """Options of calibration, and what is in the files that they name, as far as they tell of the pass."""
    options = plan.options.calibrate
    orbits = [
        [path.name, _content(path, "orbit file")]
        for item in acquisition.slices
        for path in orbit_files_near(options.orbit_files, acquisition.platform, item.start, item.end)
    ]
    geoid = None if options.geoid_file is None else _content(Path(options.geoid_file), "geoid")
    given = options.model_dump(mode="json", exclude={"chunk", "orbit_files", "geoid_file"})
    return {**given, "orbits": orbits, "geoid": geoid}


def _content(path: Path, what: str) -> str:
    try:
        return digest_of_file(path)
    except OSError as error:
        raise AssetError(f"The {what} {path} cannot be read ({shown(error)}).") from error


def _detector(found: Detector, *, with_history: bool, on_gpu: bool) -> dict[str, Any]:
    """A detector by name, options and the networks that it would run for a pass, and those within it likewise."""
    options = found.options
    hidden: set[str] = set()
    networks: list[Any] = []
    within: dict[str, Detector] = {}
    if isinstance(options, LearnedOptions):  # models count by content, and the rest changes no pixel
        hidden = {"model", "without_history", "members", "backend", "tile_px", "threads"}
    if isinstance(options, EnsembleOptions):  # the members' own are complete
        hidden = {"parameters"}
    if isinstance(found, LearnedDetector):
        networks = _networks(found, with_history=with_history, on_gpu=on_gpu)
    if isinstance(found, FusedDetector):
        within = {"network": found.network, "adaptive": found.adaptive}
    if isinstance(found, EnsembleDetector):
        within = found.members
    return {
        "name": found.name,
        "options": options.model_dump(mode="json", exclude=hidden),
        "networks": networks,
        "within": [[name, _detector(one, with_history=with_history, on_gpu=on_gpu)] for name, one in within.items()],
    }


def _networks(found: LearnedDetector, *, with_history: bool, on_gpu: bool) -> list[Any]:
    """The models that a detector would run for a pass: how, from which file's content, and read as the card says."""
    from pipeline_lib.nn.backends import RUNS, resolved  # noqa: PLC0415 - for detectors that have a network

    options, networks = found.options, []
    for model in found.models(with_history=with_history):
        asked = "cuda" if on_gpu and options.backend == "auto" else options.backend
        backend = resolved(model, asked, drawn=bool(options.dropout_draws))
        file = RUNS.get(backend)
        networks.append(
            {
                "card": model.card.model_dump(mode="json", exclude=set(CARD_FOR_PEOPLE)),
                "backend": backend,
                "weights": digest_of_file(model.folder / file) if file and (model.folder / file).is_file() else None,
                # Tiles with an exact margin leave no trace; where the network sees the whole tile they are blended.
                "tile_px": options.tile_px if model.card.halo_px is None else None,
            }
        )
    return networks
