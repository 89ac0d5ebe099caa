#!/usr/bin/env python3
"""Documents name the tests that hold what they claim: every such test exists, and every fault is told.

  named_tests.py              the documents of this checkout
  named_tests.py --self-test  that a name without a test, and a fault without a row, are found
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "HACKING.md", "tests/README.md", "docs/*.md"]
FAULT_TABLE = "tests/README.md"
NAME = re.compile(r"`([A-Z]\w*\.[A-Z]\w*)`")
TEST = re.compile(r"\bTEST(?:_[FP])?\(\s*(\w+)\s*,\s*(\w+)\s*\)")
FAULT = re.compile(r"Fault\w*Test\.")


def tests_in(text):
    return {f"{suite}.{name}" for suite, name in TEST.findall(text)}


def problems(documents, tests):
    """`documents`: texts by name. `tests`: all that there are."""
    found = []
    for document, text in documents.items():
        for name in NAME.findall(text):
            if name not in tests:
                found.append(f"{document}: there is no test {name}")
    table = set(NAME.findall(documents.get(FAULT_TABLE, "")))
    for name in sorted(tests - table):
        if FAULT.match(name):
            found.append(f"{FAULT_TABLE}: the fault of {name} is not in the table")
    return found


def self_test():
    tests = tests_in("TEST_F(FaultTest,\n       AIsTold) {}\nTEST(Other, B) {}\n")
    good = {FAULT_TABLE: "| a | b | `FaultTest.AIsTold` |", "docs/x.md": "`Other.B`"}
    assert problems(good, tests) == [], problems(good, tests)
    bad = {FAULT_TABLE: "", "docs/x.md": "`Other.C`"}
    assert problems(bad, tests) == [
        "docs/x.md: there is no test Other.C",
        "tests/README.md: the fault of FaultTest.AIsTold is not in the table",
    ], problems(bad, tests)


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    documents = {
        str(path.relative_to(ROOT)): path.read_text()
        for pattern in DOCUMENTS
        for path in sorted(ROOT.glob(pattern))
    }
    tests = set()
    for path in (ROOT / "tests").rglob("*_test.cpp"):
        tests |= tests_in(path.read_text())
    found = problems(documents, tests)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


sys.exit(main())
