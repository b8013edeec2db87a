"""Nothing acknowledged is lost, whenever the process is killed or the power goes. See crash_points.py."""

import pytest

from tests.storage.crash_points import LOSSES, enumerated

IMAGES = 2_500
"""Of each workload; eight of them are the 20,000 images of every test run."""


@pytest.mark.parametrize("seed", range(8))
def test_no_crash_loses_a_record_or_brings_one_up_or_breaks_the_chain(seed):
    seen = enumerated(seed, most=IMAGES)
    assert seen.lost == []
    assert seen.phantoms == []
    assert seen.broken == []
    # And there was something to lose.
    assert seen.total >= IMAGES
    assert seen.commits >= 15
    assert len(seen.images) == 1 + len({sector for sector, _ in LOSSES})
    assert all(seen.operations[name] for name in ("write", "sync", "truncate", "delete"))


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_the_same_images_tell_when_commits_do_not_wait_for_the_disk(synchronous):
    seen = enumerated(1, most=1_200, synchronous=synchronous)
    assert len(seen.lost) > 50
