"""Linear futures and perpetuals: what is not one of them."""

from __future__ import annotations

import numpy as np

from crossmargin.instruments import KINDS, Catalogue
from crossmargin.units import IntArray

_OPTION = KINDS.index("option")


def not_linear(catalogue: Catalogue, instrument: IntArray) -> IntArray:
    """Return the distinct numbers among `instrument` of options and of inverse contracts."""
    held = np.unique(instrument)
    return np.asarray(held[(catalogue.kind[held] == _OPTION) | catalogue.inverse[held]])
