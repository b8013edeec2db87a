"""A house under a rule book, with one perpetual on BTC, alice who has 10,000 USD, and a maker who has plenty."""

from crossmargin.clearing import ClearedTrade, ClearTrades, ListInstrument, OpenAccount, UpdateMarks
from crossmargin.clearing.rule_book import RuleBookView
from crossmargin.market import Market
from crossmargin.rules import load
from tests.clearing_desk import Desk

START = 1_795_000_000
MARKET = Market(time="2026-11-20T08:00:00Z", vol_annual={"BTC": 0.6, "USD": 0.01})
PERPETUAL = {
    "symbol": "P",
    "type": "perpetual",
    "underlying": "BTC",
    "quote": "USD",
    "asset_class": "crypto",
    "tick_size": "0.5",
    "lot_size": "0.1",
}


def world(*more, rules="grid"):
    desk = Desk("alice", "maker", risk=RuleBookView(load(rules), MARKET), start=START)
    desk.do(ListInstrument(terms=PERPETUAL))
    mark(desk, 60_000)
    desk.pay_in("alice", 10_000_00)
    desk.pay_in("maker", 10**11)
    for name in more:
        desk.do(OpenAccount(account=name))
        desk.pay_in(name, 10_000_00)
    return desk


def mark(desk, price):
    return desk.do(UpdateMarks(instruments={"P": 2 * price}, indices={"BTC": price * 10**8}))


def buy(desk, account, lots, price):
    buyer, seller = (account, "maker") if lots > 0 else ("maker", account)
    desk.do(ClearTrades(trades=[ClearedTrade(symbol="P", buyer=buyer, seller=seller, lots=abs(lots), ticks=2 * price)]))


def standing(desk, account):
    return desk.state.risk.standing(desk.number(account))


def status(desk, account):
    return desk.state.standings.of(desk.number(account))
