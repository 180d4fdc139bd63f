"""The comparison report as one page: tables, bars with intervals, maps, and who wins, peers included."""

import html
from pathlib import Path

from pipeline_lib.errors import ContractError
from pipeline_lib.evaluate import Evaluation, difference
from pipeline_lib.evaluate.pictures import reliability_svg
from pipeline_lib.water import DEFAULT_DETECTOR

PEER_NOTE = "peer, version"
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:78rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
table{border-collapse:collapse;font-size:.85rem;width:100%;display:block;overflow-x:auto}
th,td{padding:.25rem .5rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
th:first-child,td:first-child{text-align:left}tr.peer td{background:#fff6e5}td.best{font-weight:700}
img{max-width:100%}figure{margin:1rem 0}figcaption{font-size:.85rem}.win{padding:.5rem 1rem;background:#eef5fb}
"""
COLUMNS = (
    ("IoU pooled", lambda e: e.scores.pooled.water_iou, True),
    ("IoU chip mean", lambda e: e.scores.per_chip.water_iou_per_chip_mean, True),
    ("IoU chip median", lambda e: e.scores.per_chip.water_iou_per_chip_median, True),
    ("IoU wet chip median", lambda e: e.scores.per_chip.water_iou_per_wet_chip_median, True),
    ("IoU event mean", lambda e: e.scores.per_event.water_iou_per_event_mean, True),
    ("F1 pooled", lambda e: e.scores.pooled.water_f1, True),
    ("precision", lambda e: e.scores.pooled.water_precision, True),
    ("recall", lambda e: e.scores.pooled.water_recall, True),
    ("area bias", lambda e: e.scores.pooled.area_bias, False),
    ("edge F1", lambda e: e.boundary.boundary_f1_pooled, True),
    ("ECE", lambda e: None if e.calibration is None else e.calibration.ece_pooled, False),
)


def write_page(out: Path, page: Path) -> Path:
    """Collect ``out/scores/<set>/<name>.json`` into one page, with maps where it lies beside them, in ``out``."""
    with_maps = page.parent == out
    body = "".join(section(folder, out, with_maps=with_maps) for folder in sets_of(out))
    text = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>Detectors compared</title><style>{STYLE}</style><h1>Detectors compared</h1>"
        "<p>Water IoU is TP / (TP + FP + FN). <b>Pooled</b>: all pixels of all chips in one confusion; "
        "<b>chip</b>: one score a chip; <b>event</b>: pixels pooled within an event, then averaged. "
        "Brackets: 95 % bootstrap interval over events and chips within events. What a method leaves "
        "unmapped counts as dry. Sets differ in what they call water: never compare numbers of two sets. "
        "Shaded rows are peers, in their own environment, on the same pixels, without the elevation, "
        "history or whole scenes they were made for. Times and memory: the machine may have been busy; "
        "compare them with each other only.</p>"
        f"{'' if with_maps else '<p>With the maps of each chip: <code>make report</code>.</p>'}{body}</html>"
    )
    write_text(page, text)
    return page


def fill_tables(out: Path, page: Path) -> Path:
    """Put the tables of the scores into a Markdown page, between its marks."""
    scores = {folder.name: found_in(folder) for folder in sets_of(out)}
    text = page.read_text(encoding="utf-8")
    for mark, lines in (("every set", every_set(scores)), ("sen1floods11", one_set(scores.get("sen1floods11", {})))):
        start, end = f"<!-- {mark}: make report -->\n", "<!-- end -->"
        before, found, rest = text.partition(start)
        if not found:
            raise ValueError(f"{page} has no line {start.strip()!r}.")
        text = f"{before}{start}\n" + "\n".join([*lines, "", made(scores)]) + f"\n\n{end}{rest.partition(end)[2]}"
    write_text(page, text)
    return page


def every_set(scores: dict[str, dict[str, Evaluation]]) -> list[str]:
    """Pooled water IoU of every method on every set, in the order of the first set."""
    first = scores.get("sen1floods11", {})
    names = sorted(
        {name for found in scores.values() for name in found}, key=lambda name: (rank(first.get(name)), name)
    )
    return [
        f"| method | {' | '.join(scores)} |",
        f"|---|{'---|' * len(scores)}",
        *(f"| {name} | {' | '.join(number(pooled(found.get(name))) for found in scores.values())} |" for name in names),
    ]


def one_set(found: dict[str, Evaluation]) -> list[str]:
    """The scores of one set that are compared most, best pooled first."""
    columns = [COLUMNS[index] for index in (0, 2, 3, 4)]
    return [
        f"| method | {' | '.join(name for name, _, _ in columns)} | 95 % of IoU pooled | false alarms, dry chips |",
        f"|---|{'---|' * len(columns)}---|---|",
        *(
            f"| {name} | {' | '.join(number(value(one)) for _, value, _ in columns)} | {interval(one)} | "
            f"{one.scores.dry_chips.false_alarm_pixels} px |"
            for name, one in sorted(found.items(), key=lambda pair: (rank(pair[1]), pair[0]))
        ),
    ]


def made(scores: dict[str, dict[str, Evaluation]]) -> str:
    """When the scores were made."""
    days = [one.created.date() for found in scores.values() for one in found.values()]
    return f"Scored on {min(days)}." if min(days) == max(days) else f"Scored from {min(days)} to {max(days)}."


def rank(evaluation: Evaluation | None) -> float:
    return -(pooled(evaluation) or 0.0)


def interval(evaluation: Evaluation) -> str:
    found = evaluation.intervals.water_iou_pooled
    return "–" if found is None else f"{found.low:.2f} to {found.high:.2f}"


def sets_of(out: Path) -> list[Path]:
    return sorted(path for path in (out / "scores").iterdir() if path.is_dir())


def found_in(folder: Path) -> dict[str, Evaluation]:
    """Method to what it scored on a set."""
    return {
        path.stem: Evaluation.model_validate_json(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
    }


def pooled(evaluation: Evaluation | None) -> float | None:
    return None if evaluation is None else evaluation.scores.pooled.water_iou


def write_text(page: Path, text: str) -> None:
    partial = page.with_name(f".{page.name}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(page)


def section(folder: Path, out: Path, *, with_maps: bool) -> str:
    """One data set."""
    found = found_in(folder)
    if not found:
        return ""
    ranked = dict(sorted(found.items(), key=lambda pair: -(pair[1].scores.pooled.water_iou or 0)))
    first = next(iter(ranked.values()))
    refused = "".join(
        f"<li>{html.escape(path.stem)}: {html.escape(path.read_text())}</li>"
        for path in sorted(folder.glob("*.refused"))
    )
    return (
        f"<h2>{folder.name}</h2><p>{first.reference.chips} chips, {first.scores.per_event.events} events, label = "
        f"{first.reference.label_meaning}.</p>{verdict(ranked)}{bars(ranked)}{table(ranked)}"
        f"{'<p>Could not answer:</p><ul>' + refused + '</ul>' if refused else ''}"
        f"{pictures(folder.name, ranked, out) if with_maps else ''}{reliability(ranked)}"
    )


def is_peer(evaluation: Evaluation) -> bool:
    return any(note.startswith(PEER_NOTE) for note in evaluation.notes)


def verdict(ranked: dict[str, Evaluation]) -> str:
    """Who is best pooled and in the median chip; where it is a peer, that is said first."""
    lines = []
    for what, value, _ in (COLUMNS[0], COLUMNS[2]):
        best = max(ranked, key=lambda name: value(ranked[name]) or 0)
        ours = max(
            (n for n in ranked if not is_peer(ranked[n])), key=lambda name: value(ranked[name]) or 0, default=None
        )
        if is_peer(ranked[best]):
            mine = f"; ours best: {ours} {number(value(ranked[ours]))}" if ours else ""
            lines.append(f"<b>A peer wins</b> by {what}: {best} {number(value(ranked[best]))}{mine}.")
        else:
            lines.append(f"Best by {what}: {best} {number(value(ranked[best]))}.")
    default = ranked.get(DEFAULT_DETECTOR)
    if default is not None:
        mine = default.scores.pooled.water_iou or 0
        ahead = [n for n in ranked if is_peer(ranked[n]) and (ranked[n].scores.pooled.water_iou or 0) > mine]
        lines.append(f"Peers ahead of our default ({DEFAULT_DETECTOR}) pooled: {', '.join(ahead) or 'none'}.")
    return f"<p class='win'>{' '.join(lines)}</p>"


def table(ranked: dict[str, Evaluation]) -> str:
    heads = "".join(f"<th>{name}</th>" for name, _, _ in COLUMNS)
    best = {
        name: max((value(e) for e in ranked.values() if value(e) is not None), default=None)
        for name, value, is_higher_better in COLUMNS
        if is_higher_better
    }
    first = next(iter(ranked.values()))
    rows = "".join(row(name, evaluation, best, first) for name, evaluation in ranked.items())
    return (
        f"<table><thead><tr><th>method</th>{heads}<th>IoU to the best</th>"
        "<th>false alarms on dry chips</th><th>s</th><th>Mpx/s</th>"
        f"<th>peak MiB</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def behind(evaluation: Evaluation, first: Evaluation) -> str:
    """How far a method lies from the best one on the same chips, with the interval of the paired bootstrap."""
    if evaluation is first:
        return ""
    try:
        found = difference(evaluation, first)
    except ContractError:  # a peer may leave chips out that it cannot read
        return "other chips"
    if found.interval is None:
        return number(found.water_iou_pooled)
    return f"{number(found.water_iou_pooled)} <small>[{found.interval.low:.2f}, {found.interval.high:.2f}]</small>"


def row(name: str, evaluation: Evaluation, best: dict[str, float | None], first: Evaluation) -> str:
    cells = ""
    for index, (column, value, _) in enumerate(COLUMNS):
        shown = number(value(evaluation))
        interval = evaluation.intervals.water_iou_pooled
        if index == 0 and interval is not None:
            shown += f" <small>[{interval.low:.2f}, {interval.high:.2f}]</small>"
        is_best = best.get(column) is not None and value(evaluation) == best[column]
        cells += f"<td{' class=best' if is_best else ''}>{shown}</td>"
    dry = evaluation.scores.dry_chips
    rate = dry.false_alarm_pixels_per_km2
    alarms = "–" if not dry.chips else f"{dry.false_alarm_pixels} px" if rate is None else f"{rate:.2f} px a km²"
    memory = "–" if evaluation.peak_memory_bytes is None else f"{evaluation.peak_memory_bytes / 2**20:.0f}"
    notes = html.escape(" ".join(evaluation.notes), quote=True)
    kind = " class=peer" if is_peer(evaluation) else ""
    return (
        f"<tr{kind} title='{notes}'><td>{name}</td>{cells}<td>{behind(evaluation, first)}</td><td>{alarms}</td>"
        f"<td>{evaluation.seconds:.1f}</td><td>{number(evaluation.megapixels_per_second)}</td><td>{memory}</td></tr>"
    )


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def bars(ranked: dict[str, Evaluation]) -> str:
    """Pooled IoU as bars, with intervals."""
    height, left, span = 22 * len(ranked) + 30, 190, 520
    marks = ""
    for index, (name, evaluation) in enumerate(ranked.items()):
        top, value = 8 + 22 * index, evaluation.scores.pooled.water_iou or 0.0
        colour = "#e69f00" if is_peer(evaluation) else "#0072b2"
        marks += (
            f"<text x='{left - 8}' y='{top + 12}' text-anchor='end'>{name}</text>"
            f"<rect x='{left}' y='{top}' width='{span * value:.1f}' height='15' fill='{colour}'/>"
            f"<text x='{left + span + 12}' y='{top + 12}'>{value:.3f}</text>"
        )
        interval = evaluation.intervals.water_iou_pooled
        if interval is not None:
            low, high = left + span * interval.low, left + span * interval.high
            marks += (
                f"<line x1='{low:.1f}' x2='{high:.1f}' y1='{top + 7}' y2='{top + 7}' stroke='#111' stroke-width='2'/>"
            )
    return (
        f"<figure><svg viewBox='0 0 780 {height}' role='img' aria-label='Pooled water IoU' font-size='13' "
        f"font-family='system-ui,sans-serif'>{marks}</svg><figcaption>Pooled water IoU with its 95 % interval; blue "
        "ours, orange peers.</figcaption></figure>"
    )


def pictures(title: str, ranked: dict[str, Evaluation], out: Path) -> str:
    """Maps of the best of ours and of the best peer."""
    ours = next((name for name, found in ranked.items() if not is_peer(found)), None)
    peer = next((name for name, found in ranked.items() if is_peer(found)), None)
    text = ""
    for name in filter(None, (ours, peer)):
        for path in sorted((out / "maps" / title / name).glob("*.png")):
            text += (
                f"<figure><img loading='lazy' src='{path.relative_to(out)}' alt='{name} on {path.stem}'><figcaption>"
                f"{name} on {path.stem}: radar; label; hits blue, false alarms red, missed yellow, no answer grey."
                "</figcaption></figure>"
            )
    return text


def reliability(ranked: dict[str, Evaluation]) -> str:
    """Calibration of the best of ours."""
    ours = next((name for name, found in ranked.items() if not is_peer(found)), None)
    calibration = ranked[ours].calibration if ours else None
    if calibration is None:
        return ""
    return (
        f"<figure style='max-width:22rem'>{reliability_svg(calibration)}<figcaption>{ours}: stated likelihood "
        "against the share labelled water.</figcaption></figure>"
    )
