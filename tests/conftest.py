"""What every test may use: the shared data folder and the hypothesis profiles."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# No deadline: the first example of a test may compile a kernel, and a busy machine is not a wrong answer.
settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.register_profile("thorough", settings.get_profile("dev"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "dev")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden numbers and market data: $CROSSMARGIN_SHARED, or `shared` beside the checkout."""
    folder = Path(os.environ.get("CROSSMARGIN_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"missing here: {folder} (set CROSSMARGIN_SHARED to the shared data folder)")
    return folder
