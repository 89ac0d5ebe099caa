"""Tables of `musterctl holders` in the documentation: processes that hold what one says, and what of
it differs from run to run.
"""
import re


def script(path, expected):
    """Shell: makes `path`, and a holder for each row of a process, a tail or another program."""
    lines = [f"shows() {{ musterctl holders {path} | grep -qw \"$1\"; }}", f"mkdir -p {path}"]
    for line in expected:
        row = re.match(r"\d+ +\S+ \(\d+\) +(\S+) .* (/\S+)( \(deleted\))? ", line)
        if row and row[1] == "tail":
            lines.append(f"touch {row[2]}; tail -f {row[2]} >/dev/null & ready shows tail")
            lines.append(f"rm {row[2]}" if row[3] else ":")
        elif row:
            lines.append(f"(cd {row[2]} && exec {row[1]} 1000) & ready shows {row[1]}")
    return "\n".join(lines) + "\n"


def normal(lines):
    """Without what else the host does: in a container even root may be kept from looking at its
    first process, and other processes send each other descriptors.
    """
    rows = [line for line in lines if not line.startswith("not seen:") and " possibly " not in line]
    return [re.sub(r"  +", "  ", re.sub(r"^\d+|\d+$", "N", row)) for row in rows]
