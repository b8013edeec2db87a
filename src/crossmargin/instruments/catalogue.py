"""The catalogue: instruments and assets numbered, with their terms as columns for the kernels."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from crossmargin.errors import InvalidInstrument, UnknownSymbol, nearest
from crossmargin.instruments.assets import Asset
from crossmargin.instruments.contracts import Future, Instrument, Option
from crossmargin.units import BoolArray, FloatArray, IntArray

KINDS = ("spot", "future", "perpetual", "option")
"""Order of the codes in `Catalogue.kind`."""
SPOT, FUTURE, PERPETUAL, OPTION = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """Every instrument and asset in play, in the order of their names, which numbers them.

    Columns have one entry an instrument; asset columns are numbers into `assets`.
    """

    instruments: tuple[Instrument, ...]
    assets: tuple[Asset, ...]
    number: Mapping[str, int]
    """Instrument number by symbol."""
    asset_number: Mapping[str, int]
    kind: IntArray = field(repr=False)
    """Code of the kind: SPOT, FUTURE, PERPETUAL, OPTION."""
    underlying: IntArray = field(repr=False)
    quote: IntArray = field(repr=False)
    settle: IntArray = field(repr=False)
    contract_size: FloatArray = field(repr=False)
    inverse: BoolArray = field(repr=False)
    any_domain: BoolArray = field(repr=False)
    """True where prices may be zero or negative."""
    is_call: BoolArray = field(repr=False)
    strike: FloatArray = field(repr=False)
    """NaN for all but options."""
    expiry: FloatArray = field(repr=False)
    """Seconds since 1970 UTC; infinite where there is none."""

    @classmethod
    def of(
        cls, instruments: Iterable[Instrument], assets: Iterable[Asset] = (), names: Iterable[str] = ()
    ) -> Catalogue:
        """Return the catalogue of `instruments`, with `assets` as given and plain ones for every other name.

        `names` are further assets in use (of balances, the reporting currency).
        """
        ordered = sorted(instruments, key=lambda instrument: instrument.symbol)
        number = {instrument.symbol: k for k, instrument in enumerate(ordered)}
        if len(number) != len(ordered):
            twice = next(a.symbol for a, b in itertools.pairwise(ordered) if a.symbol == b.symbol)
            raise InvalidInstrument(f"instrument {twice}", "two instruments of that symbol", "one")
        table: dict[str, Asset] = {}
        for asset in assets:
            if asset.symbol in table:
                raise InvalidInstrument(f"asset {asset.symbol}", "two assets of that symbol", "one")
            table[asset.symbol] = asset
        # An underlying nobody describes is of the class its contracts agree on; where they do not, the strictest.
        classes: dict[str, set[str]] = {}
        for instrument in ordered:
            classes.setdefault(instrument.underlying, set()).add(instrument.asset_class)
        for name, found in classes.items():
            if name not in table:
                table[name] = Asset(symbol=name, asset_class=found.pop() if len(found) == 1 else "other")
        for name in (n for i in ordered for n in (i.quote, i.settle)):
            table.setdefault(name, Asset(symbol=name))
        for name in names:
            table.setdefault(name, Asset(symbol=name))
        # A group is an asset too: it is the underlying the others follow.
        for name in [asset.group for asset in table.values()]:
            table.setdefault(name, Asset(symbol=name))
        everything = tuple(table[name] for name in sorted(table))
        asset_number = {asset.symbol: k for k, asset in enumerate(everything)}

        def column(values: list[str]) -> IntArray:
            return np.array([asset_number[value] for value in values], dtype=np.int64)

        return cls(
            instruments=tuple(ordered),
            assets=everything,
            number=MappingProxyType(number),
            asset_number=MappingProxyType(asset_number),
            kind=np.array([KINDS.index(i.kind) for i in ordered], dtype=np.int64),
            underlying=column([i.underlying for i in ordered]),
            quote=column([i.quote for i in ordered]),
            settle=column([i.settle for i in ordered]),
            contract_size=np.array([float(i.contract_size) for i in ordered], dtype=np.float64),
            inverse=np.array([i.inverse for i in ordered], dtype=np.bool_),
            any_domain=np.array([i.price_domain == "any" for i in ordered], dtype=np.bool_),
            is_call=np.array([isinstance(i, Option) and i.option_type == "call" for i in ordered], dtype=np.bool_),
            strike=np.array([float(i.strike) if isinstance(i, Option) else np.nan for i in ordered], dtype=np.float64),
            expiry=np.array(
                [i.expiry.timestamp() if isinstance(i, Future | Option) else np.inf for i in ordered],
                dtype=np.float64,
            ),
        )

    def __len__(self) -> int:
        return len(self.instruments)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self.instruments)

    def __getitem__(self, symbol: str) -> Instrument:
        if symbol not in self.number:
            raise UnknownSymbol(
                f"symbol {symbol}", "no such instrument", "a listed symbol", nearest(symbol, self.number)
            )
        return self.instruments[self.number[symbol]]
