"""What docs/PROTOCOL.md says, against the golden bytes and a broker.

Its `golden` blocks have the bytes of tests/unit/golden, and its backend does what the page asks for:
with a real musterd, and with a broker that is played here where a real one does not send such a
thing.
"""
import contextlib
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile

from place import PATIENCE, Place, Wrong, must

TREE = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = TREE / "tests/unit/golden/backend_lane.hex"


# --- golden bytes

def golden_entries(text):
    """{name: bytes}: a name at a line's beginning, hexadecimal in the indented lines below it."""
    entries, name = {}, None
    for line in text.splitlines():
        content = line.split("#", 1)[0].rstrip()
        if not content:
            continue
        if content[0] != " ":
            name = content
            entries[name] = ""
        else:
            entries[name] += content.replace(" ", "")
    return {name: bytes.fromhex(text) for name, text in entries.items()}


def check_golden(text):
    known = golden_entries(GOLDEN.read_text(encoding="utf-8"))
    for name, data in golden_entries(text).items():
        must(name in known, f"{GOLDEN.name} has no '{name}'")
        must(known[name] == data, f"the bytes of '{name}' are not those of {GOLDEN.name}")
    return "the bytes are the golden ones"


def missing_golden(blocks):
    shown = {name for block in blocks if block.language == "golden"
             for name in golden_entries(block.text)}
    return sorted(set(golden_entries(GOLDEN.read_text(encoding="utf-8"))) - shown)


# --- the backend, with a real broker

class BackendPlace(Place):
    """With the page's backend, which prints to a file there."""

    def __init__(self, source, build, directory):
        super().__init__(build, directory)
        self.script = pathlib.Path(directory) / "backend.py"
        self.script.write_text(source, encoding="utf-8")

    def start_backend(self, service, version):
        with open(f"{self.directory}/said", "wb") as said:
            return self.start(sys.executable, str(self.script), service, version, stdout=said)

    def said(self):
        return pathlib.Path(self.directory, "said").read_text(encoding="utf-8")


@contextlib.contextmanager
def place(source, build):
    with tempfile.TemporaryDirectory() as directory:
        made = BackendPlace(source, build, directory)
        try:
            yield made
        finally:
            made.end()


def with_real_broker(source, build):
    with place(source, build) as at:
        broker = at.start_broker()
        backend = at.start_backend("pyback", "1.2.3")
        at.wait_for("the backend is registered", lambda: at.is_listed("pyback"))
        at.ask(0, r"1 of 1 acked(.|\n)*acked +pyback.*1 handle released",
               "release-handles", "-v", "/var/cache/x")
        at.ask(0, r"no backend had anything open below /var/cache/x",
               "release-handles", "-v", "/var/cache/x")
        at.ask(0, r"1 of 1 acked", "quiesce")
        at.ask(0, r"", "resume")
        at.wait_for("it resumes", lambda: at.said().endswith("resumed\n"))
        broker.kill()
        broker.wait()
        broker = at.start_broker()
        at.ask(0, r"1 of 1 acked", "release-handles", "/srv")
        broker.terminate()  # it quiesces its backends
        broker.wait()
        at.start_broker()
        at.wait_for("it resumes with the next broker", lambda: at.said().endswith("quiesce\nresumed\n"))
        at.ask(0, r"1 of 1 acked", "release-handles", "/srv")
        backend.send_signal(signal.SIGTERM)
        must(backend.wait(PATIENCE) == 0, "SIGTERM does not end the backend with status 0")
        must("pyback" not in at.musterctl("backends").stdout, "the backend did not deregister")
        must(at.said().split("\n") == ["release-handles /var/cache/x"] * 2 +
             ["quiesce", "resumed", "release-handles /srv"] * 2 + [""], f"the backend said {at.said()}")


# --- the backend, with a broker that is played

def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def frame(kind, payload, request_id):
    body = (field(1, 1) + (field(2, kind) if kind else b"") + field(3, 0xFB01) +
            (field(4, payload) if payload else b"") + field(5, request_id))
    return struct.pack("<BI", 1, len(body)) + body


REQUEST, RESPONSE, EVENT, CANCEL = range(4)


