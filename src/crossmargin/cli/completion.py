"""`crossmargin --install-completion`: the Tab key knows verbs and options."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter


def install(
    *,
    shell: Annotated[
        Literal["bash", "zsh", "fish"] | None, Parameter(help="By default the shell this is called from.")
    ] = None,
    output: Annotated[
        str | None, Parameter(metavar="FILE", help="Where to put it, if not where the shell looks.")
    ] = None,
) -> int:
    """Install shell completion for bash, zsh or fish."""
    from pathlib import Path

    from crossmargin.cli.console import answers
    from crossmargin.cli.entrance import build
    from crossmargin.errors import InputError

    try:
        place = build().install_completion(
            shell=shell, output=None if output is None else Path(output), add_to_startup=output is None
        )
    except (ValueError, RuntimeError) as error:
        raise InputError("--shell", str(error), "bash, zsh or fish") from None
    answers().print(f"wrote {place}; a new shell completes crossmargin", soft_wrap=True)
    return 0
