"""Help is quick, has examples, and promises no verb that is not there."""

import subprocess
import sys

import pytest

import crossmargin as package
from crossmargin.cli.entrance import VERBS
from tests.cli.conftest import command

HEAVY = ("numba", "numpy", "polars", "scipy", "msgspec", "narwhals")
LATER = (
    "bench",
    "serve",
    "whatif",
    "hedge",
    "close-out",
    "stress",
    "calibrate",
    "backtest",
)


def modules_after(code):
    """Return which heavy modules a fresh interpreter has imported after running `code`."""
    tell = f"import sys; print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", f"{code}\n{tell}"], capture_output=True, text=True, check=True)
    return ran.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments):
    assert modules_after(f"from crossmargin.cli import main; main({arguments!r})") == "[]"


def test_importing_the_package_imports_no_room():
    assert modules_after("import crossmargin") == "[]"
    rooms = "import crossmargin, sys; print([m for m in sys.modules if m.startswith('crossmargin.')], file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", rooms], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"


def test_every_verb_shows_examples_that_call_it(crossmargin):
    for verb in VERBS:
        ran = crossmargin(verb, "--help")
        assert ran.code == 0
        assert "Examples" in ran.out
        assert f"crossmargin {verb}" in ran.out.split("Examples")[1]


def test_help_lists_every_verb_and_none_that_comes_later(crossmargin):
    ran = crossmargin("--help")
    assert ran.code == 0
    listed = [line.split()[1] for line in ran.out.splitlines() if line.startswith("│ ") and "-" not in line.split()[1]]
    assert listed == list(VERBS)
    assert [verb for verb in LATER if verb in listed] == []


def test_nothing_asked_shows_the_help(crossmargin):
    assert crossmargin().out == crossmargin("--help").out


def test_the_version_is_one_line_and_that_of_the_package():
    ran = command("--version")
    assert (ran.code, ran.out, ran.err) == (0, f"{package.__version__}\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_is_written_where_it_is_told_to(crossmargin, tmp_path, shell):
    path = tmp_path / f"completion.{shell}"
    assert crossmargin("--install-completion", "--shell", shell, "--output", path).code == 0
    script = path.read_text()
    assert all(verb in script for verb in VERBS)
    assert "--parquet" in script
