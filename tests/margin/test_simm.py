"""SIMM-type margin: against published results where a licensed calibration is at hand, else against our own numbers."""

import csv
from dataclasses import replace
from itertools import combinations
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError, InvalidFile, InvalidRules
from crossmargin.margin.simm import (
    Calibration,
    CurrencyGroups,
    FxRisk,
    NamedRisk,
    RatesRisk,
    Sensitivity,
    parse_calibration,
    parse_crif,
    shortfall_weight,
    simm,
    tenor_days,
    theta,
    vol_scale,
)
from crossmargin.verify import run

CLASSES = ("InterestRate", "FX", "CreditQualifying", "CreditNonQualifying", "Equity", "Commodity")
BUCKETS = ("1", "2", "Residual")


def _named(**changes):
    flat = {
        "weight": {"1": 20.0, "2": 30.0, "Residual": 50.0},
        "vega_weight": dict.fromkeys(BUCKETS, 0.5),
        "historical_vol_ratio": 0.6,
        "rho_same": dict.fromkeys(BUCKETS, 1.0),
        "rho": {"1": 0.3, "2": 0.4, "Residual": 0.0},
        "gamma": {("1", "2"): 0.2, ("2", "1"): 0.2},
        "delta_threshold": dict.fromkeys(BUCKETS, 10.0),
        "vega_threshold": dict.fromkeys(BUCKETS, 100.0),
    }
    return NamedRisk(**{**flat, **changes})


# Round numbers of our own; nobody's calibration.
OURS = Calibration(
    names=("ours",),
    horizon_days=10,
    rates=RatesRisk(
        weight={
            (group, tenor): 50.0 if group == "calm" else 100.0 for group in ("calm", "wild") for tenor in ("1y", "10y")
        },
        weight_group=CurrencyGroups(of={"USD": "calm"}, other="wild"),
        inflation_weight=60.0,
        basis_weight=20.0,
        vega_weight=0.2,
        historical_vol_ratio=0.5,
        tenor_rho={("1y", "10y"): 0.5, ("10y", "1y"): 0.5},
        sub_curve_rho=0.9,
        inflation_rho=0.4,
        basis_rho=0.1,
        gamma=0.25,
        threshold_group=CurrencyGroups(of={}, other="all"),
        delta_threshold={"all": 100.0},
        vega_threshold={"all": 100.0},
    ),
    fx=FxRisk(
        weight={("calm", "calm"): 7.0, ("calm", "wild"): 13.0, ("wild", "calm"): 13.0, ("wild", "wild"): 10.0},
        weight_group=CurrencyGroups(of={"TRY": "wild"}, other="calm"),
        vega_weight=0.5,
        historical_vol_ratio=0.6,
        rho={(h, a, b): 0.5 for h in ("calm", "wild") for a in ("calm", "wild") for b in ("calm", "wild")},
        vol_rho=0.5,
        threshold_group=CurrencyGroups(of={}, other="all"),
        delta_threshold={"all": 1000.0},
        vega_threshold={("all", "all"): 100.0},
    ),
    named={
        "Equity": _named(without_curvature=frozenset({"2"})),
        "Commodity": _named(),
        "CreditQualifying": _named(
            historical_vol_ratio=1.0,
            rho_same=dict.fromkeys(BUCKETS, 0.9),
            vol_weighted=True,
            base_correlation_weight=10.0,
            base_correlation_rho=0.25,
        ),
        "CreditNonQualifying": _named(historical_vol_ratio=1.0, vol_weighted=True),
    },
    psi={(a, b): 0.3 for a in CLASSES for b in CLASSES if a != b},
)


def row(risk_type, qualifier, amount, **terms):
    product = {"IR": "RatesFX", "FX": "RatesFX", "Eq": "Equity", "Co": "Commodity", "Cr": "Credit", "Ba": "Credit"}
    return Sensitivity(
        **{
            "product": product.get(risk_type[5:7], "RatesFX"),
            "risk_type": risk_type,
            "qualifier": qualifier,
            "amount": amount,
            **terms,
        }
    )


def total(*rows, currency="USD"):
    return simm(rows, OURS, currency=currency).total


# --- published numbers


def calibrations(shared):
    return shared / "data" / "accounts" / "ore_simm"


