"""Slow twin of the clearing house, credit: lending pools with their indices, and exchange of collateral."""

from fractions import Fraction
from math import ceil, floor

from tests.twins.clearing_money import HERE, LIMIT, SECOND

UNIT, INDEX = 10**9, 10**15
YEAR = 365 * 86_400 * SECOND
HOUR = 3_600 * SECOND


class Credit:
    """Who lent and borrowed what; claims and debts are balances at "lent" and "borrowed"."""

    def __init__(self):
        self.lending = {}
        self.spreads = {}

    # --- lending

    def _owed_to(self, asset):
        return -self.at("lending", asset, "lent")

    def _owed_by(self, asset):
        return self.at("lending", asset, "borrowed")

    def _SetLending(self, c):  # noqa: N802
        refused = self._what(c.asset)
        if (
            any(not 0 <= rate <= 100 * UNIT for rate in (c.base, c.below, c.above))
            or not 0 < c.kink < UNIT
            or not 0 <= c.reserve <= UNIT
            or any(cap is not None and not 0 <= cap < LIMIT for cap in (c.supply_cap, c.borrow_cap))
        ):
            refused.append("terms_are_invalid")

        def effect():
            self._interest(c.asset)
            row = self.lending.setdefault(
                c.asset, {"debt": 0, "claim": 0, "debts": {}, "claims": {}, "charged": self.now, "terms": None}
            )
            row |= {"terms": c, "time": self.now}

        return refused, effect

    def _interest(self, asset):
        """Let the indices of a pool rise for the time since they last did."""
        row = self.lending.get(asset)
        if row is None or row["time"] == self.now:
            return
        debt, claim, terms = self._owed_by(asset), self._owed_to(asset), row["terms"]
        elapsed, row["time"] = self.now - row["time"], self.now
        if not debt:
            return
        used = min(UNIT, ceil(debt * UNIT / claim)) if claim > 0 else UNIT
        if used <= terms.kink:
            rate = terms.base + ceil(Fraction(terms.below * used, terms.kink))
        else:
            rate = terms.base + terms.below + ceil(Fraction(terms.above * (used - terms.kink), UNIT - terms.kink))
        rise = floor(Fraction(rate, UNIT) * INDEX * elapsed / YEAR)
        row["debt"] += rise
        if claim > 0:
            row["claim"] += floor(rise * debt / claim * Fraction(UNIT - terms.reserve, UNIT))

    def _interest_of(self, account, asset, side):
        """Return the interest of an account's debt (rounded up) or claim (rounded down) since it was last reckoned."""
        row = self.lending[asset]
        since = row[side + "s"].get(account, row[side])
        if side == "debt":
            return ceil(-self.at(account, asset, "borrowed") * (row["debt"] - since) / INDEX)
        return floor(self.at(account, asset, "lent") * (row["claim"] - since) / INDEX)

    def _reckoned(self, account, asset, side):
        row, place = self.lending[asset], "borrowed" if side == "debt" else "lent"
        if self.at(account, asset, place):
            row[side + "s"][account] = row[side]
        else:
            row[side + "s"].pop(account, None)

    def _at_pool(self, c):
        refused = self._who(c.account) + self._what(c.asset)
        if c.asset not in self.lending:
            refused.append("asset_is_not_lent")
        if c.amount <= 0:
            refused.append("amount_not_positive")
        if c.amount >= LIMIT // 4:
            refused.append("amount_too_large")
        return refused

    def _Lend(self, c):  # noqa: N802
        refused = self._at_pool(c)
        if refused:
            return refused, None
        refused = self._leave(c.account, c.asset, c.amount, HERE)
        cap = self.lending[c.asset]["terms"].supply_cap
        if self._owed_to(c.asset) + c.amount > (LIMIT // 4 if cap is None else cap):
            refused.append("lending_cap_is_reached")

        def effect():
            self._interest(c.asset)
            self._claim(c.account, c.asset, c.amount)

        return refused, effect

    def _claim(self, account, asset, amount):
        earned = self._interest_of(account, asset, "claim")
        self.move("lending", account, asset, amount + earned, "lent")
        self.move(account, "lending", asset, amount)
        self._reckoned(account, asset, "claim")

    def _debt(self, account, asset, amount):
        owed = self._interest_of(account, asset, "debt")
        self.move(account, "lending", asset, amount + owed, "borrowed")
        self.move("lending", account, asset, amount)
        self._reckoned(account, asset, "debt")

    def _TakeBack(self, c):  # noqa: N802
        refused = self._at_pool(c)
        if refused:
            return refused, None
        before = dict(self.lending[c.asset])
        self._interest(c.asset)
        have = self.at(c.account, c.asset, "lent") + self._interest_of(c.account, c.asset, "claim")
        if c.amount > have:
            refused.append("funds_are_insufficient")
        if c.amount > self.at("lending", c.asset):
            refused.append("lending_pool_is_empty")
        if refused:
            self.lending[c.asset] = before
        return refused, lambda: self._claim(c.account, c.asset, -c.amount)

    def _Borrow(self, c):  # noqa: N802
        refused = self._at_pool(c)
        if refused:
            return refused, None
        if self.modes.get(c.account, "open") != "open" or self.modes[""] != "open":
            refused.append("account_is_restricted")
        if c.amount > self.at("lending", c.asset):
            refused.append("lending_pool_is_empty")
        cap = self.lending[c.asset]["terms"].borrow_cap
        if cap is not None and self._owed_by(c.asset) + c.amount > cap:
            refused.append("lending_cap_is_reached")
        refused = refused or (self._word("margin_is_insufficient") if self.margined else ["margin_is_insufficient"])

        def effect():
            self._interest(c.asset)
            self._debt(c.account, c.asset, c.amount)

        return refused, effect

    def _Repay(self, c):  # noqa: N802
        refused = self._at_pool(c)
        if refused:
            return refused, None
        before = dict(self.lending[c.asset])
        self._interest(c.asset)
        owed = self._interest_of(c.account, c.asset, "debt") - self.at(c.account, c.asset, "borrowed")
        amount = min(c.amount, owed)
        if not amount:
            refused.append("nothing_is_due")
        elif amount > self.at(c.account, c.asset):
            refused.append("funds_are_insufficient")
        if refused:
            self.lending[c.asset] = before
        return refused, lambda: self._debt(c.account, c.asset, -amount)

    def _ChargeInterest(self, c):  # noqa: N802
        refused = self._what(c.asset)
        if c.asset not in self.lending:
            refused.append("asset_is_not_lent")
        return refused or self._large(self._owed_by(c.asset)), lambda: self._charge(c.asset)

    def _charge(self, asset):
        """Add interest to every debt and claim; what is owed and nobody's, the reserve lends to the pool."""
        self._interest(asset)
        row = self.lending[asset]
        row["charged"] = self.now
        for account in sorted(row["debts"]):
            self.move(account, "lending", asset, self._interest_of(account, asset, "debt"), "borrowed")
        for account in sorted(row["claims"]):
            self.move("lending", account, asset, self._interest_of(account, asset, "claim"), "lent")
        left = self.at("lending", asset) + self._owed_by(asset) - self._owed_to(asset)
        self.move("lending", "lending-reserve", asset, left, "lent")
        for account in [*row["debts"]]:
            self._reckoned(account, asset, "debt")
        for account in [*row["claims"], "lending-reserve"]:
            self._reckoned(account, asset, "claim")

    def _charge_all(self):
        for asset in self.decimals:
            if asset in self.lending and self._owed_by(asset) > 0 and self.now >= self.lending[asset]["charged"] + HOUR:
                self._charge(asset)

    # --- exchange

    def _SetConversion(self, c):  # noqa: N802
        refused = self._what(c.asset)
        if c.spread is not None and not 0 <= c.spread < 500_000:
            refused.append("terms_are_invalid")
        if self.spreads.get(c.asset) == c.spread:
            refused.append("nothing_would_change")
        return refused, lambda: self.spreads.__setitem__(c.asset, c.spread)

    def _StockConversion(self, c):  # noqa: N802
        refused = self._what(c.asset)
        if c.amount == 0 or not c.reason.strip():
            refused.append("terms_are_invalid")
        if not refused and self.at("conversion", c.asset) + c.amount < 0:
            refused.append("conversion_has_too_little")
        if not refused and c.amount - self.total("external", c.asset) >= LIMIT // 2:
            refused.append("amount_too_large")
        return refused, lambda: self.move("external", "conversion", c.asset, c.amount)

    def _StockConversion(self, c):  # noqa: N802
        refused = self._what(c.asset)
        if c.amount == 0 or not c.reason.strip():
            refused.append("terms_are_invalid")
        if not refused and self.at("conversion", c.asset) + c.amount < 0:
            refused.append("conversion_has_too_little")
        refused = refused or self._large(c.amount, self.at("external", c.asset))
        return refused, lambda: self.move("external", "conversion", c.asset, c.amount)

    def _value(self, asset):
        if asset == self.currency:
            return Fraction(1)
        return Fraction(self.indices[asset][0], 10**8) if asset in self.indices else None

    def _ConvertCollateral(self, c):  # noqa: N802
        refused = self._who(c.account) + self._what(c.give) + self._what(c.take)
        if c.amount <= 0:
            refused.append("amount_not_positive")
        if c.give == c.take:
            refused.append("nothing_would_change")
        for asset in (c.give, c.take):
            if self.spreads.get(asset) is None:
                refused.append("asset_is_not_converted")
            if asset != self.currency and not refused:
                refused += self._fresh(self.indices, asset)
        if refused:
            return refused, None
        refused = self._spend(c.account, c.give, c.amount, HERE)
        whole = c.amount * self._value(c.give) / self._value(c.take)
        whole *= Fraction(10) ** (self.decimals[c.take] - self.decimals[c.give])
        gross = floor(whole)
        net = floor(whole * (1 - Fraction(self.spreads[c.give] + self.spreads[c.take], 10**6)))
        if net < max(1, c.least):
            refused.append("amount_too_small")
        if gross > self.at("conversion", c.take):
            refused.append("conversion_has_too_little")
        refused = refused or self._large(gross, c.amount, self.at("conversion", c.give))
        if self.margined:
            refused = refused or self._word("margin_is_insufficient")

        def effect():
            self.move(c.account, "conversion", c.give, c.amount)
            self.move("conversion", c.account, c.take, net)
            self.move("conversion", "fees", c.take, gross - net)

        return refused, effect
