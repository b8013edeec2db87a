"""The page: docs/explanation/backtest.md and its plots, from what the walks found and page.template.md says."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from tools.backtest_defaults import plot
from tools.backtest_defaults.panels import HOURS
from tools.backtest_defaults.series import ROOT
from tools.backtest_defaults.summary import RATE, SIGNIFICANT, coverage, exceedances

FOLDER = ROOT / "docs" / "explanation"
MADE = "<!-- Made by `make backtest-page`. Do not edit by hand. -->"
LARGEST_SHOWN = 25

DAYS = (
    # (panel, day, books)
    ("sp500", "1929-10-28", ("long SPX",)),
    ("sp500", "1987-10-19", ("long SPX",)),
    ("sp500", "2008-10-13", ("short SPX",)),
    ("sp500", "2020-03-16", ("long SPX",)),
    ("oil", "1991-01-17", ("long WTI", "long BRENT")),
    ("oil", "2020-04-20", ("long WTI", "WTI less BRENT")),
    ("oil", "2020-04-22", ("short WTI",)),
    ("fx", "1973-02-13", ("short JPY",)),
    ("fx", "1976-11-29", ("long AUD",)),
    ("fx", "1994-12-20", ("long MXN",)),
    ("fx", "2015-01-15", ("short CHF", "the opposite of CHF less EUR")),
    ("fx", "2016-06-24", ("long GBP",)),
    ("crypto", "2020-03-12", ("long BTC", "long ETH")),
    ("crypto", "2021-01-28", ("short DOGE",)),
    ("crypto", "2021-02-08", ("short BTC",)),
    ("crypto", "2021-05-19", ("long BTC", "long ETH", "long SOL", "long DOGE")),
    ("crypto", "2022-06-13", ("long ETH",)),
    ("world", "2020-03-12", ("BTC and SPX", "BTC, SPX, WTI and EUR")),
    ("world", "2020-04-20", ("BTC, SPX, WTI and EUR", "ETH less BTC, with the oil spread")),
    ("options", "2008-10-06", ("short put 10% below",)),
    ("options", "2018-02-05", ("short strangle 5% away",)),
    ("options", "2020-03-09", ("short put 10% below", "short put spread 5% to 10% below")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDay:
    """A book on the eve of a day everybody remembers; fractions of its gross value."""

    day: str
    book: str
    shortfall: float
    maintenance: float
    initial: float
    loss: float
    worst: float


def days(one_window):
    """Return the named days; `one_window(panel name, day)` is the walk over the window that opens before the day."""
    found = []
    for panel, day, books in DAYS:
        world, walk = one_window(panel, date.fromisoformat(day))
        for name in books:
            b = next(k for k, book in enumerate(world.books) if book.name == name)
            figures = {
                column: float(getattr(walk, column)[0, b])
                for column in ("shortfall", "maintenance", "initial", "loss", "worst")
            }
            found.append(NamedDay(day=day, book=name, **figures))
    return found


def write(found, named_days):
    """Write the page and its plots and return their paths."""
    texts = {
        "backtest-coverage.svg": plot.bars("Share of windows in which the loss was larger", _rates(found), RATE),
        "backtest-sp500.svg": _timeline(found, "sp500", "long SPX", "Long S&P 500, two days, since 1929"),
        "backtest-wti.svg": _timeline(found, "oil", "long WTI", "Long WTI, two days, since 1987"),
        "backtest-btc.svg": _timeline(found, "crypto", "long BTC", "Long bitcoin, one day, 2015 to October 2022"),
        "backtest.md": _page(found, named_days),
    }
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return [(FOLDER / name).relative_to(ROOT) for name in texts]


def _page(found, named_days):
    largest, beyond = _largest(found)
    books, windows, rate, failing = _sums(found, ("sp500", "oil", "fx", "crypto", "world", "macro", "options"))
    prudent, lights = _kupiec(found)
    values = {
        "made": MADE,
        "books": books,
        "windows": f"{windows:,}",
        "es": f"{rate['shortfall']:.2%}",
        "core": f"{rate['core']:.2%}",
        "mm": f"{rate['maintenance']:.2%}",
        "im": f"{rate['initial']:.2%}",
        "es_target": f"{_target():.2%}",
        "es_failing": _listed(failing["shortfall"]),
        "core_failing": _listed(failing["core"]),
        "mm_failing": _listed(failing["maintenance"]),
        "prudent": prudent,
        "lights": lights,
        "tables": "\n\n".join(
            _table(found, name, kinds)
            for name, kinds in (
                ("sp500", ("single",)),
                ("oil", ("single", "mixed")),
                ("fx", ("single", "mixed")),
                ("crypto", ("single", "mixed")),
                ("world", ("single", "mixed")),
                ("macro", ("mixed",)),
                ("options", ("options",)),
            )
        ),
        "random": _random_table(found),
        "days": _day_table(named_days),
        "largest": largest,
        "largest_shown": min(LARGEST_SHOWN, beyond),
        "beyond": beyond,
        "moments": _moment_table(found),
        "hours": _hour_table(found),
        "rises": _rise_table(found),
        "open_days": _open_days_table(found),
        "share": f"{_shared_figures(found):.0%}",
        "straddle": f"{_one(found, 'options', 'long straddle')['shortfall'].rate:.1%}",
        "doge": f"{_one(found, 'crypto', 'short DOGE')['shortfall'].average:.0%}",
        "yen": f"{_one(found, 'fx', 'short JPY')['shortfall'].average:.0%}",
        "spread_mm": f"{_one(found, 'oil', 'WTI less BRENT')['maintenance'].average:.1%}",
        "spread_core": f"{_one(found, 'oil', 'WTI less BRENT')['core'].average:.1%}",
        "yen_worst": f"{_most_lost(found, 'fx', 'short JPY'):.1%}",
    }
    template = Path(__file__).with_name("page.template.md").read_text(encoding="utf-8")
    return template.format(**values)


def _target():
    """Return how often a loss is beyond the 99% expected shortfall of Student's t with 4 degrees of freedom."""
    quantile = student.ppf(1.0 - RATE, 4)
    shortfall = student.pdf(quantile, 4) / RATE * (4.0 + quantile**2) / 3.0
    return float(student.sf(shortfall, 4))