def test_published_unit_values_come_out_with_the_licensed_parameters(shared):
    report = run([shared / "golden" / "simm.json"], calibrations(shared))
    assert [f"{case.id}: {case.error}" for case in report.failures] == []
    assert sum(case.passed is True for case in report.cases) == 24


def test_without_the_licensed_parameters_nothing_is_run_and_nothing_fails(shared, monkeypatch):
    monkeypatch.delenv("CROSSMARGIN_PARAMETERS", raising=False)
    report = run([shared / "golden" / "simm.json"])
    assert all(case.not_run for case in report.cases)
    assert report.exit_code() == 0
    assert report.exit_code(strict=True) == 1


@pytest.mark.parametrize("version", ["2.4", "2.6"])
@pytest.mark.parametrize("days", [10, 1])
@pytest.mark.parametrize("side", ["Call", "Post"])
def test_a_published_portfolio_comes_out_under_two_versions_two_horizons_and_from_both_sides(
    shared, version, days, side
):
    """What the other side must post is the margin of the same sensitivities with the opposite sign."""
    folder = calibrations(shared)
    path = folder / f"simmcalibration_{version}.xml"
    calibration = parse_calibration(path.read_text(encoding="utf-8"), path.name, horizon_days=days)
    rows = parse_crif((folder / "Input" / "Simm" / "crif.csv").read_text(encoding="utf-8"), "crif.csv")
    sign = 1.0 if side == "Call" else -1.0
    margin = simm([replace(r, amount=sign * r.amount) for r in rows], calibration)
    published = {}
    with (folder / "ExpectedOutput" / f"SIMM{version}_{days}D" / "simm.csv").open(encoding="utf-8") as file:
        for cells in csv.reader(file):
            if cells[1:3] == ["All", "All"] and cells[5] == side:
                published[cells[3]] = float(cells[7])
    assert margin.of("delta") == pytest.approx(published["Delta"], rel=1e-12)
    assert margin.of("vega") == pytest.approx(published["Vega"], rel=1e-12)
    assert margin.of("curvature") == pytest.approx(published.get("Curvature", 0.0), rel=1e-11)
    assert margin.total == pytest.approx(published["All"], rel=1e-12)


# --- one formula at a time, by hand


def test_a_price_delta_is_weight_times_amount():
    assert total(row("Risk_Equity", "A", 2e6, bucket="1")) == 40e6


def test_above_the_threshold_the_charge_grows_with_the_root_of_the_size():
    assert total(row("Risk_Equity", "A", -40e6, bucket="1")) == pytest.approx(20 * 40e6 * 2)


def test_two_names_of_one_bucket_correlate_less_the_more_their_concentration_differs():
    """CR 1 and 2: f = 1/2, so rho 0.3 counts as 0.15."""
    a, b = 20 * 1e6, 20 * 40e6 * 2
    got = total(row("Risk_Equity", "A", 1e6, bucket="1"), row("Risk_Equity", "B", 40e6, bucket="1"))
    assert got == pytest.approx(sqrt(a * a + b * b + 2 * 0.3 * 0.5 * a * b))


def test_the_residual_bucket_offsets_nothing():
    long, short = row("Risk_Equity", "A", 1e6, bucket="1"), row("Risk_Equity", "A", -1e6, bucket="residual")
    assert total(long, short) == total(long) + total(short) == 20e6 + 50e6


def test_rates_of_two_currencies_offset_by_gamma_and_two_curves_nearly_as_one():
    usd = row("Risk_IRCurve", "USD", 1e5, label1="1y", label2="OIS")
    other_curve = row("Risk_IRCurve", "USD", -1e5, label1="1y", label2="Libor3m")
    eur = row("Risk_IRCurve", "EUR", 1e5, label1="1y", label2="OIS")
    assert total(usd) == 5e6
    assert total(usd, other_curve) == pytest.approx(sqrt(2 * (1 - 0.9)) * 5e6)
    assert total(usd, eur) == pytest.approx(sqrt(25 + 100 + 2 * 0.25 * 50) * 1e6)


def test_the_cross_currency_basis_has_no_concentration_and_adds_to_nobodys():
    basis = row("Risk_XCcyBasis", "USD", 400e6)
    curve = row("Risk_IRCurve", "USD", 100e6, label1="10y", label2="OIS")
    assert total(basis) == 20 * 400e6
    k = 50 * 100e6
    assert total(basis, curve) == pytest.approx(sqrt((8e9) ** 2 + k**2 + 2 * 0.1 * 8e9 * k))


