"""Margin models: how much must each pool have. One file a model.

Here: the question (`MarginModel`), its answer (`Requirement`), and the models. A model's parameters are its
fields; no venue's number lives here. The house model, portfolio, is made of parts: joint tables and their tails,
the short-option minimum, liquidity and vega at the owner's size (on depth), basis, open orders. Never here:
collateral valuation, status, files.

Conventions. A requirement is >= 0, in the reporting currency. A model sees pools as ragged legs and collateral
(`Portfolios`) with prices as columns (`Valuation`); it never asks whether a pool is real or hypothetical, so
the same call margins a book and the points of a price ladder. The terms of a pool add up to its maintenance
margin exactly (math.fsum), and so do the shares of its legs and collateral.
"""

from crossmargin.margin import (
    composed,
    delta_spreads,
    derive_portfolio,
    derive_portfolio_v1,
    derive_standard,
    isolated,
    market_levels,
    quantums,
    simm,
    size_weights,
    span,
    strategy,
    tims,
)
from crossmargin.margin.brackets import Brackets, Tiers, next_amount
from crossmargin.margin.composed import Composed
from crossmargin.margin.contingency import futures_charges, futures_contingency, short_option_charges
from crossmargin.margin.derive_portfolio import DerivePortfolio
from crossmargin.margin.derive_portfolio_v1 import DerivePortfolioV1
from crossmargin.margin.derive_standard import DeriveStandard
from crossmargin.margin.model import (
    BookModel,
    MarginModel,
    Portfolios,
    PositionModel,
    Requirement,
    ScenarioSource,
    Terms,
)
from crossmargin.margin.orders import OpenOrders
from crossmargin.margin.standard_option import FutureRates, OptionRates, StandardOption
from crossmargin.margin.variation import VariationAccount, variation_account

__all__ = [
    "BookModel",
    "Brackets",
    "Composed",
    "DerivePortfolio",
    "DerivePortfolioV1",
    "DeriveStandard",
    "FutureRates",
    "MarginModel",
    "OpenOrders",
    "OptionRates",
    "Portfolios",
    "PositionModel",
    "Requirement",
    "ScenarioSource",
    "StandardOption",
    "Terms",
    "Tiers",
    "VariationAccount",
    "composed",
    "delta_spreads",
    "derive_portfolio",
    "derive_portfolio_v1",
    "derive_standard",
    "futures_charges",
    "futures_contingency",
    "isolated",
    "market_levels",
    "next_amount",
    "quantums",
    "short_option_charges",
    "simm",
    "size_weights",
    "span",
    "strategy",
    "tims",
    "variation_account",
]