def _listed(names):
    return f"{len(names)} ({', '.join(names)})" if names else "none"


def _one(found, name, book):
    panel, walk = found[name]
    return _of(walk, _column(panel, book))


def _most_lost(found, name, book):
    panel, walk = found[name]
    return float(np.nanmax(walk.loss[:, _column(panel, book)]))


def _kupiec(found):
    """Return (books whose MM the two-sided test would fail, books whose MM has a light that is not green)."""
    covered = [
        _of(walk, b)["maintenance"]
        for name, (panel, walk) in found.items()
        if not name.startswith("at ") and name != "open_days"
        for b, book in enumerate(panel.books)
        if book.kind != "random"
    ]
    return sum(c.two_sided < SIGNIFICANT for c in covered), sum(c.light != "green" for c in covered)


# --- tables


def _column(panel, name):
    return next(k for k, book in enumerate(panel.books) if book.name == name)


def _of(walk, b):
    """Return {figure: Coverage} of one book."""
    return {
        name: coverage(walk.loss[:, b], getattr(walk, name)[:, b], walk.opens)
        for name in ("shortfall", "core", "maintenance", "initial")
    }


def _rates(found):
    rows = []
    for name, (panel, walk) in found.items():
        if name.startswith("at ") or name in ("open_days", "world", "macro"):
            continue
        for b, book in enumerate(panel.books):
            if book.kind in ("single", "options"):
                rows.append((book.name, {key: c.rate for key, c in _of(walk, b).items()}))
    return rows


