"""Plots as SVG text, without a plotting library: small files whose differences can be read."""

from datetime import date

import numpy as np

WIDTH, HEIGHT = 860, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 40, 28
COLOURS = {"maintenance": "#3f51b5", "core": "#00897b", "shortfall": "#b8860b", "loss": "#9e9e9e", "over": "#d32f2f"}
TITLES = {
    "maintenance": "maintenance margin",
    "core": "core",
    "shortfall": "expected shortfall alone",
    "loss": "loss",
    "over": "loss beyond maintenance margin",
}
BINS = 420
"""Points of a line: each is the range of what it stands for."""


def timeline(title, opens, loss, lines):
    """Return a plot of losses and margins (fractions) over time.

    `lines` {figure: (W,)}, `loss` (W,). Losses below a third of the lowest margin are not drawn; those beyond
    "maintenance" are, one by one.
    """
    days = opens.astype("datetime64[D]").astype(int)
    most = float(max(np.nanmax(loss), *(np.nanmax(line) for line in lines.values()))) * 1.05
    top = _round_up(most)
    x = LEFT + (days - days[0]) / (days[-1] - days[0]) * (WIDTH - LEFT - RIGHT)

    def y(value):
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    parts = [_open(title), _grid(top, y), _years(days, x)]
    over = loss > lines["maintenance"]
    drawn = np.flatnonzero((loss > np.nanmin(lines["maintenance"]) / 3.0) & ~over)
    marks = "".join(f"M{x[k]:.1f} {y(0):.1f}V{y(loss[k]):.1f}" for k in drawn)
    parts.append(f'<path d="{marks}" stroke="{COLOURS["loss"]}" stroke-width="0.8"/>')
    for name, line in lines.items():
        parts.append(f'<path d="{_line(x, line, y)}" fill="none" stroke="{COLOURS[name]}" stroke-width="1.2"/>')
    for k in np.flatnonzero(over):
        parts.append(
            f'<path d="M{x[k]:.1f} {y(0):.1f}V{y(loss[k]):.1f}" stroke="{COLOURS["over"]}" stroke-width="1.4"/>'
            f'<circle cx="{x[k]:.1f}" cy="{y(loss[k]):.1f}" r="2.6" fill="{COLOURS["over"]}">'
            f"<title>{opens[k]}: {loss[k]:.1%} against {lines['maintenance'][k]:.1%}</title></circle>"
        )
    parts += [_legend([*lines, "loss", "over"]), "</svg>"]
    return "\n".join(parts) + "\n"


def bars(title, rows, limit):
    """Return a plot of exceedance rates. `rows` [(label, {figure: rate})]; a line is drawn at `limit`."""
    figures = ("shortfall", "core", "maintenance")
    step, left, top = 22, 230, TOP + 14
    height = top + step * len(rows) + BOTTOM
    most = _round_up(max(limit * 1.2, *(rate for _, rates in rows for rate in rates.values())))
    scale = (WIDTH - left - RIGHT - 40) / most
    parts = [_open(title, height)]
    for k, (label, rates) in enumerate(rows):
        y = top + k * step
        parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{_text(label)}</text>')
        for i, name in enumerate(figures):
            width = rates[name] * scale
            parts.append(
                f'<rect x="{left}" y="{y + 1 + 6 * i}" width="{max(width, 0.6):.1f}" height="5" fill="{COLOURS[name]}">'
                f"<title>{_text(label)}, {TITLES[name]}: {rates[name]:.2%}</title></rect>"
            )
    x = left + limit * scale
    bottom = top + step * len(rows)
    parts.append(f'<path d="M{x:.1f} {top - 4}V{bottom}" stroke="{COLOURS["over"]}" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{limit:.0%} of windows</text>')
    parts += [_legend(figures), "</svg>"]
    return "\n".join(parts) + "\n"


def _open(title, height=HEIGHT):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="11" fill="#666">\n<title>{_text(title)}</title>\n'
        f'<text x="{LEFT}" y="14" font-size="13" font-weight="bold">{_text(title)}</text>'
    )


def _text(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _grid(top, y):
    digits = 0 if top >= 0.08 else 1
    parts = []
    for k in range(5):
        value = top * k / 4
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#8884" stroke-width="0.6"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.{digits}%}</text>')
    return "\n".join(parts)


def _years(days, x):
    first, last = (date.fromordinal(int(d) + date(1970, 1, 1).toordinal()).year for d in (days[0], days[-1]))
    step = max(1, round((last - first) / 10))
    step = next(nice for nice in (1, 2, 5, 10, 20) if nice >= step)
    parts = []
    for year in range(first + 1, last + 1):
        if year % step == 0:
            at = (date(year, 1, 1) - date(1970, 1, 1)).days
            place = float(np.interp(at, days, x))
            parts.append(f'<text x="{place:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{year}</text>')
    return "\n".join(parts)


def _legend(names):
    parts, x = [], LEFT
    for name in names:
        parts.append(f'<rect x="{x}" y="22" width="14" height="6" fill="{COLOURS[name]}"/>')
        parts.append(f'<text x="{x + 18}" y="29">{TITLES[name]}</text>')
        x += 34 + 6 * len(TITLES[name])
    return "".join(parts)


def _line(x, values, y):
    """Return the path of a line; where it has more points than can be seen, the lowest and highest of each bin."""
    if len(values) <= 2 * BINS:
        points = list(zip(x, values, strict=True))
    else:
        points = []
        for part in np.array_split(np.arange(len(values)), BINS):
            low, high = sorted((part[np.argmin(values[part])], part[np.argmax(values[part])]))
            points += [(x[low], values[low]), (x[high], values[high])]
    return "M" + "L".join(f"{a:.1f} {y(b):.1f}" for a, b in points)


def _round_up(value):
    """Return the next number that divides well into quarters."""
    unit = 10.0 ** np.floor(np.log10(value))
    return float(next(unit * k for k in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if unit * k >= value))
