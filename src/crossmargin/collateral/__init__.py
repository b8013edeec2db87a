"""What a balance counts as collateral: haircuts, tiers, caps and where it is.

Conventions. A haircut is a fraction of the units held; tiers are marginal slices of the pool's whole holding of
an asset, so the counted quantity is concave in size. A debt counts in full. Never here: what a pool must have.
"""

from crossmargin.collateral.haircuts import Counted, HaircutPolicy, Tiers, count_collateral

__all__ = ["Counted", "HaircutPolicy", "Tiers", "count_collateral"]
