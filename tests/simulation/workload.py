"""Workload: a seed draws what kind of house this is, who does what in it and what goes wrong, and then each operation.

Commands are made with the twin's books at hand, so that most would be taken and the others are refused for a reason
that was meant; what must come of each is for the twin to say, not for whoever made it.
"""

from dataclasses import dataclass
from random import Random

from crossmargin.clearing import AdmitMember, Deposit, OpenAccount, OpenHouse, Reason, SetLocation, command_types
from tests.simulation.commands import ASSETS, SECOND, TERMS, TRADING, TradingCommands
from tests.simulation.faults import KEPT, LOST
from tests.simulation.money_commands import MONEY, PLACES, MoneyCommands
from tests.simulation.operations import Crash, FillDisk, KeepSnapshot, Rot, SetClock, Submit, TakeOver

HOUR = 3600 * SECOND
KINDS = TRADING | MONEY
FEATURES = (*tuple(dict.fromkeys(feature for feature, _ in KINDS.values() if feature)), "pending", "large amounts")
FAULTS = ("crash", "lost", "kept", "full", "takeover", "rot", "snapshot", "spoiled", "clock", "repeat", "other body")


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
    margined: bool
    """Whether the house asks for margin."""
    pace: int
    """How fast time goes by."""

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
            margined=chance.random() < 0.4,
            pace=chance.choice((1, 1, 10, 100)),
        )


class Workload(TradingCommands, MoneyCommands):
    """Operations one after another, all of them decided by the seed and by what the books say."""

    kinds = KINDS

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
            return SetClock(
                self.clock.now + self.swarm.pace * self.chance.choice((0, 1, SECOND // 2, SECOND, 5 * SECOND))
            )
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
            kind = "house" if k % 5 == 4 else "client"
            yield OpenAccount(
                account=f"a{k}", kind=kind, owner=f"o{k * 2 // 3}", tier=self.chance.choice(("prime", "standard"))
            )
            if kind == "house" and "members" in self.swarm.features:
                yield AdmitMember(account=f"a{k}", assessment_cap=10**9)
        if "places" in self.swarm.features:
            for name in PLACES[1:]:
                yield SetLocation(location=name, finality_seconds=self.chance.choice((0, 60, 3_600)))
        for name in self.swarm.instruments:
            yield self._listing(name)

    def _requests(self, count, always=False):
        made = []
        for _ in range(count):
            if always or self.chance.random() > self.swarm.faults["repeat"] or not self.sent:
                # What fails is asked about by key afterwards; what is malformed leaves nothing to ask about.
                made.append(self._keyed(self._written() if always else self._command(), always))
            else:
                made.append(self.chance.choice(self.sent[-50:]))
        # What a network does to requests on their way.
        if self.chance.random() < self.swarm.faults["repeat"]:
            made += [request for request in made if request[1]]
        if self.chance.random() < self.swarm.faults["repeat"]:
            self.chance.shuffle(made)
        return tuple(made)

    def _written(self):
        command = self._command()
        amount = getattr(command, "amount", 0)
        fits = amount is None or (type(amount) is int and abs(amount) < 2**63)
        return command if fits and not (amount is None and isinstance(command, Deposit)) else self._deposit()

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


NOT_MODELLED = ("BlockTrade", "GiveUp")
"""Commands that the twin does not know; tests of their own have them."""
NOT_BY_CHANCE = ()
"""Reasons that are reached by tests of their own and not here."""


def must_be_reached():
    """Return what a campaign must have reached: every operation, every command applied, every reason."""
    operations = ("Submit", "SetClock", "Crash", "KeepSnapshot", "FillDisk", "TakeOver", "Rot", "clock runs backwards")
    commands = [f"{kind.__name__} applied" for kind in command_types() if kind.__name__ not in NOT_MODELLED]
    reasons = [reason.value for reason in Reason if reason.value not in NOT_BY_CHANCE]
    return [*operations, "request repeated", *commands, *reasons]
