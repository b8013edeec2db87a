"""A cold machine is told that it compiles, once; a warm one waits for nothing."""

import re

import pytest

from crossmargin.cli.kernels import NOTE
from tests.cli.conftest import command


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A place for compiled kernels where there are none yet."""
    return str(tmp_path_factory.mktemp("kernels"))


def test_a_cold_cache_is_told_of_once_on_stderr_and_warm_fills_it(cache):
    cold = command("margin", "demo", "--json", NUMBA_CACHE_DIR=cache)
    assert cold.code == 1
    assert cold.document["accounts"]
    assert cold.err.count(NOTE) == 1
    assert re.search(r"compiled \d+ kernels in \d+ s", cold.err)

    again = command("margin", "demo", "--json", NUMBA_CACHE_DIR=cache)
    assert (again.out, again.err) == (cold.out, "")

    warm = command("warm", NUMBA_CACHE_DIR=cache)
    assert warm.code == 0
    ready, compiled = map(int, re.match(r"(\d+) kernels ready, (\d+) of them compiled now", warm.out).groups())
    assert 0 < compiled < ready
    assert ", 0 of them compiled now" in command("warm", NUMBA_CACHE_DIR=cache).out
    for arguments in (["margin", "demo", "--rules", "standard"], ["explain", "iris", "demo", "--scenario", "worst"]):
        assert command(*arguments, NUMBA_CACHE_DIR=cache).err == ""
