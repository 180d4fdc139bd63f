"""What happens to the areas and rasters that people bring: writes every case, reads it, and makes the page of it.

Usage: python -m benchmarks.inputs.table docs/reference/inputs.md

Fails where a case does not end as is right. The tests hold the page against the same cases.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.inputs import area_files

HEAD = """# What happens to the files that people bring

Made by `python -m benchmarks.inputs.table docs/reference/inputs.md`, which writes each file and reads it; do not edit.

## Areas of interest

The area is a rectangle of 3.1 x 3.3 km beside the Ticino unless the case says otherwise. What is *read* is that area:
no more than 0.02 % of it differs. What is *refused* is refused with this sentence, before a catalogue is asked. Where
an area lies is said by outlines of countries (Natural Earth 1:50m), which are good to some kilometres.

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


def main() -> None:
    """Write the page."""
    areas = list(area_rows())
    lines = ["| file | what happens |", "|---|---|", *(text for text, _ in areas)]
    Path(sys.argv[1]).write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    wrong = [text for text, right in areas if not right]
    sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
