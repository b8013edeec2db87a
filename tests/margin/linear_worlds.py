"""Small worlds of linear contracts for the models that margin nothing else."""

from hypothesis import strategies as st

from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.instruments import Asset
from tests.strategies import LINEAR, alone, decimals, market_of, rules_of

PLAIN = HaircutPolicy(by_class={"other": Tiers.flat(0.0)})
ASSETS = tuple(
    Asset(symbol=name, asset_class=kind)
    for name, kind in {
        "BTC": "crypto",
        "DAX": "equity_index",
        "ETH": "crypto",
        "EUR": "fx",
        "USD": "fx",
        "USDC": "stablecoin",
    }.items()
)
SYMBOLS = tuple(i.symbol for i in LINEAR)
quantities = decimals(-500, 500).filter(lambda q: q)
amounts = decimals(-500, 500).filter(lambda a: a)
prices = st.fixed_dictionaries({"btc": decimals(1, 90_000), "eth": decimals(1, 5_000), "basis": decimals(0.9, 1.1)})


@st.composite
def holdings(draw, *, least=0):
    """(quantities by symbol, balances by asset) of one portfolio."""
    symbols = draw(st.lists(st.sampled_from(SYMBOLS), min_size=least, max_size=4, unique=True))
    assets = draw(st.lists(st.sampled_from(["BTC", "ETH", "EUR", "USD", "USDC"]), max_size=3, unique=True))
    return {s: draw(quantities) for s in symbols}, {a: draw(amounts) for a in assets}


def standing_of(model, holding, market=None, **rules):
    """Return the standing of one account of a holding, nothing haircut."""
    positions, balances = holding
    world = alone(positions, balances, market=market or market_of(), instruments=LINEAR, assets=ASSETS)
    return world.standing(rules_of(model, haircuts=PLAIN, **rules))


def margins(model, holding, market=None):
    """Return (maintenance, initial) of one account of a holding."""
    standing = standing_of(model, holding, market)
    return float(standing.maintenance_margin[0]), float(standing.initial_margin[0])
