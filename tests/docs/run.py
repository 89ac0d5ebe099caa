#!/usr/bin/env python3
"""Runs, compiles or compares every code block of the documentation. A block of a kind that is not
known here fails: nothing is left out silently. Checks that every path of the tree that a page names
exists, and that the README is short.

    run.py BUILD_DIR [FILE..]

Shell blocks run as written, in the tree, in a mount namespace of their own: what they write to the
tree, /tmp and /var/lib is gone afterwards. Where that cannot be made they are skipped, with the
reason. A reader's own time is played: after `musterd &` and after a backend is started, the next
line waits until it is ready, except in a block that waits by itself.
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import holders
import protocol
import schema
import scratch
import transcript
from blocks import blocks_of
from commands import Failed, run, unpack_debian

TREE = pathlib.Path(__file__).resolve().parents[2]
FILES = ["README.md", "HACKING.md", "CHANGELOG.md", "tests/README.md"]
REJECTED = "tests/docs/rejected.md"
PROTOCOL = "docs/PROTOCOL.md"
README_LINES = 120
# Of the tree: `lib/core/`, `tests/unit/core_*_test.cpp`. A part in capitals stands for a name.
NAMED_PATH = re.compile(r"(?<![\w./<>~$-])((?:lib|daemon|docs|tests|config|proto|tools)/[\w.*/-]*\w/?|"
                        r"[A-Z]+\.md\b|LICENSE\b)")

# Commands that are not run here, and why. Their verb and options are still looked up.
NOT_HERE = {
    "test": "it is what runs this",
    "bench": "it takes minutes, and its figures need a quiet machine",
    "guard": "it is a test of its own",
    "chart": "it needs gnuplot and what the bench writes",
    "lint": "it takes minutes; CI runs it",
}
# What knows the options of such a verb.
PROGRAMS = {"bench": "muster-bench"}

# What the backend of docs/SDK.md uses and every daemon has in its own way.
PRELUDE = """
#include <string_view>
struct Cache { void close_files_below(std::string_view) {} };
struct Server {
  void drain() {} void resume() {} void run() {} bool is_building() { return false; }
};
static Cache cache;
static Server server;
"""

# Before each line of a shell block: what a reader waits for.
PLAYED_READER = """
set -eu
ready() {
  local end=$((SECONDS + 30))
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then
      echo "not ready after 30 s: $*" >&2
      exit 1
    fi
  done
}
shows() { musterctl backends | grep -qw -- "$1"; }
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
"""


def without_comment(line):
    return re.sub(r"\s+#.*$", "", line)


def described(line):
    """A line of a list of verbs: `./dev VERB      what it does`, without a #."""
    return re.fullmatch(r"(\./dev [a-z]+) {2,}(.*)", line)


def wrong_of_page(file):
    """What is wrong with a page besides its blocks."""
    text = (TREE / file).read_text(encoding="utf-8")
    if file == "README.md" and text.count("\n") > README_LINES:
        yield f"it has more than {README_LINES} lines: move what is not for a newcomer to docs/"
    for path in sorted(set(NAMED_PATH.findall(text))):
        kept = []
        for part in path.rstrip("/").split("/"):
            if re.fullmatch(r"[A-Z]+", part) and part != "LICENSE":
                break
            kept.append(part)
        name = "/".join(kept)
        if not any(TREE.glob(name)):
            yield f"it names {path}, which does not exist"
    if file == PROTOCOL:
        yield from schema.schema_problems(text)
        for name in protocol.missing_golden(blocks_of(TREE / file)):
            yield f"it does not show the golden bytes '{name}'"


