"""Commands: what accounts, venues and the clock ask of a simulated house; mostly sensible."""

import struct
from datetime import UTC, datetime, timedelta

from crossmargin.clearing import (
    AdvanceClock,
    CheckOrder,
    ClearColumns,
    ClearedTrade,
    ClearTrades,
    CorrectSettlement,
    Delist,
    Deposit,
    Expire,
    ListInstrument,
    OpenAccount,
    PayFunding,
    ReleaseOrder,
    SampleFunding,
    SetAveraging,
    SetFunding,
    SetSettlementPrice,
    SettleVariation,
    StartTrading,
    UpdateMarks,
)
from tests.simulation.trial import START

SECOND = 1_000_000_000
ASSETS = {"USD": (2, "other"), "USDC": (6, "other"), "BTC": (8, "crypto"), "ETH": (9, "crypto")}

TERMS = {
    "linear": {"type": "perpetual", "underlying": "BTC", "quote": "USD", "tick_size": "0.5", "lot_size": "0.1"},
    "small": {"type": "perpetual", "underlying": "ETH", "quote": "USDC", "tick_size": "0.01", "lot_size": "0.001"},
    "inverse": {
        "type": "perpetual",
        "underlying": "BTC",
        "quote": "USD",
        "inverse": "true",
        "contract_size": "100",
        "tick_size": "0.5",
        "lot_size": "1",
    },
    "future": {"type": "future", "underlying": "BTC", "quote": "USD", "tick_size": "0.5", "lot_size": "0.1"},
    "any": {
        "type": "future",
        "underlying": "WTI",
        "quote": "USD",
        "price_domain": "any",
        "contract_size": "1000",
        "tick_size": "0.01",
        "lot_size": "1",
    },
    "call": {
        "type": "option",
        "option_type": "call",
        "underlying": "BTC",
        "quote": "USD",
        "strike": "60000",
        "tick_size": "0.5",
        "lot_size": "0.1",
    },
    "put": {
        "type": "option",
        "option_type": "put",
        "underlying": "BTC",
        "quote": "USD",
        "strike": "60000",
        "tick_size": "0.5",
        "lot_size": "0.1",
    },
}
PRICES = {
    "linear": 128_000,
    "small": 350_000,
    "inverse": 128_000,
    "future": 128_500,
    "any": 300,
    "call": 4_000,
    "put": 3_000,
}
BEGIN = datetime.fromtimestamp(START // SECOND, UTC)
EXPIRIES = tuple(
    (BEGIN + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    for seconds in (300, 1_200, 7_200, 3_000_000)
)


class TradingCommands:
    """Makers of one command each: `_name` for each name in KINDS. Told apart by seeds: `chance` is the run's own."""

    # --- who, what, how much

    def _command(self):
        chosen = [name for name, (feature, _) in self.kinds.items() if feature in ("", *self.swarm.features)]
        name = self.chance.choices(chosen, [self.swarm.weights[n] * self.kinds[n][1] for n in chosen])[0]
        made = getattr(self, "_" + name)()
        return made if made is not None else self._deposit()

    def _account(self):
        """Return an account that is there, mostly."""
        if self.chance.random() < 0.03:
            return self.chance.choice(("nobody", "fees", "external", ""))
        return f"a{self.chance.randrange(self.swarm.accounts)}"

    def _symbol(self):
        if self.chance.random() < 0.02 or not self.listed:
            return "NOTHING"
        return self.chance.choice(list(self.listed))

    def _open(self):
        name = self.chance.choice((f"b{self.count}", self._account(), "", " a", "a\n", "x" * 201))
        kind = self.chance.choice(("client", "client", "house", "omnibus_net", "friend"))
        return OpenAccount(account=name, kind=kind, member=self.chance.choice(("", "", self._account())))

    def _list(self):
        return self._listing(self.chance.choice(list(TERMS)))

    def _listing(self, kind):
        terms = {**TERMS[kind], "symbol": f"{kind}-{len(self.listed)}"}
        if terms["type"] != "perpetual":
            terms["expiry"] = self.chance.choice(EXPIRIES)
        wrong = self.chance.random()
        if wrong < 0.02:
            del terms["tick_size"]
        elif wrong < 0.04:
            terms["lot_size"] = "0.000000000001"
        elif wrong < 0.06:
            terms["settle" if "inverse" not in terms else "underlying"] = "XRP"
        elif wrong < 0.08:
            terms["type"] = "swap"
        elif wrong < 0.10 and self.listed:
            terms["symbol"] = self.chance.choice(list(self.listed))
        fees = self.chance.choice(((0, 0), (100, 500), (-50, 250), (7, 7), (-600, 500)))
        if wrong >= 0.10 and fees[0] != -600:
            self.listed[terms["symbol"]] = kind
        waits = "stages" in self.swarm.features and self.chance.random() < 0.2
        return ListInstrument(terms=terms, maker_fee=fees[0], taker_fee=fees[1], trades=not waits)

    def _amount(self):
        most = 2**62 if "large amounts" in self.swarm.features and self.chance.random() < 0.05 else 10**9
        return self.chance.choice((1, self.chance.randint(1, 10**6), self.chance.randint(-1, most), 0, most))

    def _deposit(self):
        reference = f"r{self.count}" if self.chance.random() < 0.95 else f"r{self.chance.randint(0, self.count)}"
        return Deposit(
            account=self._account(),
            asset=self.chance.choice((*ASSETS, "USD", "USD", "XRP") if self.chance.random() < 0.1 else tuple(ASSETS)),
            amount=self._amount() if self.chance.random() < 0.3 else self.chance.randint(10**6, 10**10),
            reference=reference,
            final="pending" not in self.swarm.features or self.chance.random() < 0.6,
        )

    def _price(self, symbol):
        kind = self.listed.get(symbol, "linear")
        around = PRICES[kind]
        if kind == "any" and self.chance.random() < 0.3:
            return self.chance.choice((0, -1, -3763, 1))
        if self.chance.random() < 0.02:
            return self.chance.choice((0, -5, 1, 2**40, 2**40 + 1))
        return max(1, around + int(self.chance.gauss(0, around * 0.05)))

    def _lots(self):
        return self.chance.choice((1, 2, 5, self.chance.randint(1, 100)) if self.chance.random() < 0.97 else (0, 2**41))

    def _order(self):
        symbol, name = self._symbol(), f"x{self.count}"
        if self.chance.random() < 0.03:
            name = self.chance.choice((*self.orders, "", " "))
        account, lots = self._account(), self._lots() * self.chance.choice((1, -1))
        price = self._price(symbol)
        self.orders[name] = (account, symbol, lots, price)
        return CheckOrder(
            account=account, order=name, symbol=symbol, lots=lots, ticks=price, reduce_only=self.chance.random() < 0.1
        )

    def _release(self):
        if not self.orders:
            return None
        name = self.chance.choice(list(self.orders)[-20:])
        account = self.orders[name][0] if self.chance.random() < 0.95 else self._account()
        return ReleaseOrder(account=account, order=name)

    def _trades(self):
        return ClearTrades(trades=[self._trade() for _ in range(self.chance.choice((1, 1, 1, 2, 2, 8, 8, 0)))])

    def _columns(self):
        """Trades by number, a few of them by numbers that are nobody's."""
        accounts, papers = len(self.books.accounts), len(self.books.papers)
        symbols = list(self.books.papers)
        rows = []
        for _ in range(self.chance.choice((0, 1, 3, 8))):
            instrument = self.chance.randint(0, papers)
            ticks = self._price(symbols[instrument]) if instrument < papers else 1
            pair = [self.chance.randint(min(8, accounts - 1), accounts) for _ in range(2)]
            rows.append((instrument, *pair, self._lots(), ticks, self.chance.choice((0, 1, 1, 1))))
        names = ("instrument", "buyer", "seller", "lots", "ticks", "buyer_took")
        columns = {
            name: struct.pack(f"<{len(rows)}q", *(row[place] for row in rows)) for place, name in enumerate(names)
        }
        if self.chance.random() < 0.05:
            columns["lots"] += b"12345678"
        return ClearColumns(**columns)

    def _malformed(self):
        """Return a command that is not what its class says; there is no way to write it down."""
        amount = self.chance.choice((1.5, True, 2**64, -(2**64), "1", None))
        return Deposit(account=self._account(), asset="USD", amount=amount, reference=f"r{self.count}")

    def _trade(self):
        symbol = self._symbol()
        buyer, seller, lots, price = self._account(), self._account(), self._lots(), self._price(symbol)
        buy = sell = ""
        mine = [n for n, row in self.orders.items() if row[1] == symbol][-10:]
        if mine and self.chance.random() < 0.6:
            name = self.chance.choice(mine)
            account, _, size, price = self.orders[name]
            lots = self.chance.randint(1, abs(size)) if size else lots
            if size > 0:
                buyer, buy = account, name
            else:
                seller, sell = account, name
        return ClearedTrade(
            symbol=symbol,
            buyer=buyer,
            seller=seller,
            lots=lots,
            ticks=price,
            buyer_took=self.chance.random() < 0.5,
            buy_order=buy,
            sell_order=sell,
        )

    def _marks(self):
        symbols = {self._symbol() for _ in range(self.chance.randint(1, 4))}
        indices = {
            name: int(self.chance.gauss(64_000, 2_000) * 10**8) for name in ("BTC", "ETH") if self.chance.random() < 0.5
        }
        return UpdateMarks(instruments={s: self._price(s) for s in sorted(symbols)}, indices=indices)

    # --- cash flows

    def _variation(self):
        if self.chance.random() < 0.5:
            return SettleVariation()
        return SettleVariation(instruments=tuple(self._symbol() for _ in range(self.chance.choice((1, 1, 2)))))

    def _perpetual(self):
        known = [s for s, kind in self.listed.items() if TERMS[kind]["type"] == "perpetual"]
        return self.chance.choice(known) if known and self.chance.random() < 0.9 else self._symbol()

    def _set_funding(self):
        interval = self.chance.choice((1, 10, 60, 600, 28_800, 0))
        return SetFunding(
            instrument=self._perpetual(),
            interval_seconds=interval,
            interest=self.chance.choice((100_000, -3, 0, 10**9)),
            clamp=self.chance.choice((500_000, 0)),
            limit=self.chance.choice((7_500_000, 10**9)),
            stale_seconds=self.chance.choice((max(1, interval // 2), interval, 300)),
        )

    def _sample_funding(self):
        symbol = self._perpetual()
        bid = self._price(symbol)
        return SampleFunding(instrument=symbol, impact_bid=bid, impact_ask=bid + self.chance.randint(-1, 2_000))

    def _pay_funding(self):
        return PayFunding(instrument=self._perpetual())

    def _averaging(self):
        samples = self.chance.choice((1, 3, 7, 60))
        return SetAveraging(
            underlying=self.chance.choice(("BTC", "ETH", "WTI", "XRP")),
            window_seconds=self.chance.choice((10, 60, 600, 1_800)),
            samples=samples,
            quorum=self.chance.randint(1, samples),
            correction_seconds=self.chance.choice((0, 600, 86_400)),
        )

    def _advance(self):
        return AdvanceClock()

    def _ending(self):
        """Return (underlying, instant) of something that ends, mostly."""
        known = [(p.underlying, p.expiry) for p in self.books.papers.values() if p.expiry is not None]
        return self.chance.choice(known) if known and self.chance.random() < 0.95 else ("BTC", START)

    def _end_price(self, underlying):
        around = {"BTC": 64_000, "ETH": 3_500, "WTI": 3}.get(underlying, 1) * 10**8
        return self.chance.choice((around + self.chance.randint(-around // 5, around // 5), around, 0, -3_763_000_000))

    def _settlement_price(self):
        underlying, expiry = self._ending()
        reason = self.chance.choice(("feed was down", "feed was down", " "))
        return SetSettlementPrice(
            underlying=underlying, expiry=expiry, price=self._end_price(underlying), reason=reason
        )

    def _correction(self):
        underlying, expiry = self._ending()
        return CorrectSettlement(
            underlying=underlying, expiry=expiry, price=self._end_price(underlying), reason="a wrong source"
        )

    def _expire(self):
        return Expire(instrument=self._symbol())

    def _start(self):
        waiting = [s for s, p in self.books.papers.items() if p.waits]
        return StartTrading(instrument=self.chance.choice(waiting) if waiting else self._symbol())

    def _delist(self):
        return Delist(instrument=self._symbol(), reason="nobody trades it")


TRADING = {
    "open": ("odd names", 1),
    "list": ("odd names", 1),
    "deposit": ("", 6),
    "order": ("orders", 10),
    "release": ("orders", 4),
    "trades": ("trades", 12),
    "columns": ("columns", 8),
    "malformed": ("odd names", 1),
    "marks": ("marks", 6),
    "variation": ("variation", 2),
    "set_funding": ("funding", 1),
    "sample_funding": ("funding", 5),
    "pay_funding": ("funding", 2),
    "averaging": ("expiry", 1),
    "advance": ("expiry", 5),
    "settlement_price": ("expiry", 1),
    "correction": ("expiry", 1),
    "expire": ("expiry", 2),
    "start": ("stages", 2),
    "delist": ("stages", 1),
}
"""What a command is made by: the feature it needs, and how often compared with the others."""
