"""Building the simulated world for the command line and the demonstration."""

from pathlib import Path

from pydantic import ValidationError

from pipeline_lib.errors import InputError
from pipeline_lib.options.world import MAX_SIZE, MIN_SIZE, WorldOptions
from pipeline_lib.world import build as world_build


def build_world(folder: Path, *, seed: int, size: int, grd: bool = False) -> Path:
    """Build a world into a folder, with GRD products if asked for; return at once where it is already there.

    Raises:
        InputError: the seed or the size is out of range, or the folder holds something else.
        StoreError: the folder cannot be written.
    """
    try:
        options = WorldOptions(seed=seed, size=size, grd=grd)
    except ValidationError as error:
        raise InputError(
            f"Cannot simulate a world of seed {seed} and size {size}; the seed must be 0 or more and the size "
            f"{MIN_SIZE} to {MAX_SIZE} pixels."
        ) from error
    return world_build.build_world(folder, options)
