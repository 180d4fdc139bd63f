"""What happens to areas, rasters and items that people and archives bring: reads every case, and makes the page of it.

Usage: python -m benchmarks.inputs.table docs/reference/inputs.md

Fails where a case does not end as is right. The tests hold the page against the same cases.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.inputs import area_files, item_files, raster_files

HEAD = """# What happens to the files that people bring

Made by `python -m benchmarks.inputs.table docs/reference/inputs.md`, which writes each file and reads it; do not edit.

## Areas of interest

The area is a rectangle of 3.1 x 3.3 km beside the Ticino unless the case says otherwise. What is *read* is that area:
no more than 0.02 % of it differs. What is *refused* is refused with this sentence, before a catalogue is asked. Where
an area lies is said by outlines of countries (Natural Earth 1:50m), which are good to some kilometres.

"""


RASTERS = """
## Rasters of backscatter

The scene is land with a river, 192 x 192 pixels of float32 with bands VV and VH, unless the case says otherwise; it is
given to `overbank detect` without further flags (but those named). *Mapped* says what share of the pixels was taken for
observed; the river was found in them with an intersection over union above 0.85. What is *refused* leaves nothing.

"""


ITEMS = """
## Items of a catalogue

One RTC item as the Planetary Computer has them, changed in one place. *Read* says from when to when it was sensed, and
what was repaired (the plan notes it); a *skipped* item is named in the plan's notes with this reason, and all others
are used. What archives do to whole answers is in [the table of faults](faults.md).

"""


def row(name: str, happens: str) -> str:
    """A line of the table."""
    return f"| {name} | {happens.replace('|', chr(92) + '|')} |"


def area_rows() -> Iterator[tuple[str, bool]]:
    """A line of each area file, and whether it ended as is right."""
    for case in area_files.AREA_FILES:
        with tempfile.TemporaryDirectory() as folder:
            happens, right = area_files.outcome(case, Path(folder))
        yield row(case.name, happens), right


def raster_rows() -> Iterator[tuple[str, bool]]:
    """A line of each raster, and whether it ended as is right."""
    for case in raster_files.RASTER_FILES:
        with tempfile.TemporaryDirectory() as folder:
            happens, right = raster_files.outcome(case, Path(folder))
        yield row(case.name, happens), right


def item_rows() -> Iterator[tuple[str, bool]]:
    """A line of each item, and whether it ended as is right."""
    for case in item_files.ITEM_CASES:
        happens, right = item_files.outcome(case)
        yield row(case.name, happens), right


def main() -> None:
    """Write the page."""
    areas, rasters, items = list(area_rows()), list(raster_rows()), list(item_rows())
    table = ["| file | what happens |", "|---|---|"]
    parts = [HEAD + "\n".join([*table, *(text for text, _ in areas)])]
    parts += [RASTERS + "\n".join([*table, *(text for text, _ in rasters)])]
    parts += [ITEMS + "\n".join([*table, *(text for text, _ in items)])]
    Path(sys.argv[1]).write_text("\n".join(parts) + "\n", encoding="utf-8")
    sys.exit("\n".join(text for text, right in (*areas, *rasters, *items) if not right))


if __name__ == "__main__":
    main()
