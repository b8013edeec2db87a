"""Nothing in the clearing house depends on when, where or in which process it runs: a lint of its source, reruns."""

import ast
import os
import subprocess
import sys
import types
import typing
from pathlib import Path

import msgspec
import pytest

import crossmargin.clearing
from crossmargin.clearing import State, command_types, event_types
from tests.simulation.campaign import run

ROOM = Path(crossmargin.clearing.__file__).parent
FILES = sorted(ROOM.glob("*.py"))
MODULES = {"asyncio", "os", "random", "secrets", "socket", "threading", "time", "uuid", "io", "logging", "pathlib"}
CALLS = {"id", "hash", "open", "print", "input", "eval", "exec", "globals", "vars"}
ATTRIBUTES = {"now": {"datetime", "date"}, "today": {"datetime", "date"}, "utcnow": {"datetime"}}
RISK = {"averaging.py", "risk.py", "books.py", "rule_book.py", "scan.py", "scan_kernels.py", "scan_table.py"}
"""Files that look at margin, in floats, for decisions; what they say is kept in events as whole numbers."""
EXACT = {"contracts.py", "deleveraging.py", "expiry.py", "funding.py", "prices.py"}
"""Files that divide fractions, which is exact."""
SHOWN = {"contracts.py"}
"""Files that say a price or a quantity as a float, for whoever looks at margin."""
LIVE = {"group_commit.py"}
"""Files at the door, where threads and clocks of the process belong: they hand commands to the sequencer."""


def nodes(path):
    yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def of_sets(function):
    """Return the names that a function gives a set."""
    names = set()
    for node in ast.walk(function):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ):
                if is_set(value, ()):
                    names.add(name)
    return names


def is_set(node, names):
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Name(id=name):
            return name in names
        case ast.Attribute(attr="touched"):
            return True
        case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
            return is_set(left, names)
    return False


def found_in(path):
    found = []
    for node in nodes(path):
        match node:
            case ast.Import(names=names):
                found += [f"line {node.lineno}: import {n.name}" for n in names if n.name.split(".")[0] in MODULES]
            case ast.ImportFrom(module=str(module)):
                if module.split(".")[0] in MODULES:
                    found.append(f"line {node.lineno}: from {module}")
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                found.append(f"line {node.lineno}: {name}()")
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name)):
                if owner in ATTRIBUTES.get(name, ()):
                    found.append(f"line {node.lineno}: {owner}.{name}()")
            case ast.ExceptHandler(type=None):
                found.append(f"line {node.lineno}: except without a type")
            case ast.ExceptHandler(type=ast.Name(id="Exception" | "BaseException"), body=[ast.Pass()]):
                found.append(f"line {node.lineno}: an exception is swallowed")
    return found


def set_iterations(path):
    found = []
    for function in nodes(path):
        if not isinstance(function, ast.FunctionDef):
            continue
        names = of_sets(function)
        for node in ast.walk(function):
            over = []
            match node:
                case ast.For(iter=it) | ast.comprehension(iter=it):
                    over = [it]
                case ast.Call(func=ast.Name(id="list" | "tuple" | "enumerate" | "iter" | "next"), args=[it, *_]):
                    over = [it]
            found += [f"line {it.lineno}: order of a set" for it in over if is_set(it, names)]
    return found


def floats(path):
    found = []
    for node in nodes(path):
        match node:
            case ast.BinOp(op=ast.Div(), left=left):
                found.append(f"line {node.lineno}: / on {ast.unparse(left)}")
            case ast.Call(func=ast.Name(id="float")):
                found.append(f"line {node.lineno}: float()")
            case ast.Constant(value=float()):
                found.append(f"line {node.lineno}: {node.value}")
    return found


@pytest.mark.parametrize("path", [p for p in FILES if p.name not in LIVE], ids=lambda path: path.stem)
def test_no_clock_no_chance_no_process_no_order_of_a_set(path):
    assert found_in(path) == []
    assert set_iterations(path) == []


@pytest.mark.parametrize("path", [p for p in FILES if p.name not in RISK | LIVE], ids=lambda path: path.stem)
def test_money_is_never_divided_into_floats(path):
    allowed = ("/",) * (path.name in EXACT) + ("float()",) * (path.name in SHOWN)
    assert [where for where in floats(path) if not where.split(": ")[1].startswith(allowed)] == []


def test_the_lint_sees_what_it_is_for(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import time\nfrom random import random\n"
        "def f(state, a):\n    s = {1, 2}\n    for x in s: pass\n    for y in state.touched: pass\n"
        "    t = list(set(a))\n    id(a)\n    datetime.now()\n    return a / 2 + 0.5\n"
    )
    assert len(found_in(bad)) == 4
    assert len(set_iterations(bad)) == 3
    assert len(floats(bad)) == 2


PLAIN = {int, str, bytes, bool, type(None)}


def leaves(kind):
    if typing.get_origin(kind) is None and not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return {kind}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return set().union(*(leaves(each) for each in typing.get_type_hints(kind).values() if each is not ...), set())
    inside = [each for each in typing.get_args(kind) if each is not Ellipsis]
    assert typing.get_origin(kind) in (list, tuple, dict, types.UnionType, typing.Union), kind
    return set().union(*(leaves(each) for each in inside))


def test_commands_and_events_are_made_of_whole_numbers_texts_and_bytes():
    for kind in (*command_types(), *event_types()):
        hints = {n: t for n, t in typing.get_type_hints(kind).items() if typing.get_origin(t) is not typing.ClassVar}
        strange = {name: hint for name, hint in hints.items() if not leaves(hint) <= PLAIN}
        assert strange == {}, kind.__name__


def test_the_state_is_made_of_whole_numbers_texts_and_bytes():
    from tests.simulation.trial import Trial
    from tests.simulation.workload import Workload

    trial, workload = Trial(), Workload(5)
    for _ in range(150):
        trial.do(workload.next(trial))

    def kinds(plain):
        if isinstance(plain, list):
            return set().union(*map(kinds, plain), set())
        if isinstance(plain, dict):
            return kinds([*plain, *plain.values()])
        return {type(plain)}

    assert kinds(msgspec.msgpack.decode(trial.house.state.frozen())) <= PLAIN
    assert State.thawed(trial.house.state.frozen()).hash() == trial.hash


SEEDS, LENGTH = range(1000, 1005), 100
SCRIPT = (
    "from tests.simulation.campaign import run\n"
    f"print(*(run(seed, {LENGTH}).hash for seed in range({SEEDS.start}, {SEEDS.stop})))"
)


def test_another_hash_seed_changes_nothing():
    expected = " ".join(run(seed, LENGTH).hash for seed in SEEDS)
    for hash_seed in ("0", "1", "4711"):
        told = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(["."])},
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout.strip() == expected, hash_seed
