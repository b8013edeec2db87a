"""Slow twin of the clearing house, cash flows: variation, funding, expiry, each holder in exact fractions alone."""

from collections import defaultdict
from fractions import Fraction
from math import floor

from tests.twins.clearing_money import HERE, LIMIT, SECOND

MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
MILLI = SECOND // 1000
UNIT, CARRY = 10**6, 10**12
"""Funding is booked in millionths of a minor unit a lot; what is less is carried on, in 1e-12 of that."""
RATE = 10**9
PRICE = 10**8


class Flows:
    """What time and marks do to who holds what."""

    def __init__(self):
        self.marks = {}
        self.indices = {}
        self.funding = {}
        self.averaging = {}
        self.averages = {}
        self.prices = {}
        self.paid = {}
        self.owing = defaultdict(int)

    def _pay(self, asset, amounts):
        """Pay amounts by account; the rounding account gets or gives the rest."""
        for account, amount in amounts.items():
            self.money[account, asset, HERE, False] += amount
        rest = sum(amounts.values())
        self.money["rounding", asset, HERE, False] -= rest
        return rest

    def _holders(self, symbol):
        return sorted(
            account
            for (account, what), row in self.held.items()
            if what == symbol and account != "rounding" and (any(row) or self.owing[account, symbol])
        )

    def _fresh(self, known, name):
        if name not in known:
            return ["mark_is_missing"]
        return ["mark_is_stale"] if self.now - known[name][1] > MINUTE else []

    # --- variation

    def _SettleVariation(self, c):  # noqa: N802
        refused, symbols = [], list(c.instruments)
        for symbol in symbols:
            paper = self.papers.get(symbol)
            if paper is None:
                refused.append("unknown_instrument")
            elif not self._varies(paper):
                refused.append("instrument_has_no_variation")
        if len(set(symbols)) < len(symbols):
            refused.append("terms_are_invalid")
        if not symbols:
            held = {s for (a, s), row in self.held.items() if any(row) or self.owing[a, s]}
            symbols = sorted(s for s in held if self._varies(self.papers[s]))
        for symbol in () if refused else symbols:
            refused += self._fresh(self.marks, symbol)
        refused = refused or self._large_holdings(symbols)

        def effect():
            for symbol in symbols:
                self._settle(symbol, self.marks[symbol][0])

        return refused, effect

    def _large_holdings(self, symbols):
        amounts = [amount for symbol in symbols for a in self._holders(symbol) for amount in self.held[a, symbol]]
        prices = [self.marks[s][0] for s in symbols if s in self.marks] + [price for price, _ in self.indices.values()]
        return self._large(max(map(abs, amounts), default=0) * max(map(abs, prices), default=0), *amounts)

    def _varies(self, paper):
        return not paper.option and not paper.settled and (paper.expiry is None or self.now < paper.expiry)

    def _settle(self, symbol, ticks):
        paper, amounts = self.papers[symbol], {}
        for account in self._holders(symbol):
            row = self.held[account, symbol]
            amounts[account] = floor(paper.worth(row[0], ticks)) + row[1]
            row[1] -= amounts[account]
        self.held["rounding", symbol][1] += self._pay(paper.settle, amounts)

    # --- funding

    def _has_funding(self, symbol):
        if symbol not in self.papers:
            return ["unknown_instrument"]
        there = symbol in self.funding and not self.papers[symbol].settled
        return [] if there else ["instrument_has_no_funding"]

    def _SetFunding(self, c):  # noqa: N802
        paper = self.papers.get(c.instrument)
        if paper is None:
            return ["unknown_instrument"], None
        refused = []
        if paper.kind != "perpetual" or paper.signed or paper.settled:
            refused.append("instrument_has_no_funding")
        if (
            not 0 < c.interval_seconds <= 86_400
            or not 0 < c.stale_seconds <= c.interval_seconds
            or not (0 <= c.clamp <= RATE and 0 <= c.limit <= RATE and abs(c.interest) <= RATE)
        ):
            refused.append("terms_are_invalid")

        def effect():
            self._accrue(c.instrument)
            row = self.funding.setdefault(
                c.instrument,
                {"until": self.now, "sampled": None, "index": 0, "weighed": 0, "weight": 0, "interval": None},
            )
            interval = c.interval_seconds * SECOND
            row |= {"interest": c.interest, "clamp": c.clamp, "limit": c.limit, "stale": c.stale_seconds * SECOND}
            row |= {"interval": interval, "since": self.now - self.now % interval}

        return refused, effect

    def _SampleFunding(self, c):  # noqa: N802
        refused = self._has_funding(c.instrument)
        if refused:
            return refused, None
        if not 0 < c.impact_bid <= c.impact_ask:
            refused.append("price_is_impossible")
        paper = self.papers[c.instrument]
        refused += self._fresh(self.indices, paper.underlying) + self._fresh(self.marks, c.instrument)

        def effect():
            self._accrue(c.instrument)
            index = Fraction(self.indices[paper.underlying][0], PRICE)
            above = max(c.impact_bid * paper.tick - index, 0)
            below = max(index - c.impact_ask * paper.tick, 0)
            premium = max(-RATE, min(RATE, round((above - below) / index * RATE)))
            self.funding[c.instrument] |= {
                "premium": premium,
                "ticks": self.marks[c.instrument][0],
                "sampled": self.now,
            }

        return refused, effect

    def _accrue(self, symbol):
        """Let a lot owe for the time since it was last looked at, as far as a sample is good for it."""
        row = self.funding.get(symbol)
        if row is None or row["sampled"] is None:
            return
        begin = max(row["until"], row["sampled"])
        elapsed = (min(self.now, row["sampled"] + row["stale"]) - begin) // MILLI
        if elapsed <= 0:
            return
        row["weighed"] += row["premium"] * elapsed
        row["weight"] += elapsed
        average = round(Fraction(row["weighed"], row["weight"]))
        rate = average + max(-row["clamp"], min(row["clamp"], row["interest"] - average))
        rate = max(-row["limit"], min(row["limit"], rate))
        worth = abs(self.papers[symbol].worth(1, row["ticks"]))
        row["index"] += floor(Fraction(rate, RATE) * worth * Fraction(elapsed * MILLI, row["interval"]) * UNIT * CARRY)
        row["until"] = begin + elapsed * MILLI

    def _accrue_before_trade(self, symbol):
        row = self.funding.get(symbol)
        if row is not None and row["sampled"] is not None and self.now >= max(row["until"], row["sampled"]) + SECOND:
            self._accrue(symbol)

    def _owe(self, account, symbol, lots):
        """Who takes lots now owes nothing for the time before."""
        row = self.funding.get(symbol)
        self.owing[account, symbol] += lots * (row["index"] // CARRY if row else 0)

    def _PayFunding(self, c):  # noqa: N802
        refused = self._has_funding(c.instrument)
        if not refused and not self._due(c.instrument):
            refused.append("nothing_is_due")
        return refused or self._large_holdings([c.instrument]), lambda: self._pay_funding(c.instrument)

    def _due(self, symbol):
        return self.now >= self.funding[symbol]["since"] + self.funding[symbol]["interval"]

    def _pay_funding(self, symbol):
        self._accrue(symbol)
        row, amounts = self.funding[symbol], {}
        index = row["index"] // CARRY
        for account in self._holders(symbol):
            amounts[account] = (
                self.owing.pop((account, symbol), 0) - int(self.held[account, symbol][0]) * index
            ) // UNIT
        self.owing.pop(("rounding", symbol), None)
        self._pay(self.papers[symbol].settle, amounts)
        row |= {
            "index": row["index"] % CARRY,
            "weighed": 0,
            "weight": 0,
            "since": self.now - self.now % row["interval"],
        }

    # --- expiry

    def _terms(self, underlying):
        return self.averaging.get(underlying, (1_800 * SECOND, 60, 30, DAY))

    def _ending(self, underlying, expiry):
        return [s for s, p in self.papers.items() if (p.underlying, p.expiry) == (underlying, expiry)]

    def _SetAveraging(self, c):  # noqa: N802
        refused = []
        if not any(p.underlying == c.underlying for p in self.papers.values()):
            refused.append("unknown_instrument")
        if any(name == c.underlying for name, _ in self.averages):
            refused.append("settlement_is_under_way")
        if (
            not 0 < c.window_seconds <= 86_400
            or not 0 < c.quorum <= c.samples <= c.window_seconds
            or not 0 <= c.correction_seconds <= 30 * 86_400
        ):
            refused.append("terms_are_invalid")

        def effect():
            self.averaging[c.underlying] = (
                c.window_seconds * SECOND,
                c.samples,
                c.quorum,
                c.correction_seconds * SECOND,
            )

        return refused, effect

    def _AdvanceClock(self, c):  # noqa: N802
        return [], self._advance

    def _advance(self):
        running = [(p.underlying, p.expiry) for p in self.papers.values() if p.expiry is not None and not p.settled]
        for key in dict.fromkeys(running):
            window, samples, _, _ = self._terms(key[0])
            begin = key[1] - window
            if self.now < begin:
                continue
            if key not in self.prices and any(not self.papers[s].waits for s in self._ending(*key)):
                self.averages.setdefault(key, {"prices": [], "part": -1})
            if self.now >= key[1] or key[0] not in self.indices:
                continue
            part = (self.now - begin) * samples // window
            price, since = self.indices[key[0]]
            row = self.averages.get(key, {"prices": [], "part": -1})
            if part != row["part"] and since >= begin + Fraction(part * window, samples):
                row["prices"].append(price)
                row["part"] = part
                self.averages[key] = row
        for symbol, paper in self.papers.items():
            ended = paper.expiry is not None and self.now >= paper.expiry and not paper.settled
            if ended and self._price(paper) is not None:
                self._expire(symbol)
        for symbol in self.funding:
            if self._due(symbol) and not self.papers[symbol].settled:
                self._pay_funding(symbol)
        self._charge_all()
        for symbol in [s for s in self.paid if self._is_final(s)]:
            del self.paid[symbol]

    def _price(self, paper):
        key = paper.underlying, paper.expiry
        if key in self.prices:
            return self.prices[key]
        prices = self.averages.get(key, {"prices": []})["prices"]
        return sum(prices) // len(prices) if len(prices) >= self._terms(key[0])[2] else None

    def _price_wrong(self, symbols, price, reason):
        refused = []
        if not (-LIMIT if all(self.papers[s].signed for s in symbols) else 1) <= price <= LIMIT:
            refused.append("price_is_impossible")
        if not reason.strip():
            refused.append("terms_are_invalid")
        return refused

    def _SetSettlementPrice(self, c):  # noqa: N802
        symbols = self._ending(c.underlying, c.expiry)
        if not symbols:
            return ["unknown_instrument"], None
        refused = self._price_wrong(symbols, c.price, c.reason)
        if self.now < c.expiry:
            refused.append("instrument_has_not_expired")
        if self._price(self.papers[symbols[0]]) is not None:
            refused.append("settlement_price_is_known")

        def effect():
            self.prices[c.underlying, c.expiry] = c.price
            self.averages.pop((c.underlying, c.expiry), None)

        return refused, effect

    def _Expire(self, c):  # noqa: N802
        paper = self.papers.get(c.instrument)
        if paper is None:
            return ["unknown_instrument"], None
        if paper.settled:
            return ["instrument_is_settled"], None
        if paper.expiry is None or self.now < paper.expiry:
            return ["instrument_has_not_expired"], None
        if self._price(paper) is None:
            return ["settlement_has_no_quorum"], None
        return self._large_holdings([c.instrument]), lambda: self._expire(c.instrument)

    def _expire(self, symbol):
        paper = self.papers[symbol]
        price = self._price(paper)
        self.prices[paper.underlying, paper.expiry] = price
        self.averages.pop((paper.underlying, paper.expiry), None)
        holders = self._holders(symbol)
        amounts = {a: floor(paper.ends(self.held[a, symbol][0], price)) + self.held[a, symbol][1] for a in holders}
        self._pay(paper.settle, amounts)
        held = {a: self.held[a, symbol][0] for a in holders if self.held[a, symbol][0]}
        self.paid[symbol] = {"price": price, "time": self.now, "held": held}
        for key in [key for key in self.held if key[1] == symbol]:
            del self.held[key]
            self.owing.pop(key, None)
        for name in [name for name, o in self.orders.items() if o["symbol"] == symbol]:
            del self.orders[name]
        paper.settled = True

    def _is_final(self, symbol):
        return self.now > self.paid[symbol]["time"] + self._terms(self.papers[symbol].underlying)[3]

    def _CorrectSettlement(self, c):  # noqa: N802
        symbols = self._ending(c.underlying, c.expiry)
        if not symbols:
            return ["unknown_instrument"], None
        if any(not self.papers[s].settled for s in symbols):
            return ["settlement_is_under_way"], None
        if any(s not in self.paid or self._is_final(s) for s in symbols):
            return ["settlement_is_final"], None
        refused = self._price_wrong(symbols, c.price, c.reason)
        if self.prices[c.underlying, c.expiry] == c.price:
            refused.append("nothing_is_due")
        refused = refused or self._large(c.price)

        def effect():
            for symbol in symbols:
                paper, row = self.papers[symbol], self.paid[symbol]
                amounts = {
                    a: floor(paper.ends(lots, c.price)) - floor(paper.ends(lots, row["price"]))
                    for a, lots in row["held"].items()
                }
                for account, amount in amounts.items():
                    self.accounts[account]["closed"] = bool(self.accounts[account].get("closed")) and not amount
                self._pay(paper.settle, amounts)
                row["price"] = c.price
            self.prices[c.underlying, c.expiry] = c.price

        return refused, effect
