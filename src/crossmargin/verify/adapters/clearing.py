"""Adapters of what the clearing house does with prices, queues and losses."""

from __future__ import annotations

from fractions import Fraction

from crossmargin.clearing import deleveraging, prices
from crossmargin.errors import InputError
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter


@adapter(
    "index_capped_median",
    reads="prices weights? cap",
    calls="clearing.prices.clamped_index",
    note="weights all equal where absent. Gives {median, capped, index}.",
)
def _index_capped_median(inputs: Inputs) -> object:
    found = [Fraction(repr(price)) for price in inputs.numbers("prices")]
    weights = [Fraction(repr(w)) for w in inputs.numbers("weights")] if inputs.has("weights") else [1] * len(found)
    cap = inputs.exact("cap")
    try:
        index = prices.clamped_index(found, weights, cap)
    except ValueError as error:
        raise InputError("inputs", str(error), "sources with weights") from None
    return {
        "median": float(index.median),
        "capped": [float(price) for price in index.clamped],
        "index": float(index.index),
    }


def _queue(inputs: Inputs) -> tuple[list[str], list[deleveraging.Candidate]]:
    names, candidates = [], []
    for row in inputs.inners("accounts"):
        lots = row.whole("qty")
        if lots <= 0:
            raise InputError(f"{row.place}.qty", str(lots), "above 0")
        names.append(str(row.whole("id")))
        candidates.append(deleveraging.Candidate(lots=lots, score=row.exact("score")))
    return names, candidates


@adapter(
    "adl_queue_order",
    reads="accounts",
    calls="clearing.deleveraging.ranks",
    note="accounts [{id, qty, score}]; the ids, first in the queue first.",
)
def _adl_queue_order(inputs: Inputs) -> object:
    names, candidates = _queue(inputs)
    rank = deleveraging.ranks("queue", candidates)
    return [int(names[k]) for k in sorted(range(len(names)), key=lambda k: rank[k])]


@adapter(
    "adl_queue_allocation",
    reads="accounts liquidated_short? liquidated_long? bankruptcy_price?",
    calls="clearing.deleveraging.allocated",
    note="Lots of the liquidated side; {id: lots} of those who give any. bankruptcy_price is where they close.",
)
def _adl_queue_allocation(inputs: Inputs) -> object:
    names, candidates = _queue(inputs)
    sides = [key for key in ("liquidated_short", "liquidated_long") if inputs.has(key)]
    if len(sides) != 1:
        raise InputError("inputs", " and ".join(sides) or "neither side", "liquidated_short or liquidated_long")
    residual = inputs.whole(sides[0])
    if residual < 0:
        raise InputError(f"inputs.{sides[0]}", str(residual), "0 or more")
    if inputs.has("bankruptcy_price"):
        inputs.number("bankruptcy_price")
    taken = deleveraging.allocated(residual, candidates, deleveraging.ranks("queue", candidates))
    return {name: lots for name, lots in zip(names, taken, strict=True) if lots}


@adapter(
    "loss_socialisation",
    reads="mark_from? mark_to? insurance_pool? losers winners_in_order",
    calls="clearing.deleveraging.socialised",
    note="Either losers [{owes, balance}] and what winners are owed, or positions {party, size, balance} over a move of"
    " the mark. Gives {collected, received} and, of named parties, {collected, owed, P_received, P_loss, P_realised}.",
)
def _loss_socialisation(inputs: Inputs) -> object:
    pool = inputs.whole("insurance_pool", 0)
    if not inputs.has("mark_from"):
        losers = inputs.inners("losers")
        paid = [min(row.whole("owes"), row.whole("balance")) for row in losers]
        owed = [_whole(amount, "winners_in_order") for amount in inputs.numbers("winners_in_order")]
        unpaid = sum(row.whole("owes") for row in losers) - sum(paid)
        collected = sum(paid) + min(pool, unpaid)
        return {"collected": collected, "received": deleveraging.socialised(collected, owed)}
    move = inputs.exact("mark_to") - inputs.exact("mark_from")
    found: dict[str, int] = {}
    owes = paid_in = 0
    for row in inputs.inners("losers"):
        loss = _whole(-move * row.whole("size"), f"{row.place}.size")
        paid_now = min(loss, row.whole("balance"))
        owes, paid_in = owes + loss, paid_in + paid_now
        found[f"{row.text('party')}_realised"] = -paid_now
    collected = paid_in + min(pool, owes - paid_in)
    winners = inputs.inners("winners_in_order")
    owed = [_whole(move * row.whole("size"), f"{row.place}.size") for row in winners]
    received = deleveraging.socialised(collected, owed)
    for row, due, got in zip(winners, owed, received, strict=True):
        party = row.text("party")
        found[f"{party}_received"], found[f"{party}_loss"] = got, due - got
    return {"collected": collected, "owed": sum(owed), **found}


def _whole(amount: Fraction | float, place: str) -> int:
    number = Fraction(amount)
    if number.denominator != 1 or number < 0:
        raise InputError(place, str(float(number)), "whole units, on the side that its list is named for")
    return number.numerator
