"""One sensitivity: what a portfolio gains as one risk factor moves by its unit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum, isfinite
from types import MappingProxyType

from crossmargin.errors import InputError, nearest

PRODUCTS = ("RatesFX", "Credit", "Equity", "Commodity")
"""Product classes: margins of one are combined, of two added."""

RISK_TYPES = MappingProxyType(
    {
        "Risk_IRCurve": ("InterestRate", "delta"),
        "Risk_Inflation": ("InterestRate", "delta"),
        "Risk_XCcyBasis": ("InterestRate", "delta"),
        "Risk_IRVol": ("InterestRate", "vega"),
        "Risk_InflationVol": ("InterestRate", "vega"),
        "Risk_CreditQ": ("CreditQualifying", "delta"),
        "Risk_CreditVol": ("CreditQualifying", "vega"),
        "Risk_BaseCorr": ("CreditQualifying", "base correlation"),
        "Risk_CreditNonQ": ("CreditNonQualifying", "delta"),
        "Risk_CreditVolNonQ": ("CreditNonQualifying", "vega"),
        "Risk_Equity": ("Equity", "delta"),
        "Risk_EquityVol": ("Equity", "vega"),
        "Risk_Commodity": ("Commodity", "delta"),
        "Risk_CommodityVol": ("Commodity", "vega"),
        "Risk_FX": ("FX", "delta"),
        "Risk_FXVol": ("FX", "vega"),
    }
)
"""Risk type -> risk class and kind of sensitivity."""

RISK_CLASSES = ("InterestRate", "FX", "CreditQualifying", "CreditNonQualifying", "Equity", "Commodity")

RESIDUAL = "Residual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """A row of the common format: product class, risk type, factor and amount in the calculation currency.

    Amounts are per basis point (rates, credit, inflation, basis), per 1% (equity, commodity, FX, base correlation);
    those of vols are vega per vol point (equity, commodity, FX) or vega times vol (rates, credit).
    """

    product: str
    risk_type: str
    qualifier: str
    """Currency, issuer, commodity; a pair of currencies, in either order, of an FX vol."""
    bucket: str = ""
    label1: str = ""
    """Tenor of rates and credit; expiry of vols."""
    label2: str = ""
    """Sub-curve of rates; payment currency or seniority of credit."""
    amount: float

    def __post_init__(self) -> None:
        if self.product not in PRODUCTS:
            raise InputError("product", repr(self.product), ", ".join(PRODUCTS), nearest(self.product, PRODUCTS))
        if self.risk_type not in RISK_TYPES:
            hint = nearest(self.risk_type, RISK_TYPES)
            raise InputError("risk_type", repr(self.risk_type), ", ".join(RISK_TYPES), hint)
        if not self.qualifier:
            raise InputError("qualifier", "nothing", f"what the {self.risk_type} is on")
        if isinstance(self.amount, bool) or not isfinite(self.amount):
            raise InputError("amount", repr(self.amount), "a finite number")
        if self.risk_type == "Risk_FXVol":
            object.__setattr__(self, "qualifier", _pair(self.qualifier))
        if self.bucket.lower() == RESIDUAL.lower():
            object.__setattr__(self, "bucket", RESIDUAL)

    @property
    def risk_class(self) -> str:
        """The risk class the row belongs to."""
        return RISK_TYPES[self.risk_type][0]

    @property
    def kind(self) -> str:
        """`delta`, `vega` (which curvature is made of too) or `base correlation`."""
        return RISK_TYPES[self.risk_type][1]


def _pair(text: str) -> str:
    letters = text.replace("/", "").strip().upper()
    if len(letters) != 6 or not letters.isalpha() or letters[:3] == letters[3:]:
        raise InputError("qualifier", repr(text), "two currencies, such as EURUSD")
    return "".join(sorted((letters[:3], letters[3:])))


def netted(rows: Iterable[Sensitivity]) -> list[Sensitivity]:
    """Return rows with the same factor added up, in the order of the factors' names: the order of rows is no matter."""
    amounts: dict[tuple[str, str, str, str, str, str], list[float]] = {}
    for row in rows:
        key = (row.product, row.risk_type, row.qualifier, row.bucket, row.label1, row.label2)
        amounts.setdefault(key, []).append(row.amount)
    return [
        Sensitivity(
            product=key[0],
            risk_type=key[1],
            qualifier=key[2],
            bucket=key[3],
            label1=key[4],
            label2=key[5],
            amount=fsum(amounts[key]),
        )
        for key in sorted(amounts)
    ]
