"""`crossmargin warm`: compile every kernel now."""

from __future__ import annotations

from crossmargin.cli.verbs import verb


def warm() -> int:
    """Compile every kernel now, so that nothing waits for it later.

    Compiled kernels are kept in a cache on this machine until crossmargin, Numba or the processor changes.
    """
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from crossmargin.cli.console import answers, notes
    from crossmargin.cli.kernels import each_compilation, loaded_kernels
    from crossmargin.cli.workload import steps

    started = time.monotonic()
    work = list(steps())
    compiled: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes()) as progress, each_compilation(compiled.append):
        task = progress.add_task("compiling kernels", total=len(work))
        for what, run in work:
            progress.update(task, description=what)
            run()
            progress.advance(task)
        progress.update(task, description="every kernel is ready")
    kernels = loaded_kernels()
    idle = [name for name, kernel in kernels.items() if not kernel.signatures]
    assert not idle, f"no work for {', '.join(idle)}"
    answers().print(
        f"{len(kernels)} kernels ready, {len(set(compiled))} of them compiled now in {time.monotonic() - started:.0f} s"
    )
    return 0


app = verb("warm", warm, ["crossmargin warm"])