class PlayedBroker:
    def __init__(self, directory):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.settimeout(PATIENCE)
        self.listener.bind(f"{directory}/backend.sock")
        self.listener.listen()

    def accept(self):
        self.peer, _ = self.listener.accept()
        self.peer.settimeout(PATIENCE)

    def register(self, epoch, holds=()):
        """Reads a Register, which is returned, and answers it. `holds`: (id, path)."""
        self.accept()
        said = self.receive()
        listed = b"".join(field(5, field(1, hold_id) + field(2, path)) for hold_id, path in holds)
        self.send(RESPONSE, field(1, field(1, 7) + field(3, 1) + listed + field(6, epoch)), 1)
        return said

    def send(self, kind, payload, request_id):
        self.peer.sendall(frame(kind, payload, request_id))

    def release(self, request_id, path, hold=b""):
        self.send(REQUEST, field(3, field(1, field(1, path)) + field(3, 60000) + hold), request_id)

    def preflight(self, request_id, path):
        about = field(1, field(1, path))
        self.send(REQUEST, field(3, field(6, about) + field(3, 60000)), request_id)

    def hold(self, request_id, path):
        self.release(request_id, path, field(4, request_id))

    def hold_ended(self, hold_id, why=1):
        self.send(EVENT, field(4, field(1, hold_id) + field(2, why)), 0)

    def quiesce(self, request_id, reason, hold=b""):
        self.send(REQUEST, field(3, field(2, field(1, reason)) + field(3, 60000) + hold), request_id)

    def receive(self):
        header = self.peer.recv(5, socket.MSG_WAITALL)
        must(len(header) == 5, "the backend closed the connection")
        length = struct.unpack("<BI", header)[1]
        return header + self.peer.recv(length, socket.MSG_WAITALL)

    def expect(self, what, *wanted):
        got = [self.receive() for _ in wanted]
        must(got == list(wanted), f"{what}: got {[one.hex() for one in got]}")


def ack(request_id, released=0):
    return frame(RESPONSE, field(2, b"" if released is None else field(1, released)), request_id)


def holds_of_played_broker(at, broker):
    """How many handles a release closes tells whether the backend opened its file again."""
    def opened_again(request_id):
        broker.release(request_id, b"/var/cache")
        answer = broker.receive()
        must(answer in (ack(request_id), ack(request_id, 1)), f"it answered {answer.hex()}")
        return answer == ack(request_id, 1)

    opened_again(70)  # whatever was open before
    broker.hold(71, b"/var/cache")
    broker.hold(72, b"/var/cache/x/1")
    broker.hold(73, b"/srv")
    broker.expect("releases with holds", ack(71), ack(72), ack(73))
    for number, ended in enumerate((73, 99, 71)):
        broker.hold_ended(ended)
        must(not opened_again(80 + number), f"hold {ended} ended, and it opened what 72 holds")
    broker.hold_ended(72, 3)
    must(opened_again(90), "the last hold ended, and it opened nothing")
    # The list: what is not in it has ended, what is goes on, also with another broker.
    broker.hold(91, b"/var/cache")
    broker.expect("a release with a hold", ack(91))
    for number, epoch in enumerate((b"i" * 16, b"j" * 16)):
        broker.peer.close()
        broker.register(epoch, holds=[(91, b"/var/cache"), (92, b"/srv")])
        broker.hold_ended(92)
        must(not opened_again(100 + number), "it opened what the list says is held")
    broker.peer.close()
    broker.register(b"j" * 16)
    must(opened_again(110), "it does not see that the hold ended while it was away")
    broker.quiesce(111, 3, field(4, 111))
    broker.quiesce(112, 3, field(4, 112))
    broker.expect("two quiesces", ack(111, None), ack(112, None))
    resumed = at.said().count("resumed")
    broker.peer.close()
    broker.register(b"k" * 16)  # which does not list them
    broker.hold_ended(113, 4)
    broker.hold_ended(111, 4)
    broker.hold_ended(112, 4)
    must(opened_again(114), "it does not resume")
    must(at.said().count("resumed") == resumed + 1, f"one end ends both quiesces: {at.said()}")


