"""Answers of a venue about an account become a book of it, with what the venue states beside; nothing is guessed."""

from datetime import UTC, datetime

import pytest

from crossmargin.book import Account, Balance, Position
from crossmargin.errors import InvalidFile
from crossmargin.venues import (
    import_binance_account,
    import_bybit_account,
    import_deribit_account,
    import_okx_account,
)
from tests.venues.answers import (
    binance_account,
    binance_asset,
    binance_position,
    binance_risk,
    bybit_coin,
    bybit_position,
    bybit_positions,
    bybit_wallet,
    deribit_position,
    deribit_positions,
    deribit_summaries,
    deribit_summary,
    okx_balance,
    okx_coin,
    okx_instrument,
    okx_position,
    okx_positions,
    write,
)

READERS = {
    "binance": import_binance_account,
    "bybit": import_bybit_account,
    "deribit": import_deribit_account,
    "okx": import_okx_account,
}


def read(folder, venue, *documents, **more):
    paths = [write(folder, f"{k}.json", document) for k, document in enumerate(documents)]
    return READERS[venue](paths, "me", **more)


def figures(imported):
    return {(f.account, f.symbol, f.what): (f.amount, f.unit) for f in imported.stated.figures}


# --- Deribit


def test_deribit_without_cross_collateral_is_an_account_a_currency(tmp_path):
    ether = deribit_summary(currency="ETH", equity=5.0, options_value=0, margin_balance=5.0, initial_margin=0)
    found = read(
        tmp_path, "deribit", deribit_summaries(deribit_summary(), ether), deribit_positions(deribit_position())
    )
    coin = Position(symbol="BTC-PERPETUAL", quantity=-400_000, margin_mode="cross")
    assert found.accounts == (
        Account(id="me-BTC", owner="me", balances=[Balance(asset="BTC", amount=10.0)], positions=[coin]),
        Account(id="me-ETH", owner="me", balances=[Balance(asset="ETH", amount=5.0)], positions=[]),
    )
    assert found.rules_name == "deribit-standard"
    assert found.market.time == datetime.fromtimestamp(1_700_000_000, UTC)
    assert found.market.prices == {"BTC": 40_000.0}
    assert found.market.marks["BTC-PERPETUAL"].price == 40_010.0
    assert found.market.fx == {}
    assert any("value of ETH in USD" in line for line in found.report)
    told = figures(found)
    assert told["me-BTC", None, "equity"] == (10.1, "BTC")
    assert told["me-BTC", None, "initial_margin"] == (1.25, "BTC")
    assert told["me-BTC", "BTC-PERPETUAL", "maintenance_margin"] == (0.15, "BTC")


def test_deribit_with_cross_collateral_is_one_account_valued_by_its_own_totals(tmp_path):
    cross = {"cross_collateral_enabled": True, "margin_model": "cross_pm", "portfolio_margining_enabled": True}
    totals = {
        "total_equity_usd": 404_000.0,
        "total_margin_balance_usd": 400_000.0,
        "total_initial_margin_usd": 50_000.0,
        "total_maintenance_margin_usd": 30_000.0,
    }
    dollar = deribit_summary(currency="USDC", equity=0, options_value=0, margin_balance=401_000.0, **cross, **totals)
    found = read(tmp_path, "deribit", deribit_summaries(deribit_summary(**cross, **totals), dollar))
    (account,) = found.accounts
    assert (account.id, list(account.balances)) == ("me", [Balance(asset="BTC", amount=10.0)])
    assert found.rules_name == "deribit-portfolio"
    assert found.market.fx == {"BTC": 40_000.0}
    assert figures(found)["me", None, "initial_margin"] == (50_000.0, "USD")
    equity = next(f for f in found.stated.figures if f.what == "equity")
    assert equity.contains == {"options that the answers do not list": pytest.approx(0.1 * 40_000)}


