#!/usr/bin/env python3
"""Runs clang-tidy and the coroutine query over Muster's own files, in parallel.

    analyze.py BUILD_DIR     BUILD_DIR has compile_commands.json of the preset "lint"
    analyze.py --self-test   the coroutine query finds each planted trap, and nothing else

The files of a target are looked at in batches, each as one translation unit: most of the time goes
into the headers that they share. So names are unique in their target, those of unnamed namespaces
too: builds with MUSTER_UNITY count on it. Two files of a batch that have the same are told here.

A batch that was clean is not looked at again until one of its files, a header of ours that they
reach, a schema, the compile command, the configuration or the tools change: a second run takes a
second.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

TIDY = "clang-tidy-19"
QUERY = "clang-query-19"
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OURS = ("lib", "daemon", "tests")
BATCH = 40  # files: more would make a changed file cost more
INCLUDE_ROOTS = ("lib/include", "lib", "daemon", "tests", "proto")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, stdin=subprocess.DEVNULL, **more)


class Sources:
    """Our files' contents and what each reaches; a generated header counts as its schema."""

    def __init__(self):
        self.texts = {}

    def text(self, path):
        if path not in self.texts:
            self.texts[path] = path.read_text()
        return self.texts[path]

    def reached(self, file):
        seen, todo = set(), [file]
        while todo:
            path = todo.pop()
            if path in seen:
                continue
            seen.add(path)
            pattern = INCLUDE if path.suffix != ".proto" else re.compile(r'^import "([^"]+)"', re.M)
            for target in pattern.findall(self.text(path)):
                target = target.replace(".pb.h", ".proto")
                for place in (path.parent, *(ROOT / root for root in INCLUDE_ROOTS)):
                    if (place / target).is_file():
                        todo.append((place / target).resolve())
                        break
        return sorted(seen)


def query_file(pattern, folder):
    text = (HERE / "coroutine_traps.query").read_text().replace("@FILES@", pattern)
    path = Path(folder) / "coroutine_traps.query"
    path.write_text(text)
    return path


def coroutine_traps(query, file, arguments):
    """Findings of the query as a sorted list of "file:line: what"."""
    found = run([QUERY, "-f", str(query), str(file), "--", *arguments])
    lines = set()
    for match in re.finditer(r'^(\S+?:\d+):\d+: note: "(lambda|conditional|aggregate|braces)" binds',
                             found.stdout, re.MULTILINE):
        lines.add(f"{match[1]}: g++ 12 miscompiles this co_await: name the {match[2]} first")
    # Only a query that ran to its end has looked: it prints a count for each matcher.
    if found.returncode != 0 or len(re.findall(r"^\d+ match(?:es)?\.$", found.stdout, re.M)) != 4:
        lines.add(f"{file}: clang-query failed:\n{found.stdout}")
    return sorted(lines)


def clang_tidy(file, checks, arguments):
    """Findings, each a text of one or more lines."""
    found = run([TIDY, "--quiet", f"--config-file={ROOT / '.clang-tidy'}", f"--checks={checks}",
                 f"--header-filter=^{ROOT}/({'|'.join(OURS)})/", str(file), "--", *arguments])
    noise = re.compile(r"^(\d+ warnings? .*|\d+ errors? .*|Suppressed .*|Use -header-filter.*"
                       r"|Error while processing .*|In file included from .*)$\n?", re.MULTILINE)
    output = noise.sub("", found.stdout).strip()
    if found.returncode != 0 and not output:
        output = f"{file}: clang-tidy failed with status {found.returncode}"
    # One finding in a header shows up in many files: split, so that it is told once.
    return [f for f in re.split(r"\n(?=/\S+:\d+:\d+: (?:warning|error))", output) if f]


def write_unit(path, files):
    path.write_text("".join(f'#include "{file}"\n' for file in files))
    return path


def checks_of(folder):
    """What is added to the .clang-tidy of the root: that of the folder, and what a batch needs."""
    config = ROOT / folder / ".clang-tidy"
    added = "".join(re.findall(r"^  (-\S+)", config.read_text(), re.M)) if config.exists() else ""
    return f"{added},-bugprone-suspicious-include"


