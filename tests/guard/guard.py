#!/usr/bin/env python3
"""What a round, a report and a registration cost the broker, held against committed numbers.

A noisy machine cannot fool it: instructions are counted by callgrind, system calls by strace,
allocations and bytes of heap by the program itself, and no clock is looked at. Each figure is the
difference between two runs that differ only in how many rounds or backends they have, so that
start and warm-up drop out. Broker and peers take turns, so every run is the same.

Instructions, allocations and heap may grow by 5 %; system calls must be the very same.
"""
import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SPARE = 0.05
NOT_HERE = 77
# Root's uid, 0, takes no bytes in a report: where root runs this, both sides become this user.
USER = 1000
# Beside one for each backend: what valgrind keeps for itself, and the rest.
MORE_DESCRIPTORS = 64
EXPECTED = Path(__file__).with_name("expected.json")
# clock_gettime is no system call where the kernel lets a process read the clock by itself; readv and
# writev are how the two sides take turns; the heap is counted otherwise.
NOT_COUNTED = {"clock_gettime", "readv", "writev", "brk", "mmap", "munmap", "mremap"}
# memcpy and its like differ with the processor; these are of every x86-64.
PLAIN_PROCESSOR = "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-EVEX,-ERMS,-FSRM,-RTM"

# name: (what it is per, runs "backends rounds in_flight reports" of which the first has less, by how
# much)
FIGURES = {
    "round": ("backend and round", (1000, 4, 1, 0), (1000, 24, 1, 0), 1000 * 20),
    "report": ("backend of a report", (1000, 4, 1, 4), (1000, 4, 1, 24), 1000 * 20),
    "registration": ("registration", (256, 0, 1, 0), (1280, 0, 1, 0), 1024),
    "100 in flight": ("backend and broadcast", (100, 2, 100, 0), (100, 4, 100, 0), 100 * 2 * 100),
}


class Missing(Exception):
    """The kernel does not have the transport."""


def raise_descriptor_limit():
    """A sentence where that is not enough. Here: under valgrind a process cannot raise its own."""
    needed = max(work[0] for _, *works, _ in FIGURES.values() for work in works) + MORE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        return f"a process may have {hard} open files here (ulimit -Hn), and {needed} are needed"
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return ""


class Runs:
    """Runs muster-guard under the tools. Each run is done once."""

    def __init__(self, program, transport, keep):
        self.program, self.transport, self.keep = program, transport, keep

    def run(self, work, prefix, environment=None):
        """The broker's standard output and error. `prefix`: the tool that watches it."""
        ours, theirs = socket.socketpair()
        with tempfile.TemporaryDirectory() as directory, ours, theirs:
            if os.geteuid() == 0:
                # Where a user namespace has no such user the figures are a little smaller.
                with contextlib.suppress(OSError):
                    os.chown(directory, USER, USER)
            where = [str(Path(directory) / "backend.sock")]
            peers = subprocess.Popen(
                [self.program, "peers", str(theirs.fileno()), *where], pass_fds=[theirs.fileno()])
            theirs.close()
            try:
                broker = subprocess.run(
                    [*prefix, self.program, "broker", str(ours.fileno()), *where, self.transport,
                     *map(str, work)],
                    pass_fds=[ours.fileno()], env={**os.environ, **(environment or {})},
                    capture_output=True, text=True, timeout=100, check=False)
            finally:
                ours.close()
                peers.wait(timeout=10)
        if broker.returncode == NOT_HERE:
            raise Missing(broker.stderr.strip())
        if broker.returncode != 0:
            raise SystemExit(f"{' '.join(prefix)} muster-guard {work} failed:\n{broker.stderr}")
        return broker.stdout, broker.stderr

    def by_itself(self, work):
        return json.loads(self.run(work, [])[0])

    def callgrind(self, work, *more):
        """What it collected: instructions first."""
        out = "/dev/null"
        if self.keep:
            out = str(self.keep / f"callgrind.{self.transport}.{'-'.join(map(str, work))}")
        _, log = self.run(work, ["valgrind", "--vgdb=no", "--tool=callgrind", f"--callgrind-out-file={out}", *more],
                          {"GLIBC_TUNABLES": PLAIN_PROCESSOR})
        return [int(number) for number in re.search(r"Collected : ([\d ]+)", log).group(1).split()]

    def instructions(self, work):
        return self.callgrind(work)[0]

    def cache_lines(self, work):
        """Lines of 64 bytes that were not in a first-level data cache of 32 KiB."""
        misses = self.callgrind(work, "--cache-sim=yes", "--D1=32768,8,64")
        return misses[4] + misses[5]  # reads and writes

    def system_calls(self, work):
        with tempfile.NamedTemporaryFile("r") as table:
            self.run(work, ["strace", "-qq", "-c", "-U", "calls,name", "-o", table.name])
            rows = re.findall(r"^ *(\d+) +(\w+)$", table.read(), re.MULTILINE)
        return {name: int(calls) for calls, name in rows if name != "total"}