def test_margin_without_a_listed_position_is_said_to_be_elsewhere(tmp_path):
    found = read(tmp_path, "deribit", deribit_summaries(deribit_summary(options_value=0)))
    assert found.stated.lacking[0] == "positions: get_positions"
    by = {f.what: f.contains for f in found.stated.figures}
    assert by["maintenance_margin"] == {"positions and open orders that the answers do not list": 0.75}
    idle = read(tmp_path, "deribit", deribit_summaries(deribit_summary(maintenance_margin=0)))
    by = {f.what: f.contains for f in idle.stated.figures}
    assert by["initial_margin"] == {"open orders, which are not imported": 1.25}


def test_a_portfolio_message_has_no_time_and_none_is_invented(tmp_path):
    message = {"method": "subscription", "params": {"data": deribit_summary()}}
    found = read(tmp_path, "deribit", message)
    assert found.market is None
    assert "a time: say it with --time" in found.stated.lacking
    when = datetime(2026, 5, 1, tzinfo=UTC)
    assert read(tmp_path, "deribit", message, time=when).market.time == when


def test_listed_instruments_are_checked_against_their_names(tmp_path):
    row = {
        "instrument_name": "BTC-27DEC24",
        "settlement_currency": "BTC",
        "creation_timestamp": 1,
        "expiration_timestamp": 1_735_286_400_000,
    }
    read(tmp_path, "deribit", {"result": [row]}, deribit_positions(deribit_position()))
    with pytest.raises(InvalidFile, match=r"0.json.result\[0\].expiration_timestamp"):
        read(tmp_path, "deribit", {"result": [row | {"expiration_timestamp": 1_735_286_400_001}]})


# --- OKX


def test_okx_owned_is_cash_and_the_profit_comes_with_the_positions(tmp_path):
    found = read(tmp_path, "okx", okx_positions(okx_position()), okx_balance(okx_coin()))
    (account,) = found.accounts
    assert list(account.balances) == [Balance(asset="USDT", amount=1000.5)]
    assert list(account.positions) == [
        Position(symbol="BTC/USDT:USDT", quantity=-2, entry_price=40_500, margin_mode="cross")
    ]
    assert found.market.prices == {"BTC": 39_990.0}
    assert found.market.fx == {"USDT": pytest.approx(0.999)}
    assert found.market.time == datetime.fromtimestamp(1_700_000_001, UTC)
    told = figures(found)
    assert told["me", None, "equity"] == (1010.5, "USDT")
    assert told["me", "BTC/USDT:USDT", "notional"] == (799.2, "USD")
    initial = next(f for f in found.stated.figures if f.what == "initial_margin" and f.symbol is None)
    assert initial.contains == {"open orders, which are not imported": 5.0}
    chosen = next(f for f in found.stated.figures if f.what == "initial_margin" and f.symbol)
    assert chosen.reasons == ("the venue's is at the leverage the account chose, 20",)


def test_okx_with_an_adjusted_equity_is_one_account_with_totals_in_dollars(tmp_path):
    coin = okx_coin(ccy="BTC", cashBal="1", eq="1", eqUsd="40000", coinUsdPrice="40000", isoEq="0.5")
    found = read(tmp_path, "okx", okx_balance(okx_coin(), coin, adjEq="40900", imr="45", mmr="10", totalEq="41009"))
    assert [account.id for account in found.accounts] == ["me"]
    told = figures(found)
    assert told["me", None, "margin_balance"] == (40_900, "USD")
    equity = next(f for f in found.stated.figures if f.what == "equity")
    assert equity.contains == {"isolated positions that the answers do not list": 20_000.0}


def test_okx_sizes_come_from_its_list_of_instruments(tmp_path):
    position = okx_position(instId="DOGE-USDT-SWAP")
    with pytest.raises(InvalidFile, match=r"0.json.data\[0\].instId: found DOGE-USDT-SWAP.*lists instruments"):
        read(tmp_path, "okx", okx_positions(position))
    found = read(tmp_path, "okx", okx_positions(okx_instrument()), okx_positions(position))
    assert found.instruments[0].contract_size == 1000