def test_inflation_counts_in_the_concentration_of_its_currency():
    inflation = row("Risk_Inflation", "USD", 300e6)
    curve = row("Risk_IRCurve", "USD", 100e6, label1="10y", label2="OIS")
    a, b = 60 * 300e6 * 2, 50 * 100e6 * 2
    assert total(inflation, curve) == pytest.approx(sqrt(a * a + b * b + 2 * 0.4 * a * b))


def test_the_calculation_currency_has_no_risk_and_groups_choose_the_weight():
    assert total(row("Risk_FX", "USD", 5e6)) == 0
    assert total(row("Risk_FX", "TRY", 5e6)) == 13 * 5e6
    assert total(row("Risk_FX", "TRY", 5e6), currency="TRY") == 0
    assert total(row("Risk_FX", "EUR", 5e6), currency="TRY") == 13 * 5e6


def test_a_vol_pair_is_one_factor_in_either_order():
    one = row("Risk_FXVol", "EURUSD", 1e5, label1="1y")
    other = row("Risk_FXVol", "usd/eur", -1e5, label1="1y")
    assert total(one, other) == 0
    sigma = 7 * vol_scale()
    vega, bent = 0.5 * 0.6 * sigma * 1e5, 0.5 * (14 / 365) * sigma * 1e5
    assert total(one) == pytest.approx(vega + bent * (1 + shortfall_weight(0)))


def test_options_on_a_vol_index_have_vega_and_no_curvature():
    margin = simm([row("Risk_EquityVol", "VIX", 1e5, bucket="2", label1="1m")], OURS)
    assert margin.of("curvature") == 0
    assert margin.of("vega") == pytest.approx(0.5 * 0.6 * 30 * vol_scale() * 1e5)


def test_credit_vols_are_not_scaled_again_and_expiries_are_factors_of_their_own():
    rows = [row("Risk_CreditVol", "A", 1e6, bucket="1", label1=tenor) for tenor in ("1y", "5y")]
    vega = simm(rows, OURS).of("vega")
    assert vega == pytest.approx(0.5e6 * sqrt(2 + 2 * 0.9))


def test_base_correlation_is_added_to_its_class():
    margin = simm([row("Risk_BaseCorr", "CDX", 3.0), row("Risk_BaseCorr", "ITRAXX", -4.0)], OURS)
    assert margin.of("base_correlation") == margin.total == pytest.approx(sqrt(900 + 1600 - 2 * 0.25 * 1200))


def test_risk_classes_of_a_product_are_combined_and_products_add_up():
    rates = row("Risk_IRCurve", "USD", 1e5, label1="1y", label2="OIS")
    fx = row("Risk_FX", "EUR", 1e6)
    equity = row("Risk_Equity", "A", 1e6, bucket="1")
    assert total(rates, fx) == pytest.approx(sqrt(25 + 49 + 2 * 0.3 * 35) * 1e6)
    assert total(rates, fx, equity) == pytest.approx(total(rates, fx) + 20e6)


def test_tenors_are_days():
    assert tenor_days("2w") == 14
    assert tenor_days("6m") == 182.5
    assert tenor_days("10Y") == 3650
    for wrong in ("", "w", "0y", "-1y", "1.y.", "ten"):
        with pytest.raises(InputError, match="tenor"):
            tenor_days(wrong)


def test_theta_is_between_minus_one_and_nothing():
    assert theta(np.array([])) == 0
    assert theta(np.array([1.0, -0.5])) == 0
    assert theta(np.array([-1.0, -2.0])) == -1
    assert shortfall_weight(-1.0) == 1.0


# --- promises

