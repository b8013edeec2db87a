"""Scenarios: joint moves of prices and vols, and what they do to one unit of everything.

Here: scenario sets (price x vol grids, history, the shipped reference set, stress, any table), proxies where history is
missing, and the risk array. Never here: positions, requirements, rule-book numbers (the shipped facts about markets are
dated TOML beside this file).

Conventions. A move is a simple return, +0.1 is +10%, or price units where an underlying's prices may be
negative. A vol factor multiplies implied vol. A risk array is P&L in the reporting currency: a loss is negative.
"""

from crossmargin.scenarios.crashes import PriceMove, StressFacts, stress, stressed
from crossmargin.scenarios.grid import GridCells, GridShape
from crossmargin.scenarios.history import (
    MissingHistory,
    effective_sample,
    filtered,
    historical,
    missing_history,
)
from crossmargin.scenarios.joint import JointParameters, JointScenarios, MarketFacts, ScenarioReport, joint_scenarios
from crossmargin.scenarios.proxy import StandIn, completed
from crossmargin.scenarios.reference import ReferenceSet, Vols, VolUsed, reference, reference_set
from crossmargin.scenarios.risk_array import Moves, RiskArray, asset_moves, followers, revalue, risk_array
from crossmargin.scenarios.scenario_set import ScenarioSet, TenorScaling, ToldInPrices
from crossmargin.scenarios.table import scenario_table

__all__ = [
    "GridCells",
    "GridShape",
    "JointParameters",
    "JointScenarios",
    "MarketFacts",
    "MissingHistory",
    "Moves",
    "PriceMove",
    "ReferenceSet",
    "RiskArray",
    "ScenarioReport",
    "ScenarioSet",
    "StandIn",
    "StressFacts",
    "TenorScaling",
    "ToldInPrices",
    "VolUsed",
    "Vols",
    "asset_moves",
    "completed",
    "effective_sample",
    "filtered",
    "followers",
    "historical",
    "joint_scenarios",
    "missing_history",
    "reference",
    "reference_set",
    "revalue",
    "risk_array",
    "scenario_table",
    "stress",
    "stressed",
]
