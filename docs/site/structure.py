"""The import graph, drawn and counted from the code: rooms in the rows of their layers, arrows to what they use."""

import tomllib
from collections import Counter
from pathlib import Path

import grimp

WIDTH, ROW, BOX, PAD = 900, 74, 34, 14
ROOTS = ("flows", "tasks")
LIBRARY = "pipeline_lib"


def rows(repository: Path) -> list[list[str]]:
    """Rooms from the top layer to the lowest, as the rules of ``pyproject.toml`` place them."""
    contracts = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one.get("containers") == [LIBRARY])
    return [*([root] for root in ROOTS), *([name.strip() for name in layer.split("|")] for layer in layers)]


def arrows() -> Counter[tuple[str, str]]:
    """How many modules of one room import how many of another: pairs of modules."""
    graph = grimp.build_graph(*ROOTS, LIBRARY, cache_dir=None)
    found: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        for used in graph.find_modules_directly_imported_by(module):
            pair = room(module), room(used)
            if None not in pair and pair[0] != pair[1]:
                found[pair] += 1
    return found


def room(module: str) -> str | None:
    """Which room a module is in; the library itself is none."""
    parts = module.split(".")
    return parts[0] if parts[0] in ROOTS else parts[1] if len(parts) > 1 else None


def direct(pairs: Counter[tuple[str, str]]) -> set[tuple[str, str]]:
    """Arrows that no longer way implies."""
    uses: dict[str, set[str]] = {}
    for user, used in pairs:
        uses.setdefault(user, set()).add(used)

    def reached(start: str) -> set[str]:
        ahead = uses.get(start, set())
        return ahead.union(*map(reached, ahead))

    implied = {(user, far) for user, near in uses.items() for one in near for far in reached(one)}
    return set(pairs) - implied


def drawing(places: list[list[str]], drawn: set[tuple[str, str]], sizes: Counter[str]) -> str:
    """SVG: one row a layer."""
    middle = {}
    for row, names in enumerate(places):
        step = WIDTH / len(names)
        # Rooms alone in their row stand left and right in turn, so that arrows to lower rows pass them by.
        aside = WIDTH * (0.2, -0.2)[row % 2] if len(names) == 1 else 0
        middle |= {name: ((place + 0.5) * step + aside, row * ROW + PAD) for place, name in enumerate(names)}
    lines = []
    for user, used in sorted(drawn):
        (x0, top), (x1, y1) = middle[user], middle[used]
        y0 = top + BOX
        bend = f"C{x0:.0f},{y0 + ROW / 2:.0f} {x1:.0f},{y1 - ROW / 2:.0f}"
        lines.append(f'<path d="M{x0:.0f},{y0:.0f} {bend} {x1:.0f},{y1:.0f}" marker-end="url(#tip)"/>')
    boxes = [
        f'<rect x="{x - 62:.0f}" y="{y}" width="124" height="{BOX}" rx="4"/>'
        f'<text x="{x:.0f}" y="{y + 21}">{name} ({sizes[name]})</text>'
        for name, (x, y) in middle.items()
    ]
    style = (
        "<style>path{fill:none;stroke:#7986cb;stroke-width:1.3}rect{fill:#e8eaf6;stroke:#3f51b5}"
        "text{font:13px sans-serif;text-anchor:middle;fill:#1a237e}</style>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" style="fill:#7986cb"/></marker></defs>'
    )
    box = f"0 0 {WIDTH} {len(places) * ROW}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{style}{"".join(lines + boxes)}</svg>\n'


def page(repository: Path) -> dict[str, str]:
    """File name to content: the page and its picture."""
    places, pairs = rows(repository), arrows()
    folders = {
        name: repository / name if name in ROOTS else repository / LIBRARY / name for row in places for name in row
    }
    sizes = Counter({name: len(list(folder.rglob("*.py"))) or 1 for name, folder in folders.items()})
    text = [
        "# The structure\n",
        (
            "Drawn from the imports when this site is built (`make docs`); the rules that `make lint` holds them to stand "
            "in `pyproject.toml`. A room uses only rooms below its own, so data flows upwards: records and arrays of "
            "`model` and `grid`, found by `catalog`, made pixels by `load` and `sar`, water by `water`, flood by `flood`, "
            "files by `publish`. In brackets how many modules; an arrow that a longer way implies is left out.\n"
        ),
        "![Rooms in rows from flows to errors, arrows from each to what it uses](structure.svg)\n",
        "| room | what it uses (pairs of modules) |",
        "|---|---|",
    ]
    for name in (name for row in places for name in row):
        used = sorted(((count, other) for (user, other), count in pairs.items() if user == name), reverse=True)
        text.append(f"| `{name}` | {', '.join(f'{other} {count}' for count, other in used) or 'nothing'} |")
    return {"structure.md": "\n".join([*text, ""]), "structure.svg": drawing(places, direct(pairs), sizes)}
