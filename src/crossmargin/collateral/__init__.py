"""What a balance counts as collateral: haircuts, tiers, caps, where it is, and who holds it.

Conventions. A haircut is a fraction of the units held; tiers are marginal slices of the pool's whole holding of
an asset, so the counted quantity is concave in size. A debt counts in full. Wrong-way collateral, worth least just
when its owner cannot pay, counts nothing. Never here: what a pool must have.
"""

from crossmargin.collateral.haircuts import Counted, HaircutPolicy, Tiers, count_collateral
from crossmargin.collateral.wrong_way import WrongWay

__all__ = ["Counted", "HaircutPolicy", "Tiers", "WrongWay", "count_collateral"]
