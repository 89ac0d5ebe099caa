"""The tables of docs/PROTOCOL.md against the schema: each message of the backend lane has its fields
there.
"""
import pathlib
import re

TREE = pathlib.Path(__file__).resolve().parents[2]
SCHEMAS = ["proto/muster/v1/lifecycle.proto", "proto/muster/v1/envelope.proto"]
FIELD = re.compile(r"^\s*((?:optional |repeated )?[\w.]+|map<[\w, ]+>) (\w+) = (\d+);", re.MULTILINE)


def schema_messages(text):
    """{name: {(number, field, type)}} of every message that is not nested."""
    text = re.sub(r"//.*", "", text)
    found = {name: set() for name in re.findall(r"^message (\w+) \{\}", text, re.MULTILINE)}
    text = re.sub(r"^message \w+ \{\}", "", text, flags=re.MULTILINE)
    for name, body in re.findall(r"^message (\w+) \{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        body = re.sub(r"enum \w+ \{.*?\}", "", body, flags=re.DOTALL)
        found[name] = {(number, field, kind) for kind, field, number in FIELD.findall(body)}
    return found


def page_messages(text):
    found = {}
    for heading, section in re.findall(r"^### `?(\w+)`?$(.*?)(?=^#|\Z)", text,
                                       re.MULTILINE | re.DOTALL):
        rows = re.findall(r"^\| (\d+) \| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE)
        found[heading] = {(number, field, kind.strip()) for number, field, kind in rows}
    return found


def lane_messages():
    """The messages of the backend lane: the frame, what it carries, and what those contain."""
    known = {}
    for schema in SCHEMAS:
        known.update(schema_messages((TREE / schema).read_text(encoding="utf-8")))
    reached, waiting = {}, ["Frame", "BackendMessage", "BrokerMessage"]
    while waiting:
        name = waiting.pop()
        if name in known and name not in reached:
            reached[name] = known[name]
            waiting += [word for _, _, kind in known[name] for word in re.findall(r"\w+", kind)]
    return reached


def schema_problems(page):
    """Where the page's tables are not the schema."""
    said = page_messages(page)
    for name, wanted in lane_messages().items():
        if name not in said:
            yield f"it has no section about the message {name}"
        elif said[name] != wanted:
            yield (f"its table of {name} is not the schema: " +
                   ", ".join(" ".join(row) for row in sorted(said[name] ^ wanted)))