def measure(runs, pool):
    """figure -> {"per": .., "instructions": .., "allocations": .., "system calls": {..}}"""
    works = {work for _, less, more, _ in FIGURES.values() for work in (less, more)}
    # The longest first.
    works = sorted(works, key=lambda work: -work[0] * max(1, work[1] * work[2]))
    kinds = (runs.instructions, runs.system_calls, runs.by_itself)
    jobs = {(kind, work): pool.submit(kind, work) for kind in kinds for work in works}
    done = {key: job.result() for key, job in jobs.items()}
    figures = {"kernel": os.uname().release} if runs.transport == "io_uring" else {}
    for name, (per, less, more, count) in FIGURES.items():
        def grown(kind, select=lambda value: value):
            return select(done[kind, more]) - select(done[kind, less])
        before, after = done[runs.system_calls, less], done[runs.system_calls, more]
        calls = {call: after.get(call, 0) - before.get(call, 0)
                 for call in sorted(before.keys() | after.keys()) if call not in NOT_COUNTED}
        figure = {
            "per": per,
            "instructions": round(grown(runs.instructions) / count, 1),
            "allocations": round(grown(runs.by_itself, lambda v: v["allocations"]) / count, 4),
            "system calls": {call: n for call, n in calls.items() if n != 0},
            "system calls are of": count,
        }
        if name == "registration":
            figure["heap bytes"] = round(grown(runs.by_itself, lambda v: v["heap_bytes"]) / count, 1)
        figures[name] = figure
    return figures


def compare(transport, old, new):
    """The lines of a table, and whether all is well."""
    good = True
    lines = []
    # How much of its work io_uring does in one call is each kernel's own affair.
    other_kernel = old.get("kernel") not in (None, new.get("kernel"))
    for name, now in new.items():
        if name == "kernel":
            continue
        was = old.get(name, {})
        for what in ("instructions", "allocations", "heap bytes"):
            if what not in now:
                continue
            expected = was.get(what)
            verdict = "ok"
            if expected is None:
                verdict, good = "NEW", False
            elif now[what] > expected * (1 + SPARE) + 1e-9:
                verdict, good = f"MORE than {expected} by over {SPARE:.0%}", False
            elif now[what] < expected * (1 - SPARE):
                verdict = f"less than {expected}: worth ./dev guard --update"
            lines.append(f"{transport:9} {name:14} {what:13} {now[what]:10}  {verdict}")
        for call in sorted(now["system calls"].keys() | was.get("system calls", {}).keys()):
            count = now["system calls"].get(call, 0)
            expected = was.get("system calls", {}).get(call, 0)
            verdict = "ok" if count == expected else f"NOT the {expected} expected"
            if other_kernel:
                verdict = f"not compared: counted on Linux {old['kernel']}"
            else:
                good = good and count == expected
            of = f"{count} of {now['system calls are of']}"
            lines.append(f"{transport:9} {name:14} {call:13} {of:>10}  {verdict}")
    return lines, good


def main():
    arguments = argparse.ArgumentParser(description=__doc__,
                                        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program", help="muster-guard, from a release build by g++")
    arguments.add_argument("--update", action="store_true",
                           help="write what was measured to expected.json")
    arguments.add_argument("--keep", type=Path, metavar="DIR",
                           help="leave callgrind's files there, for callgrind_annotate")
    arguments.add_argument("--cache-lines", action="store_true",
                           help="nothing but the cache lines that a backend costs in a round")
    arguments.add_argument("--transport", action="append", help="only this one; repeatable")
    options = arguments.parse_args()
    for tool in ("valgrind", "strace"):
        if shutil.which(tool) is None:
            raise SystemExit(f"guard: {tool} is not installed")
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            options.keep.chmod(0o777)  # USER writes there

    if too_few := raise_descriptor_limit():
        print(f"guard: skipped: {too_few}")
        return NOT_HERE
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    if options.cache_lines:
        per, less, more, count = FIGURES["round"]
        for transport in options.transport or expected:
            runs = Runs(options.program, transport, options.keep)
            lines = (runs.cache_lines(more) - runs.cache_lines(less)) / count
            print(f"{transport:9} {lines:.1f} cache lines for each {per}")
        return 0
    good = True
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for transport in options.transport or expected:
            try:
                new = measure(Runs(options.program, transport, options.keep), pool)
            except Missing as missing:
                print(f"{transport:9} skipped: {missing}")
                continue
            lines, well = compare(transport, expected.get(transport, {}), new)
            good = good and well
            print("\n".join(lines))
            expected[transport] = new
    if options.update:
        EXPECTED.write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {EXPECTED}")
    elif not good:
        print("\nThe broker costs more than it did, or asks the kernel differently. If that is what\n"
              "you want, say why in the commit and write the new numbers: ./dev guard --update")
        return 1
    return 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
