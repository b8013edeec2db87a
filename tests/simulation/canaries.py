"""Canaries: houses that are broken on purpose, one way each. A simulation that does not catch them is no good."""

from dataclasses import replace

from crossmargin.clearing import journal, ledger, machine, money, sequencer, trading
from crossmargin.clearing.ledger import EXTERNAL, FEES, ROUNDING, Posting
from crossmargin.clearing.marks import MarksUpdated
from crossmargin.clearing.money import Deposit, Deposited
from crossmargin.clearing.orders import Orders
from crossmargin.clearing.rejections import Rejected
from crossmargin.clearing.trading import TradesCleared
from tests.simulation.faults import SimulatedJournal


def applied_so(patch, kind, effect):
    """Let events of a kind have another effect; `effect` is told the right one."""
    right = machine._effects[kind]
    patch.setitem(machine._effects, kind, lambda state, event: effect(right, state, event))


def a_fee_is_credited_twice(patch):
    def effect(right, state, event):
        right(state, event)
        first = int(trading.whole_numbers(event.buyer_fee)[0])
        if first:
            asset = state.parties.instruments[int(trading.whole_numbers(event.instrument)[0])].contract.settle
            state.ledger.post([Posting(FEES, asset, first), Posting(EXTERNAL, asset, -first)])

    applied_so(patch, TradesCleared, effect)


def money_comes_from_nowhere(patch):
    right = ledger.Ledger.post

    def post(self, postings):
        booked = list(postings)
        right(self, booked)
        if len(booked) == 2 and booked[1].amount == 1_000_000_000:
            self.cash[booked[1].account, booked[1].asset] += 1

    patch.setattr(ledger.Ledger, "post", post)


def a_deposit_goes_to_the_next_account(patch):
    def effect(right, state, event):
        there = event.account + 1 < len(state.parties.accounts) and event.amount % 7 == 0
        changed = Deposited(
            **{name: getattr(event, name) for name in event.__struct_fields__} | {"account": event.account + there}
        )
        right(state, changed)

    applied_so(patch, Deposited, effect)


def first_trade(state, event):
    """Return (instrument, its contract, buyer, seller, lots, ticks) of the first of some trades."""
    columns = (event.instrument, event.buyer, event.seller, event.lots, event.ticks)
    instrument, *rest = (int(trading.whole_numbers(column)[0]) for column in columns)
    return instrument, state.parties.instruments[instrument].contract, *rest


def a_seller_keeps_what_was_sold(patch):
    def effect(right, state, event):
        right(state, event)
        instrument, _, _, seller, lots, _ = first_trade(state, event)
        if lots == 5:
            state.positions.add(seller, instrument, 5, 0)

    applied_so(patch, TradesCleared, effect)


def inverse_contracts_are_rounded_for_the_account(patch):
    def effect(right, state, event):
        right(state, event)
        instrument, contract, buyer, _, lots, ticks = first_trade(state, event)
        if contract.inverse and lots * contract.numerator % (contract.denominator * ticks):
            state.positions.add(buyer, instrument, 0, 1)
            state.positions.add(ROUNDING, instrument, 0, -1)

    applied_so(patch, TradesCleared, effect)


def a_key_is_forgotten(patch):
    patch.setattr(SimulatedJournal, "find", lambda self, key: None)


def a_key_answers_for_any_command(patch):
    right = sequencer._same
    patch.setattr(sequencer, "_same", lambda known, body: right(known, sequencer.decoded(known.payload)[0]))


def an_answer_does_not_wait_for_the_disk(patch):
    right = SimulatedJournal.append

    def append(self, records):
        if self.fault != "lost":
            right(self, records)

    patch.setattr(SimulatedJournal, "append", append)


def a_fenced_writer_writes_on(patch):
    right = SimulatedJournal.append

    def append(self, records):
        epoch, self.disk.epoch = self.disk.epoch, self.epoch
        try:
            right(self, records)
        finally:
            self.disk.epoch = epoch

    patch.setattr(SimulatedJournal, "append", append)


def a_snapshot_forgets_what_is_held(patch):
    right = Orders.frozen
    patch.setattr(Orders, "frozen", lambda self: [[*row[:5], 0, *row[6:]] for row in right(self)])


def a_snapshot_forgets_deposits(patch):
    patch.setattr(money.Deposits, "thawed", classmethod(lambda cls, plain: cls({row[0]: row[1:] for row in plain[1:]})))


def a_rejection_leaves_a_trace(patch):
    right = machine._decisions[Deposit]

    def decide(state, command):
        decision = right(state, command)
        if isinstance(decision, Rejected) and decision.reason.value == "amount_not_positive":
            state.parties.accounts[-1].tier = 0
        return decision

    patch.setitem(machine._decisions, Deposit, decide)


def an_order_that_is_over_still_holds_money(patch):
    right = Orders.remove

    def remove(self, name):
        key = self.open[name].account, self.open[name].asset
        before = self.reserved.get(key)
        right(self, name)
        if before:
            self.reserved[key] = before

    patch.setattr(Orders, "remove", remove)


def replay_leaves_marks_out(patch):
    right, live = sequencer.replay, machine._effects[MarksUpdated]

    def replay(state, record):
        machine._effects[MarksUpdated] = lambda state, event: None
        try:
            return right(state, record)
        finally:
            machine._effects[MarksUpdated] = live

    patch.setattr(sequencer, "replay", replay)


def a_chain_is_not_looked_at(patch):
    patch.setattr(sequencer, "check_chain", lambda before, record: None)


def a_hash_does_not_cover_the_key(patch):
    right = journal.record_hash
    patch.setattr(journal, "record_hash", lambda *parts: right(*parts[:3], b"", *parts[4:]))


def time_runs_backwards_with_the_clock(patch):
    right = sequencer.chained

    def chained(before, epoch, time, key, payload):
        # What a house does that takes the clock's word.
        earlier = replace(before, time=before.time) if before else None
        return right(earlier, epoch, time - (time % 3), key, payload)

    patch.setattr(sequencer, "chained", chained)


CANARIES = (
    a_fee_is_credited_twice,
    money_comes_from_nowhere,
    a_deposit_goes_to_the_next_account,
    a_seller_keeps_what_was_sold,
    inverse_contracts_are_rounded_for_the_account,
    a_key_is_forgotten,
    a_key_answers_for_any_command,
    an_answer_does_not_wait_for_the_disk,
    a_fenced_writer_writes_on,
    a_snapshot_forgets_what_is_held,
    a_snapshot_forgets_deposits,
    a_rejection_leaves_a_trace,
    an_order_that_is_over_still_holds_money,
    replay_leaves_marks_out,
    a_chain_is_not_looked_at,
    a_hash_does_not_cover_the_key,
    time_runs_backwards_with_the_clock,
)
