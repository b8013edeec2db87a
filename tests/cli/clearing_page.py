"""The reference of the clearing house: every command, event and reason, from the code."""

import sys

from crossmargin.clearing import Reason, command_types, event_types

TOPICS = (
    "parties",
    "money",
    "locations",
    "withdrawals",
    "pools",
    "members",
    "limits",
    "stages",
    "parameters",
    "control",
    "marks",
    "orders",
    "trading",
    "standings",
    "settlement",
    "funding",
    "lending",
    "expiry",
    "conversion",
    "time",
)
"""Files of the room in the order in which a newcomer meets them; others follow by name."""


def clearing(made):
    """Return the page."""
    parts = [
        "# Commands and events of the clearing house",
        made,
        "`House.submit(command, key)` answers with `Applied(sequence, events)` or `Rejected(reason, detail)`. Amounts "
        "are whole minor units of an asset, lots and ticks are whole, times are nanoseconds since 1970 UTC. Commands "
        "name accounts, assets and instruments as people do; events by number. In a batch, columns are 64-bit "
        "little-endian integers as bytes.",
    ]
    known = {kind: _topic(kind) for kind in (*command_types(), *event_types())}
    for topic in (*TOPICS, *sorted(set(known.values()) - set(TOPICS))):
        commands = [kind for kind in command_types() if known[kind] == topic]
        events = [kind for kind in event_types() if known[kind] == topic]
        if not commands and not events:
            continue
        about = sys.modules[f"crossmargin.clearing.{topic}"].__doc__
        parts.append(f"## {topic.capitalize()}\n\n{_first(about)}")
        for title, kinds in (("command", commands), ("event", events)):
            if kinds:
                rows = [f"| {title} | fields | |", "|---|---|---|"]
                rows += [f"| `{kind.__name__}` | {_fields(kind)} | {_first(kind.__doc__)} |" for kind in kinds]
                parts.append("\n".join(rows))
    reasons = "\n".join(f"- `{reason.value}`" for reason in Reason)
    parts.append(f"## Reasons\n\nWhy a command was rejected. Names are kept for ever.\n\n{reasons}")
    return "\n\n".join(parts) + "\n"


def _topic(kind):
    return kind.__module__.rsplit(".", 1)[1]


def _first(text):
    return " ".join(text.strip().split("\n\n")[0].split()).replace("|", "\\|")


def _fields(kind):
    return ", ".join(f"`{name}`" for name in kind.__struct_fields__)