def test_okx_isolated_margin_is_ring_fenced_and_loans_are_left_out(tmp_path):
    isolated = okx_position(mgnMode="isolated", posSide="short", pos="2", margin="75.5")
    loan = okx_position(instType="MARGIN", instId="BTC-USDT")
    found = read(tmp_path, "okx", okx_positions(isolated, loan))
    (position,) = found.accounts[0].positions
    assert (position.quantity, position.margin_mode, position.isolated_collateral) == (-2, "isolated", 75.5)
    assert any("loans against spot" in line for line in found.report)
    with pytest.raises(InvalidFile, match=r"data\[0\].margin: found nothing"):
        read(tmp_path, "okx", okx_positions(okx_position(mgnMode="isolated")))


# --- Bybit


def test_bybit_owned_is_the_wallet_less_what_is_borrowed(tmp_path):
    debt = bybit_coin(coin="ETH", walletBalance="0", spotBorrow="0.5", equity="-0.5", usdValue="-1500",
                      unrealisedPnl="0", totalOrderIM="0")  # fmt: skip
    wallet = bybit_wallet(bybit_coin(), debt, totalEquity="3750")
    found = read(tmp_path, "bybit", wallet, bybit_positions(bybit_position(), bybit_position(size="0", side="")))
    (account,) = found.accounts
    assert list(account.balances) == [Balance(asset="ETH", amount=-0.5), Balance(asset="USDT", amount=5000)]
    assert [p.quantity for p in account.positions] == [0.5]
    assert found.market.fx == {"ETH": 3000.0, "USDT": 1.0}
    assert found.market.prices == {"BTC": 50_500.0}
    assert any("No index price" in line and "BTC" in line for line in found.report)
    assert all(not f.contains for f in found.stated.figures if f.what == "equity")


def test_an_answer_that_contradicts_itself_is_told_with_the_amount(tmp_path):
    found = read(tmp_path, "bybit", bybit_wallet(bybit_coin(), totalEquity="6000"))
    equity = next(f for f in found.stated.figures if f.what == "equity")
    assert equity.contains["what its coins do not add up to"] == pytest.approx(750.0)
    assert any("worth 5,250.00 USD" in line for line in found.report)


def test_profit_that_only_one_of_two_answers_knows_is_a_named_part(tmp_path):
    wallet = bybit_wallet(bybit_coin(unrealisedPnl="0", equity="5000", usdValue="5000"), totalEquity="5000")
    found = read(tmp_path, "bybit", wallet, bybit_positions(bybit_position()))
    equity = next(f for f in found.stated.figures if f.what == "equity")
    assert equity.contains == {"profit in the answer on positions and not in that on the account": -250.0}


def test_bybit_isolated_margin_is_taken_out_of_the_wallet(tmp_path):
    isolated = bybit_positions(bybit_position(tradeMode=1))
    found = read(tmp_path, "bybit", bybit_wallet(bybit_coin()), isolated)
    (account,) = found.accounts
    assert list(account.balances) == [Balance(asset="USDT", amount=2500.0)]
    assert account.positions[0].isolated_collateral == 2500.0


def test_both_legs_of_a_hedged_symbol_are_one_figure(tmp_path):
    short = bybit_position(side="Sell", size="0.2", positionIM="1000", positionMM="100")
    found = read(tmp_path, "bybit", bybit_positions(bybit_position(), short))
    figure = next(f for f in found.stated.figures if f.what == "initial_margin")
    assert figure.amount == 3500.0
    assert "long and its short side apart" in figure.reasons[-1]


# --- Binance