def compile_arguments(entry):
    """The arguments of a compile command that matter to a reader of the file."""
    words = iter(shlex.split(entry["command"]))
    next(w for w in words if os.path.basename(w).startswith("clang++"))
    kept = []
    for word in words:
        if word in ("-o", "-MF", "-MT"):
            next(words)
        elif word not in ("-c", "-MD", entry["file"]):
            kept.append(word)
    # A name that hides one of another file's is no mistake: that file is not really there. The
    # compilers see what hides a name of its own file.
    return [*kept, "-Wno-shadow"]


def batches(entries):
    """Lists of files and their arguments; the files of each are compiled alike."""
    alike = {}
    for entry in entries:
        file = Path(entry["file"])
        # Programs can be compiled alike, and each has its main().
        program = file if "\nint main(" in file.read_text() else None
        alike.setdefault((program, tuple(compile_arguments(entry))), []).append(file)
    for (_, arguments), files in alike.items():
        files.sort()
        count = -(-len(files) // BATCH)
        for i in range(count):
            yield files[i * len(files) // count : (i + 1) * len(files) // count], arguments


class Analysis:
    def __init__(self, build, folder):
        self.folder = Path(folder)
        self.marks = build / "clean"
        self.marks.mkdir(exist_ok=True)
        self.sources = Sources()
        self.query = query_file(f"^{ROOT}/({'|'.join(OURS)})/", folder)
        self.salt = "\n".join([
            run([TIDY, "--version"]).stdout, (ROOT / ".clang-tidy").read_text(),
            *(checks_of(f) for f in OURS), self.query.read_text(), Path(__file__).read_text()])

    def key(self, files, arguments, reached):
        digest = hashlib.sha256(self.salt.encode())
        digest.update("\n".join([*arguments, *map(str, files)]).encode())
        for path in reached:
            digest.update(f"\n{path}\n{self.sources.text(path)}".encode())
        return digest.hexdigest()

    def findings(self, files, arguments):
        reached = sorted({path for file in files for path in self.sources.reached(file)})
        key = self.key(files, arguments, reached)
        clean = self.marks / key
        if clean.exists():
            return []
        unit = write_unit(self.folder / f"{key}.cpp", files)
        folder = files[0].relative_to(ROOT).parts[0]
        found = clang_tidy(unit, checks_of(folder), arguments)
        if any("co_await" in self.sources.text(path) for path in reached):
            found += coroutine_traps(self.query, unit, arguments)
        if not found:
            clean.touch()
        return found


def self_test():
    planted = HERE / "selftest/coroutine_traps.cpp"
    lines = planted.read_text().splitlines()
    want = {n for n, line in enumerate(lines, 1) if "// TRAP" in line}
    with tempfile.TemporaryDirectory() as folder:
        query = query_file("selftest/", folder)
        found = coroutine_traps(query, planted, ["-std=c++20"])
    numbers = {int(m[1]) for f in found if (m := re.search(r"\.cpp:(\d+): g\+\+", f))}
    problems = [f"not found: {planted}:{n}: {lines[n - 1].strip()}" for n in sorted(want - numbers)]
    problems += [f"found where nothing is: {planted}:{n}" for n in sorted(numbers - want)]
    problems += [f for f in found if "clang-query failed" in f]
    return problems


def analyze(build):
    entries = [e for e in json.loads((build / "compile_commands.json").read_text())
               if Path(e["file"]).is_relative_to(ROOT)
               and Path(e["file"]).relative_to(ROOT).parts[0] in OURS and Path(e["file"]).exists()]
    if not entries:
        return [f"{build}/compile_commands.json names none of the files to look at"]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        analysis = Analysis(build, folder)
        # The large ones first, so that no core waits for the last.
        todo = sorted(batches(entries), key=lambda b: -sum(f.stat().st_size for f in b[0]))
        jobs = int(os.environ.get("JOBS") or os.cpu_count() or 1)
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for result in pool.map(lambda batch: analysis.findings(*batch), todo):
                for finding in result:
                    if finding not in found:
                        found.append(finding)
                        print(finding, flush=True)
    return found


def main():
    if sys.argv[1:] == ["--self-test"]:
        problems = self_test()
        for problem in problems:
            print(problem)
    else:
        problems = analyze(Path(sys.argv[1]).resolve())
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
