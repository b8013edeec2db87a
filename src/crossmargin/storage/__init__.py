"""Storage: journals of the clearing house on memory, an SQLite file or a PostgreSQL server.

Here: what makes records durable and gives them back, snapshots beside them, who may write, addresses. Never here: what
is in a record (`clearing` decides, encodes and checks), clocks, when to take a snapshot.

Conventions. All journals keep the same promises (`clearing.Journal`, and tests/contracts): a record is there after
`append` returns and never half; one writer at a time, and an earlier one is refused for good; after any doubt about
what is durable a journal says `JournalFailed` to everything, and only opening anew can tell. Records are added, never
changed. A journal that is damaged is not opened: `JournalCorrupt` says where.

`open_journal` imports what its address needs: memory needs nothing, PostgreSQL the extra `postgres`.
"""

from crossmargin.storage.addresses import open_journal
from crossmargin.storage.memory import MemoryJournal

__all__ = ["MemoryJournal", "open_journal"]
