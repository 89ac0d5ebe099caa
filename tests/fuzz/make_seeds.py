#!/usr/bin/env python3
"""Writes first inputs for the fuzzers that read messages, from the golden bytes.

    make_seeds.py DIRECTORY     one folder a target is made in it; copy into corpus/ what
                                ./dev fuzz keeps (libFuzzer's -merge=1)

What an input looks like is said at the top of each target's source.
"""
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "unit" / "golden"
HEADER = 5


def golden(name):
    """{message's name: frame}"""
    frames, current = {}, None
    for line in (GOLDEN / name).read_text().splitlines():
        line = line.split("#")[0].rstrip()
        if not line:
            continue
        if not line.startswith(" "):
            current = line
            frames[current] = b""
        else:
            frames[current] += bytes.fromhex(line.replace(" ", ""))
    return frames


def text(data):
    return struct.pack("<H", len(data)) + data


def main():
    out = pathlib.Path(sys.argv[1])

    def put(target, name, data):
        folder = out / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name.replace(" ", "_").replace(",", "").replace("/", "_")).write_bytes(data)

    backend, control = golden("backend_lane.hex"), golden("control_lane.hex")
    control |= golden("control_holds.hex")
    register = backend["Register, smallest"]
    # Two connections; the first registers; an operator starts a broadcast.
    live = b"\0\0\0\1" + b"\1\0" + text(register) + b"\x0a\1\0"
    for name, frame in backend.items():
        put("framing", name, b"\1\0\2\3\1" + frame + register)
        put("backend_lane", name, b"\0" + live + b"\1\0" + text(frame))
        # It starts, is registered, and hears this.
        put("backend_sdk", name, b"\0\0\3\1\0\1\1\1\7\7" + b"\1" + text(frame))
    scan = control["HolderScan"]
    put("scan_lane", "answer", b"\1" + scan[scan.index(b"\x7a\x8d\x02") + 3:-2])
    for name, frame in control.items():
        put("control_answers", name, text(frame[HEADER:]))
        put("control_lane", name, b"\0" + b"\1\0\7\0\0\0" + b"\0\0\2\0\0" + text(frame))


if __name__ == "__main__":
    main()
