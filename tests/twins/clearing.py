"""Slow twin of the clearing house: books kept by name in fractions, one command at a time, sharing no code with it.

`Books.do` is told a command and when it was taken; it says what must come of it: `APPLIED`, the names of the reasons
for which it may be refused, or `UNSURE` where margin decides, and then `settle` is told what the house said.
"""

import struct
from collections import defaultdict
from datetime import datetime
from fractions import Fraction
from math import ceil, floor
from types import SimpleNamespace

from tests.twins.clearing_credit import Credit
from tests.twins.clearing_flows import PRICE, Flows
from tests.twins.clearing_money import HERE, HOUSE, LIMIT, SECOND, TIERS, Money, a_name

APPLIED = frozenset()
KINDS = ("house", "client", "omnibus_net", "omnibus_gross")
MOST = 2**40
MARGIN = ("margin_is_insufficient", "mark_is_missing")
UNTOLD = "refused, as all of its batch were; why is not told"


class Paper:
    """A contract as it is printed: exact sizes, and what a lot at a price is worth in minor units."""

    def __init__(self, terms, decimals, maker, taker):
        self.terms = terms
        self.kind = terms["type"]
        self.underlying = terms["underlying"]
        self.settle = terms.get("settle", terms["underlying"] if terms.get("inverse") == "true" else terms["quote"])
        self.tick, self.lot = Fraction(terms["tick_size"]), Fraction(terms["lot_size"])
        self.size = self.lot * Fraction(terms.get("contract_size", "1")) * 10**decimals
        self.option = self.kind == "option"
        self.inverse = terms.get("inverse") == "true" and not self.option
        self.signed = terms.get("price_domain", "positive") == "any"
        self.maker, self.taker = Fraction(maker, 10**6), Fraction(taker, 10**6)
        self.settled = False
        self.waits = False
        """Listed, and not trading yet."""
        self.expiry = None
        if "expiry" in terms:
            self.expiry = int(datetime.fromisoformat(terms["expiry"]).timestamp()) * SECOND

    def fee(self, lots, ticks, rate):
        """Return the fee of a trade: on the notional made whole, rounded up where charged, down where paid out."""
        notional = abs(self.worth(lots, ticks))
        return ceil((ceil(notional) if rate > 0 else floor(notional)) * rate)

    def worth(self, lots, ticks):
        """Return the exact value of lots at a price in ticks, to their holder."""
        if self.inverse:
            return -lots * self.size / (ticks * self.tick)
        return lots * self.size * self.tick * ticks

    def ends(self, lots, price):
        """Return the exact value of lots at the end, at a price in 1e-8."""
        price = Fraction(price, PRICE)
        if self.option:
            gain = price - Fraction(self.terms["strike"])
            payoff = lots * self.size * max(gain if self.terms["option_type"] == "call" else -gain, 0)
            return payoff / price if self.terms.get("inverse") == "true" else payoff
        return -lots * self.size / price if self.inverse else lots * self.size * price


