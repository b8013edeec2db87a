"""The repository keeps its own habits: a lint of what no other tool looks at."""

import ast
import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import crossmargin

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "crossmargin"
LINES_MAX = 800

# In two pieces, so that this file does not contain what it looks for.
MACHINE_PATH = re.compile(r"(?<![\w.~-])/" + r"work/")


def tracked_files() -> list[Path]:
    """Return every file git keeps that is on disk."""
    if not (ROOT / ".git").exists():
        pytest.skip("missing here: a git checkout (these tests read the list of tracked files)")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """Return the text of a file, or None for a binary one."""
    data = path.read_bytes()
    return None if b"\0" in data[:8192] else data.decode("utf-8")


def front_doors() -> list[Path]:
    """Return the file by which each room is entered: a package's __init__, or the module itself."""
    return sorted([*PACKAGE.glob("*/__init__.py"), *(p for p in PACKAGE.glob("*.py") if p.stem != "__main__")])


def module_name(door: Path) -> str:
    parts = door.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def declared_all(tree: ast.Module) -> list[str] | None:
    """Return the literal `__all__` of a module, or None where there is none."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                return list(ast.literal_eval(value))
    return None


def has_a_test(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for node in ast.walk(tree)
    )


def isort_order(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Return the sort key of ruff's RUF022: CONSTANTS, Classes, the rest; numbers in natural order."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2
    return kind, [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def test_no_tracked_file_names_a_path_of_the_machine_it_was_written_on():
    told = []
    for path in tracked_files():
        text = text_of(path)
        if text is not None and (MACHINE_PATH.search(text) or f"{ROOT}/" in text):
            told.append(str(path.relative_to(ROOT)))
    assert told == []


def test_the_lock_names_no_host_and_hashes_every_requirement():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert ":" + "//" not in lock
    pinned = re.findall(r"^[A-Za-z0-9][\w.-]*==[^\n]*(?:\n    [^\n]*)*", lock, flags=re.M)
    assert len(pinned) == len(re.findall(r"^[^\s#]", lock, flags=re.M)) > 0
    assert [line for line in pinned if "--hash=sha256:" not in line] == []


def test_every_direct_dependency_is_in_the_lock():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([\w.-]+)==", lock, flags=re.M))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in wanted}
    assert names - locked == set()


def test_locks_that_name_package_hosts_are_not_tracked():
    assert [path.name for path in tracked_files() if path.name in {"uv.lock", "pylock.toml"}] == []


def test_the_version_is_told_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == crossmargin.__version__


@pytest.mark.parametrize("door", front_doors(), ids=module_name)
def test_every_room_has_a_card_and_a_sorted_list_of_names_that_exist(door):
    tree = ast.parse(door.read_text(encoding="utf-8"))
    names = declared_all(tree)
    assert ast.get_docstring(tree), "a room opens with its card: a docstring that says what lives here"
    assert names is not None, "a room lists what outsiders may import in a literal __all__"
    assert names == sorted(set(names), key=isort_order)
    room = importlib.import_module(module_name(door))
    assert [name for name in names if not hasattr(room, name)] == []


def test_no_source_file_is_too_long_to_read():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > LINES_MAX} == {}


def test_every_test_file_has_a_test():
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    empty = [
        str(path.relative_to(ROOT)) for path in files if not has_a_test(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert empty == []
