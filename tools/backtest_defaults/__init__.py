"""The backtest of the shipped defaults of `portfolio`, and the page it writes.

`python -m tools.backtest_defaults` (or `make backtest-page`) reads market data from $CROSSMARGIN_SHARED, margins static
books on every window with what was known when it opened, and writes docs/explanation/backtest.md with its plots.
"""
