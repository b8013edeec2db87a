"""Every reason for which the house says no. Names are kept for ever: never rename or reuse one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Reason(StrEnum):
    """Why a command was rejected; each reads as a sentence about the command."""

    # Any command.
    KEY_USED_FOR_ANOTHER_COMMAND = "key_used_for_another_command"
    NAME_IS_NOT_ALLOWED = "name_is_not_allowed"
    AMOUNT_NOT_POSITIVE = "amount_not_positive"
    AMOUNT_TOO_LARGE = "amount_too_large"
    HOUSE_IS_NOT_OPEN = "house_is_not_open"
    HOUSE_IS_OPEN_ALREADY = "house_is_open_already"

    # Who and what.
    UNKNOWN_ACCOUNT = "unknown_account"
    ACCOUNT_EXISTS = "account_exists"
    ACCOUNT_IS_THE_HOUSE = "account_is_the_house"
    ACCOUNT_IS_CLOSED = "account_is_closed"
    UNKNOWN_ASSET = "unknown_asset"
    ASSET_EXISTS = "asset_exists"
    UNKNOWN_LOCATION = "unknown_location"
    UNKNOWN_INSTRUMENT = "unknown_instrument"
    INSTRUMENT_EXISTS = "instrument_exists"
    TERMS_ARE_NOT_WHOLE_UNITS = "terms_are_not_whole_units"
    TERMS_ARE_INVALID = "terms_are_invalid"

    # Money.
    UNKNOWN_DEPOSIT = "unknown_deposit"
    DEPOSIT_EXISTS = "deposit_exists"
    DEPOSIT_IS_REVERSED = "deposit_is_reversed"
    DEPOSIT_IS_FINAL = "deposit_is_final"
    FUNDS_ARE_INSUFFICIENT = "funds_are_insufficient"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A business no: nothing has changed. `detail` says what was found, for people."""

    reason: Reason
    detail: str = ""
