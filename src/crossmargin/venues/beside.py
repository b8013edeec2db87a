"""What a venue states of an account beside what a rule book gives: every difference, and what it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, isfinite
from typing import TYPE_CHECKING

import numpy as np

from crossmargin.errors import InvalidFile, nearest
from crossmargin.venues.stated import Figure, Stated

if TYPE_CHECKING:
    from crossmargin.standing import Compared, Standing

_NONE = 1e-9
"""Differences below this share of the larger figure are rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One stated figure and the same of ours, in the unit of the stated one."""

    figure: Figure
    ours: float | None
    """None where its unit has no value here."""
    parts: Mapping[str, float]
    """Parts of the difference (ours - stated) whose size is known; what is left is `rest`."""
    reasons: tuple[str, ...]
    """What the rest may come from."""

    @property
    def difference(self) -> float | None:
        """Ours less the venue's."""
        return None if self.ours is None else self.ours - self.figure.amount

    @property
    def rest(self) -> float | None:
        """What of the difference is not in `parts`; exactly 0 where it is rounding."""
        if self.difference is None or self.ours is None:
            return None
        rest = fsum((self.difference, *(-part for part in self.parts.values())))
        size = max(abs(self.ours), abs(self.figure.amount), *map(abs, self.parts.values()), 0.0)
        return rest if abs(rest) > _NONE * size else 0.0


def beside(stated: Stated, one: Compared, place: str) -> list[Beside]:
    """Return every figure of `stated` beside ours under one rule book; `place` names its file in errors.

    Account figures: `equity` is beside net value, for venues state it before haircuts; margins beside the pool's, or
    an account's own pool. A position's margins are those of the position alone. Raises InvalidFile for an account or
    a position that the book does not have.
    """
    return [_beside(figure, k, one, place) for k, figure in enumerate(stated.figures)]


def _beside(figure: Figure, k: int, one: Compared, place: str) -> Beside:
    standing = one.standing
    ids = standing.book.accounts.ids
    if figure.account not in ids:
        raise InvalidFile(
            f"{place}: figures[{k}].account",
            repr(figure.account),
            "an account of the book",
            nearest(figure.account, ids),
        )
    account = list(ids).index(figure.account)
    unit = _unit(standing, figure.unit)
    parts: dict[str, float] = {}
    if figure.symbol is not None:
        own = _of_position(figure, k, account, one, place)
    else:
        own, parts = _of_account(figure, account, standing)
    scaled = {text: amount / unit for text, amount in parts.items() if amount} if unit is not None else {}
    return Beside(
        figure=figure,
        ours=None if unit is None else own / unit,
        parts={**{text: -amount for text, amount in figure.contains.items()}, **scaled},
        reasons=(*figure.reasons, *_general(figure, standing)),
    )


def _unit(standing: Standing, name: str) -> float | None:
    """Return the value of one unit of an asset in the reporting currency."""
    if name == standing.market.currency:
        return 1.0
    number = standing.valuation.catalogue.asset_number.get(name)
    value = np.nan if number is None else float(standing.valuation.fx[number])
    return value if isfinite(value) and value > 0 else None


def _of_account(figure: Figure, account: int, standing: Standing) -> tuple[float, dict[str, float]]:
    """Return our figure of an account, its isolated positions in it, and known parts of a difference."""
    pool = int(standing.where.of_account[account])
    positions = standing.book.positions
    apart = standing.where.of_position[(positions.account == account) & positions.isolated]
    pools = np.concatenate(([pool], apart))
    worth = standing.worth
    if figure.what == "equity":
        return fsum(worth.net_value[pools].tolist()), {}
    if figure.what == "margin_balance":
        haircut = fsum(worth.haircut[pools].tolist())
        return fsum(standing.margin_balance[pools].tolist()), {f"haircuts of {standing.rules.name}": -haircut}
    if figure.what == "initial_margin":
        return fsum(standing.initial_margin[pools].tolist()), {}
    return fsum(standing.maintenance_margin[pools].tolist()), {}


def _of_position(figure: Figure, k: int, account: int, one: Compared, place: str) -> float:
    """Return our figure of all of an account's rows in one instrument, alone."""
    standing = one.standing
    catalogue = standing.book.catalogue
    number = catalogue.number.get(figure.symbol or "", -1)
    positions = standing.book.positions
    rows = np.flatnonzero((positions.account == account) & (positions.instrument == number))
    if not len(rows):
        raise InvalidFile(
            f"{place}: figures[{k}].symbol", repr(figure.symbol), f"a position of {figure.account}",
            nearest(figure.symbol or "", catalogue.number),
        )  # fmt: skip
    if figure.what == "notional":
        return fsum(standing.valuation.notional(positions.instrument[rows], positions.quantity[rows]).tolist())
    legs = np.unique(standing.where.leg_of_position[rows])
    layers = one.layers
    alone = layers.leg_alone_initial if figure.what == "initial_margin" else layers.leg_alone
    return fsum(alone[legs].tolist())


def _general(figure: Figure, standing: Standing) -> tuple[str, ...]:
    """Return what a difference of a kind may always come from."""
    rules = f"{standing.rules.name} of {standing.rules.version}"
    if figure.what == "equity":
        return ("prices: those of the import are not to the last digit the venue's",)
    if figure.what == "margin_balance":
        return ("haircuts, discounts and caps of the venue, whose parameters are its own",)
    if figure.what == "notional":
        return ("the contract size, or the price it is taken at",)
    return (f"parameters: those of {rules} are not the venue's own of that day",)
