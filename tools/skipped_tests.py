#!/usr/bin/env python3
"""Says which tests were skipped and why, one line a reason.

    skipped_tests.py TEST.xml    what `ctest --output-junit` wrote

A reason is what GTEST_SKIP() was given, or what follows "skipped: " in a script's output. A test
that passed may say so of a part of it.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

GTEST = re.compile(r"^\S+:\d+: Skipped\n(.+?)\n(?:\n|\[)", re.DOTALL | re.MULTILINE)
SCRIPT = re.compile(r"^(?:\S+: )?skipped: (.+)$", re.MULTILINE)


def reasons_of(case):
    output = (case.findtext("system-out") or "") + "\n"
    skipped = case.get("status") == "notrun" or case.find("skipped") is not None
    if skipped:
        found = [" ".join(text.split()) for text in GTEST.findall(output)]
        return found[:1] or SCRIPT.findall(output)[:1] or ["no reason given"]
    # Only scripts: a program's tests may print anything.
    return SCRIPT.findall(output) if case.get("name", "").startswith("docs") else []


def main():
    tests = {}
    for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
        for reason in reasons_of(case):
            tests.setdefault(reason, []).append(case.get("name"))
    if not tests:
        return
    print(f"\nSkipped, and why ({sum(map(len, tests.values()))}):")
    for reason, names in tests.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        print(f"  {', '.join(names[:3])}{more}: {reason}")


main()
