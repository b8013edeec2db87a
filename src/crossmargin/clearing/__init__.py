"""The clearing house: one deterministic machine that stands between buyers and sellers and keeps everyone's money.

    decide -> write down -> apply -> answer         sequencer.House; machine.decide and machine.apply

Here: the ledger and positions in whole units, every command and event, the journal's records and its Protocol, the
state and how it is rebuilt. A topic is a file: its commands, its events, what it decides and what it applies. Never
here: clocks, randomness, files, threads, floats in what is kept; where records are stored (`storage`), matching
(a venue's job), what a portfolio needs (`standing`).

Conventions. Money is whole minor units of an asset, lots and ticks are whole, times are nanoseconds since 1970 UTC.
Commands name things as people do, events by number. What an account receives is rounded down, the rest goes to the
rounding account in the same event. A no has a name (`Reason`); an exception is a fault, and the house stops.
"""

from crossmargin.clearing.allocations import BlockTrade, GiveUp, Leg
from crossmargin.clearing.auditing import Audit, audit, unconserved
from crossmargin.clearing.column_trades import ClearColumns
from crossmargin.clearing.control import Restrict
from crossmargin.clearing.conversion import ConvertCollateral, SetConversion, StockConversion
from crossmargin.clearing.expiry import CorrectSettlement, Expire, SetAveraging, SetSettlementPrice
from crossmargin.clearing.funding import PayFunding, SampleFunding, SetFunding
from crossmargin.clearing.group_commit import GroupCommit
from crossmargin.clearing.journal import (
    GENESIS,
    KEY_LENGTH_MAX,
    Journal,
    JournalCorrupt,
    JournalFailed,
    Record,
    Snapshot,
    chained,
    check_chain,
    check_whole,
    record_hash,
)
from crossmargin.clearing.ledger import HOUSE_ACCOUNTS
from crossmargin.clearing.lending import Borrow, ChargeInterest, Lend, Repay, SetLending, TakeBack
from crossmargin.clearing.limits import SetLimits, SetTier, SetWithdrawalLimit
from crossmargin.clearing.locations import HaltLocation, ResumeLocation, SetLocation
from crossmargin.clearing.machine import Command, Event, command_types, event_types
from crossmargin.clearing.marks import UpdateMarks
from crossmargin.clearing.members import AdmitMember, CloseAccount, Contribute, MoveClient
from crossmargin.clearing.money import Deposit, FinalizeDeposit, MoveCollateral, ReverseDeposit, Transfer
from crossmargin.clearing.orders import CheckOrder, ReleaseOrder
from crossmargin.clearing.parameters import ApproveParameters, DropProposal, ProposeParameters, ReportImpact
from crossmargin.clearing.parties import AddAsset, ListInstrument, OpenAccount, OpenHouse, terms_of
from crossmargin.clearing.pools import JoinPool, LeavePool, RevokeAgreement, SignAgreement
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.risk import STATUSES, Fill, PoolStanding, Risk
from crossmargin.clearing.rule_book import RuleBookView
from crossmargin.clearing.scan import ScanView
from crossmargin.clearing.scan_table import ScanTable, grid_table
from crossmargin.clearing.sequencer import Applied, House, HouseHalted, Reply, rebuilt, recovered, replay
from crossmargin.clearing.settlement import SettleVariation
from crossmargin.clearing.stages import Delist, StartTrading
from crossmargin.clearing.standings import StandingChanged
from crossmargin.clearing.state import State
from crossmargin.clearing.time import AdvanceClock
from crossmargin.clearing.trading import ClearedTrade, ClearTrades, TradesCleared
from crossmargin.clearing.venue import Closed, ForcedOrder, Report, Trade, Venue
from crossmargin.clearing.withdrawals import (
    ConfirmWithdrawal,
    DelayWithdrawals,
    ReturnWithdrawal,
    SendWithdrawal,
    Withdraw,
)

__all__ = [
    "GENESIS",
    "HOUSE_ACCOUNTS",
    "KEY_LENGTH_MAX",
    "STATUSES",
    "AddAsset",
    "AdmitMember",
    "AdvanceClock",
    "Applied",
    "ApproveParameters",
    "Audit",
    "BlockTrade",
    "Borrow",
    "ChargeInterest",
    "CheckOrder",
    "ClearColumns",
    "ClearTrades",
    "ClearedTrade",
    "CloseAccount",
    "Closed",
    "Command",
    "ConfirmWithdrawal",
    "Contribute",
    "ConvertCollateral",
    "CorrectSettlement",
    "DelayWithdrawals",
    "Delist",
    "Deposit",
    "DropProposal",
    "Event",
    "Expire",
    "Fill",
    "FinalizeDeposit",
    "ForcedOrder",
    "GiveUp",
    "GroupCommit",
    "HaltLocation",
    "House",
    "HouseHalted",
    "JoinPool",
    "Journal",
    "JournalCorrupt",
    "JournalFailed",
    "LeavePool",
    "Leg",
    "Lend",
    "ListInstrument",
    "MoveClient",
    "MoveCollateral",
    "OpenAccount",
    "OpenHouse",
    "PayFunding",
    "PoolStanding",
    "ProposeParameters",
    "Reason",
    "Record",
    "Rejected",
    "ReleaseOrder",
    "Repay",
    "Reply",
    "Report",
    "ReportImpact",
    "Restrict",
    "ResumeLocation",
    "ReturnWithdrawal",
    "ReverseDeposit",
    "RevokeAgreement",
    "Risk",
    "RuleBookView",
    "SampleFunding",
    "ScanTable",
    "ScanView",
    "SendWithdrawal",
    "SetAveraging",
    "SetConversion",
    "SetFunding",
    "SetLending",
    "SetLimits",
    "SetLocation",
    "SetSettlementPrice",
    "SetTier",
    "SetWithdrawalLimit",
    "SettleVariation",
    "SignAgreement",
    "Snapshot",
    "StandingChanged",
    "StartTrading",
    "State",
    "StockConversion",
    "TakeBack",
    "Trade",
    "TradesCleared",
    "Transfer",
    "UpdateMarks",
    "Venue",
    "Withdraw",
    "audit",
    "chained",
    "check_chain",
    "check_whole",
    "command_types",
    "event_types",
    "grid_table",
    "rebuilt",
    "record_hash",
    "recovered",
    "replay",
    "terms_of",
    "unconserved",
]
