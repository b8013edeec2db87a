"""Stressed scenarios: days that happened in both signs, squeezes, jumps of one name alone, broken pegs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crossmargin.errors import InvalidMarket
from crossmargin.instruments import ASSET_CLASSES, asset_class_of
from crossmargin.scenarios import shipped
from crossmargin.scenarios.history import VOL_SUFFIX
from crossmargin.scenarios.scenario_set import ScenarioSet, ToldInPrices
from crossmargin.units import BoolArray, FloatArray

MIRROR_LARGEST = 2.0
"""Largest gain a mirrored stress move may have: +200%."""


def stress(
    named: Mapping[str, Mapping[str, float]],
    factors: Iterable[str],
    *,
    classes: Mapping[str, str],
    any_domain: Collection[str] = (),
    any_floor: Mapping[str, float] | None = None,
    both_signs: bool = True,
) -> ScenarioSet:
    """Return named joint moves {scenario: {factor: move}}, each followed by its mirror image where `both_signs`.

    Moves are simple returns, -0.45 is -45%; where the domain is `any`, fractions of max(|index|, any_floor).
    The mirror of a move is its opposite, at most +200% and, for positive prices, at least -100%. A factor without
    a figure takes the largest move, up or down, of its class in that scenario, and 0 where the class has none.
    "<factor>.vol" is the relative change of its vols, the same in both signs: vols rise in squeezes too.
    `classes` gives the class of every name.
    """
    wanted = tuple(factors)
    ids: list[str] = []
    rows: list[list[float]] = []
    vols: list[list[float]] = []
    for scenario, moves in named.items():
        _check_stress(scenario, moves, classes, any_domain)
        prices = {name: move for name, move in moves.items() if not name.endswith(VOL_SUFFIX)}
        worst = _worst_of_class(prices, classes)
        row = [prices.get(name, worst.get(classes.get(name, ""), 0.0)) for name in wanted]
        vol = [1.0 + moves.get(name + VOL_SUFFIX, 0.0) for name in wanted]
        ids.append(scenario)
        rows.append(row)
        vols.append(vol)
        if both_signs:
            ids.append(f"{scenario} mirrored")
            rows.append([_mirror(move, name in any_domain) for name, move in zip(wanted, row, strict=True)])
            vols.append(vol)
    vol_factor = np.array(vols, dtype=np.float64).reshape(len(ids), len(wanted)).T
    floors = any_floor or {}
    return ScenarioSet(
        ids=tuple(ids),
        factors=wanted,
        move=np.array(rows, dtype=np.float64).reshape(len(ids), len(wanted)).T,
        vol_factor=None if (vol_factor == 1.0).all() else vol_factor,
        weight=np.ones(len(ids)),
        any_floor=np.array([floors.get(name, 0.0) for name in wanted], dtype=np.float64),
        source="stress",
    )


def _check_stress(
    scenario: str, moves: Mapping[str, float], classes: Mapping[str, str], any_domain: Collection[str]
) -> None:
    for name, move in moves.items():
        place = f"stress {scenario}, {name}"
        if isinstance(move, bool) or not np.isfinite(move):
            raise InvalidMarket(place, repr(move), "a relative move, -0.45 for -45%")
        if name.removesuffix(VOL_SUFFIX) not in classes:
            raise InvalidMarket(place, "a name without an asset class", "a name whose class is known")
        if move < -1.0 and name not in any_domain:
            raise InvalidMarket(place, f"a move of {move:.0%}", "-100% or more where prices are positive")


def _mirror(move: float, any_domain: bool) -> float:
    mirrored = min(-move, MIRROR_LARGEST)
    return mirrored if any_domain else max(mirrored, -1.0)


def _worst_of_class(moves: Mapping[str, float], classes: Mapping[str, str]) -> dict[str, float]:
    """Return the largest move, up or down, of each class; of two of one size the fall is the worse."""
    worst: dict[str, float] = {}
    for name, move in moves.items():
        worst[classes[name]] = max(worst.get(classes[name], 0.0), move, key=lambda m: (abs(m), -m))
    return worst


# --- the shipped stresses, for any names ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriceMove:
    """A move through zero, told in price units."""

    before: float
    """Above 0."""
    after: float

    @property
    def simple(self) -> float:
        """The move as a simple return."""
        return (self.after - self.before) / self.before


Figures = Mapping[str, float | PriceMove]


def _shipped_crashes() -> dict[str, Figures]:
    days: dict[str, dict[str, float | PriceMove]] = {}
    for key in ("crash", "crash_beside"):
        for day, figures in shipped.value("crashes", key).items():
            days.setdefault(day, {}).update(figures)
    for day, prices in shipped.value("crashes", "crash_price").items():
        moves = {name: PriceMove(before=before, after=after) for name, (before, after) in prices.items()}
        days.setdefault(day, {}).update(moves)
    return {day: days[day] for day in sorted(days)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StressFacts:
    """What the stressed scenarios are made of; by default what crashes.toml states, with units and sources."""

    crashes: Mapping[str, Figures] = field(default_factory=_shipped_crashes)
    """Day -> name -> relative move, or the prices before and after. Each comes in both signs."""
    squeezes: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: shipped.value("crashes", "squeeze"))
    """The same, as they happened only."""
    jump_by_class: Mapping[str, float] = field(default_factory=lambda: shipped.value("crashes", "jump"))
    """Relative move of one name alone, both ways; `other` is required, 0 is no jump."""
    jump_by_name: Mapping[str, float] = field(default_factory=lambda: shipped.value("crashes", "jump_by_name"))
    depegs: Sequence[float] = field(default_factory=lambda: shipped.value("crashes", "depeg"))
    """What a stable coin is worth, in units of its peg."""
    backs: Mapping[str, Sequence[str]] = field(default_factory=lambda: shipped.value("crashes", "backs"))
    """Stable coin -> names that fall with it."""
    gain_largest: float = field(default_factory=lambda: shipped.value("crashes", "gain_largest"))
    class_of: Mapping[str, str] = field(default_factory=lambda: shipped.value("crashes", "class_of"))
    """Class of each name with figures that is not known everywhere."""
    also_known_as: Mapping[str, str] = field(default_factory=lambda: shipped.value("crashes", "also_known_as"))
    """Other name -> name with figures, of the same class."""

    def __post_init__(self) -> None:
        for days in (self.crashes, self.squeezes):
            for day, figures in days.items():
                for name, figure in figures.items():
                    place = f"stress {day}, {name}"
                    move = figure.simple if isinstance(figure, PriceMove) else figure
                    if isinstance(move, bool) or not np.isfinite(move):
                        raise InvalidMarket(place, repr(move), "a relative move, -0.45 for -45%")
                    if move < -1.0 and not isinstance(figure, PriceMove):
                        raise InvalidMarket(place, f"a move of {move:.0%}", "-100% or more, or prices before and after")
        if "other" not in self.jump_by_class:
            raise InvalidMarket("jump", ", ".join(self.jump_by_class) or "nothing", "an entry for other")
        for name, jump in (*self.jump_by_class.items(), *self.jump_by_name.items()):
            if not 0.0 <= jump <= 1.0:
                raise InvalidMarket(f"jump {name}", str(jump), "a fraction from 0 to 1")
        for level in self.depegs:
            if not 0.0 <= level < 1.0:
                raise InvalidMarket("depeg", str(level), "a fraction from 0 to below 1")

    @property
    def through_zero(self) -> frozenset[str]:
        """Names with a figure told in prices: what they do depends on their price now."""
        figures = (item for day in self.crashes.values() for item in day.items())
        return frozenset(name for name, figure in figures if isinstance(figure, PriceMove))

    def known_class(self, name: str) -> str:
        """Return the class of a name with figures."""
        return self.class_of.get(name, asset_class_of(name))

    def named(self, name: str, asset_class: str) -> str:
        """Return the name under which the facts may have figures for `name`; empty where it cannot be the same thing.

        A stock may share its ticker with a coin: the class must agree, unless the book does not say one.
        """
        known = self.also_known_as.get(name, name)
        return known if asset_class in (self.known_class(known), "other") else ""

    def jump_of(self, name: str, asset_class: str) -> float:
        """Return how far a name jumps alone: by name, else by class; undeclared well-known names as class `other`."""
        if name in self.jump_by_name and not (asset_class == "other" and asset_class_of(name) != "other"):
            return self.jump_by_name[name]
        return self.jump_by_class.get(asset_class, self.jump_by_class["other"])


def stressed(
    names: Iterable[str],
    classes: Mapping[str, str],
    facts: StressFacts,
    *,
    groups: Mapping[str, str] | None = None,
    any_domain: Collection[str] = (),
    any_floor: Mapping[str, float] | None = None,
    index: Mapping[str, float] | None = None,
) -> ScenarioSet:
    """Return the stressed set of `names`: crash days in both signs, squeezes, jumps one by one, broken pegs.

    Moves are simple returns, at least -100% for positive prices; for names in `any_domain` fractions of
    max(|index|, any_floor). Vols are held. On a day a name takes its own figure, else that of its group's leader,
    else the largest of its class, else 0. A figure told in prices moves its own name by their difference, given
    its `index`, and its class by the simple return. The mirror of a move is its opposite, at most `gain_largest`.
    A group jumps as one; a stable coin leaves its peg together with what it backs.
    """
    wanted = tuple(names)
    of_group = groups or {}
    leaders = tuple(of_group.get(name, name) for name in wanted)
    for name in wanted:
        if classes.get(name) not in ASSET_CLASSES:
            raise InvalidMarket(f"class of {name}", repr(classes.get(name)), ", ".join(ASSET_CLASSES))
    absolute = np.array([name in any_domain for name in wanted], dtype=np.bool_)
    floor = np.array([(any_floor or {}).get(name, 0.0) for name in wanted])
    level = np.array([(index or {}).get(name, np.nan) for name in wanted])
    base = np.where(absolute, np.maximum(np.abs(level), floor), level)
    places = [_places(facts, name, leader, classes) for name, leader in zip(wanted, leaders, strict=True)]
    ids: list[str] = []
    moves: list[FloatArray] = []
    nothing = np.full(len(wanted), np.nan)
    differences: list[FloatArray] = []
    most: list[float] = []

    def add(name: str, move: FloatArray, difference: FloatArray = nothing, gain: float = np.inf) -> None:
        ids.append(name)
        moves.append(_possible(move, absolute))
        differences.append(difference)
        most.append(gain)

    for day, figures in facts.crashes.items():
        move, difference = _day(facts, figures, wanted, classes, places, base)
        add(day, move, difference)
        add(f"{day} mirrored", np.minimum(-move, facts.gain_largest), -difference, facts.gain_largest)
    for day, squeeze in facts.squeezes.items():
        add(f"{day} squeeze", *_day(facts, squeeze, wanted, classes, places, base))
    for leader in dict.fromkeys(leaders):
        first = wanted[leaders.index(leader)]
        jump = facts.jump_of(leader, classes.get(leader, classes[first]))
        alone = np.array([other == leader for other in leaders], dtype=np.float64)
        for sign in (-1.0, 1.0) if jump else ():
            add(f"{leader} alone {sign * jump:+.0%}", sign * jump * alone)
    for coin in (name for name in wanted if classes[name] == "stablecoin" and of_group.get(name, name) == name):
        falling = _backed_by(coin, facts.backs)
        with_it = np.array([leader in falling for leader in leaders], dtype=np.float64)
        for value in facts.depegs:
            add(f"{coin} at {value:.2f}", (value - 1.0) * with_it)
    told = np.array(differences, dtype=np.float64).reshape(len(ids), len(wanted)).T.copy()
    return ScenarioSet(
        ids=tuple(ids),
        factors=wanted,
        move=np.array(moves, dtype=np.float64).reshape(len(ids), len(wanted)).T.copy(),
        weight=np.ones(len(ids)),
        any_floor=floor,
        told=ToldInPrices(difference=told, most=np.array(most)) if np.isfinite(told).any() else None,
        source="stress",
    )


def _places(facts: StressFacts, name: str, leader: str, classes: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names to look for figures under: its own, then that of what it follows."""
    own = facts.named(name, classes[name])
    return (own, facts.named(leader, classes.get(leader, classes[name]))) if leader != name else (own,)