def _timeline(found, name, book, title):
    panel, walk = found[name]
    b = _column(panel, book)
    lines = {key: getattr(walk, key)[:, b] for key in ("maintenance", "shortfall")}
    return plot.timeline(title, walk.opens, walk.loss[:, b], lines)


def _count(c):
    text = f"{c.exceeded:,} ({c.rate:.2%})"
    return f"**{text}**" if c.failed else text


def _probability(p):
    return "<0.001" if p < 0.001 else f"{p:.3f}"


HEAD = (
    "| book | windows | beyond ES+ | beyond core | beyond MM | p | clusters | worst | MM | MM / sd |\n"
    "|---|--:|--:|--:|--:|--:|--:|---|--:|--:|"
)


def _row(book, walk, b):
    c = _of(walk, b)
    mm = c["maintenance"]
    worst = f"{mm.largest:.0%} beyond, {mm.largest_on}" if mm.exceeded else "-"
    return (
        f"| {book.name} | {mm.windows:,} | {_count(c['shortfall'])} | {_count(c['core'])} | {_count(mm)} "
        f"| {_probability(mm.tail)} | {_probability(c['shortfall'].independence)} | {worst} "
        f"| {mm.average:.1%} | {mm.deviations:.1f} |"
    )


def _table(found, name, kinds):
    panel, walk = found[name]
    rows = [_row(book, walk, b) for b, book in enumerate(panel.books) if book.kind in kinds]
    return "\n".join([f"### {panel.title}", "", HEAD, *rows])


def _random_table(found):
    rows = [
        "| panel | books | windows | beyond ES+ | beyond core | beyond MM | books whose ES+ fails | whose MM fails |\n"
        "|---|--:|--:|--:|--:|--:|--:|--:|"
    ]
    for name in ("fx", "crypto", "world", "macro"):
        panel, walk = found[name]
        books = [_of(walk, b) for b, book in enumerate(panel.books) if book.kind == "random"]
        windows = sum(book["maintenance"].windows for book in books)

        def pooled(key, books=books, windows=windows):
            return f"{sum(book[key].exceeded for book in books) / windows:.2%}"

        def failing(key, books=books):
            return sum(book[key].failed for book in books)

        rows.append(
            f"| {panel.title} | {len(books)} | {windows:,} | {pooled('shortfall')} | {pooled('core')} "
            f"| {pooled('maintenance')} | {failing('shortfall')} | {failing('maintenance')} |"
        )
    return "\n".join(rows)


def _largest(found):
    rows = []
    for name, (panel, walk) in found.items():
        if name.startswith("at ") or name == "open_days":
            continue
        for beyond, book, w, b in exceedances(walk, panel.books, ("single", "mixed", "options")):
            rows.append((beyond, panel, walk, book, w, b))
    rows.sort(key=lambda row: -row[0])
    told = ["| window opened | panel | book | ES+ | MM | loss | beyond MM by |\n|---|---|---|--:|--:|--:|--:|"]
    for beyond, panel, walk, book, w, b in rows[:LARGEST_SHOWN]:
        told.append(
            f"| {walk.opens[w]} | {panel.name} | {book.name} | {walk.shortfall[w, b]:.1%} "
            f"| {walk.maintenance[w, b]:.1%} | {walk.loss[w, b]:.1%} | {beyond:.0%} |"
        )
    return "\n".join(told), len(rows)


def _day_table(named_days):
    rows = ["| day | book | ES+ | MM | IM | loss | worst moment | |\n|---|---|--:|--:|--:|--:|--:|---|"]
    for d in named_days:
        told = "**beyond**" if d.loss > d.maintenance else "**for a moment**" if d.worst > d.maintenance else "covered"
        rows.append(
            f"| {d.day} | {d.book} | {d.shortfall:.1%} | {d.maintenance:.1%} | {d.initial:.1%} | {d.loss:.1%} "
            f"| {d.worst:.1%} | {told} |"
        )
    return "\n".join(rows)


