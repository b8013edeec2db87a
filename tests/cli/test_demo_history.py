"""The demo book's closes: real ones where arch is, the same made-up ones everywhere."""

import csv
import sys
from datetime import date

import numpy as np
import pytest

from crossmargin.cli import demo_history
from crossmargin.cli.demo_history import FIRST, LAST
from crossmargin.files import read_book
from tests.cli.conftest import command


def returns(history, name):
    closes = history.series(name)
    return np.diff(np.log(closes[~np.isnan(closes)]))


@pytest.fixture
def without_arch(monkeypatch):
    monkeypatch.setattr(demo_history, "find_spec", lambda name: None)


def test_shares_and_oil_are_the_closes_that_arch_ships():
    data = pytest.importorskip("arch.data.sp500", exc_type=ImportError)
    pandas_closes = data.load()["Close"]
    found = demo_history.demo_history()
    assert found.real
    history = found.history
    assert (history.days[0], history.days[-1]) == (FIRST, LAST)
    for day in (FIRST, date(2016, 6, 24), LAST):
        assert history.series("SPX")[history.days.index(day)] == pandas_closes[str(day)]
    assert {"SPX", "NASDAQ", "WTI", "SPX.vol", "BTC", "ETH", "EUR", "USDC"} == set(history.names)
    assert 0.08 < np.nanmin(history.series("SPX.vol")) < np.nanmax(history.series("SPX.vol")) < 0.60


def test_reading_what_arch_ships_does_not_import_it():
    ran = command("margin", "demo", "--json")
    assert ran.document["scenarios"]["source"] == "history"
    code = (
        "import sys; from crossmargin.cli.demo_history import demo_history; demo_history();"
        "assert 'arch' not in sys.modules and 'pandas' not in sys.modules"
    )
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_made_up_closes_are_the_same_every_time_and_have_the_vols_and_correlations_they_are_drawn_with():
    history = demo_history.demo_history().history
    again = demo_history.demo_history().history
    np.testing.assert_array_equal(history.closes, again.closes)
    for name, vol in (("BTC", 0.52), ("ETH", 0.64), ("EUR", 0.08)):
        assert returns(history, name).std() * np.sqrt(252) == pytest.approx(vol, rel=0.25)
        assert history.series(name)[-1] == pytest.approx(demo_history._MADE[name].last)
    assert np.corrcoef(returns(history, "BTC"), returns(history, "ETH"))[0, 1] == pytest.approx(0.85, abs=0.07)
    assert np.corrcoef(returns(history, "BTC"), returns(history, "SPX"))[0, 1] == pytest.approx(0.30, abs=0.10)
    assert np.abs(history.series("USDC") - 0.9998).max() < 0.003


def test_heavy_tailed_draws_are_students_t_of_variance_one():
    draws = np.concatenate([demo_history._heavy_tailed(f"stream {k}", 5_000) for k in range(20)]) * np.sqrt(2.0)
    # Quantiles of t with 4 degrees of freedom, from tables.
    for p, quantile in ((0.75, 0.7407), (0.95, 2.1318), (0.99, 3.7469)):
        assert np.mean(draws < quantile) == pytest.approx(p, abs=0.003)
        assert np.mean(draws < -quantile) == pytest.approx(1.0 - p, abs=0.003)


def test_without_arch_everything_is_made_up_and_it_says_so(crossmargin, without_arch):
    found = demo_history.demo_history()
    assert not found.real
    assert {"SPX", "NASDAQ", "WTI", "BTC", "ETH", "EUR", "USDC"} == set(found.history.names)
    assert returns(found.history, "SPX").std() * np.sqrt(252) == pytest.approx(0.16, rel=0.3)
    ran = crossmargin("margin", "demo", "--json")
    assert ran.document["scenarios"]["source"] == "history"
    assert "made up" in ran.err
    assert "crossmargin[demo]" in ran.err


def test_a_copy_of_the_demo_book_brings_its_closes_and_stands_as_the_word_does(crossmargin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = crossmargin("init", "mine", "--demo")
    assert ran.code == 0
    with open("mine/history.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 7_000
    history = read_book("mine").market.history
    np.testing.assert_array_equal(history.closes, demo_history.demo_history().history.closes)
    assert crossmargin("margin", "mine", "--json").document == crossmargin("margin", "demo", "--json").document


def test_closes_that_are_already_there_are_not_overwritten(crossmargin, tmp_path):
    (tmp_path / "history.csv").write_text("mine")
    ran = crossmargin("init", tmp_path, "--demo")
    assert ran.code == 2
    assert (tmp_path / "history.csv").read_text() == "mine"
    assert not (tmp_path / "book.toml").exists()
