"""The report of `python -m benchmarks`: one page and its plots from the records."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from benchmarks import record
from benchmarks.record import Record

SERIES = {
    "scaling with pixels": ("mpx", "Mpx"),
    "scaling with blocks": ("block", "px, side of a block"),
    "scaling with tiles": ("tile", "px, side of a tile"),
    "scaling with passes": ("passes", "passes"),
    "scaling with workers": ("workers", "workers"),
}
"""What a series runs over, and its unit."""
MEANING = """*Pixels* and *blocks*: `adaptive` from lazy arrays, by size of scene and chunk. *Tiles*: the shipped
network over a scene. *Passes* and *workers*: the whole event of a simulated archive, from search to published page.
"""
INTRODUCTION = """# Benchmarks

Made by `make bench`; `docs/benchmarks.json` holds every figure. Rates are millions of pixels that come out per second
of processor time (user and system, all threads), so that other work on the machine counts less; peak memory is that of
the process, libraries included. A peer runs on the same input in the same run. *Of the limit* is the rate over what
this machine's own copying (each pixel read and written once), decoding or float32 convolutions allow on one core,
measured in the same run; int8 arithmetic can exceed the limit of float32. Stages of an event of 1 Mpx bear the start of
everything (compiled code is loaded, files are opened); those of the full scene do not notice it (a strip of
one where its Mpx are fewer than 440: `--scene-share`).
"""


OTHER_WORK = """A peer's detector does less or other work: dask-flood-mapper is a formula on one polarisation with given
expectations, autofloods one threshold; ours is the default detector, a network and `adaptive`, which also says where
radar cannot tell. How right each is on the same pixels: [scores](explanation/scores.md).
"""


def write(out: Path) -> Path:
    """Write ``benchmarks.md`` and the plots beside ``benchmarks.json``."""
    records, about = record.read(out / "benchmarks.json")
    images = out / "images"
    images.mkdir(exist_ok=True)
    stages = [one for one in records if one.stage not in SERIES and one.who != "machine" and one.rate]
    if stages:
        bars(stages, records, images / "benchmarks-stages.png")
    series = [one for one in records if one.stage in SERIES and one.cpu_s]
    if series:
        lines(series, images / "benchmarks-scaling.png")
    page = out / "benchmarks.md"
    page.write_text("\n".join([INTRODUCTION, machine(about), limits(records), table(stages, records), losses(stages),
                               scaling(series), others(records)]))  # fmt: skip
    return page


def machine(about: dict) -> str:
    """What it ran on, and what failed."""
    libraries = ", ".join(f"{name} {number}" for name, number in about["libraries"].items())
    kind = "Quick run: small rasters, for orientation only." if about["quick"] else "Full run."
    text = (
        f"{kind} {about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB; "
        f"load {about['load_at_start']} at the start; Python {about['python']}; "
        f"overbank {about['overbank']} at {about['commit']}; {libraries}. "
        f"{about['minutes']} minutes.\n"
    )
    for group, error in about["failed"].items():
        text += f"\n**{group} failed**: `{error[-300:]}`\n"
    return text


def limits(records: list[Record]) -> str:
    """The roofline."""
    rows = [one for one in records if one.who == "machine"]
    if not rows:
        return ""
    lines_ = ["## The machine's limits, one core\n", "| limit | per processor second |", "|---|---|"]
    for one in rows:
        unit, value = next(iter(one.facts.items()))
        lines_.append(f"| {one.stage} | {value} {unit.split('_')[0].upper().replace('MPX', 'Mpx')} |")
    return "\n".join([*lines_, ""])


def limit_of(one: Record, records: list[Record]) -> float | None:
    """Mpx per processor second that the machine allows a stage."""
    found = {row.stage: next(iter(row.facts.values())) for row in records if row.who == "machine"}
    if one.gflop_per_mpx and "convolution" in found:
        return float(found["convolution"]) / one.gflop_per_mpx
    if one.decoded_per_px and "decode" in found:
        return float(found["decode"]) / one.decoded_per_px
    if one.bytes_per_px and "copy" in found:
        return float(found["copy"]) * 1e3 / one.bytes_per_px
    return None


def table(stages: list[Record], records: list[Record]) -> str:
    """Every stage, peers beside it."""
    rows = [
        "## Stages\n",
        "![Rates of every stage](images/benchmarks-stages.png)\n",
        "| stage | who | Mpx | cpu s | wall s | Mpx per cpu-s | of the limit | peak MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in stages:
        most = limit_of(one, records)
        share = f"{number(100 * one.rate / most)} %" if most and one.rate else ""
        rows.append(
            f"| {one.stage} | {one.who} | {number(one.mpx)} | {number(one.cpu_s)} | {number(one.wall_s)} "
            f"| {number(one.rate)} | {share} | {number(one.peak_mib)} |"
        )
    return "\n".join([*rows, ""])


def losses(stages: list[Record]) -> str:
    """Where a peer is faster or smaller than we are, and where not."""
    ours = {one.stage: one for one in stages if one.who == record.OURS}
    found: dict[str, list[str]] = {
        "Where we are slower": [],
        "Where we need more memory": [],
        "Where we are faster": [],
    }
    for peer in stages:
        mine = ours.get(peer.stage)
        if mine is None or peer.who.startswith(record.OURS) or not (peer.rate and mine.rate):
            continue
        ratio = mine.rate / peer.rate
        text = f"- {peer.stage}: {number(mine.rate)} against {number(peer.rate)} of {peer.who} ({number(ratio)} x)"
        found["Where we are faster" if ratio >= 1 else "Where we are slower"].append(text)
        if mine.peak_mib and peer.peak_mib and mine.peak_mib > peer.peak_mib:
            text = f"- {peer.stage}: {number(mine.peak_mib)} MiB against {number(peer.peak_mib)} of {peer.who}"
            found["Where we need more memory"].append(text)
    parts = [line for title, lines_ in found.items() for line in (f"{title}:\n", *(lines_ or ["- nowhere"]), "")]
    return "\n".join(["## Against peers, Mpx per cpu-s\n", OTHER_WORK, *parts])


def scaling(series: list[Record]) -> str:
    """The series as a table."""
    if not series:
        return ""
    rows = ["## Scaling\n", MEANING, "![Time over each](images/benchmarks-scaling.png)\n",
            "| series | at | cpu s | wall s | peak MiB |", "|---|---|---|---|---|"]  # fmt: skip
    for one in series:
        where = f"{place(one):.4g} {SERIES[one.stage][1]}"
        figures = f"{number(one.cpu_s)} | {number(one.wall_s)} | {number(one.peak_mib)}"
        rows += [f"| {one.stage} | {where} | {figures} |"]
    return "\n".join([*rows, ""])


def others(records: list[Record]) -> str:
    """Figures that are no rates."""
    rows = []
    for one in records:
        if not one.cpu_s and one.who != "machine":
            facts = [str(value) if name == "said" else f"{name} {value}" for name, value in one.facts.items()]
            rows += [f"- {one.stage}: {', '.join(facts)}"]
    return "\n".join(["## Also\n", *rows, ""]) if rows else ""


def place(one: Record) -> float:
    """Where a record of a series lies on its axis."""
    key = SERIES[one.stage][0]
    return float((one.mpx if key == "mpx" else one.facts[key]) or 0)


def number(value: float | None) -> str:
    """Three figures."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def bars(stages: list[Record], records: list[Record], path: Path) -> None:
    """Rates on a logarithmic axis, peers in another colour, and what the machine allows as a mark."""
    figure, axes = plt.subplots(figsize=(9, 0.2 * len(stages) + 1), constrained_layout=True)
    names = [one.stage if one.who == record.OURS else f"{one.stage}  [{one.who}]" for one in stages]
    colours = ["#1f6fb2" if one.who.startswith(record.OURS) else "#c9772c" for one in stages]
    axes.barh(range(len(stages)), [one.rate or 0 for one in stages], color=colours)
    limits_ = [limit_of(one, records) for one in stages]
    axes.scatter(limits_, range(len(stages)), marker="|", s=40, color="black")
    axes.set_yticks(range(len(stages)), names, fontsize=7)
    axes.set_ylim(len(stages) - 0.4, -0.6)
    axes.set(xscale="log", xlabel="Mpx per processor second (orange: peers; mark: what the machine allows)")
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def lines(series: list[Record], path: Path) -> None:
    """Processor and wall seconds over each axis."""
    names = [name for name in SERIES if any(one.stage == name for one in series)]
    figure, panels = plt.subplots(
        1, len(names), figsize=(2.8 * len(names), 3.2), constrained_layout=True, squeeze=False
    )
    for axes, name in zip(panels[0], names, strict=True):
        rows = sorted((one for one in series if one.stage == name), key=place)
        for what, label in (("cpu_s", "processor"), ("wall_s", "clock")):
            axes.plot([place(one) for one in rows], [getattr(one, what) for one in rows], marker="o", label=label)
        axes.set(title=name, xlabel=SERIES[name][1], ylabel="seconds")
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
