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


def skipped_reason(case):
    """None when it ran."""
    if case.get("status") != "notrun" and case.find("skipped") is None:
        return None
    output = (case.findtext("system-out") or "") + "\n"
    found = [" ".join(text.split()) for text in GTEST.findall(output)] or SCRIPT.findall(output)
    return found[0] if found else "no reason given"


def skipped_parts(case):
    # Only scripts: a program's tests may print anything.
    if not case.get("name", "").startswith(("docs", "recipes")):
        return []
    return SCRIPT.findall(case.findtext("system-out") or "")


def show(title, named):
    """`named`: (reason, what was skipped for it)."""
    if not named:
        return
    print(f"\n{title} ({len(named)}):")
    for reason in dict.fromkeys(reason for reason, _ in named):
        names = [name for other, name in named if other == reason]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        print(f"  {', '.join(names[:3])}{more}: {reason}")


def main():
    tests, parts = [], []
    for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
        reason = skipped_reason(case)
        if reason is not None:
            tests.append((reason, case.get("name")))
            continue
        for part in skipped_parts(case):
            place, _, why = part.partition(": ")  # "README.md:12: why"
            parts.append((why, place) if why else (part, case.get("name")))
    show("Skipped, and why", tests)
    show("Ran but for a part, and why", parts)


main()
