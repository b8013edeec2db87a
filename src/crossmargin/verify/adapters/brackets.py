"""Adapters of position-based margin: leverage brackets and standard option margin."""

from __future__ import annotations

from crossmargin.instruments import instrument_of
from crossmargin.margin import Brackets, FutureRates, OptionRates, StandardOption, Tiers, isolated, next_amount
from crossmargin.market import Mark, Market, VolSlice, VolSurface
from crossmargin.verify.adapters.position import EXPIRY, EXPIRY_DAY, TIME, margins, one_account
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

EXAMPLE_BALANCE = 10_000.0
"""Wallet in the worked example that `linear_im_mm` cases cite (BitMEX, isolated and cross margin examples: a wallet of
10,000 USDT, of which 9,600 are available). The cases expect what is left of it without giving it."""


@adapter(
    "bracket_maintenance_amount",
    reads="floor mmr prev_mmr? prev_cum?",
    calls="margin.next_amount",
    note="The continuity term of one bracket from that of the bracket below.",
)
def _bracket_maintenance_amount(inputs: Inputs) -> object:
    return next_amount(
        floor=inputs.number("floor"),
        rate=inputs.number("mmr"),
        previous_rate=inputs.number("prev_mmr", 0.0),
        previous_amount=inputs.number("prev_cum", 0.0),
    )


@adapter(
    "bracket_maintenance_amount_ladder",
    reads="floors mmr",
    calls="margin.Tiers.maintenance_amount",
    note="Continuity terms of a whole ladder.",
)
def _bracket_maintenance_amount_ladder(inputs: Inputs) -> object:
    rates = tuple(inputs.numbers("mmr"))
    tiers = Tiers(floor=tuple(inputs.numbers("floors")), maintenance_rate=rates, initial_rate=rates)
    return list(tiers.maintenance_amount)


@adapter(
    "linear_im_mm",
    reads="side? q ep leverage mmr balance?",
    calls="margin.isolated.linear_entry_margin, margin.isolated.linear_maintenance, margin.isolated.cross_margin",
    note="At entry. Gives {im, mm, available}: available is what im leaves of the balance, below 0 where it is too"
    " little; balance is that of the source's example, 10,000, where absent.",
)
def _linear_im_mm(inputs: Inputs) -> object:
    inputs.number("side", 1.0)
    size, entry = abs(inputs.number("q")), inputs.number("ep", above=0)
    initial = isolated.linear_entry_margin(size=size, entry=entry, leverage=inputs.number("leverage", above=0))
    return {
        "im": initial,
        "mm": isolated.linear_maintenance(size=size, price=entry, rate=inputs.number("mmr")),
        "available": isolated.cross_margin(inputs.number("balance", EXAMPLE_BALANCE), reserved=initial),
    }


@adapter(
    "brackets_margin",
    reads="tiers taker_fee? maintenance_on? inverse? contract_size? quantity mark entry_price?",
    calls="margin.Brackets",
    note="Our own: tiers {floor, maintenance_rate, initial_rate}; one perpetual, its index at its mark. Gives"
    " {initial, maintenance} in the quote asset.",
)
def _brackets_margin(inputs: Inputs) -> object:
    ladder, mark = inputs.inner("tiers"), inputs.number("mark", above=0)
    tiers = Tiers(
        floor=tuple(ladder.numbers("floor")),
        maintenance_rate=tuple(ladder.numbers("maintenance_rate")),
        initial_rate=tuple(ladder.numbers("initial_rate")),
    )
    model = Brackets(
        tiers_by_class={"other": tiers},
        taker_fee=inputs.number("taker_fee", 0.0),
        maintenance_on=inputs.text("maintenance_on", "mark"),
    )
    instrument = instrument_of(
        "perpetual",
        symbol="PERP",
        underlying="COIN",
        quote="USD",
        inverse=inputs.flag("inverse", False),
        contract_size=inputs.number("contract_size", 1.0),
    )
    market = Market(time=TIME, prices={"COIN": mark})
    quantity, entry = inputs.number("quantity"), inputs.number("entry_price", mark)
    return margins(one_account(model, instrument, quantity, market, entry_price=entry))


@adapter(
    "standard_future_margin",
    reads="initial maintenance initial_per_unit? maintenance_per_unit? inverse? contract_size? quantity mark",
    calls="margin.StandardOption",
    note="Our own: one perpetual, its index at its mark. Gives {initial, maintenance} in the quote asset.",
)
def _standard_future_margin(inputs: Inputs) -> object:
    rates = FutureRates(
        initial=inputs.number("initial"),
        maintenance=inputs.number("maintenance"),
        initial_per_unit=inputs.number("initial_per_unit", 0.0),
        maintenance_per_unit=inputs.number("maintenance_per_unit", 0.0),
    )
    mark = inputs.number("mark", above=0)
    instrument = instrument_of(
        "perpetual",
        symbol="PERP",
        underlying="COIN",
        quote="USD",
        inverse=inputs.flag("inverse", False),
        contract_size=inputs.number("contract_size", 1.0),
    )
    market = Market(time=TIME, prices={"COIN": mark})
    return margins(one_account(_standard(rates, _NO_OPTION), instrument, inputs.number("quantity"), market))


@adapter(
    "standard_option_margin",
    reads="initial initial_least call_maintenance put_maintenance put_maintenance_of_value? inverse? contract_size?"
    " type strike index forward? value quantity",
    calls="margin.StandardOption",
    note="Our own: one option, type call or put, its value in quote, in coin where inverse; forward the index where"
    " absent. Gives {initial, maintenance} in the quote asset.",
)
def _standard_option_margin(inputs: Inputs) -> object:
    rates = OptionRates(
        initial=inputs.number("initial"),
        initial_least=inputs.number("initial_least"),
        call_maintenance=inputs.number("call_maintenance"),
        put_maintenance=inputs.number("put_maintenance"),
        put_maintenance_of_value=inputs.number("put_maintenance_of_value", 0.0),
    )
    index, strike = inputs.number("index", above=0), inputs.number("strike", above=0)
    option = instrument_of(
        "option",
        symbol="OPTION",
        underlying="COIN",
        quote="USD",
        option_type=inputs.text("type", among=("call", "put")),
        strike=strike,
        expiry=EXPIRY,
        inverse=inputs.flag("inverse", False),
        contract_size=inputs.number("contract_size", 1.0),
    )
    market = Market(
        time=TIME,
        prices={"COIN": index},
        marks={"OPTION": Mark(price=inputs.number("value"))},
        forwards={"COIN": {EXPIRY_DAY: inputs.number("forward", index)}},
        # For a value no vol explains; the margin does not depend on it.
        vols={"COIN": VolSurface({EXPIRY_DAY: VolSlice(strikes=(strike,), vols=(0.5,))})},
    )
    return margins(one_account(_standard(_NO_FUTURE, rates), option, inputs.number("quantity"), market))


def _standard(futures: FutureRates, options: OptionRates) -> StandardOption:
    return StandardOption(futures_by_class={"other": futures}, options_by_class={"other": options})


_NO_FUTURE = FutureRates(initial=1.0, maintenance=1.0)
_NO_OPTION = OptionRates(initial=1.0, initial_least=1.0, call_maintenance=1.0, put_maintenance=1.0)
"""The strictest there can be, for the kind of instrument a case does not hold."""
