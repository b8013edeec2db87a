"""A small house to tell incidents in: who is there, what is listed, what is paid in."""

from crossmargin.clearing import Applied, Deposit, House, ListInstrument, OpenAccount, OpenHouse
from crossmargin.storage import open_journal

NOON = 1_795_176_000_000_000_000
"""20 November 2026, 12:00 UTC."""
SECOND = 1_000_000_000
DAY = 86_400 * SECOND
OPEN = OpenHouse(currency="USD", assets={"USD": (2, "other"), "BTC": (8, "crypto")})


class Hands:
    """A clock that shows what it is set to."""

    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now


def opened(journal=None, clock=None, names=("alice", "bob", "carol"), cash=0):
    """Return a house with accounts that have `cash` minor units of USD each."""
    house = House(journal if journal is not None else open_journal("memory:"), clock or Hands())
    assert isinstance(house.submit(OPEN, "open"), Applied)
    for name in names:
        assert isinstance(house.submit(OpenAccount(account=name), f"open {name}"), Applied)
        if cash:
            paid = Deposit(account=name, asset="USD", amount=cash, reference=f"first of {name}")
            assert isinstance(house.submit(paid, f"pay {name}"), Applied)
    return house


def listed(house, symbol, **terms):
    """List an instrument on BTC, quoted in USD, one minor unit of USD a tick of a lot unless said otherwise."""
    given = {"symbol": symbol, "underlying": "BTC", "quote": "USD", "tick_size": "0.01", "lot_size": "1"}
    reply = house.submit(ListInstrument(terms={**given, **terms}))
    assert isinstance(reply, Applied), reply


def applied(house, command, key=""):
    """Submit a command that must be taken."""
    reply = house.submit(command, key)
    assert isinstance(reply, Applied), reply
    return reply


def cash(house, name, asset="USD"):
    """Return what an account has here, in minor units."""
    parties = house.state.parties
    return house.state.ledger.balance(parties.account_number[name], parties.asset_number[asset])


def position(house, name, symbol):
    """Return (lots, cost) of an account."""
    parties = house.state.parties
    return house.state.positions.of(parties.account_number[name], parties.instrument_number[symbol])