amounts = st.integers(-5000, 5000).map(lambda n: n * 1000.0)
equities = st.lists(
    st.builds(
        lambda name, bucket, amount: row("Risk_Equity", name, amount, bucket=bucket),
        st.sampled_from("ABCD"),
        st.sampled_from(BUCKETS),
        amounts,
    ),
    max_size=8,
)
rates_rows = st.lists(
    st.builds(
        lambda currency, tenor, curve, amount: row("Risk_IRCurve", currency, amount, label1=tenor, label2=curve),
        st.sampled_from(["USD", "EUR", "JPY"]),
        st.sampled_from(["1y", "10y"]),
        st.sampled_from(["OIS", "Libor3m"]),
        amounts,
    ),
    max_size=8,
)
vols = st.lists(
    st.builds(
        lambda name, bucket, tenor, amount: row("Risk_EquityVol", name, amount, bucket=bucket, label1=tenor),
        st.sampled_from("ABCD"),
        st.sampled_from(BUCKETS),
        st.sampled_from(["1m", "1y"]),
        amounts,
    ),
    max_size=6,
)
portfolios = st.builds(lambda *parts: [r for part in parts for r in part], equities, rates_rows, vols)


@given(portfolios)
def test_nothing_owes_less_than_nothing(rows):
    assert simm([], OURS).total == 0
    assert simm(rows, OURS).total >= 0


@given(portfolios, st.randoms())
def test_order_changes_no_bit(rows, random):
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert simm(shuffled, OURS).total == simm(rows, OURS).total


@given(portfolios)
def test_a_portfolio_and_its_opposite_owe_nothing_together(rows):
    assert simm([*rows, *(replace(r, amount=-r.amount) for r in rows)], OURS).total == 0


@given(equities, rates_rows, st.integers(1, 3))
def test_below_the_thresholds_n_times_a_portfolio_owes_n_times_as_much(equity, rates, n):
    rows = [replace(r, amount=r.amount / 100.0) for r in (*equity, *rates)]
    scaled = [replace(r, amount=n * r.amount) for r in rows]
    assert simm(scaled, OURS).total == pytest.approx(n * simm(rows, OURS).total, rel=1e-12)


@given(st.integers(1, 10**9), st.integers(2, 5))
def test_n_times_a_name_owes_at_least_n_times_as_much(amount, n):
    """P3 with a concentration charge: more, once the threshold is passed."""
    one = total(row("Risk_Equity", "A", float(amount), bucket="1"))
    assert total(row("Risk_Equity", "A", float(n * amount), bucket="1")) >= n * one * (1 - 1e-12)


def test_two_portfolios_together_may_owe_more_than_apart():
    """P2 is not claimed: two that hold the same name share its threshold only when they are one."""
    a = row("Risk_Equity", "A", 10e6, bucket="1")
    assert total(a) == 200e6
    together = total(a, a)
    assert together == pytest.approx(400e6 * sqrt(2))
    assert together > total(a) + total(a)


@given(equities)
def test_the_delta_margin_is_that_of_a_slow_twin(rows):
    """The formula once more, in plain Python, name by name."""
    risk = OURS.named["Equity"]
    size = {}
    for r in rows:
        size[r.bucket, r.qualifier] = size.get((r.bucket, r.qualifier), 0.0) + r.amount
    ratio = {k: max(1.0, sqrt(abs(s) / (risk.delta_threshold[k[0]] * 1e6))) for k, s in size.items()}
    weighted = {k: risk.weight[k[0]] * s * ratio[k] for k, s in size.items()}
    k_of, sum_of = {}, {}
    for bucket in BUCKETS:
        mine = sorted(k for k in size if k[0] == bucket)
        square = sum(weighted[k] ** 2 for k in mine)
        for a, b in combinations(mine, 2):
            f = min(ratio[a], ratio[b]) / max(ratio[a], ratio[b])
            square += 2 * risk.rho[bucket] * f * weighted[a] * weighted[b]
        k_of[bucket] = sqrt(max(square, 0.0))
        sum_of[bucket] = max(-k_of[bucket], min(k_of[bucket], sum(weighted[k] for k in mine)))
    square = k_of["1"] ** 2 + k_of["2"] ** 2 + 2 * 0.2 * sum_of["1"] * sum_of["2"]
    assert simm(rows, OURS).total == pytest.approx(sqrt(max(square, 0.0)) + k_of["Residual"], rel=1e-9, abs=1e-3)


