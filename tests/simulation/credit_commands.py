"""Commands about credit: what lenders, borrowers and who exchanges collateral ask of a simulated house."""

from crossmargin.clearing import (
    Borrow,
    ChargeInterest,
    ConvertCollateral,
    Lend,
    Repay,
    SetConversion,
    SetLending,
    StockConversion,
    TakeBack,
)

LENT = ("USD", "BTC")


class CreditCommands:
    """Makers of one command each: `_name` for each name in CREDIT."""

    def _lent(self):
        return self.chance.choice((*LENT, *LENT, *LENT, "ETH", "XRP"))

    def _set_lending(self):
        return SetLending(
            asset=self.chance.choice(LENT),
            base=self.chance.choice((0, 10_000_000, 10**11)),
            reserve=self.chance.choice((0, 100_000_000, 10**9)),
            kink=self.chance.choice((800_000_000, 1, 0)),
            supply_cap=self.chance.choice((None, None, 10**12)),
            borrow_cap=self.chance.choice((None, None, 10**9)),
        )

    def _lend(self):
        account, asset = self._account(), self._lent()
        return Lend(account=account, asset=asset, amount=self._share(account, asset))

    def _take_back(self):
        account, asset = self._account(), self._lent()
        return TakeBack(account=account, asset=asset, amount=self._share(account, asset, "lent"))

    def _borrow(self):
        account, asset = self._account(), self._lent()
        there = int(self.books.at("lending", asset))
        amount = self.chance.choice((there // 10, there // 2, there, there + 1, 1_000, 1, 0))
        return Borrow(account=account, asset=asset, amount=amount)

    def _repay(self):
        asset = self._lent()
        owing = [
            a
            for (a, k, place, _), amount in self.books.money.items()
            if (k, place) == (asset, "borrowed") and amount < 0
        ]
        account = self.chance.choice(owing) if owing and self.chance.random() < 0.9 else self._account()
        owed = -int(self.books.at(account, asset, "borrowed"))
        return Repay(account=account, asset=asset, amount=self.chance.choice((owed, 2 * owed, owed // 2, 1)))

    def _charge(self):
        return ChargeInterest(asset=self._lent())

    def _set_conversion(self):
        return SetConversion(asset=self._asset(), spread=self.chance.choice((0, 100, 5_000, None, 500_000)))

    def _stock_conversion(self):
        amount = self.chance.choice((10**9, 10**9, 10**9, -(10**8), 10**6, 0))
        return StockConversion(asset=self._asset(), amount=amount, reason=self.chance.choice(("stock", "stock", " ")))

    def _stock(self):
        amount = self.chance.choice((10**12, 10**14, -(10**10), 0))
        return StockConversion(asset=self._asset(), amount=amount, reason="the house's own")

    def _convert(self):
        account, give = self._account(), self._asset()
        return ConvertCollateral(
            account=account,
            give=give,
            take=self._asset(),
            amount=self._share(account, give),
            least=self.chance.choice((1, 1, 10**6)),
        )


CREDIT = {
    "set_lending": ("lending", 1),
    "lend": ("lending", 4),
    "take_back": ("lending", 2),
    "borrow": ("lending", 5),
    "repay": ("lending", 3),
    "charge": ("lending", 2),
    "set_conversion": ("conversion", 3),
    "stock_conversion": ("conversion", 3),
    "stock": ("conversion", 2),
    "convert": ("conversion", 6),
}
"""What a command is made by: the feature it needs, and how often compared with the others."""
