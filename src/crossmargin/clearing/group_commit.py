"""Group commit: commands from many threads, made durable together. The one place of the house that knows threads."""

from __future__ import annotations

from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from types import TracebackType

from crossmargin.clearing.machine import Command
from crossmargin.clearing.sequencer import House, Reply

_Job = tuple[Command, str, "Future[Reply]"]


class GroupCommit:
    """Stands before a house and takes commands from any thread.

    A thread of its own hands the house whatever has arrived while the last group was being written: one wait for the
    disk serves them all, and nobody is answered before it. Whoever uses this uses the house through it alone.
    """

    def __init__(self, house: House, *, most: int = 1024) -> None:
        """most: commands in one group, 1 or more."""
        if most < 1:
            raise ValueError(f"group commit: found groups of {most}; allowed: 1 or more")
        self._house, self._most = house, most
        self._waiting: SimpleQueue[_Job | None] = SimpleQueue()
        self._closing = Lock()
        self._closed = False
        self._thread = Thread(target=self._run, name="group commit", daemon=True)
        self._thread.start()

    def submit(self, command: Command, key: str = "") -> Future[Reply]:
        """Return the reply to come: durable when it is there, or what `House.submit_all` raised.

        Raises ValueError after `close`.
        """
        job: _Job = (command, key, Future())
        with self._closing:
            if self._closed:
                raise ValueError("group commit: found closed; allowed: before close")
            self._waiting.put(job)
        return job[2]

    def close(self) -> None:
        """Answer what has arrived, then stop; closing twice is harmless. The house stays open."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()

    def __enter__(self) -> GroupCommit:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _run(self) -> None:
        last = False
        while not last:
            jobs, last = self._group()
            if not jobs:
                continue
            try:
                replies = self._house.submit_all([(command, key) for command, key, _ in jobs])
            except Exception as fault:
                for _, _, answer in jobs:
                    answer.set_exception(fault)
                continue
            for (_, _, answer), reply in zip(jobs, replies, strict=True):
                answer.set_result(reply)

    def _group(self) -> tuple[list[_Job], bool]:
        """Return what is waiting, at least one, and whether it is the last there is."""
        jobs: list[_Job] = []
        job = self._waiting.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == self._most:
                return jobs, False
            try:
                job = self._waiting.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True