def test_binance_answers_on_one_position_are_one_position(tmp_path):
    account = binance_account([binance_asset()], [binance_position(), binance_position(symbol="X", positionAmt="0")])
    found = read(tmp_path, "binance", account, [binance_risk()])
    (me,) = found.accounts
    assert list(me.balances) == [Balance(asset="USDT", amount=1000.0)]
    assert list(me.positions) == [
        Position(symbol="BTC/USDT:USDT", quantity=-0.02, entry_price=40_500, margin_mode="cross")
    ]
    assert found.market.marks["BTC/USDT:USDT"].price == 40_000.0
    told = figures(found)
    assert told["me", None, "initial_margin"] == (60.0, "USDT")
    assert told["me", "BTC/USDT:USDT", "maintenance_margin"] == (4.0, "USDT")
    initial = next(f for f in found.stated.figures if f.what == "initial_margin" and f.symbol is None)
    assert initial.contains == {"open orders, which are not imported": 10.0}
    with pytest.raises(InvalidFile, match=r"1.json\[0\].positionAmt: found -0.03"):
        read(tmp_path, "binance", account, [binance_risk(positionAmt="-0.03")])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"notional": "-800"}, "Mark taken as notional / size"),
        ({}, "Mark taken from entry price and profit"),
    ],
)
def test_a_mark_that_is_not_stated_is_derived_and_that_is_said(tmp_path, changes, told):
    found = read(tmp_path, "binance", binance_account([binance_asset()], [binance_position(**changes)]))
    assert found.market.marks["BTC/USDT:USDT"].price == pytest.approx(40_000.0)
    assert any(line.startswith(told) for line in found.report)


def test_binance_isolated_wallets_are_beside_the_cross_wallet(tmp_path):
    isolated = binance_position(isolated=True, isolatedWallet="500")
    found = read(tmp_path, "binance", binance_account([binance_asset()], [isolated]))
    (me,) = found.accounts
    assert (me.balances[0].amount, me.positions[0].isolated_collateral) == (1000.0, 500.0)


def test_assets_without_multi_assets_mode_are_margined_apart(tmp_path):
    both = [binance_asset(), binance_asset(asset="USDC", walletBalance="5", crossWalletBalance="5")]
    found = read(tmp_path, "binance", binance_account(both, [binance_position()]))
    assert [account.id for account in found.accounts] == ["me-USDC", "me-USDT"]
    joint = read(tmp_path, "binance", binance_account(both, [binance_position()], multiAssetsMargin=True))
    assert [account.id for account in joint.accounts] == ["me"]
    assert figures(joint)["me", None, "equity"] == (1510.0, "USD")


def test_an_account_of_nothing_is_an_account(tmp_path):
    for venue, nothing in (("okx", okx_balance()), ("bybit", bybit_positions()), ("binance", [])):
        found = read(tmp_path, venue, nothing)
        assert found.accounts == (Account(id="me", owner="me", balances=[], positions=[]),)
        assert found.stated.lacking


# --- errors


