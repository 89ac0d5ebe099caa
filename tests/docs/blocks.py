#!/usr/bin/env python3
"""The code blocks of the documentation: fenced ones, and those indented by four blanks.

    blocks.py FILE TEXT    prints the block of FILE in which TEXT stands
"""
import dataclasses
import pathlib
import re
import sys


@dataclasses.dataclass
class Block:
    file: str
    line: int  # of its first line
    language: str  # of a fence; "" for an indented block
    text: str

    def __str__(self):
        return f"{self.file}:{self.line}"


def blocks_of(path, name=None):
    lines = pathlib.Path(path).read_text(encoding="utf-8").split("\n")
    found = []
    fence, start, language, body = None, 0, "", []
    after_blank = True  # an indented block does not interrupt a paragraph
    for number, line in enumerate(lines, 1):
        opening = re.match(r"^( *)(`{3,}|~{3,})\s*(\S*)", line)
        if fence:
            if line.strip() == fence:
                found.append((start, language, body))
                fence, body = None, []
            else:
                body.append(line)
        elif opening and len(opening[1]) < 4:
            if body:
                found.append((start, "", body))
            fence, language, start, body = opening[2], opening[3], number + 1, []
        elif line.startswith("    ") and (body or after_blank):
            if not body:
                start = number
            body.append(line[4:])
        elif body and not line.strip():
            body.append("")
        elif body:
            found.append((start, "", body))
            body = []
        after_blank = not line.strip()
    if fence:
        raise ValueError(f"{path}:{start - 1}: this block has no end")
    if body:
        found.append((start, "", body))
    return [Block(str(name or path), start, language, "\n".join(body).rstrip() + "\n")
            for start, language, body in found]


def main():
    found = [block for block in blocks_of(sys.argv[1]) if sys.argv[2] in block.text]
    if len(found) != 1:
        sys.exit(f"{sys.argv[1]} has {len(found)} blocks with '{sys.argv[2]}', not one")
    print(found[0].text, end="")


if __name__ == "__main__":
    main()
