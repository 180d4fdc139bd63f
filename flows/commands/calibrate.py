"""``overbank calibrate``."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("calibrate")(calibrate_command)


def calibrate_command(
    safe: Annotated[str, typer.Argument(help="Sentinel-1 GRD product: .SAFE folder, .zip, or its URL.")],
    dem: Annotated[
        Path, typer.Option(help="Elevation model with a CRS that covers the area, such as Copernicus GLO-30.")
    ],
    out: Annotated[Path, typer.Option(help="GeoTIFF to write.")],
    gamma0: Annotated[bool, typer.Option("--gamma0", help="Terrain-flattened gamma0 (the default).")] = False,
    sigma0: Annotated[bool, typer.Option("--sigma0", help="sigma0 on the ellipsoid, not flattened.")] = False,
    grid: Annotated[
        str | None, typer.Option(help="A raster whose grid is taken, or EPSG:<code>; UTM without it.")
    ] = None,
    pixel: Annotated[
        float, typer.Option(min=0.00001, help="Pixel, in units of the CRS; not with a raster as grid.")
    ] = 10.0,
    polarisations: Annotated[str | None, typer.Option(help="As VV or VV,VH; all without it.")] = None,
    orbit: Annotated[
        list[Path] | None, typer.Option(help="Precise orbit file (.EOF) or a folder of them; several times.")
    ] = None,
    flatten: Annotated[bool, typer.Option(help="Flatten gamma0 by the illuminated terrain.")] = True,
    vertical: Annotated[str, typer.Option(help="What the DEM counts from: geoid or ellipsoid.")] = "geoid",
    geoid: Annotated[Path | None, typer.Option(help="Grid of geoid heights; the shipped EGM96 without it.")] = None,
) -> None:
    """Turn a Sentinel-1 GRD product into calibrated backscatter on a map grid."""
    from pydantic import ValidationError

    from pipeline_lib.errors import InputError
    from pipeline_lib.options.calibrate import CalibrateOptions
    from pipeline_lib.steps.calibrate import calibrate

    if gamma0 and sigma0:
        raise InputError("Give --gamma0 or --sigma0, not both.")
    names = tuple(name.strip().lower() for name in polarisations.split(",")) if polarisations else None
    try:
        options = CalibrateOptions.model_validate(
            {
                "backscatter": "sigma0" if sigma0 else "gamma0",
                "polarisations": names,
                "orbit_files": tuple(str(path) for path in orbit or ()),
                "flatten": flatten,
                "vertical_datum": vertical,
                "geoid_file": str(geoid) if geoid else None,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{first['loc'][0]} is {first['input']!r}: {first['msg']}.") from error
    found = calibrate(safe, dem, out, grid=grid, pixel_m=pixel, options=options)
    typer.echo(
        f"{100 * found.observed_share:.1f} % of {found.grid.shape[0]} x {found.grid.shape[1]} pixels observed "
        f"({found.grid.crs}); layover {100 * found.layover_share:.1f} %, shadow {100 * found.shadow_share:.1f} %; "
        f"orbit from {found.orbit_source}."
    )
    typer.echo(f"{found.path}: {', '.join(found.bands)}")
