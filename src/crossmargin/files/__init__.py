"""Books, markets and tables on disk: read into the library's facts, checked on the way in, and written back.

Here: JSON, TOML, CSV, Parquet and frames; the shape of a book document; every check a file can fail by itself or
against the rest of its book. Never here: what venues' own files mean (venues), rule books (rules), margin.

Conventions. An error names the file, then the path (`accounts[3].positions[0].quantity`) or the row and column
(`positions.csv row 17, column quantity`; the header of a CSV file is row 1, the first row of a Parquet file is 1,
of a frame 0), what was found there and what is allowed. Numbers are finite, at most 38 digits, of a size from
1e-100 to 1e100 or 0; text counts as a number where it is a decimal number and nothing else. Nothing is half loaded.
"""

from crossmargin.files.document import schema
from crossmargin.files.frames import book_from_frames
from crossmargin.files.reading import Loaded, read_book
from crossmargin.files.starter import starter_book
from crossmargin.files.writing import write_book, write_instruments, write_market

__all__ = [
    "Loaded",
    "book_from_frames",
    "read_book",
    "schema",
    "starter_book",
    "write_book",
    "write_instruments",
    "write_market",
]
