"""Prices, greeks and implied vols for whole arrays at once, where prices are positive and where they need not be."""

import numpy as np

from crossmargin.pricing import bachelier, black76, black76_greeks, implied_vol

strikes = np.array([50_000.0, 60_000.0, 70_000.0, 80_000.0])
forward, vol, years, discount = 64_420.0, np.full(4, 0.55), 35 / 365, np.exp(-0.041 * 35 / 365)
calls = black76(forward, strikes, vol, years, discount, True)
greeks = black76_greeks(forward, strikes, vol, years, discount, True)
back, _ = implied_vol(calls, forward, strikes, years, discount, True)
for strike, call, delta, found in zip(strikes, calls, greeks.delta, back, strict=True):
    print(f"{strike:>8,.0f} call {call:>10,.2f}  delta {delta:>6.3f}  vol back {found:.12f}")
oil = bachelier(-4.0, 0.0, 12.0, years, discount, True)
print(f"a call at 0 on oil at -4 is worth {float(oil):.4f}")
