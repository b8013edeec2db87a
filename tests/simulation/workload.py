"""Workload: a seed draws what kind of house this is, who does what in it and what goes wrong, and then each operation.

Commands are made with the twin's books at hand, so that most would be taken and the others are refused for a reason
that was meant; what must come of each is for the twin to say, not for whoever made it.
"""

from dataclasses import dataclass
from random import Random

from crossmargin.clearing import (
    CheckOrder,
    ClearedTrade,
    ClearTrades,
    Deposit,
    ListInstrument,
    OpenAccount,
    OpenHouse,
    Reason,
    ReleaseOrder,
    UpdateMarks,
    command_types,
)
from tests.simulation.faults import KEPT, LOST
from tests.simulation.operations import Crash, FillDisk, KeepSnapshot, Rot, SetClock, Submit, TakeOver

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
ASSETS = {"USD": (2, "other"), "USDC": (6, "other"), "BTC": (8, "crypto"), "ETH": (9, "crypto")}
FEATURES = ("pending", "orders", "trades", "marks", "odd names", "large amounts")
FAULTS = ("crash", "lost", "kept", "full", "takeover", "rot", "snapshot", "spoiled", "clock", "repeat", "other body")

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


@dataclass(frozen=True)
class Swarm:
    """What a seed draws: how large, which features are on, how often each fault strikes."""

    accounts: int
    instruments: tuple
    features: tuple
    faults: dict
    group: int
    """Largest number of commands submitted at once."""
    weights: dict

    @classmethod
    def drawn(cls, chance):
        kinds = list(TERMS)
        return cls(
            accounts=chance.choice((2, 3, 5, 8, 13, 40)),
            instruments=tuple(chance.choice(kinds) for _ in range(chance.randint(1, 8))),
            features=tuple(name for name in FEATURES if chance.random() < 0.5),
            faults={name: chance.choice((0.0, 0.002, 0.01, 0.05)) for name in FAULTS},
            group=chance.choice((1, 1, 2, 5, 20)),
            weights={name: chance.choice((1, 2, 5)) for name in KINDS},
        )


class Workload:
    """Operations one after another, all of them decided by the seed and by what the books say."""

    def __init__(self, seed):
        self.chance = Random(seed)
        self.swarm = Swarm.drawn(self.chance)
        self.count = 0
        self.listed = {}
        self.sent = []
        self.orders = {}
        self.opening = self._opening()

    # --- operations

    def next(self, trial):
        """Return the next operation of a trial."""
        self.books, self.clock = trial.books, trial.clock
        first = next(self.opening, None)
        if first is not None:
            return Submit((self._keyed(first, always=True),))
        for name, rate in self.swarm.faults.items():
            if self.chance.random() < rate:
                fault = getattr(self, "_fault_" + name.replace(" ", "_"))()
                if fault is not None:
                    return fault
        if self.chance.random() < 0.3:
            return SetClock(self.clock.now + self.chance.choice((0, 1, SECOND // 2, SECOND, 5 * SECOND)))
        return Submit(self._requests(self.chance.randint(1, self.swarm.group)))

    def _opening(self):
        if self.chance.random() < 0.2:
            yield OpenAccount(account="early")
        if self.chance.random() < 0.2:
            yield OpenHouse(currency="EUR", assets=ASSETS)
            yield OpenHouse(currency="USD", assets={**ASSETS, "XXX": (12, "other")})
        yield OpenHouse(currency="USD", assets=ASSETS)
        if self.chance.random() < 0.2:
            yield OpenHouse(currency="USD", assets=ASSETS)
        for k in range(self.swarm.accounts):
            yield OpenAccount(account=f"a{k}", owner=f"o{k * 2 // 3}", tier=self.chance.choice(("prime", "standard")))
        for name in self.swarm.instruments:
            yield self._listing(name)

    def _requests(self, count, always=False):
        made = []
        for _ in range(count):
            if always or self.chance.random() > self.swarm.faults["repeat"] or not self.sent:
                made.append(self._keyed(self._command(), always))
            else:
                made.append(self.chance.choice(self.sent[-50:]))
        # What a network does to requests on their way.
        if self.chance.random() < self.swarm.faults["repeat"]:
            made += [request for request in made if request[1]]
        if self.chance.random() < self.swarm.faults["repeat"]:
            self.chance.shuffle(made)
        return tuple(made)

    def _keyed(self, command, always=False):
        self.count += 1
        key = f"k{self.count}" if always or self.chance.random() < 0.9 else ""
        if key:
            self.sent.append((command, key))
        return command, key

    def _fault_crash(self):
        return Crash()

    def _fault_lost(self):
        return Submit(self._requests(self.chance.randint(1, self.swarm.group), always=True), LOST)

    def _fault_kept(self):
        return Submit(self._requests(self.chance.randint(1, self.swarm.group), always=True), KEPT)

    def _fault_full(self):
        return FillDisk(self._requests(1, always=True))

    def _fault_takeover(self):
        return TakeOver(self._requests(1, always=True))

    def _fault_rot(self):
        return Rot(self.chance.randrange(2**30), self.chance.randrange(2**30))

    def _fault_snapshot(self):
        return KeepSnapshot()

    def _fault_spoiled(self):
        return KeepSnapshot(spoiled=True)

    def _fault_clock(self):
        jump = self.chance.choice((-HOUR, HOUR, -5 * SECOND, 5 * SECOND, -1, 0))
        return SetClock(self.clock.now + jump)

    def _fault_repeat(self):
        return Submit((self.chance.choice(self.sent),)) if self.sent else None

    def _fault_other_body(self):
        if not self.sent:
            return None
        return Submit(((self._command(), self.chance.choice(self.sent)[1]),))

    # --- commands

    def _command(self):
        chosen = [name for name in KINDS if KINDS[name][0] in ("", *self.swarm.features)]
        name = self.chance.choices(chosen, [self.swarm.weights[n] * KINDS[n][1] for n in chosen])[0]
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
            terms["expiry"] = self.chance.choice(("2026-11-20T12:00:00Z", "2026-12-25T08:00:00Z"))
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
        return ListInstrument(terms=terms, maker_fee=fees[0], taker_fee=fees[1])

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
        return ClearTrades(trades=[self._trade() for _ in range(self.chance.choice((1, 1, 2, 8)))])

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


KINDS = {
    "open": ("odd names", 1),
    "list": ("odd names", 1),
    "deposit": ("", 6),
    "order": ("orders", 10),
    "release": ("orders", 4),
    "trades": ("trades", 12),
    "marks": ("marks", 4),
}
"""What a command is made by: the feature it needs, and how often compared with the others."""

NOT_BY_CHANCE = ()
"""Reasons that are reached by tests of their own and not here."""


def must_be_reached():
    """Return what a campaign must have reached: every operation, every command applied, every reason."""
    operations = ("Submit", "SetClock", "Crash", "KeepSnapshot", "FillDisk", "TakeOver", "Rot", "clock runs backwards")
    commands = [f"{kind.__name__} applied" for kind in command_types()]
    reasons = [reason.value for reason in Reason if reason.value not in NOT_BY_CHANCE]
    return [*operations, "request repeated", *commands, *reasons]
