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
    COMMAND_IS_MALFORMED = "command_is_malformed"

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

    # Trading and marks.
    BATCH_IS_EMPTY = "batch_is_empty"
    COLUMNS_ARE_MALFORMED = "columns_are_malformed"
    INSTRUMENT_DOES_NOT_TRADE = "instrument_does_not_trade"
    INSTRUMENT_IS_SETTLED = "instrument_is_settled"
    LOTS_ARE_IMPOSSIBLE = "lots_are_impossible"
    PRICE_IS_IMPOSSIBLE = "price_is_impossible"
    MARK_IS_IMPOSSIBLE = "mark_is_impossible"
    MARK_IS_MISSING = "mark_is_missing"
    MARGIN_IS_INSUFFICIENT = "margin_is_insufficient"
    ORDER_EXISTS = "order_exists"
    ORDER_REDUCES_NOTHING = "order_reduces_nothing"
    UNKNOWN_ORDER = "unknown_order"
    TRADE_IS_NOT_THE_ORDERS = "trade_is_not_the_orders"
    TRADE_WITH_ITSELF = "trade_with_itself"

    # Cash flows.
    MARK_IS_STALE = "mark_is_stale"
    NOTHING_IS_DUE = "nothing_is_due"
    INSTRUMENT_HAS_NO_VARIATION = "instrument_has_no_variation"
    INSTRUMENT_HAS_NO_FUNDING = "instrument_has_no_funding"
    INSTRUMENT_HAS_NOT_EXPIRED = "instrument_has_not_expired"
    SETTLEMENT_HAS_NO_QUORUM = "settlement_has_no_quorum"
    SETTLEMENT_PRICE_IS_KNOWN = "settlement_price_is_known"
    SETTLEMENT_IS_UNDER_WAY = "settlement_is_under_way"
    SETTLEMENT_IS_FINAL = "settlement_is_final"
    ASSET_IS_NOT_LENT = "asset_is_not_lent"
    LENDING_CAP_IS_REACHED = "lending_cap_is_reached"
    LENDING_POOL_IS_EMPTY = "lending_pool_is_empty"
    ASSET_IS_NOT_CONVERTED = "asset_is_not_converted"
    AMOUNT_TOO_SMALL = "amount_too_small"
    CONVERSION_HAS_TOO_LITTLE = "conversion_has_too_little"
    # Withdrawals, locations, pools, members, limits, parameters, control.
    NOTHING_WOULD_CHANGE = "nothing_would_change"
    UNKNOWN_WITHDRAWAL = "unknown_withdrawal"
    WITHDRAWAL_EXISTS = "withdrawal_exists"
    WITHDRAWAL_IS_ELSEWHERE = "withdrawal_is_elsewhere"
    WITHDRAWAL_LIMIT_REACHED = "withdrawal_limit_reached"
    WITHDRAWALS_ARE_DELAYED = "withdrawals_are_delayed"
    ACCOUNT_IS_RESTRICTED = "account_is_restricted"
    ACCOUNT_IS_NOT_EMPTY = "account_is_not_empty"
    ACCOUNT_IS_NO_MEMBER = "account_is_no_member"
    ACCOUNT_IS_IN_A_POOL = "account_is_in_a_pool"
    ACCOUNT_IS_IN_NO_POOL = "account_is_in_no_pool"
    ACCOUNTS_ARE_SEGREGATED = "accounts_are_segregated"
    AGREEMENT_IS_MISSING = "agreement_is_missing"
    UNKNOWN_AGREEMENT = "unknown_agreement"
    POOL_WOULD_NOT_STAND = "pool_would_not_stand"
    MEMBER_HAS_CLIENTS = "member_has_clients"
    LOCATION_IS_HALTED = "location_is_halted"
    ORDER_LIMIT_REACHED = "order_limit_reached"
    POSITION_LIMIT_REACHED = "position_limit_reached"
    PROPOSAL_EXISTS = "proposal_exists"
    UNKNOWN_PROPOSAL = "unknown_proposal"
    SECOND_OFFICER_IS_NEEDED = "second_officer_is_needed"
    IMPACT_IS_NOT_KNOWN = "impact_is_not_known"
    TRADING_IS_RESTRICTED = "trading_is_restricted"
    INSTRUMENT_IS_HELD = "instrument_is_held"
    STAGE_DOES_NOT_ALLOW_IT = "stage_does_not_allow_it"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A business no: nothing has changed. `detail` says what was found, for people."""

    reason: Reason
    detail: str = ""