def _day(
    facts: StressFacts,
    figures: Figures,
    wanted: Sequence[str],
    classes: Mapping[str, str],
    places: Sequence[tuple[str, ...]],
    base: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return what each name does on a day, and the difference where that is told in prices, else NaN; each (N,)."""
    simple = {name: figure.simple if isinstance(figure, PriceMove) else figure for name, figure in figures.items()}
    worst = _worst_of_class(simple, {name: facts.known_class(name) for name in simple})
    move = np.array([worst.get(classes[name], 0.0) for name in wanted])
    difference = np.full(len(wanted), np.nan)
    for k, looked_up in enumerate(places):
        known = next((name for name in looked_up if name in figures), None)
        if known is None:
            continue
        figure = figures[known]
        if isinstance(figure, PriceMove) and base[k] > 0.0:
            difference[k] = figure.after - figure.before
            move[k] = difference[k] / base[k]
        else:
            move[k] = simple[known]
    return move, difference


def _possible(move: FloatArray, absolute: BoolArray) -> FloatArray:
    """Return moves that prices can make: positive ones lose all they are at most. No negative zeros."""
    return np.where(absolute, move, np.maximum(move, -1.0)) + 0.0


def _backed_by(coin: str, backs: Mapping[str, Sequence[str]]) -> set[str]:
    """Return a coin and everything it backs, at first or second hand."""
    found: set[str] = set()
    waiting = [coin]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(backs.get(name, ()))
    return found
