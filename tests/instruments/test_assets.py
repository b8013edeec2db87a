"""Assets know what they are, and haircut slices that make no sense do not come to be."""

from math import inf, nan

import pytest

from crossmargin.errors import InvalidInstrument
from crossmargin.instruments import Asset, asset_class_of


@pytest.mark.parametrize(
    ("symbol", "asset_class", "decimals"),
    [("BTC", "crypto", 8), ("USDC", "stablecoin", 6), ("EUR", "fx", 2), ("XAU", "metals", 8), ("GNOME", "other", 8)],
)
def test_a_well_known_name_has_its_class_and_digits(symbol, asset_class, decimals):
    asset = Asset(symbol=symbol)
    assert asset_class_of(symbol) == asset.asset_class == asset_class
    assert (asset.decimals, asset.group) == (decimals, symbol)


def test_what_is_said_stands_over_what_is_known():
    asset = Asset(symbol="BTC", asset_class="other", decimals=0, group="ETH")
    assert (asset.asset_class, asset.decimals, asset.group) == ("other", 0, "ETH")


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"asset_class": "coin"}, "class: found 'coin'"),
        ({"decimals": 10}, "decimals: found 10; allowed: 0 to 9"),
        ({"decimals": -1}, "decimals: found -1"),
        ({"cap": -1}, "cap: found -1"),
        ({"cap": inf}, "cap: found inf"),
        ({"haircut": ()}, "no slices"),
        ({"haircut": ((inf, 1.2),)}, r"haircut\[0\]: found a haircut of 1.2; allowed: a fraction from 0 to 1"),
        ({"haircut": ((inf, nan),)}, "a haircut of nan"),
        ({"haircut": ((100, 0.2), (inf, 0.1))}, r"haircut\[1\]: found a haircut of 0.1 after 0.2"),
        ({"haircut": ((100, 0.1), (50, 0.2))}, r"haircut\[1\]: found a bound of 50; allowed: a quantity above 100"),
        ({"haircut": ((100, 0.1), (nan, 0.2))}, "a bound of nan"),
        ({"haircut": ((0, 0.1), (inf, 0.2))}, r"haircut\[0\]: found a bound of 0"),
        ({"haircut": ((100, 0.1),)}, "the last slice has no end"),
    ],
)
def test_terms_that_cannot_be_are_refused_by_name(terms, message):
    with pytest.raises(InvalidInstrument, match=message):
        Asset(symbol="BTC", **terms)


def test_marginal_slices_that_rise_are_taken():
    assert Asset(symbol="BTC", haircut=((100, 0.05), (1000, 0.05), (inf, 1.0))).haircut[-1] == (inf, 1.0)
