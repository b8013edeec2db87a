"""`audit` and `replay`: what is said of a journal, of a damaged one, and of one that is none."""

from itertools import count

import pytest

from crossmargin.clearing import (
    ClearedTrade,
    ClearTrades,
    Deposit,
    House,
    ListInstrument,
    OpenAccount,
    OpenHouse,
    UpdateMarks,
    rebuilt,
)
from crossmargin.storage import open_journal

START, SECOND = 1_800_000_000_000_000_000, 1_000_000_000
TERMS = {
    "type": "perpetual",
    "symbol": "BTC-PERP",
    "underlying": "BTC",
    "quote": "USD",
    "tick_size": "1",
    "lot_size": "0.01",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return (path of a journal of a small house, its state hash, sequence of its last record)."""
    path = tmp_path_factory.mktemp("house") / "house.db"
    journal = open_journal(str(path))
    house = House(journal, count(START, SECOND).__next__)
    trade = ClearedTrade(symbol="BTC-PERP", buyer="alice", seller="bob", lots=3, ticks=60_000)
    for command in (
        OpenHouse(currency="USD", assets={"USD": (2, "other")}),
        OpenAccount(account="alice"),
        OpenAccount(account="bob"),
        Deposit(account="alice", asset="USD", amount=20_000_00, reference="1"),
        Deposit(account="alice", asset="USD", amount=-1, reference="2"),
        Deposit(account="bob", asset="USD", amount=30_000_01, reference="3"),
        ListInstrument(terms=TERMS, taker_fee=500),
        UpdateMarks(instruments={"BTC-PERP": 60_000}, indices={"BTC": 60_000 * 10**8}),
        ClearTrades(trades=[trade]),
    ):
        house.submit(command)
    house.snapshot()
    found = house.state.hash(), house.state.sequence
    journal.close()
    return path, *found


def test_a_journal_that_is_well_is_said_to_be(crossmargin, written):
    path, state_hash, last = written
    told = crossmargin("audit", path, "--json")
    assert told.code == 0
    assert told.document == {
        "events": last - 1,
        "records": last,
        "rejections": 1,
        "chain": "ok",
        "conservation": "ok",
        "snapshots": "ok",
        "state_hash": state_hash,
    }
    text = crossmargin("audit", path)
    assert (text.code, text.err) == (0, "")
    assert "conservation  ok" in text.out


def test_a_record_that_was_changed_is_named_and_the_exit_code_says_so(crossmargin, written, tmp_path):
    path, _, _ = written
    damaged = tmp_path / "damaged.db"
    data = bytearray(path.read_bytes())
    place = data.rfind(b"BTC-PERP")
    data[place] ^= 1
    damaged.write_bytes(data)
    told = crossmargin("audit", damaged, "--json")
    assert told.code == 1
    assert told.document["chain"].startswith("record ")
    assert "hashed" in told.document["chain"]
    again = crossmargin("replay", damaged)
    assert again.code == 2
    assert "crossmargin audit" in again.err


@pytest.mark.parametrize("at", [1, 4, 6, 9])
def test_replay_shows_the_house_after_any_record(crossmargin, written, at):
    path, _, _ = written
    told = crossmargin("replay", path, "--at", at, "--json").document
    journal = open_journal(str(path), write=False)
    assert told["state_hash"] == rebuilt(journal, sequence=at).hash()
    assert told["sequence"] == at
    journal.close()


def test_replay_shows_what_everybody_had_in_whole_units(crossmargin, written):
    path, state_hash, last = written
    told = crossmargin("replay", path, "--json").document
    assert (told["state_hash"], told["sequence"]) == (state_hash, last)
    accounts = {account["id"]: account for account in told["accounts"]}
    assert accounts["bob"]["balances"] == [{"asset": "USD", "amount": "30000.01", "location": "here", "state": "final"}]
    assert accounts["alice"]["positions"] == [
        {"symbol": "BTC-PERP", "quantity": "0.03", "lots": 3, "cost": "-1800.00", "settle": "USD"}
    ]
    # 0.05% of 1,800 dollars, for whoever took.
    assert accounts["fees"]["balances"][0]["amount"] == "0.90"


def test_replay_takes_a_time_and_an_account(crossmargin, written):
    path, _, _ = written
    told = crossmargin("replay", path, "--at", "2027-01-15T08:00:04.5Z", "--account", "alice", "--json").document
    assert told["sequence"] == 5
    assert [account["id"] for account in told["accounts"]] == ["alice"]
    assert "alice" in crossmargin("replay", path, "--account", "alice").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--at", "999"), "found record 999; allowed: 1 to 9"),
        (("--at", "0"), "found record 0"),
        (("--at", "yesterday"), "'yesterday'"),
        (("--at", "2020-01-01T00:00:00Z"), "a time before the first record; allowed: from 2027-01-15T08:00:00Z on"),
        (("--account", "alicia"), "did you mean alice?"),
    ],
)
def test_what_cannot_be_replayed_is_refused(crossmargin, written, arguments, says):
    path, _, _ = written
    told = crossmargin("replay", path, *arguments)
    assert told.code == 2
    assert says in told.err


@pytest.mark.parametrize("verb", ["audit", "replay"])
def test_what_is_no_journal_is_refused(crossmargin, tmp_path, verb):
    text = tmp_path / "text.db"
    text.write_text("hello\n")
    empty = tmp_path / "empty.db"
    open_journal(str(empty)).close()
    for path, says in ((text, "no SQLite database"), (tmp_path / "none.db", "no file"), (empty, "without records")):
        told = crossmargin(verb, path)
        assert told.code == 2, told
        assert says in told.err
