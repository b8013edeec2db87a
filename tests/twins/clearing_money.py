"""Slow twin of the clearing house, money: what comes in, waits, moves between accounts and places, and goes out."""

from collections import defaultdict
from fractions import Fraction

HOUSE = (
    "external",
    "fees",
    "rounding",
    "insurance",
    "lending",
    "lending-reserve",
    "conversion",
    "house",
    "withdrawals",
    "default-fund",
)
LIMIT = 2**62
SECOND = 10**9
MODES = ("open", "reduce_only", "halted")
TIERS = ("prime", "standard", "basic")
PENDING, FINAL, REVERSED = "pending", "final", "reversed"
HERE = "here"


def a_name(text):
    return 0 < len(text) <= 200 and text.isprintable() and text == text.strip()


class Money:
    """Balances by (account, asset, place, pending) and what commands do to them. Nobody is asked for margin."""

    def __init__(self):
        self.decimals = {}
        self.accounts = {}
        self.money = defaultdict(Fraction)
        self.orders = {}
        self.deposits = {}
        self.withdrawals = {}
        self.delayed_until = 0
        self.places = {HERE: False}
        self.modes = {"": "open"}
        self.caps = {}
        self.limits = {}
        self.members = {}
        self.shares = defaultdict(Fraction)
        self.pools = {}
        self.proposals = {}
        self.unsure = 0
        self.margined = False
        self.currency = None

    # --- looking

    def at(self, account, asset, place=HERE):
        return self.money[account, asset, place, False]

    def total(self, account, asset):
        """Return what an account has of an asset for certain, wherever it is, less what it borrowed."""
        return sum(self.at(account, asset, place) for place in (*self.places, "borrowed"))

    def on_hold(self, account, asset):
        return sum(o["reserve"] for o in self.orders.values() if (o["account"], o["asset"]) == (account, asset))

    def move(self, source, target, asset, amount, place=HERE):
        self.money[source, asset, place, False] -= amount
        self.money[target, asset, place, False] += amount

    def _who(self, name):
        if name not in self.accounts:
            return ["unknown_account"]
        if name in HOUSE:
            return ["account_is_the_house"]
        return ["account_is_closed"] if self.accounts[name].get("closed") else []

    def _what(self, asset):
        return [] if asset in self.decimals else ["unknown_asset"]

    def _where(self, place):
        if place not in self.places:
            return ["unknown_location"]
        return ["location_is_halted"] if self.places[place] else []

    def _new(self, reference, known, exists):
        if reference in known:
            return [exists]
        return [] if a_name(reference) else ["name_is_not_allowed"]

    def _spend(self, account, asset, amount, place):
        """Why an account may not spend what it has."""
        refused = []
        if self.modes.get(account, "open") != "open" or self.modes[""] == "halted":
            refused.append("account_is_restricted")
        have = min(self.at(account, asset, place), self.total(account, asset))
        if not self.margined:
            have -= self.on_hold(account, asset)
        if amount > max(0, have):
            refused.append("funds_are_insufficient")
        return refused

    def _owes(self, account):
        """Whether an account does not stand: without margin for all to see, with margin by the house's word."""
        if self.margined:
            return bool(self._word("pool_would_not_stand"))
        return any(self.total(account, asset) < 0 for asset in self.decimals)

    def _leave(self, account, asset, amount, place):
        return self._spend(account, asset, amount, place) + ["pool_would_not_stand"] * self._owes(account)

    def _word(self, *reasons):
        """Take the house's word for whether a command may be: one of these reasons, or none."""
        said = self.reply.reason.value if hasattr(self.reply, "reason") else ""
        self.unsure += 1
        return [said] if said in reasons else []

    def _large(self, *amounts):
        """How near to its bounds the house lets an amount come is for it to say; that it is large at all, for us."""
        return self._word("amount_too_large") if any(abs(amount) >= LIMIT // 16 for amount in amounts) else []

    # --- deposits

    def _Deposit(self, c):  # noqa: N802
        refused = self._who(c.account) + self._what(c.asset) + self._where(c.location)
        refused += self._new(c.reference, self.deposits, "deposit_exists")
        if c.amount <= 0:
            refused.append("amount_not_positive")
        if c.amount >= LIMIT or c.amount - self.total("external", c.asset) >= LIMIT // 2:
            refused.append("amount_too_large")

        def effect():
            stage = FINAL if c.final else PENDING
            self.deposits[c.reference] = [c.account, c.asset, c.amount, c.location, stage, None]
            self.money["external", c.asset, c.location, False] -= c.amount
            self.money[c.account, c.asset, c.location, not c.final] += c.amount

        return refused, effect

    def _FinalizeDeposit(self, c):  # noqa: N802
        row = self.deposits.get(c.reference)
        if row is None:
            return ["unknown_deposit"], None
        if row[4] != PENDING:
            return ["deposit_is_final" if row[4] == FINAL else "deposit_is_reversed"], None

        def effect():
            account, asset, amount, place = row[:4]
            row[4] = FINAL
            self.money[account, asset, place, True] -= amount
            self.money[account, asset, place, False] += amount

        return [], effect

    def _ReverseDeposit(self, c):  # noqa: N802
        row = self.deposits.get(c.reference)
        if row is None:
            return ["unknown_deposit"], None
        account, asset, amount, place, stage, source = row
        if stage == REVERSED:
            return ["deposit_is_reversed"], None

        def effect():
            row[4] = REVERSED
            self.money["external", asset, place, False] += amount
            if stage == PENDING:
                self.money[account, asset, place, True] -= amount
            else:
                there = max(0, min(amount, self.at(account, asset, place)))
                self.money[account, asset, place, False] -= there
                self.money[account, asset, HERE, False] -= amount - there
                # What was only under way between two places is back where it came from: nobody owes anything for it.
                back = 0 if source is None else amount
                if self._less_than_nothing(account, asset) and not back and self.modes.get(account, "open") == "open":
                    self.modes[account] = "reduce_only"
            if source is not None:
                self.money["external", asset, source, False] -= amount
                self.money[account, asset, source, False] += amount
            self.accounts[account]["closed"] = False

        return self._large(amount, self.at(account, asset)), effect

    def _less_than_nothing(self, account, asset):
        return self.total(account, asset) < 0

    # --- moves

    def _Transfer(self, c):  # noqa: N802
        refused = self._who(c.source) + self._who(c.target) + self._what(c.asset) + self._where(c.location)
        if c.amount <= 0:
            refused.append("amount_not_positive")
        if refused:
            return refused, None
        giver, taker = self.accounts[c.source], self.accounts[c.target]
        pooled = giver.get("pool") is not None and giver.get("pool") == taker.get("pool")
        own = giver["owner"] == taker["owner"] and giver["kind"] == taker["kind"] in ("house", "client")
        if c.source == c.target or not (pooled or taker["member"] == c.source or own):
            refused.append("accounts_are_segregated")
        refused += (self._spend if pooled else self._leave)(c.source, c.asset, c.amount, c.location)
        refused = refused or self._large(c.amount, self.at(c.target, c.asset))
        return refused, lambda: self.move(c.source, c.target, c.asset, c.amount, c.location)

    def _MoveCollateral(self, c):  # noqa: N802
        refused = self._who(c.account) + self._what(c.asset) + self._where(c.source) + self._where(c.target)
        refused += self._new(c.reference, self.deposits, "deposit_exists")
        if c.amount <= 0:
            refused.append("amount_not_positive")
        if c.source == c.target:
            refused.append("nothing_would_change")
        if not refused:
            refused += self._leave(c.account, c.asset, c.amount, c.source)
            if self.now < self.delayed_until:
                refused.append("withdrawals_are_delayed")

        def effect():
            self.deposits[c.reference] = [c.account, c.asset, c.amount, c.target, PENDING, c.source]
            self.money[c.account, c.asset, c.source, False] -= c.amount
            self.money["external", c.asset, c.source, False] += c.amount
            self.money["external", c.asset, c.target, False] -= c.amount
            self.money[c.account, c.asset, c.target, True] += c.amount

        return refused, effect

    # --- withdrawals

    def _Withdraw(self, c):  # noqa: N802
        refused = self._who(c.account) + self._what(c.asset) + self._where(c.location)
        refused += self._new(c.reference, self.withdrawals, "withdrawal_exists")
        if not a_name(c.destination):
            refused.append("name_is_not_allowed")
        if c.amount <= 0:
            refused.append("amount_not_positive")
        if refused:
            return refused, None
        refused = self._leave(c.account, c.asset, c.amount, c.location)
        cap = self.caps.get((c.account, c.asset))
        window = None
        if cap is not None:
            window = self.now // (cap["seconds"] * SECOND)
            used = cap["used"] if window == cap["window"] else 0
            if c.amount > max(0, cap["amount"] - used):
                refused.append("withdrawal_limit_reached")
        refused = refused or self._large(c.amount, self.at("withdrawals", c.asset, c.location))

        def effect():
            self.withdrawals[c.reference] = [c.account, c.asset, c.amount, c.location, "asked for", window]
            self._use(c.account, c.asset, window, c.amount)
            self.move(c.account, "withdrawals", c.asset, c.amount, c.location)

        return refused, effect

    def _use(self, account, asset, window, amount):
        cap = self.caps.get((account, asset))
        if cap is None or window is None:
            return
        if window > cap["window"]:
            cap["window"], cap["used"] = window, 0
        if window == cap["window"]:
            cap["used"] = max(0, cap["used"] + amount)

    def _stage(self, reference, *stages):
        if reference not in self.withdrawals:
            return ["unknown_withdrawal"]
        return [] if self.withdrawals[reference][4] in stages else ["withdrawal_is_elsewhere"]

    def _SendWithdrawal(self, c):  # noqa: N802
        refused = self._stage(c.reference, "asked for")
        if refused:
            return refused, None
        row = self.withdrawals[c.reference]
        if self.places[row[3]]:
            refused.append("location_is_halted")
        if self.modes.get(row[0], "open") != "open" or self.modes[""] == "halted":
            refused.append("account_is_restricted")
        if self.now < self.delayed_until:
            refused.append("withdrawals_are_delayed")
        if self._owes(row[0]):
            refused.append("pool_would_not_stand")
        return refused, lambda: row.__setitem__(4, "sent")

    def _ConfirmWithdrawal(self, c):  # noqa: N802
        refused = self._stage(c.reference, "sent")

        def effect():
            _, asset, amount, place, _, _ = row = self.withdrawals[c.reference]
            row[4] = "paid"
            self.move("withdrawals", "external", asset, amount, place)

        return refused, effect

    def _ReturnWithdrawal(self, c):  # noqa: N802
        refused = self._stage(c.reference, "asked for", "sent")

        def effect():
            account, asset, amount, place, _, window = row = self.withdrawals[c.reference]
            row[4] = "returned"
            self._use(account, asset, window, -amount)
            self.move("withdrawals", account, asset, amount, place)

        return refused, effect

    def _DelayWithdrawals(self, c):  # noqa: N802
        refused = [] if 0 <= c.seconds <= 7 * 86_400 and c.reason.strip() else ["terms_are_invalid"]

        def effect():
            self.delayed_until = self.now + c.seconds * SECOND

        return refused, effect

    def _SetWithdrawalLimit(self, c):  # noqa: N802
        refused = self._who(c.account) + self._what(c.asset)
        if (c.amount is not None and not 0 <= c.amount < LIMIT) or not 1 <= c.window_seconds <= 366 * 86_400:
            refused.append("terms_are_invalid")

        def effect():
            key = (c.account, c.asset)
            if c.amount is None:
                self.caps.pop(key, None)
                return
            known = self.caps.get(key)
            same = known is not None and known["seconds"] == c.window_seconds
            self.caps[key] = {
                "amount": c.amount,
                "seconds": c.window_seconds,
                "window": known["window"] if same else 0,
                "used": known["used"] if same else 0,
            }

        return refused, effect

    # --- places, restrictions

    def _SetLocation(self, c):  # noqa: N802
        refused = [] if a_name(c.location) else ["name_is_not_allowed"]
        if (
            not 0 <= c.finality_seconds <= 366 * 86_400
            or not 0 <= c.fee < LIMIT
            or (c.cap is not None and not 0 <= c.cap < LIMIT)
            or (c.location == HERE and c.finality_seconds > 0)
        ):
            refused.append("terms_are_invalid")
        return refused, lambda: self.places.setdefault(c.location, False)

    def _HaltLocation(self, c):  # noqa: N802
        refused = self._where(c.location)
        if not 0 <= c.notice_seconds <= 366 * 86_400 or not c.reason.strip() or c.location == HERE:
            refused.append("terms_are_invalid")
        return refused, lambda: self.places.__setitem__(c.location, True)

    def _ResumeLocation(self, c):  # noqa: N802
        if c.location not in self.places:
            return ["unknown_location"], None
        refused = [] if self.places[c.location] else ["nothing_would_change"]
        return refused, lambda: self.places.__setitem__(c.location, False)

    def _Restrict(self, c):  # noqa: N802
        refused = []
        if c.mode not in MODES or (c.account and c.instrument) or not c.reason.strip():
            refused.append("terms_are_invalid")
        if c.account:
            refused += self._who(c.account)
        if c.instrument and c.instrument not in self.papers:
            refused.append("unknown_instrument")
        key = c.account or ("instrument", c.instrument) * bool(c.instrument) or ""
        now = self.modes.get(key, "open")
        if now == c.mode == "open":
            refused.append("nothing_would_change")
        refused = refused or (self._word("nothing_would_change") if now == c.mode else [])
        if c.account and c.mode == "open" and not refused and self._owes(c.account):
            refused.append("pool_would_not_stand")
        return refused, lambda: self.modes.__setitem__(key, c.mode)

    def _SetLimits(self, c):  # noqa: N802
        refused = self._who(c.account) if c.account else []
        if c.instrument not in self.papers:
            refused.append("unknown_instrument")
        position, order = (2**40 if lots is None else lots for lots in (c.position, c.order))
        if not 0 <= position <= 2**40 or not 0 <= order <= 2**40:
            refused.append("terms_are_invalid")
        return refused, lambda: self.limits.__setitem__((c.account, c.instrument), (position, order))

    def _held_back(self, account, symbol, before, lots, reduces):
        """Why restrictions and limits hold an account's order or trade back."""
        modes = [self.modes.get(key, "open") for key in ("", account, ("instrument", symbol))]
        strictest = max(map(MODES.index, modes))
        if strictest == 2 or (strictest == 1 and not reduces):
            return ["trading_is_restricted"]
        refused = []
        position, order = self.limits.get((account, symbol), self.limits.get(("", symbol), (2**40, 2**40)))
        if not reduces and abs(lots) > order:
            refused.append("order_limit_reached")
        if not reduces and abs(before + lots) > position:
            refused.append("position_limit_reached")
        return refused

    # --- members, pools and the end

    def _AdmitMember(self, c):  # noqa: N802
        refused = self._who(c.account)
        if not refused and (self.accounts[c.account]["kind"] != "house" or self.accounts[c.account]["member"]):
            refused.append("account_is_no_member")
        if not 0 <= c.assessment_cap < LIMIT:
            refused.append("terms_are_invalid")
        return refused, lambda: self.members.__setitem__(c.account, c.assessment_cap)

    def _clients(self, member):
        return [n for n, row in self.accounts.items() if row["member"] == member and not row.get("closed")]

    def _Contribute(self, c):  # noqa: N802
        refused = self._who(c.account) + self._what(c.asset)
        if c.amount == 0:
            refused.append("amount_not_positive")
        if c.account not in self.members:
            refused.append("account_is_no_member")
        if refused:
            return refused, None
        if c.amount > 0:
            refused += self._leave(c.account, c.asset, c.amount, HERE)
        else:
            if -c.amount > self.shares[c.account, c.asset]:
                refused.append("funds_are_insufficient")
            if self.now < self.delayed_until:
                refused.append("withdrawals_are_delayed")
            if self._clients(c.account):
                refused.append("member_has_clients")

        def effect():
            self.shares[c.account, c.asset] += c.amount
            self.move(c.account, "default-fund", c.asset, c.amount)

        return refused, effect

    def _MoveClient(self, c):  # noqa: N802
        refused = self._who(c.account) + (self._who(c.member) if c.member else [])
        if refused:
            return refused, None
        row = self.accounts[c.account]
        if row["kind"] == "house":
            refused.append("accounts_are_segregated")
        if c.member and c.member not in self.members:
            refused.append("account_is_no_member")
        if c.member == row["member"]:
            refused.append("nothing_would_change")
        if row.get("pool") is not None:
            refused.append("account_is_in_a_pool")
        if self._owes(c.account):
            refused.append("pool_would_not_stand")
        return refused, lambda: row.__setitem__("member", c.member)

    def _CloseAccount(self, c):  # noqa: N802
        refused = self._who(c.account)
        if refused:
            return refused, None
        name = c.account
        if (
            any(amount for (account, *_), amount in self.money.items() if account == name)
            or any(any(row) for (account, _), row in self.held.items() if account == name)
            or any(o["account"] == name for o in self.orders.values())
            or any(row[0] == name and row[4] in ("asked for", "sent") for row in self.withdrawals.values())
            or self.accounts[name].get("pool") is not None
            or self._clients(name)
            or any(amount for (member, _), amount in self.shares.items() if member == name)
        ):
            refused.append("account_is_not_empty")

        def effect():
            self.accounts[name]["closed"] = True
            self.members.pop(name, None)

        return refused, effect

    def _JoinPool(self, c):  # noqa: N802
        """Who may be in whose pool is told by tests of pools; here it counts who is, and that nobody's money moves."""
        refused = self._who(c.account)
        if not refused and self.accounts[c.account].get("pool") is not None:
            refused.append("account_is_in_a_pool")
        refused = refused or self._word(
            "name_is_not_allowed", "accounts_are_segregated", "agreement_is_missing", "pool_would_not_stand"
        )
        mine = self.pools.get(c.pool, [])
        if not refused and any(self.accounts[a]["kind"] != self.accounts[c.account]["kind"] for a in mine):
            refused.append("accounts_are_segregated")
        if (
            not refused
            and not c.agreement
            and any(self.accounts[a]["owner"] != self.accounts[c.account]["owner"] for a in mine)
        ):
            refused.append("agreement_is_missing")

        def effect():
            self.pools.setdefault(c.pool, []).append(c.account)
            self.accounts[c.account]["pool"] = c.pool

        return refused, effect

    def _LeavePool(self, c):  # noqa: N802
        refused = self._who(c.account)
        if not refused and self.accounts[c.account].get("pool") is None:
            refused.append("account_is_in_no_pool")
        refused = refused or self._word("pool_would_not_stand")

        def effect():
            self.pools[self.accounts[c.account].pop("pool")].remove(c.account)

        return refused, effect

    def _AddAsset(self, c):  # noqa: N802
        refused = ["asset_exists"] if c.asset in self.decimals else []
        if not a_name(c.asset) or not 0 <= c.decimals <= 9:
            refused.append("terms_are_invalid")
        return refused, lambda: self.decimals.__setitem__(c.asset, c.decimals)

    def _SetTier(self, c):  # noqa: N802
        refused = self._who(c.account)
        if c.tier not in TIERS or not c.reason.strip():
            refused.append("terms_are_invalid")
        if not refused and self.accounts[c.account]["tier"] == c.tier:
            refused.append("nothing_would_change")
        return refused, lambda: self.accounts[c.account].__setitem__("tier", c.tier)

    # --- parameters: who may is told here, what they are good for elsewhere

    def _ProposeParameters(self, c):  # noqa: N802
        refused = self._new(c.proposal, self.proposals, "proposal_exists")
        if not c.values and not c.rules:
            refused.append("nothing_would_change")
        refused += self._word("terms_are_invalid", "name_is_not_allowed")
        return refused, lambda: self.proposals.__setitem__(c.proposal, [c.officer, False])

    def _ReportImpact(self, c):  # noqa: N802
        refused = [] if c.proposal in self.proposals else ["unknown_proposal"]
        if min(c.initial_before, c.initial_after, c.below_before, c.below_after) < 0:
            refused.append("terms_are_invalid")
        return refused, lambda: self.proposals[c.proposal].__setitem__(1, True)

    def _ApproveParameters(self, c):  # noqa: N802
        if c.proposal not in self.proposals:
            return ["unknown_proposal"], None
        officer, measured = self.proposals[c.proposal]
        refused = [] if a_name(c.officer) else ["name_is_not_allowed"]
        if officer == c.officer:
            refused.append("second_officer_is_needed")
        if not measured:
            refused.append("impact_is_not_known")
        # Whether what it was measured against still holds is for the house to say.
        return refused or self._word("impact_is_not_known"), lambda: self.proposals.pop(c.proposal)

    def _DropProposal(self, c):  # noqa: N802
        refused = [] if c.proposal in self.proposals else ["unknown_proposal"]
        return refused, lambda: self.proposals.pop(c.proposal)

    # --- agreements

    def _SignAgreement(self, c):  # noqa: N802
        return self._word("name_is_not_allowed", "terms_are_invalid", "nothing_would_change"), lambda: None

    def _RevokeAgreement(self, c):  # noqa: N802
        refused = self._word("unknown_agreement", "nothing_would_change", "pool_would_not_stand")

        def effect():
            # Whose accounts have left is for the house to say; that they are those of who revoked, for us.
            for number in self.reply.events[0].left:
                name = list(self.accounts)[number]
                assert self.accounts[name]["owner"] == c.owner
                self.pools[self.accounts[name].pop("pool")].remove(name)

        return refused, effect