def _moment_table(found):
    rows = ["| book | windows | loss at the end beyond MM | loss at any moment beyond MM |\n|---|--:|--:|--:|"]
    for name in ("sp500", "crypto"):
        panel, walk = found[name]
        for b, book in enumerate(panel.books):
            if book.kind == "random" or (name == "sp500" and book.kind != "single"):
                continue
            ended = coverage(walk.loss[:, b], walk.maintenance[:, b], walk.opens)
            ever = coverage(walk.worst[:, b], walk.maintenance[:, b], walk.opens)
            rows.append(f"| {book.name} | {ended.windows:,} | {_count(ended)} | {_count(ever)} |")
    return "\n".join(rows)


def _hour_table(found):
    panels = [found[f"at {hour}"] for hour in HOURS]
    rows = [
        "| book | " + " | ".join(f"{hour:02}:00" for hour in HOURS) + " |",
        "|---|" + "--:|" * len(HOURS),
    ]
    for b, book in enumerate(panels[0][0].books):
        cells = []
        for _, walk in panels:
            c = _of(walk, b)
            cells.append(f"{c['shortfall'].rate:.2%}, {c['maintenance'].rate:.2%}")
        rows.append(f"| {book.name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _rise_table(found):
    """How fast margin rises: the largest ratio of margin to what it was ten windows before, and to its lowest ever."""
    rows = [
        "| book | lowest, highest MM | MM rose in ten windows by | lowest, highest ES+ | ES+ rose in ten windows by |\n"
        "|---|---|--:|---|--:|"
    ]
    for name, book in (("sp500", "long SPX"), ("oil", "long WTI"), ("fx", "short CHF"), ("crypto", "long BTC")):
        panel, walk = found[name]
        cells = []
        for key in ("maintenance", "shortfall"):
            line = getattr(walk, key)[:, _column(panel, book)]
            cells.append(f"{np.nanmin(line):.1%}, {np.nanmax(line):.1%}")
            cells.append(f"{np.nanmax(line[10:] / line[:-10] - 1.0):.0%}")
        rows.append(f"| {book} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _sums(found, names):
    """Return (books, windows, {figure: pooled rate}, {figure: names of books that fail}) of the panels."""
    books, names_of = [], []
    for name in names:
        panel, walk = found[name]
        for b, book in enumerate(panel.books):
            if book.kind != "random":
                books.append(_of(walk, b))
                names_of.append(book.name)
    windows = sum(book["maintenance"].windows for book in books)
    keys = ("shortfall", "core", "maintenance", "initial")
    rate = {key: sum(book[key].exceeded for book in books) / windows for key in keys}
    failing = {key: [name for name, book in zip(names_of, books, strict=True) if book[key].failed] for key in keys}
    return len(books), windows, rate, failing


def _open_days_table(found):
    rows = ["| book | rows: beyond ES+ | beyond MM | open days: beyond ES+ | beyond MM |\n|---|--:|--:|--:|--:|"]
    (panel, walk), (_, other) = found["world"], found["open_days"]
    for b, book in enumerate(panel.books):
        if book.kind != "random":
            mine, theirs = _of(walk, b), _of(other, b)
            rows.append(
                f"| {book.name} | {_count(mine['shortfall'])} | {_count(mine['maintenance'])} "
                f"| {_count(theirs['shortfall'])} | {_count(theirs['maintenance'])} |"
            )
    return "\n".join(rows)


def _shared_figures(found):
    """Return what a long S&P future's ES+ is in a table with coins over what it is in a table of its own, the mean."""
    (world, walk), (alone, other) = found["open_days"], found["sp500"]
    mixed = walk.shortfall[:, _column(world, "long SPX")]
    own = other.shortfall[:, _column(alone, "long SPX")]
    at = np.searchsorted(other.opens, walk.opens)
    same = (at < len(other.opens)) & (other.opens[np.minimum(at, len(other.opens) - 1)] == walk.opens)
    # From 2018 on both tables fill 750 windows.
    same &= walk.opens >= np.datetime64("2018-01-01")
    return float(np.mean(mixed[same] / own[at[same]]))
