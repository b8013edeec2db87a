"""Perpetuals in whole units: every rounding goes the way it is said to go, whatever the numbers."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.margin import quantums
from crossmargin.margin.quantums import MILLION, QuantumAccount, QuantumMarket

rates = st.integers(1, MILLION)
sizes = st.integers(-(10**12), 10**12)


@st.composite
def markets(draw):
    lower = draw(st.integers(0, 10**12))
    return QuantumMarket(
        price=Fraction(draw(st.integers(1, 10**9)), 10 ** draw(st.integers(0, 6))),
        base_resolution=draw(st.integers(-10, 0)),
        quote_resolution=-6,
        initial_ppm=draw(rates),
        fraction_ppm=draw(rates),
        open_interest=draw(st.integers(0, 10**15)),
        lower_cap=lower,
        upper_cap=draw(st.sampled_from([0, lower, lower + 10**12])) if lower == 0 else lower + 10**12,
        custom_ppm=draw(st.integers(0, MILLION)),
    )


@st.composite
def accounts(draw):
    """An account with a position in `one`, and perhaps another."""
    found = {"one": draw(markets()), "two": draw(markets())}
    positions = {"one": draw(sizes.filter(lambda size: size)), "two": draw(sizes)}
    worth = sum(found[name].notional(size) for name, size in positions.items())
    return QuantumAccount(markets=found, quote=-worth + draw(st.integers(-(10**12), 10**12)), positions=positions)


@given(markets(), sizes)
def test_a_notional_is_the_exact_value_rounded_toward_zero(market, size):
    exact = size * market.price * Fraction(10) ** (market.base_resolution + 6)
    found = market.notional(size)
    assert abs(found) <= abs(exact) < abs(found) + 1
    assert found == -market.notional(-size)


@given(markets(), sizes)
def test_margins_are_the_least_whole_numbers_that_cover_them(market, size):
    value = abs(market.notional(size))
    rate = Fraction(max(market.effective_ppm, market.custom_ppm), MILLION)
    assert market.initial(size) - 1 < value * rate <= market.initial(size)
    exact = value * Fraction(market.initial_ppm * market.fraction_ppm, MILLION**2)
    # Rounded up twice: once before the maintenance fraction, once after.
    assert exact <= market.maintenance(size) < exact + 2
    assert market.maintenance(size) <= market.initial(size)


@given(markets(), st.integers(0, 10**15))
def test_more_open_interest_never_lowers_the_initial_rate(market, more):
    def rate(open_interest):
        return quantums.adjusted_initial_ppm(
            initial_ppm=market.initial_ppm,
            open_interest=open_interest,
            lower_cap=market.lower_cap,
            upper_cap=market.upper_cap,
        )

    now = market.open_interest
    assert market.initial_ppm <= rate(now) <= rate(now + more) <= MILLION
    if market.upper_cap:
        assert rate(market.lower_cap) == (market.initial_ppm if market.lower_cap < market.upper_cap else MILLION)
        assert rate(market.upper_cap + 1) == MILLION
    else:
        assert rate(10**30) == market.initial_ppm


@given(accounts(), st.fractions(0, 1))
def test_closing_at_the_bankruptcy_price_keeps_net_collateral_in_step_with_maintenance(account, share):
    """NC over MMR stays what it was, but for less than a quantum by which NC is rounded up."""
    size = account.positions["one"]
    change = -int(size * share) or (-1 if size > 0 else 1)
    if account.maintenance == 0:
        with pytest.raises(InputError, match="maintenance margin"):
            account.bankruptcy_price("one", change)
        return
    brought = account.bankruptcy_price("one", change)
    after = QuantumAccount(
        markets=account.markets,
        quote=account.quote + brought,
        positions={**account.positions, "one": size + change},
    )
    exact = Fraction(account.net_collateral * after.maintenance, account.maintenance)
    assert exact <= after.net_collateral < exact + 1


@given(accounts(), st.integers(0, 2**32 - 1), st.integers(0, MILLION))
def test_the_fillable_price_lies_between_the_oracle_price_and_the_whole_spread(account, adjustment, spread):
    market, size = account.markets["one"], account.positions["one"]
    if account.maintenance == 0:
        return
    price = account.fillable_price("one", adjustment_ppm=adjustment, spread_ppm=spread)
    oracle = Fraction(market.notional(size), size)
    most = Fraction(market.maintenance(size) * spread, MILLION * abs(size))
    worse = (oracle - price) * (1 if size > 0 else -1)
    assert 0 <= worse <= most
    if account.net_collateral >= account.maintenance:
        assert worse == 0
    elif account.net_collateral <= 0 and adjustment >= MILLION:
        assert worse == most


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(0, MILLION))
def test_the_fund_pays_what_is_missing_and_takes_no_more_than_its_fee(received, bankruptcy, fee):
    delta = quantums.insurance_fund_delta(received=received, bankruptcy=bankruptcy, fee_ppm=fee)
    if received <= bankruptcy:
        assert delta == received - bankruptcy
    else:
        assert 0 <= delta <= received - bankruptcy
        assert delta <= abs(received) * Fraction(fee, MILLION)


BTC = QuantumMarket(
    price=Fraction(50_000), base_resolution=-8, quote_resolution=-6, initial_ppm=200_000, fraction_ppm=500_000
)


def one_bitcoin(quote_usd):
    return QuantumAccount(markets={"BTC": BTC}, quote=quote_usd * 10**6, positions={"BTC": 10**8})


@pytest.mark.parametrize(("quote", "liquidatable"), [(-45_000, False), (-45_001, True), (-60_000, True), (0, False)])
def test_an_account_is_liquidatable_below_maintenance_margin_not_at_it(quote, liquidatable):
    assert one_bitcoin(quote).maintenance == 5_000 * 10**6
    assert one_bitcoin(quote).liquidatable is liquidatable


def test_an_account_without_positions_is_never_liquidatable():
    assert not QuantumAccount(markets={}, quote=-5).liquidatable


def test_the_least_healthy_comes_first():
    assert sorted(range(-48_000, -40_000, 2_000), key=lambda quote: one_bitcoin(quote).health) == [
        -48_000,
        -46_000,
        -44_000,
        -42_000,
    ]


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ((-46_000, 1), (-40_000, 1), True),  # meets initial margin
        ((-46_000, 1), (-45_900, 1), True),  # 4,100 / 5,000 is better than 4,000 / 5,000
        ((-46_000, 1), (-46_001, 1), False),
        ((-95_500, 2), (-45_600, 1), True),  # 4,400 / 5,000 is better than 4,500 / 10,000, though less is left
        ((-91_000, 2), (-46_000, 1), False),  # 4,000 / 5,000 is worse than 9,000 / 10,000
        ((-1, 1), (-1, 0), False),  # a debt and nothing to cover it
    ],
)
def test_an_update_short_of_initial_margin_must_not_lower_the_ratio(before, after, allowed):
    def account(quote, size):
        return QuantumAccount(markets={"BTC": BTC}, quote=quote * 10**6, positions={"BTC": size * 10**8})

    assert account(*before).may_become(account(*after)) is allowed


@pytest.mark.parametrize(
    ("change", "told"),
    [(0, "not 0"), (1, "part or all of -100000000"), (-(10**8) - 1, "part or all"), (10**9, "part or all")],
)
def test_only_a_part_of_a_position_can_be_closed(change, told):
    with pytest.raises(InputError, match=told):
        one_bitcoin(0).bankruptcy_price("BTC", change)


def test_a_market_without_a_position_is_refused_by_name():
    with pytest.raises(InputError, match=r"position ETH: found nothing; allowed: .*BTC"):
        one_bitcoin(0).fillable_price("ETH", adjustment_ppm=1, spread_ppm=1)
    with pytest.raises(InputError, match=r"positions.ETH: found no such market"):
        QuantumAccount(markets={"BTC": BTC}, quote=0, positions={"ETH": 1})


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"price": Fraction(0)}, "price"),
        ({"initial_ppm": MILLION + 1}, "initial_ppm.*parts per million"),
        ({"fraction_ppm": -1}, "fraction_ppm"),
        ({"custom_ppm": MILLION + 1}, "custom_ppm"),
        ({"open_interest": -1}, "open_interest"),
        ({"lower_cap": 5, "upper_cap": 4}, "lower_cap"),
        ({"base_resolution": 10**25}, "base_resolution.*a power of ten from"),
        ({"quote_resolution": 2_000}, "quote_resolution.*a power of ten from"),
    ],
)
def test_a_market_that_cannot_be_is_refused(terms, told):
    fields = {"price": Fraction(1), "base_resolution": 0, "quote_resolution": 0, "initial_ppm": 1, "fraction_ppm": 1}
    with pytest.raises(InputError, match=told):
        QuantumMarket(**{**fields, **terms})


def test_a_fill_is_worth_its_subticks_rounded_toward_zero():
    assert quantums.fill_value(size=3, subticks=35, conversion_exponent=-2) == 1
    assert quantums.fill_value(size=3, subticks=35, conversion_exponent=1) == 1050
    with pytest.raises(InputError, match="conversion_exponent"):
        quantums.fill_value(size=3, subticks=35, conversion_exponent=-(10**25))
