"""Parameters of `margin.derive_portfolio`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import POSITIVE, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Number, Record, Rows, by_class, by_name

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel

NOT_NEGATIVE = Number(least=0)
_ANY = Number()


def scenarios(**columns: tuple[Any, ...]) -> Any:
    """Return the scenarios of columns price, vol and share."""
    from crossmargin.margin.derive import Scenarios

    return Scenarios(**columns)


def basis(**numbers: float) -> Any:
    """Return the moves of forwards each for itself."""
    from crossmargin.margin.derive import Basis

    return Basis(**numbers)


def peg(**numbers: float) -> Any:
    """Return what a coin below its peg adds."""
    from crossmargin.margin.derive import Peg

    return Peg(**numbers)


def confidence(**numbers: float) -> Any:
    """Return what an uncertain feed adds."""
    from crossmargin.margin.derive import Confidence

    return Confidence(**numbers)


def _skew(**numbers: float) -> Any:
    from crossmargin.margin.derive import Skew

    return Skew(**numbers)


def _static_discount(**numbers: float) -> Any:
    from crossmargin.margin.derive_portfolio import StaticDiscount

    return StaticDiscount(**numbers)


def _collateral(**rates: float) -> Any:
    from crossmargin.margin.derive_portfolio import CollateralRates

    return CollateralRates(**rates)


VOL_ENTRIES = (
    Entry(key="vol_up", kind=POSITIVE, unit="fraction of the vol", meaning="How far vols rise 30 days from expiry."),
    Entry(
        key="vol_down",
        kind=NOT_NEGATIVE,
        unit="fraction of the vol",
        meaning="How far vols fall 30 days from expiry, never below 0.",
    ),
    Entry(
        key="vol_short_power",
        kind=NOT_NEGATIVE,
        unit="power",
        meaning="Vol shocks are multiplied by (30 / days to expiry) ^ this up to 30 days.",
    ),
    Entry(key="vol_long_power", kind=NOT_NEGATIVE, unit="power", meaning="The same beyond 30 days."),
    Entry(key="vol_floor_days", kind=POSITIVE, unit="days", meaning="A nearer expiry is shocked as one this far away."),
)
BASIS_ENTRY = Entry(
    key="basis",
    kind=Record(
        fields={"up": POSITIVE, "down": NOT_NEGATIVE, "share": NOT_NEGATIVE, "share_per_year": NOT_NEGATIVE},
        build=basis,
    ),
    unit="multiples of the forward; shares of the loss",
    meaning="Every expiry's forward moves for itself; of each one's worse loss `share`, and more for every year.",
)
FEED_ENTRIES = (
    Entry(
        key="peg",
        kind=Record(fields={"threshold": NOT_NEGATIVE, "factor": NOT_NEGATIVE}, build=peg),
        unit="price of the settlement coin; multiple of what it misses",
        meaning="What a settlement coin below the threshold adds to the factor of initial margin.",
    ),
    Entry(
        key="confidence",
        kind=Record(fields={"threshold": FRACTION, "rate": NOT_NEGATIVE}, build=confidence),
        unit="confidence; share of notional",
        meaning="What a feed less certain than the threshold adds to initial margin, times what it misses of 1. The"
        " feeds of a book are certain.",
    ),
    Entry(
        key="settlement_minutes",
        kind=NOT_NEGATIVE,
        unit="minutes",
        meaning="Length of the average an expiry settles at: what has passed of it no longer moves.",
    ),
)

_PAIR = Record(fields={"maintenance": FRACTION, "initial": FRACTION}, build=dict)
_RATES = Record(fields={"maintenance": FRACTION, "initial": FRACTION}, build=_collateral)

ENTRIES = (
    Entry(
        key="scenarios",
        kind=Rows(
            columns={"price": NOT_NEGATIVE, "vol": Number(least=-1, most=3, whole=True), "share": FRACTION},
            fields={"price": "price", "vol": "vol", "share": "share"},
            build=scenarios,
        ),
        unit="multiple of the index; -1 down, 0 same, 1 up, 2 linear, 3 absolute skew; share that counts",
        meaning="The scenarios of every group of assets.",
    ),
    *VOL_ENTRIES,
    Entry(key="vol_least_up", kind=NOT_NEGATIVE, unit="fraction a year", meaning="Vols are this at least when up."),
    Entry(
        key="skew",
        kind=Record(
            fields={
                "linear_cap": _ANY,
                "linear_cap_per_root_year": _ANY,
                "absolute_cap": _ANY,
                "absolute_cap_per_root_year": _ANY,
                "least_width": POSITIVE,
                "width_scale": NOT_NEGATIVE,
                "width_vol": _ANY,
                "width_vol_per_root_year": _ANY,
            },
            build=_skew,
        ),
        unit="fractions of the vol; log-moneyness",
        meaning="How far the smile tilts or bends, and at which distance from the forward it stops.",
    ),
    Entry(
        key="static_discount",
        kind=Record(
            fields={
                "long_base": Number(least=0, most=1),
                "long_rate_scale": NOT_NEGATIVE,
                "long_add": NOT_NEGATIVE,
                "short_base": Number(least=1),
                "short_rate_scale": NOT_NEGATIVE,
                "short_add": NOT_NEGATIVE,
            },
            build=_static_discount,
        ),
        unit="factors; multiples of the rate; rates a year",
        meaning="What an expiry's value after a move is multiplied by: less where it is owned, more where it is owed.",
    ),
    BASIS_ENTRY,
    Entry(
        key="loss_factor",
        kind=NOT_NEGATIVE,
        unit="multiple of the loss",
        meaning="How much of the worst loss is maintenance margin.",
    ),
    Entry(
        key="initial_loss_factor",
        kind=NOT_NEGATIVE,
        unit="multiple of the loss",
        meaning="How much of it is initial margin, `loss_factor` at least.",
    ),
    Entry(
        key="perpetual_contingency",
        kind=_PAIR,
        unit="fraction of notional",
        meaning="What perpetuals cost whatever the scenarios say; initial on top of maintenance.",
    ),
    Entry(
        key="short_option_contingency",
        kind=_PAIR,
        unit="fraction of the index",
        meaning="The same for short options that no long of their strike covers.",
    ),
    Entry(
        key="collateral",
        kind=by_class(_RATES),
        unit="fraction of value",
        meaning="What a balance costs that moves with no contract of its pool, by asset class; initial on top.",
    ),
    Entry(
        key="collateral_by_name",
        kind=by_name(_RATES, "asset"),
        unit="fraction of value",
        meaning="The same by asset, before its class.",
        required=False,
    ),
    Entry(
        key="moving",
        kind=by_class(_RATES),
        unit="fraction of value",
        meaning="What a balance costs that moves with contracts of its pool, beside what the scenarios say.",
    ),
    Entry(
        key="moving_by_name",
        kind=by_name(_RATES, "asset"),
        unit="fraction of value",
        meaning="The same by asset, before its class.",
        required=False,
    ),
    *FEED_ENTRIES,
)


def vol_shock(values: Mapping[str, Any]) -> Any:
    """Return the vol shock of a book's values."""
    from crossmargin.margin.derive import VolShock

    return VolShock(
        up=values["vol_up"],
        down=values["vol_down"],
        short_power=values["vol_short_power"],
        long_power=values["vol_long_power"],
        floor_days=values["vol_floor_days"],
        least_up=values.get("vol_least_up", 0.0),
    )


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.derive_portfolio import DerivePortfolio, Formula

    perpetual, option = values["perpetual_contingency"], values["short_option_contingency"]
    return DerivePortfolio(
        formula=Formula(
            scenarios=values["scenarios"],
            vol_shock=vol_shock(values),
            skew=values["skew"],
            static_discount=values["static_discount"],
            basis=values["basis"],
            loss_factor=values["loss_factor"],
            initial_loss_factor=values["initial_loss_factor"],
            perpetual_rate=perpetual["maintenance"],
            perpetual_initial_rate=perpetual["initial"],
            option_rate=option["maintenance"],
            option_initial_rate=option["initial"],
            peg=values["peg"],
            confidence=values["confidence"],
        ),
        collateral_by_class=values["collateral"],
        collateral_by_name=values.get("collateral_by_name", {}),
        moving_by_class=values["moving"],
        moving_by_name=values.get("moving_by_name", {}),
        settlement_minutes=values["settlement_minutes"],
    )


SCHEMA = ModelSchema(
    meaning="Damped scenarios, skews and basis of options by expiry, with contingencies, coin by coin.",
    entries=ENTRIES,
    build=_build,
)
