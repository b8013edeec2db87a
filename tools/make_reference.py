"""Write src/crossmargin/scenarios/reference.csv, the shipped reference set, from what reference.toml beside it says.

`python tools/make_reference.py` rewrites the file; the same numbers come out on every machine, for they are hashes of
the seed in reference.toml.
"""

from pathlib import Path

from crossmargin.instruments import ASSET_CLASSES
from crossmargin.scenarios.reference import draw

FILE = Path(__file__).resolve().parents[1] / "src" / "crossmargin" / "scenarios" / "reference.csv"


def table() -> str:
    """Return the reference set as CSV: a row a scenario, its tail scale, then the standardized move of each class."""
    tail, move = draw(ASSET_CLASSES)
    lines = [",".join(("scenario", "tail", *ASSET_CLASSES))]
    for k, numbers in enumerate(zip(tail.tolist(), *move.tolist(), strict=True), start=1):
        lines.append(",".join((f"{k:04}", *(f"{number:.12f}" for number in numbers))))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(table(), encoding="utf-8")
