"""The shipped reference set: joint moves of asset classes and, from them, of any names.

Every name's standardized move takes the same 1,000 values, Student t of unit variance, in an order of its own: a book
of one name is margined alike whatever its name, and its expected shortfall is the distribution's, not luck's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from hashlib import shake_256

import numpy as np

from crossmargin.errors import InvalidMarket
from crossmargin.instruments import ASSET_CLASSES, asset_class_of
from crossmargin.scenarios import shipped
from crossmargin.scenarios.scenario_set import DAYS_A_YEAR, ScenarioSet
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceSet:
    """Joint standardized moves of the asset classes. Shapes: C classes, S rows; the second half mirrors the first."""

    seed: str
    classes: tuple[str, ...]
    tail: FloatArray
    """(S,) scale of each row: how calm or wild that day is, shared by everything."""
    move: FloatArray
    """(C, S) standardized: mean 0, variance 1."""
    within: Mapping[str, float]
    """Correlation of two names of one class, 0 to 1."""
    between: FloatArray
    """(C, C) correlation of the classes' moves."""

    def correlation(self, one: str, other: str) -> float:
        """Return the correlation of two different names of classes `one` and `other`."""
        a, b = self.classes.index(one), self.classes.index(other)
        return float(self.between[a, b] * np.sqrt(self.within[one] * self.within[other]))

    def standardized(self, names: Iterable[str], classes: Mapping[str, str]) -> FloatArray:
        """Return the standardized moves of names, shape (N, S); a name's depends on itself and its class only.

        x = sqrt(w) Z + sqrt(1 - w) tail e, w the class's `within`, Z its move, e normal draws seeded by the name and
        made uncorrelated with every class; then the k-th smallest x becomes the k-th value of `student_t`.
        """
        half = self.move.shape[1] // 2
        moves = [self._own(name, classes[name], half) for name in names]
        return np.array(moves).reshape(len(moves), 2 * half)

    def _own(self, name: str, asset_class: str, half: int) -> FloatArray:
        shared = self.move[self.classes.index(asset_class), :half]
        own = self.tail[:half] * normals(f"{self.seed}|name|{name}", half)
        own -= self._basis @ (own @ self._basis)
        own *= np.sqrt(np.mean(shared**2) / np.mean(own**2))
        weight = self.within[asset_class]
        return ranked(both_ways(np.sqrt(weight) * shared + np.sqrt(1.0 - weight) * own))

    @cached_property
    def _basis(self) -> FloatArray:
        """(S / 2, C) orthonormal, spans the classes' moves."""
        return np.linalg.qr(self.move[:, : self.move.shape[1] // 2].T)[0]


@cache
def reference_set() -> ReferenceSet:
    """Return the reference set as shipped."""
    lines = shipped.text("reference.csv").splitlines()
    columns = lines[0].split(",")
    table = np.array([line.split(",")[1:] for line in lines[1:]], dtype=np.float64).T
    assert columns[:2] == ["scenario", "tail"]
    assert len(lines) - 1 == shipped.value("reference", "rows")
    return ReferenceSet(
        seed=shipped.value("reference", "seed"),
        classes=tuple(columns[2:]),
        tail=table[0],
        move=table[1:],
        within=shipped.value("reference", "within"),
        between=between(tuple(columns[2:])),
    )


def draw(classes: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
    """Return (tail, move) of a reference set, (S,) and (C, S), drawn from what reference.toml says.

    Normal draws per class times a tail scale that all classes share: a multivariate t. The scale is stratified, the
    products' sample correlations are made exactly the class correlations, and each class's values are replaced by
    those of `student_t` in the same order. The second half of the rows is the first, negated.
    """
    assert shipped.value("reference", "degrees_of_freedom") == 4, "the formulas here are those of 4 degrees of freedom"
    seed, half = shipped.value("reference", "seed"), shipped.value("reference", "rows") // 2
    chi_square = _chi_square_4((np.arange(half) + 0.5) / half)
    shuffled = np.argsort(uniforms(f"{seed}|tail", half))
    tail = np.sqrt(2.0 / chi_square[shuffled])
    plain = tail * np.array([normals(f"{seed}|class|{name}", half) for name in classes])
    plain = np.linalg.solve(np.linalg.cholesky(plain @ plain.T / half), plain)
    joint = np.linalg.cholesky(between(classes)) @ plain
    move = np.array([ranked(both_ways(row)) for row in joint])
    return np.concatenate((tail, tail)), move


def between(classes: tuple[str, ...]) -> FloatArray:
    """Return the correlations of class moves that reference.toml lists, shape (C, C)."""
    place = {name: k for k, name in enumerate(classes)}
    matrix = np.eye(len(classes))
    for one, row in shipped.value("reference", "between").items():
        for other, correlation in row.items():
            matrix[place[one], place[other]] = matrix[place[other], place[one]] = correlation
    return matrix


def student_t(count: int) -> FloatArray:
    """Return `count` rising values that stand for Student's t with 4 degrees of freedom and unit variance.

    The k-th is the mean of the k-th of `count` equally likely slices, so the mean of the largest m is exactly the
    distribution's expected shortfall at 1 - m / count. Closed forms for 4 degrees of freedom: with a = 4 p (1 - p)
    and c = cos(arccos(sqrt a) / 3) / sqrt a the quantile is +-2 sqrt(c - 1), and the mean beyond x, times its
    probability, is (1 + x^2 / 4)^(-3/2) / 2.
    """
    assert count % 2 == 0
    p = np.arange(count // 2, count) / count
    root = np.sqrt(4.0 * p * (1.0 - p))
    edge = 2.0 * np.sqrt(np.maximum(np.cos(np.arccos(root) / 3.0) / root - 1.0, 0.0))
    beyond = np.append(0.5 * (1.0 + edge**2 / 4.0) ** -1.5, 0.0)
    upper = -np.diff(beyond) * count / np.sqrt(2.0)
    return np.concatenate((-upper[::-1], upper))


def ranked(values: FloatArray) -> FloatArray:
    """Return `student_t` in the order of `values`: the k-th smallest becomes the k-th smallest."""
    found = np.empty(len(values))
    found[np.argsort(values, kind="stable")] = student_t(len(values))
    return found


def both_ways(half: FloatArray) -> FloatArray:
    """Return the values, then their opposites."""
    return np.concatenate((half, -half))


def uniforms(text: str, count: int) -> FloatArray:
    """Return numbers strictly between 0 and 1 that depend on `text` alone, on every machine and version."""
    raw = np.frombuffer(shake_256(text.encode()).digest(8 * count), dtype="<u8")
    return np.asarray(((raw >> np.uint64(11)) + 0.5) * 2.0**-53)


def normals(text: str, count: int) -> FloatArray:
    """Return standard normal draws that depend on `text` alone (Box and Muller)."""
    pairs = -(-count // 2)
    u = uniforms(text, 2 * pairs)
    radius, angle = np.sqrt(-2.0 * np.log(u[:pairs])), 2.0 * np.pi * u[pairs:]
    return np.concatenate((radius * np.cos(angle), radius * np.sin(angle)))[:count]


def _chi_square_4(p: FloatArray) -> FloatArray:
    """Return quantiles of chi square with 4 degrees of freedom: P(X <= x) = 1 - (1 + x / 2) exp(-x / 2)."""
    low, high = np.zeros_like(p), np.full_like(p, 200.0)
    for _ in range(200):
        x = (low + high) / 2.0
        below = 1.0 - (1.0 + x / 2.0) * np.exp(-x / 2.0) < p
        low, high = np.where(below, x, low), np.where(below, high, x)
    return (low + high) / 2.0


# --- vols ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VolUsed:
    """The annual vol a name is given, and who says so."""

    name: str
    vol_annual: float
    origin: str
    """`book`, `name` (the rule book, by name), or the asset class it was looked up by."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vols:
    """Annual vols, fractions: by name before by class. By default those shipped."""

    by_class: Mapping[str, float] = field(default_factory=lambda: shipped.value("reference", "vol_annual"))
    """`other` is required."""
    by_name: Mapping[str, float] = field(default_factory=lambda: shipped.value("reference", "vol_annual_by_name"))

    def __post_init__(self) -> None:
        if "other" not in self.by_class:
            raise InvalidMarket("vol_annual", ", ".join(self.by_class) or "nothing", "an entry for other")
        for name in self.by_class:
            if name not in ASSET_CLASSES:
                raise InvalidMarket(f"vol_annual {name}", "no asset class", ", ".join(ASSET_CLASSES))
        for name, vol in (*self.by_class.items(), *self.by_name.items()):
            if not 0.0 <= vol < 10.0:
                raise InvalidMarket(f"vol_annual {name}", str(vol), "a fraction from 0 to below 10")

    def of(self, name: str, asset_class: str, book: Mapping[str, float], leader: str = "") -> VolUsed:
        """Return the vol of a name: the book's, else by name, else by class, else that of class `other`.

        At each step what the name follows (`leader`, its group) is asked after the name itself. A well-known name whose
        contracts do not say what class they are takes the vol of class `other`.
        """
        asked = (name, leader) if leader else (name,)
        for known in asked:
            if known in book:
                return VolUsed(name=name, vol_annual=book[known], origin="book")
        for known in asked:
            if known in self.by_name and not (asset_class == "other" and asset_class_of(known) != "other"):
                return VolUsed(name=name, vol_annual=self.by_name[known], origin="name")
        origin = asset_class if asset_class in self.by_class else "other"
        return VolUsed(name=name, vol_annual=self.by_class[origin], origin=origin)


# --- scenarios -----------------------------------------------------------------------------------------------------


def reference(
    names: Iterable[str],
    classes: Mapping[str, str],
    *,
    vol_annual: Mapping[str, float],
    horizon_days: Mapping[str, int] | int,
    groups: Mapping[str, str] | None = None,
    any_domain: Collection[str] = (),
    any_floor: Mapping[str, float] | None = None,
) -> ScenarioSet:
    """Return all rows of the reference set as joint moves of `names`; weight 1, vols held.

    Log return = standardized move x vol_annual x sqrt(horizon / 365), then a simple return; for names in `any_domain`
    the same number is a fraction of max(|index|, any_floor). A name in a group moves as its group's leader does, at
    its own vol and horizon. No row depends on which other names are asked for.
    """
    wanted = tuple(names)
    of_group, floors = groups or {}, any_floor or {}
    leaders = {name: of_group.get(name, name) for name in wanted}
    distinct = tuple(dict.fromkeys(leaders.values()))
    for name in (*wanted, *distinct):
        if classes.get(name) not in ASSET_CLASSES:
            raise InvalidMarket(f"class of {name}", repr(classes.get(name)), ", ".join(ASSET_CLASSES))
    standard = reference_set().standardized(distinct, classes)
    row: IntArray = np.array([distinct.index(leaders[name]) for name in wanted], dtype=np.int64)
    scale = np.array([_scale(name, vol_annual, horizon_days) for name in wanted])
    change = standard[row] * scale[:, None]
    absolute = np.array([name in any_domain for name in wanted], dtype=np.bool_)
    move = np.where(absolute[:, None], change, np.expm1(change))
    count = move.shape[1]
    return ScenarioSet(
        ids=tuple(f"reference {k:04}" for k in range(1, count + 1)),
        factors=wanted,
        move=move,
        weight=np.ones(count),
        any_floor=np.array([floors.get(name, 0.0) for name in wanted]),
        source="reference",
    )


def _scale(name: str, vol_annual: Mapping[str, float], horizon_days: Mapping[str, int] | int) -> float:
    """Return the standard deviation of the log return of a name over its horizon."""
    days = horizon_days if isinstance(horizon_days, int) else horizon_days.get(name, 0)
    if isinstance(days, bool) or days < 1:
        raise InvalidMarket(f"horizon of {name}", repr(days), "whole days, 1 or more")
    vol = vol_annual.get(name)
    if vol is None or not 0.0 <= vol < np.inf:
        raise InvalidMarket(f"vol_annual of {name}", repr(vol), "a fraction a year, 0 or more")
    return float(vol) * float(np.sqrt(days / DAYS_A_YEAR))