def with_played_broker(source, build):
    golden = golden_entries(GOLDEN.read_text(encoding="utf-8"))
    with place(source, build) as at:
        broker = PlayedBroker(at.directory)
        backend = at.start_backend("zccache", "1.4.2")
        broker.accept()
        must(broker.receive() == golden["Register, smallest"], "its Register is not the golden one")
        broker.send(RESPONSE, field(2, field(1, 5) + field(2, b"later") + field(3, 50)), 1)
        broker.peer.close()  # refused: it comes back
        broker.register(b"e" * 16)

        # An operation of tomorrow as a field of Operation, one as a message, a reason of tomorrow.
        tomorrow = (field(3, field(15, b"") + field(3, 1000)), field(15, b"x"),
                    field(3, field(2, field(1, 9))), field(3, field(6, field(15, b""))))
        for request_id, unknown in enumerate(tomorrow, 40):
            broker.send(REQUEST, unknown, request_id)
            broker.send(REQUEST, unknown, request_id)  # answered on this connection: nothing more
            answer = broker.receive()
            must(field(1, 1) + b"\x12" in answer and b"does not know" in answer and
                 answer.endswith(field(5, request_id)),
                 f"an unknown operation is answered {answer.hex()}")
        broker.send(EVENT, field(15, b"news"), 0)

        broker.release(49, b"/var/cac")
        broker.expect("a path that is not above the file", ack(49))
        broker.preflight(48, b"/var/cache")  # it closes nothing, as the next answer shows
        broker.expect("whether it would", ack(48, None))
        broker.release(50, b"/var/cache")
        broker.expect("the path above it", ack(50, 1))
        broker.release(50, b"/var/cache")  # sent on this connection already: no second answer
        broker.release(51, b"/srv")
        broker.expect("the next answer", ack(51))
        broker.release(52, b"/srv")
        broker.peer.close()  # whether its answer was sent before is not known here
        broker.register(b"e" * 16)
        broker.release(52, b"/srv")
        broker.expect("one answer, whether it was sent before or not", ack(52))
        broker.release(50, b"/var/cache")
        broker.expect("the same answer after a reconnect", ack(50, 1))
        broker.peer.close()
        broker.register(b"g" * 16)
        broker.release(50, b"/var/cache")
        broker.expect("after another epoch the handler runs again", ack(50))

        # A broker that shuts down, or loses the connection: the same one is no reason to resume.
        broker.quiesce(60, 2)
        broker.expect("the quiesce of a broker that shuts down", ack(60, None))
        broker.peer.close()
        broker.register(b"g" * 16)
        broker.release(61, b"/srv")
        broker.expect("an operation of the same broker", ack(61))
        must(at.said().endswith("quiesce\nrelease-handles /srv\n"), f"it said {at.said()}")
        broker.peer.close()
        broker.register(b"h" * 16)
        broker.release(62, b"/srv")
        broker.expect("an operation of the next broker", ack(62))
        must(at.said().endswith("resumed\nrelease-handles /srv\n"), f"it said {at.said()}")
        broker.quiesce(63, 9)  # a reason that it does not know: it stays at work
        broker.receive()
        broker.peer.close()
        broker.register(b"i" * 16)
        broker.release(64, b"/srv")
        broker.expect("an operation of one more", ack(64))
        must(at.said().count("resumed") == 1, f"it said {at.said()}")

        holds_of_played_broker(at, broker)

        # Its time is over: nothing comes; the next one is answered.
        broker.peer.sendall(golden["Operation, release handles"])
        broker.release(53, b"/")
        broker.expect("an operation whose time is over", ack(53))
        backend.send_signal(signal.SIGTERM)
        must(broker.receive() == golden["Deregister"], "its Deregister is not the golden one")
        broker.release(54, b"/")  # crossed it
        broker.peer.sendall(golden["Deregistered"])
        must(backend.wait(PATIENCE) == 0, "it does not end with status 0 when deregistered")
        broker.listener.close()


def run_backend(source, build):
    try:
        with_real_broker(source, build)
        with_played_broker(source, build)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Wrong(f"{type(error).__name__}: {error}") from error
    return "registered, answered, reconnected and deregistered"