class Books(Money, Flows, Credit):
    """Who has what, by name. Money in minor units; (lots, cost) of each position."""

    def __init__(self):
        Money.__init__(self)
        Flows.__init__(self)
        Credit.__init__(self)
        self.papers = {}
        self.held = defaultdict(lambda: [Fraction(0), Fraction(0)])
        self.now = 0
        self.reply = None

    # --- what the house is asked

    def do(self, command, now, reply=None):
        """Return why a command must be refused, one of several reasons; APPLIED where it has taken effect here too."""
        self.now, self.reply = now, reply
        kind = type(command).__name__
        if (self.currency is None) != (kind == "OpenHouse"):
            return {"house_is_open_already" if kind == "OpenHouse" else "house_is_not_open"}
        refused, effect = getattr(self, "_" + kind)(command)
        if refused:
            return set(refused)
        effect()
        for event in getattr(reply, "events", ()):
            # How long a default delays what leaves is margin's word, and the house's parameter.
            if type(event).__name__ == "WithdrawalsDelayed":
                self.delayed_until = event.until
        return APPLIED

    def _OpenHouse(self, c):  # noqa: N802
        refused = []
        if c.currency not in c.assets:
            refused.append("unknown_asset")
        for name, (decimals, _) in c.assets.items():
            if not a_name(name) or not 0 <= decimals <= 9:
                refused.append("terms_are_invalid")

        def effect():
            self.currency = c.currency
            self.decimals = {name: decimals for name, (decimals, _) in c.assets.items()}
            for name in HOUSE:
                self.accounts[name] = {"owner": "", "member": "", "kind": "house"}

        return refused, effect

    def _OpenAccount(self, c):  # noqa: N802
        refused = []
        if c.account in self.accounts:
            refused.append("account_exists")
        if not a_name(c.account) or (c.owner and not a_name(c.owner)):
            refused.append("name_is_not_allowed")
        if c.kind not in KINDS or c.tier not in TIERS:
            refused.append("terms_are_invalid")
        if c.member and (c.member not in self.accounts or c.member in HOUSE):
            refused.append("unknown_account")
        elif c.member and (c.member not in self.members or c.kind == "house"):
            refused.append("account_is_no_member")

        def effect():
            self.accounts[c.account] = {
                "owner": c.owner or c.account,
                "member": c.member,
                "kind": c.kind,
                "tier": c.tier,
            }

        return refused, effect

    def _ListInstrument(self, c):  # noqa: N802
        terms = c.terms
        if terms.get("type") not in ("future", "perpetual", "option", "spot") or "underlying" not in terms:
            return ["terms_are_invalid"], None
        if terms["symbol"] in self.papers:
            return ["instrument_exists"], None
        settle = terms.get("settle", terms["underlying"] if terms.get("inverse") == "true" else terms["quote"])
        if settle not in self.decimals:
            return ["unknown_asset"], None
        if "tick_size" not in terms or "lot_size" not in terms or terms["type"] == "spot":
            return ["terms_are_not_whole_units"], None
        paper = Paper(terms, self.decimals[settle], c.maker_fee, c.taker_fee)
        if not paper.inverse and (paper.size * paper.tick).denominator != 1:
            return ["terms_are_not_whole_units"], None
        if not abs(c.maker_fee) <= c.taker_fee < 10**6 or (paper.expiry is not None and paper.expiry <= self.now):
            return ["terms_are_invalid"], None
        paper.waits = not c.trades
        return [], lambda: self.papers.update({terms["symbol"]: paper})

    def _StartTrading(self, c):  # noqa: N802
        if c.instrument not in self.papers:
            return ["unknown_instrument"], None
        paper = self.papers[c.instrument]
        ready = paper.waits and not paper.settled and (paper.expiry is None or self.now < paper.expiry)
        return [] if ready else ["stage_does_not_allow_it"], lambda: setattr(paper, "waits", False)

    def _Delist(self, c):  # noqa: N802
        if c.instrument not in self.papers:
            return ["unknown_instrument"], None
        paper = self.papers[c.instrument]
        refused = [] if paper.expiry is None and not paper.settled else ["stage_does_not_allow_it"]
        held = any((any(row) or self.owing[a, s]) and s == c.instrument for (a, s), row in [*self.held.items()])
        if held or any(o["symbol"] == c.instrument for o in self.orders.values()):
            refused.append("instrument_is_held")
        return refused, lambda: setattr(paper, "settled", True)

    def _UpdateMarks(self, c):  # noqa: N802
        refused = []
        for symbol, ticks in c.instruments.items():
            paper = self.papers.get(symbol)
            if paper is None:
                refused.append("unknown_instrument")
            elif paper.settled:
                refused.append("instrument_is_settled")
            elif not (-MOST if paper.signed else 0 if paper.option else 1) <= ticks <= MOST:
                refused.append("mark_is_impossible")
        names = {p.underlying: p.signed for p in self.papers.values()}
        for name, price in c.indices.items():
            if name not in self.decimals and name not in names:
                refused.append("unknown_asset")
            elif not (-LIMIT if names.get(name) else 1) <= price <= LIMIT:
                refused.append("mark_is_impossible")
        if not (c.instruments or c.indices or c.vols):
            refused.append("batch_is_empty")

        def effect():
            for symbol, ticks in c.instruments.items():
                self.marks[symbol] = (ticks, self.now)
            for name, price in c.indices.items():
                self.indices[name] = (price, self.now)

        return refused, effect

    # --- trading

    def _cannot_trade(self, symbol, lots, ticks):
        paper = self.papers.get(symbol)
        if paper is None:
            return ["unknown_instrument"]
        refused = []
        if paper.settled or paper.waits or (paper.expiry is not None and self.now >= paper.expiry):
            refused.append("instrument_does_not_trade")
        if lots == 0 or abs(lots) > MOST:
            refused.append("lots_are_impossible")
        if not (-MOST if paper.signed else 1) <= ticks <= MOST:
            refused.append("price_is_impossible")
        if not refused and (
            abs(paper.worth(lots, ticks)) >= LIMIT or (paper.inverse and self._beyond(paper, lots, ticks))
        ):
            refused.append("amount_too_large")
        return refused

    def _beyond(self, paper, lots, ticks):
        """Of an inverse contract: whether the parts of the fraction that a trade is worth fit 62 bits."""
        ratio = paper.size / paper.tick
        return abs(lots) * ratio.numerator >= LIMIT or ticks * ratio.denominator >= LIMIT

    def _free(self, account, asset):
        return self.at(account, asset) - self.on_hold(account, asset)

    def _reduces(self, account, symbol, lots, resting=0):
        position = self.held[account, symbol][0]
        return position * lots < 0 and abs(lots) + resting <= abs(position)

    def _CheckOrder(self, c):  # noqa: N802
        refused = self._who(c.account)
        if not a_name(c.order):
            refused.append("name_is_not_allowed")
        if c.order in self.orders:
            refused.append("order_exists")
        refused += self._cannot_trade(c.symbol, c.lots, c.ticks)
        if refused:
            return refused, None
        paper = self.papers[c.symbol]
        resting = sum(
            abs(o["lots"])
            for o in self.orders.values()
            if (o["account"], o["symbol"]) == (c.account, c.symbol) and o["lots"] * c.lots > 0
        )
        reduces = self._reduces(c.account, c.symbol, c.lots, resting)
        if c.reduce_only and not reduces:
            return ["order_reduces_nothing"], None
        needed = (paper.worth(c.lots, c.ticks) if paper.option else 0) + paper.fee(c.lots, c.ticks, paper.taker)
        before = self.held[c.account, c.symbol][0] + (resting if c.lots > 0 else -resting)
        refused = self._held_back(c.account, c.symbol, before, c.lots, reduces)
        if refused:
            return refused, None
        reserve, asset = 0 if reduces else max(0, needed), paper.settle
        if self.margined:
            refused = self._word(*MARGIN)
            reserve, asset = (0 if refused else self.reply.events[0].reserve), self.currency
        elif reserve > max(0, self._free(c.account, asset)):
            refused = ["funds_are_insufficient"]

        def effect():
            self.orders[c.order] = {
                "account": c.account,
                "symbol": c.symbol,
                "asset": asset,
                "lots": c.lots,
                "ticks": c.ticks,
                "reserve": reserve,
                "reduce_only": c.reduce_only,
            }

        return refused, effect

    def _ReleaseOrder(self, c):  # noqa: N802
        if c.account not in self.accounts:
            return ["unknown_account"], None
        if c.order not in self.orders or self.orders[c.order]["account"] != c.account:
            return ["unknown_order"], None
        return [], lambda: self.orders.pop(c.order)

    def _ClearTrades(self, c):  # noqa: N802
        """Each trade in its turn, as if it were alone; what the house refused of the others must be these."""
        refused = {}
        for place, trade in enumerate(c.trades):
            reasons = self._trade(trade, self._said(place))
            if reasons:
                refused[place] = reasons
        if len(refused) == len(c.trades):
            return (refused[0] if refused else ["batch_is_empty"]), None
        if hasattr(self.reply, "events"):
            found = {place: reason for place, reason, _ in self._cleared().refused}
            if found.keys() != refused.keys() or any(found[place] not in refused[place] for place in found):
                return [f"refused {found}, expected {refused}"], None
        return [], lambda: None

    def _ClearColumns(self, c):  # noqa: N802
        """The same trades, told by numbers: they are those of arrival."""
        columns = [c.instrument, c.buyer, c.seller, c.lots, c.ticks, c.buyer_took]
        if len({len(column) for column in columns}) > 1 or len(c.lots) % 8:
            return ["columns_are_malformed"], None
        rows = list(zip(*(struct.unpack(f"<{len(d) // 8}q", d) for d in columns), strict=True))
        if any(row[5] not in (0, 1) for row in rows):
            return ["columns_are_malformed"], None
        papers, accounts = list(self.papers), list(self.accounts)
        trades = [
            SimpleNamespace(
                symbol=papers[instrument] if 0 <= instrument < len(papers) else None,
                buyer=accounts[buyer] if 0 <= buyer < len(accounts) else None,
                seller=accounts[seller] if 0 <= seller < len(accounts) else None,
                lots=lots,
                ticks=ticks,
                buyer_took=bool(took),
                buy_order="",
                sell_order="",
            )
            for instrument, buyer, seller, lots, ticks, took in rows
        ]
        return self._ClearTrades(SimpleNamespace(trades=trades))

    def _cleared(self):
        return next(event for event in self.reply.events if type(event).__name__ == "TradesCleared")

    def _said(self, place):
        """Return the reason for which the house refused one command of a batch; "" where it did not."""
        if hasattr(self.reply, "reason"):
            return self.reply.reason.value if place == 0 else UNTOLD
        return next((reason for at, reason, _ in self._cleared().refused if at == place), "")

    def _trade(self, trade, said):
        refused = self._who(trade.buyer) + self._who(trade.seller)
        refused += self._cannot_trade(trade.symbol, trade.lots, trade.ticks)
        if trade.lots < 0:
            refused.append("lots_are_impossible")
        if trade.buyer == trade.seller:
            refused.append("trade_with_itself")
        if refused:
            return refused
        paper = self.papers[trade.symbol]
        # How near to its bounds the house lets an amount come is for it to say; that it never does early, for us.
        if said in ("amount_too_large", UNTOLD) and abs(paper.worth(trade.lots, trade.ticks)) >= LIMIT // 2**10:
            return ["amount_too_large"]
        fees = [paper.fee(trade.lots, trade.ticks, rate) for rate in (paper.taker, paper.maker)]
        buyer_fee, seller_fee = fees if trade.buyer_took else fees[::-1]
        sides = (
            (trade.buyer, trade.lots, buyer_fee, trade.buy_order),
            (trade.seller, -trade.lots, seller_fee, trade.sell_order),
        )
        for account, lots, fee, order in sides:
            why = self._side(paper, trade, account, lots, fee, order, said)
            if why:
                return why
        rounding = 0
        self._accrue_before_trade(trade.symbol)
        for account, lots, fee, order in sides:
            worth = paper.worth(lots, trade.ticks)
            paid = worth if paper.option else 0
            cost = 0 if paper.option else floor(-worth)
            self.money[account, paper.settle, HERE, False] -= paid + fee
            self.money["fees", paper.settle, HERE, False] += fee
            self._owe(account, trade.symbol, lots)
            self.held[account, trade.symbol][0] += lots
            self.held[account, trade.symbol][1] += cost
            rounding -= cost
            self._fill(order, lots)
        if not paper.option:
            self.held["rounding", trade.symbol][1] += rounding
        return []

    def _side(self, paper, trade, account, lots, fee, order, said):
        reduces = self._reduces(account, trade.symbol, lots)
        held = self.orders.get(order)
        if held is not None:
            worse = trade.ticks > held["ticks"] if lots > 0 else trade.ticks < held["ticks"]
            if (
                (held["account"], held["symbol"]) != (account, trade.symbol)
                or held["lots"] * lots < 0
                or abs(lots) > abs(held["lots"])
                or worse
            ):
                return ["trade_is_not_the_orders"]
            if held["reduce_only"] and not reduces:
                return ["order_reduces_nothing"]
            if held["reserve"] or reduces:
                return []
        refused = self._held_back(account, trade.symbol, self.held[account, trade.symbol][0], lots, reduces)
        if refused:
            return refused
        if self.margined:
            self.unsure += 1
            return list(MARGIN) if said in (*MARGIN, UNTOLD) else []
        if reduces:
            return []
        needed = (paper.worth(lots, trade.ticks) if paper.option else 0) + fee
        return ["funds_are_insufficient"] if needed > max(0, self._free(account, paper.settle)) else []

    def _fill(self, name, lots):
        order = self.orders.get(name)
        if order is None:
            return
        left = order["lots"] - lots
        if not left:
            del self.orders[name]
            return
        order["reserve"] = ceil(Fraction(order["reserve"] * left, order["lots"]))
        order["lots"] = left

    # --- what the house should look like

    def differences(self, state):
        """Return what the house's books say otherwise than these, in words; nothing where all is the same."""
        parties, found = state.parties, {}
        for number, account in enumerate(parties.accounts):
            for _, asset, amount, place, pending in state.ledger.of_account(number):
                where = state.locations.places[place].name if place >= 0 else ("borrowed", "lent")[place]
                found[account.name, parties.assets[asset].symbol, where, pending] = amount
        wrong = _apart("balance", {k: v for k, v in self.money.items() if v}, found)
        positions = {}
        for number, account in enumerate(parties.accounts):
            for instrument, lots, cost, *_ in state.positions.of_account(number):
                symbol = parties.instruments[instrument].contract.instrument.symbol
                entry = int(state.positions.funding_entry[state.positions.slot(number, instrument)])
                positions[account.name, symbol] = (lots, cost, entry)
        rows = {
            name: (parties.accounts[o.account].name, o.lots, o.ticks, o.reserve)
            for name, o in state.orders.open.items()
        }
        orders = {name: (o["account"], o["lots"], o["ticks"], o["reserve"]) for name, o in self.orders.items()}
        wrong += _apart("order", orders, rows)
        mine = {key: (*row, self.owing[key]) for key, row in self.held.items() if any(row) or self.owing[key]}
        return wrong + _apart("position", mine, positions)


def _apart(what, expected, found):
    return [
        f"{what} of {key}: found {found.get(key, 0)}, expected {expected.get(key, 0)}"
        for key in sorted(expected.keys() | found.keys(), key=str)
        if expected.get(key, 0) != found.get(key, 0)
    ]
