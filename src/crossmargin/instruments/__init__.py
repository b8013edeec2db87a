"""What is traded: contract terms, the assets they are in, and the catalogue that numbers them.

Here: spot, future, perpetual and European option; linear and inverse; assets with their collateral terms;
reading of symbols. Never here: prices, accounts, what anything is worth.

Conventions. `contract_size` is in units of the underlying (linear contracts and options) or of the quote
asset (inverse futures and perpetuals). A linear contract pays `settle` per unit of quoted price; an inverse
one pays the underlying coin. Expiries are UTC instants. An asset and an underlying of one name are one thing.
"""

from crossmargin.instruments.assets import ASSET_CLASSES, Asset, asset_class_of
from crossmargin.instruments.catalogue import KINDS, Catalogue
from crossmargin.instruments.contracts import (
    Future,
    Instrument,
    Option,
    Perpetual,
    Spot,
    instrument_of,
)
from crossmargin.instruments.symbols import parse_symbol

__all__ = [
    "ASSET_CLASSES",
    "KINDS",
    "Asset",
    "Catalogue",
    "Future",
    "Instrument",
    "Option",
    "Perpetual",
    "Spot",
    "asset_class_of",
    "instrument_of",
    "parse_symbol",
]
