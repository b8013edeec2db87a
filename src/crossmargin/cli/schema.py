"""`crossmargin schema`: what a book may contain."""

from __future__ import annotations

from crossmargin.cli.verbs import verb


def schema() -> int:
    """Print the JSON Schema of a book.

    Editors check a book against it while it is written; other programs learn from it what is allowed.
    """
    from crossmargin.cli.console import write_json
    from crossmargin.files import schema as schema_of_a_book

    write_json(schema_of_a_book())
    return 0


app = verb("schema", schema, ["crossmargin schema > book.schema.json"])
