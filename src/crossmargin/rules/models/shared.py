"""Parameters that several margin models have alike."""

from __future__ import annotations

from crossmargin.rules.entry import FACTOR, POSITIVE, Entry
from crossmargin.rules.kinds import Number, by_class, by_name

INITIAL_FACTOR = Entry(
    key="initial_factor",
    kind=FACTOR,
    unit="multiple of maintenance margin",
    meaning="Initial margin over maintenance margin.",
)
ANY_FLOOR_BY_NAME = Entry(
    key="any_floor_by_name",
    kind=by_name(Number(least=0), "underlying"),
    unit="price units",
    meaning="The same by underlying.",
    required=False,
)
VOL_PIVOT_DAYS = Entry(
    key="vol_pivot_days",
    kind=POSITIVE,
    unit="days",
    meaning="Vol shocks are multiplied by (pivot / days to expiry) ^ power.",
)
VOL_SHORT_POWER = Entry(
    key="vol_short_power",
    kind=Number(least=0, most=1),
    unit="power",
    meaning="That power below the pivot.",
)
VOL_LONG_POWER = Entry(
    key="vol_long_power",
    kind=Number(least=0, most=1),
    unit="power",
    meaning="That power from the pivot on.",
)
HORIZON_DAYS = Entry(
    key="horizon_days",
    kind=by_class(Number(least=1, whole=True)),
    unit="days",
    meaning="How long a window of an asset class is: the time it takes to close a position out.",
)
MINIMUM_DAYS = Entry(
    key="minimum_days",
    kind=Number(least=2, whole=True),
    unit="days",
    meaning="Closes that an underlying must have; a book without them is margined on the shipped reference set.",
)
QUOTE_RANK = Entry(
    key="quote_rank",
    kind=by_name(Number(least=1, most=100, whole=True), "quote currency"),
    unit="rank",
    meaning="Quote currencies that hedge each other; the first is matched with the last first.",
)