# --- what is refused


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"product": "Rates"}, "product"),
        ({"risk_type": "Risk_Equities"}, "risk_type"),
        ({"qualifier": ""}, "qualifier"),
        ({"amount": float("nan")}, "amount"),
        ({"amount": True}, "amount"),
        ({"risk_type": "Risk_FXVol", "qualifier": "EUR"}, "qualifier"),
        ({"risk_type": "Risk_FXVol", "qualifier": "EUREUR"}, "qualifier"),
    ],
)
def test_a_row_that_cannot_be_is_refused(changes, where):
    with pytest.raises(InputError) as error:
        Sensitivity(**{"product": "Equity", "risk_type": "Risk_Equity", "qualifier": "A", "amount": 1.0, **changes})
    assert error.value.where == where


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (row("Risk_Equity", "A", 1.0, bucket="9"), "bucket of Risk_Equity: found '9'"),
        (row("Risk_IRCurve", "USD", 1.0, label1="7y"), "tenor of Risk_IRCurve: found 'calm 7y'"),
        (row("Risk_EquityVol", "A", 1.0, bucket="1", label1="soon"), "label1: found 'soon'"),
    ],
)
def test_a_factor_the_calibration_does_not_have_is_refused_by_name(bad, said):
    with pytest.raises(InputError, match=said):
        simm([bad], OURS)


def test_a_bucket_without_all_its_numbers_is_refused():
    with pytest.raises(InvalidRules, match="nothing for bucket 2"):
        _named(rho={"1": 0.3, "Residual": 0.0})


CRIF = "ProductClass,RiskType,Qualifier,Bucket,Label1,Label2,AmountCurrency,Amount,AmountUSD\n"


def test_amounts_are_converted_or_taken_in_dollars_as_stated():
    text = CRIF + "Equity,Risk_Equity,A,1,,,EUR,10,11\nEquity,Risk_Equity,B,1,,,USD,5,\n\n"
    assert [r.amount for r in parse_crif(text, "x.csv")] == [11, 5]
    assert [r.amount for r in parse_crif(text, "x.csv", currency="EUR", fx={"USD": 0.9})] == [10, 4.5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no lines"),
        ("ProductClass,RiskType\n", "row 1: found no column Qualifier"),
        (CRIF.replace("AmountCurrency,Amount,AmountUSD", "Amounts"), "no amounts"),
        (CRIF.replace("Label2", "Label1"), "row 1: found the column Label1 twice"),
        (CRIF + "Equity,Risk_Equity,A,1\n", "row 2: found 4 cells"),
        (CRIF + "Equity,Risk_Equity,A,1,,,USD,ten,\n", "row 2, column Amount: found 'ten'"),
        (CRIF + "Equity,Risk_Equity,A,1,,,GBP,10,\n", "row 2, column AmountCurrency: found GBP"),
        (CRIF + "Equity,Risk_Equty,A,1,,,USD,10,\n", "row 2, risk_type: found 'Risk_Equty'"),
        (CRIF + "Equity,Risk_Equity,A,1,,,USD,inf,\n", "a finite number"),
    ],
)
def test_a_crif_table_that_is_wrong_is_refused_with_row_and_column(text, said):
    with pytest.raises(InvalidFile, match=said):
        parse_crif(text, "x.csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<a", "line 1"),
        ("<a/>", "<SIMMCalibrationData>"),
        ("<!DOCTYPE a><a/>", "plain XML"),
        ("<SIMMCalibrationData/>", "0 of them"),
    ],
)
def test_a_text_that_is_no_calibration_is_refused(text, said):
    with pytest.raises(InvalidFile, match=said):
        parse_calibration(text, "x.xml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('<Weight bucket="1">25</Weight>', '<Weight bucket="1">much</Weight>', "'much'"),
        ('<Weight bucket="1">25</Weight>', "<Weight>25</Weight>", "no bucket"),
        ("<SubCurves>0.986", "<SubCurves>1.986", "from -1 to 1"),
        ('label1="InterestRate" label2="FX">0.28', 'label1="InterestRate" label2="FX">0.38', "one number a pair"),
        ('<Currency bucket="3">Other', '<Currency bucket="3">Others', "no group for Other"),
    ],
)
def test_a_calibration_with_a_wrong_number_is_refused_with_its_place(shared, old, new, said):
    text = (calibrations(shared) / "simmcalibration_2.4.xml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(InvalidFile, match=said):
        parse_calibration(text.replace(old, new, 1), "x.xml")


def test_a_horizon_the_calibration_does_not_have_is_refused(shared):
    text = (calibrations(shared) / "simmcalibration_2.4.xml").read_text(encoding="utf-8")
    with pytest.raises(InvalidFile, match="mporDays 5"):
        parse_calibration(text, "x.xml", horizon_days=5)