class Documentation:
    def __init__(self, build, namespace_problem, debian):
        """`namespace_problem`: why no block can write to the tree; empty: they can. `debian`: where
        Debian's daemons are, and why they are not.
        """
        self.build = build
        self.debian, self.debian_problem = debian
        self.namespace_problem = namespace_problem
        self.bin = build / "bin"
        self.usage = run([str(TREE / "dev"), "help"])
        script = (TREE / "tests/system/systemd_test.sh").read_text(encoding="utf-8")
        self.under_systemd = re.findall(r"^block \S+ (\S+) '(.+)'$", script, re.MULTILINE)

    def check_block(self, block):
        """Returns what was done; raises Failed."""
        first = block.text.split("\n", 1)[0]
        if block.language == "drawing":
            return "a drawing; the paths in it exist"  # wrong_of_page()
        if block.language == "golden":
            return protocol.check_golden(block.text)
        if block.language == "python":
            return protocol.run_backend(block.text, self.build)
        if block.language == "cpp":
            return self.compile(block)
        if block.language == "toml":
            return self.check_configuration(block)
        if block.language == "console":
            return self.typed(block)
        if block.language not in ("", "sh", "bash"):
            raise Failed(f"a block in '{block.language}' is of no kind that {__file__} knows")
        if first.startswith("$ "):
            return self.compare(block)
        if re.match(r"^[\w./-]+/ {2,}", first):
            return self.look_up_paths(block)
        if any(file == block.file and text in block.text for file, text in self.under_systemd):
            return "run by the test systemd, under a real systemd"
        if re.match(r"^(\./dev|cmake|ninja|export|muster)", first):
            return self.shell(block)
        raise Failed(f"a block that begins with '{first}' is of no kind that {__file__} knows")

    def compile(self, block):
        with tempfile.TemporaryDirectory() as directory:
            source = pathlib.Path(directory) / "block.cpp"
            head, main = block.text.split("int main()", 1)
            source.write_text(f"{head}{PRELUDE}int main(){main}", encoding="utf-8")
            run(["g++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                 f"-I{TREE}/lib/include", str(source)])
        return "compiled"

    def check_configuration(self, block):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(block.text)
            file.flush()
            run([str(self.bin / "musterd"), "--check-config", "--config", file.name])
        return "accepted by musterd --check-config"

    def look_up_paths(self, block):
        """A picture of folders: `name/  what it is`, below the folder that is less indented."""
        above = []
        for line in block.text.splitlines():
            match = re.match(r"^( *)([\w./-]+)/(?: |$)", line)
            if not match:
                continue  # the description goes on
            while above and above[-1][0] >= len(match[1]):
                above.pop()
            path = pathlib.Path(*[name for _, name in above], match[2])
            if not (TREE / path).is_dir():
                raise Failed(f"there is no folder {path}")
            above.append((len(match[1]), match[2]))
        return "every folder is there"

    def look_up_verb(self, words):
        verb = words[0]
        if not re.search(rf"^  (\w+, )*{verb}\b", self.usage, re.MULTILINE):
            raise Failed(f"./dev has no verb '{verb}'")
        known = run([str(self.bin / PROGRAMS[verb]), "--help"]) if verb in PROGRAMS else self.usage
        for word in words[1:]:
            if word.startswith("--") and not re.search(rf"{word}\b", known):
                raise Failed(f"./dev {verb} has no option {word}")

    def shell(self, block):
        script, notes = [PLAYED_READER], []
        plays = "until musterctl" not in block.text  # which can be pasted as a whole
        for line in block.text.splitlines():
            if described(line):
                line = described(line)[1]
            command = without_comment(line)
            verbs = re.findall(r"\./dev ([^&|;]+)", command)
            for words in map(shlex.split, verbs):
                self.look_up_verb(words)
            apart = [words.split()[0] for words in verbs if words.split()[0] in NOT_HERE]
            if apart or re.match(r"\./dev help", command):
                notes += [f"{block}: ./dev {verb}: looked up, not run: {NOT_HERE[verb]}"
                          for verb in apart]
                continue
            script.append(line)
            service = re.search(r"--service (\S+).*&$", command)
            if service and plays:
                script.append(f"ready shows {service[1]}")
            elif plays and re.match(r"musterd\b.*&$", command):
                script.append("ready musterctl ping")
        if len(script) > 1:
            if self.namespace_problem:
                notes.append(f"skipped: {block}: {self.namespace_problem}")
            else:
                run(["bash", "-c", "\n".join(script)], cwd=TREE, env=clean_environment())
        print("\n".join(notes), end="\n" if notes else "")
        return "run as written" if len(script) > 1 and not self.namespace_problem else "looked up"

    def compare(self, block):
        """`$ musterctl ..`, then what it prints: with backends that do what the text says."""
        command, *expected = block.text.rstrip().split("\n")
        if command.startswith("$ musterctl holders "):
            return self.compare_holders(command, expected)
        acked = re.search(r": (\d+) of \d+ acked", expected[0] if expected else "")
        if not acked or not command.startswith("$ musterctl "):
            raise Failed("only the report of a broadcast and a table of holders are compared")
        lines = [f"{self.bin}/musterd --config /dev/null --log-level error &", "ready musterctl ping"]
        behaviours = {"timed out": "--on-release silent --ack-timeout 600ms",
                      "rejected": "--on-release reject:'told to reject'", "skipped": ""}
        for line in expected:
            row = re.match(r" +(timed out|rejected|skipped) +(\S+) (\S+) \(pid", line)
            if not row:
                continue
            lines.append(f"muster-fake-backend --service {row[2]} --version {row[3]} "
                         f"{behaviours[row[1]]} >/dev/null & pid=$!; ready shows {row[2]}")
            if row[1] == "skipped":
                lines.append("kill -KILL $pid; gone() { musterctl backends | grep -qw dead; }; "
                             "ready gone")
        for number in range(int(acked[1])):
            lines.append(f"muster-fake-backend --service acks{number} >/dev/null & ready shows acks{number}")
        lines.append(f"{command[2:]} >said 2>&1 || true; cat said")
        environment = clean_environment()
        environment["PATH"] = f"{self.bin}:{environment['PATH']}"
        with tempfile.TemporaryDirectory() as sockets:
            environment["MUSTER_SOCKET_DIR"] = environment["STATE_DIRECTORY"] = sockets
            shown = run(["bash", "-c", PLAYED_READER + "\n".join(lines)], cwd=sockets,
                        env=environment).splitlines()
        # The README shows the report; before it come the lines of progress.
        return same(normal(expected), normal(shown)[-len(expected):])


    def typed(self, block):
        if self.namespace_problem:
            return f"skipped: {self.namespace_problem}"
        if self.debian_problem and re.search(r"^[$>] *(nginx|logrotate)\b", block.text, re.MULTILINE):
            return f"skipped: {self.debian_problem}"
        environment = clean_environment()
        environment["PATH"] = f"{self.bin}:{self.debian}:{environment['PATH']}"
        with tempfile.TemporaryDirectory() as sockets:
            for name in ("MUSTER_SOCKET_DIR", "STATE_DIRECTORY", "XDG_CONFIG_HOME"):
                environment[name] = sockets
            # What an installed nginx has.
            prelude = f"{PLAYED_READER}\nmkdir -p /var/lib/nginx\n"
            wrong = list(transcript.wrong_of(block.text, prelude, cwd=sockets, env=environment))
        if wrong:
            raise Failed("\n".join(wrong))
        return "typed, and compared"

    def compare_holders(self, command, expected):
        if self.namespace_problem:
            return f"skipped: {self.namespace_problem}"
        path = pathlib.Path(command.split()[-1])
        environment = clean_environment()
        environment["PATH"] = f"{self.bin}:{environment['PATH']}"
        with tempfile.TemporaryDirectory() as sockets:
            environment["MUSTER_SOCKET_DIR"] = sockets
            run(["mount", "-t", "tmpfs", "none", str(path.parent)])
            try:
                shown = run(["bash", "-c", PLAYED_READER + holders.script(path, expected) +
                             f"{command[2:]} >said 2>&1 || true; cat said"],
                            cwd=sockets, env=environment)
            finally:
                run(["umount", "--lazy", str(path.parent)])
        return same(holders.normal(expected), holders.normal(shown.splitlines()))


def same(expected, shown):
    if expected != shown:
        raise Failed("it prints\n  " + "\n  ".join(shown) + "\ninstead of\n  " +
                     "\n  ".join(expected))
    return "compared"


def normal(lines):
    """What differs from run to run becomes a letter."""
    text = "\n".join(lines)
    text = re.sub(r"uid \d+ [\w.-]+", "uid U", text)
    text = re.sub(r"pid \d+", "pid P", text)
    text = re.sub(r"\d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"(in|within) [\d.]+ (ms|s)", r"\1 T", text)
    return [re.sub(r"\b\d{3,}\b", "N", line).rstrip() for line in text.split("\n")]


def clean_environment():
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TERM", "JOBS")
            if name in os.environ}
    return {**kept, "LANG": "C.UTF-8"}


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    debian = unpack_debian(build)
    namespace_problem = scratch.enter()
    documentation = Documentation(build, namespace_problem, debian)
    files = sys.argv[2:] or [*FILES, *(str(path.relative_to(TREE))
                                       for path in sorted((TREE / "docs").glob("**/*.md")))]
    failures = 0
    for file in files:
        if not (TREE / file).exists():
            continue
        for problem in wrong_of_page(file):
            failures += 1
            print(f"{file}: FAILED: {problem}", flush=True)
        for block in blocks_of(TREE / file, file):
            try:
                print(f"{block}: {documentation.check_block(block)}", flush=True)
            except (Failed, protocol.Wrong, subprocess.TimeoutExpired) as error:
                failures += 1
                print(f"{block}: FAILED: {error}", flush=True)
    # And it sees what is wrong.
    for block in blocks_of(TREE / REJECTED, REJECTED):
        try:
            done = documentation.check_block(block)
            # What is skipped in the documentation is skipped here.
            if not (namespace_problem and done == "looked up"):
                failures += 1
                print(f"{block}: FAILED: this was accepted: {done}", flush=True)
        except (Failed, protocol.Wrong):
            pass
    if list(wrong_of_page(REJECTED)) != ["it names lib/nowhere.h, which does not exist"]:
        failures += 1
        print(f"{REJECTED}: FAILED: not its one path that does not exist was found", flush=True)
    if not list(schema.schema_problems("")):
        failures += 1
        print(f"{PROTOCOL}: FAILED: a page without tables was accepted", flush=True)
    sys.exit(1 if failures else 0)


main()