@pytest.mark.parametrize(
    ("venue", "document", "message"),
    [
        ("deribit", "{", "0.json, line 1, column 2"),
        ("deribit", [], "0.json: found a list; allowed: an answer of get_account_summaries"),
        ("deribit", {"error": {"message": "unauthorized", "code": 13009}}, "0.json.error: found .*unauthorized"),
        ("deribit", {"result": "x"}, "0.json.result: found a text"),
        ("deribit", {"result": [{}]}, "neither positions nor instruments"),
        ("deribit", {"result": {"summaries": [{}]}}, r"result.summaries\[0\].currency: found nothing"),
        ("deribit", deribit_summaries(deribit_summary(equity=None)), r"summaries\[0\].equity: found nothing"),
        ("deribit", deribit_summaries(deribit_summary(equity=True)), r"equity: found the boolean true"),
        ("deribit", deribit_summaries(deribit_summary(margin_model="x")), r"margin_model: found 'x'; allowed: seg"),
        ("deribit", deribit_summaries(deribit_summary(cross_collateral_enabled="x")), "true or false"),
        ("deribit", deribit_summaries(deribit_summary(), usOut=1e30), "usOut: found 1E[+]30"),
        ("deribit", deribit_positions(deribit_position(direction="up")), r"result\[0\].direction: found 'up'"),
        ("deribit", deribit_positions(deribit_position(instrument_name="BTC")), r"instrument_name: found 'BTC'"),
        ("deribit", deribit_positions(deribit_position(mark_price=-1)), r"mark_price: found -1"),
        ("okx", {"code": "50113", "msg": "Invalid Sign", "data": []}, "0.json.code: found 50113.*Invalid Sign"),
        ("okx", {"code": "0"}, "0.json.data: found null"),
        ("okx", okx_positions({"x": 1}), "0.json.data: found rows of anything else"),
        ("okx", okx_balance(okx_coin(ccy=1)), r"data\[0\].details\[0\].ccy: found null|ccy: found"),
        ("okx", okx_balance(okx_coin(cashBal="")), r"details\[0\].cashBal: found nothing"),
        ("okx", okx_balance(okx_coin(cashBal="many")), r"details\[0\].cashBal: found the text 'many'"),
        ("okx", okx_balance(okx_coin(cashBal="1e101")), r"cashBal: found 1e101; allowed: 0, or a number of a size"),
        ("okx", okx_balance(okx_coin(cashBal=1e-101)), r"cashBal: found 1E-101"),
        ("okx", okx_positions(okx_position(posSide="up")), r"data\[0\].posSide: found 'up'"),
        ("okx", okx_positions(okx_position(mgnMode="x")), r"data\[0\].mgnMode: found 'x'"),
        ("okx", okx_positions(okx_position(instId="BTC_USDT")), r"data\[0\].instId: found 'BTC_USDT'"),
        ("bybit", {"retCode": 10003, "retMsg": "API key is invalid."}, "retCode: found 10003.*API key"),
        ("bybit", {"retCode": 0, "result": {}}, "0.json.result.list: found null"),
        ("bybit", bybit_positions({"x": 1}), "result.list: found rows of anything else"),
        (
            "bybit",
            bybit_positions(bybit_position(side="up")),
            r"result.list\[0\].side: found 'up'; allowed: Buy or Sell",
        ),
        ("bybit", bybit_positions(bybit_position(size="-1")), r"result.list\[0\].size: found -1"),
        ("bybit", bybit_positions(bybit_position(tradeMode=1, positionBalance="")), "positionBalance: found nothing"),
        ("bybit", bybit_wallet(bybit_coin(walletBalance=None)), r"coin\[0\].walletBalance: found nothing"),
        ("bybit", bybit_wallet(bybit_coin(usdValue="-5250")), r"coin\[0\].usdValue: found -5250"),
        ("binance", {"code": -2015, "msg": "Invalid API-key"}, "code: found -2015.*Invalid API-key"),
        ("binance", {"x": 1}, "0.json.assets: found null"),
        ("binance", [1], r"0.json\[0\]: found a number"),
        ("binance", [binance_risk(positionAmt="")], r"0.json\[0\].positionAmt: found nothing"),
        ("binance", [binance_risk(symbol="BTC")], r"0.json\[0\].symbol: found 'BTC'"),
        ("binance", [binance_risk(marginType="isolated", isolatedWallet="")], "isolatedWallet: found nothing"),
        ("binance", [binance_risk(isolatedWallet="-1", marginType="isolated")], "isolatedWallet: found -1"),
    ],
)
def test_a_wrong_answer_is_refused_at_its_field(tmp_path, venue, document, message):
    with pytest.raises(InvalidFile, match=message):
        read(tmp_path, venue, document)


@pytest.mark.parametrize("venue", READERS)
def test_a_file_that_is_not_there_is_refused(tmp_path, venue):
    with pytest.raises(InvalidFile, match="a readable file"):
        READERS[venue]([tmp_path / "none.json"], "me")
