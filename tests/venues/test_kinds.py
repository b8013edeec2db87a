"""The list of importers is complete, described and quick to load."""

import subprocess
import sys

from crossmargin import venues
from crossmargin.venues import KINDS


def test_every_importer_of_the_room_is_a_kind_with_a_description():
    readers = {getattr(venues, name) for name in venues.__all__ if name.startswith("import_")}
    assert {kind.read for kind in KINDS.values()} == readers
    assert list(KINDS) == sorted(KINDS)
    assert all(kind.description for kind in KINDS.values())


def test_what_ccxt_returns_needs_a_venue():
    assert [name for name, kind in KINDS.items() if kind.needs_venue] == ["ccxt-positions", "leverage-tiers"]


def test_the_list_loads_without_the_compiler():
    code = "import sys; from crossmargin.venues import KINDS; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
