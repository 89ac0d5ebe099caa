"""Blocks in `console`: what somebody types behind `$ `, and what is printed. All of a block is typed
into one shell, line by line; what differs from run to run (pids, ids, times, widths of columns) does
not count.
"""
import re
import subprocess

MARK = "--- that was all ---"
# A web server writes its log after it has answered: whether its workers have nothing to do.
AT_REST = """
at_rest() {
  local job child
  for job in $(jobs -p); do
    for child in $(cat "/proc/$job/task/$job/children"); do
      grep -q ') S ' "/proc/$child/stat" || return 1
    done
  done
}
"""


def steps_of(text):
    """[(command, [line of output..])..]"""
    steps = []
    for line in text.rstrip("\n").split("\n"):
        if line.startswith("$ "):
            steps.append((line[2:], []))
        elif line.startswith("> "):  # the command goes on
            steps[-1] = (f"{steps[-1][0]}\n{line[2:]}", steps[-1][1])
        else:
            steps[-1][1].append(line)
    return steps


def script_of(steps, prelude):
    """Shell: runs each command, with a mark behind what it prints."""
    lines = [prelude, AT_REST, "set +eu"]
    for command, _ in steps:
        lines += [command, "status=$?"]
        service = re.search(r"(?:--service|muster-let-go) (\S+).*&$", command)
        if re.match(r"musterd\b.*&$", command):
            lines.append("ready musterctl ping")
        elif service:
            lines.append(f"ready shows {service[1]}")
        elif command.startswith("curl "):
            lines.append("ready at_rest")
        elif re.match(r"nginx\b.*&$", command):  # it listens before it has workers
            lines.append("ready grep -q . /proc/$!/task/$!/children")
        elif command.endswith("&"):
            lines.append("until [ \"$(cat /proc/$!/comm)\" != bash ]; do :; done")
        lines.append(f"echo '{MARK}'; (exit $status)")
    return "\n".join(lines)


def normal(lines):
    """Without what else the host does, and what differs from run to run."""
    kept = [line.rstrip() for line in lines
            if not line.startswith("not seen:") and " possibly " not in line]
    text = "\n".join(kept).strip("\n")
    text = re.sub(r"\b(in|within|after|for|took) [\d.]+ (us|ms|s)\b", r"\1 T", text)
    text = re.sub(r"\d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"\b\d{3,}\b", "N", text)
    return re.sub(r"  +", "  ", text).split("\n")


def wrong_of(text, prelude, **options):
    """Runs the block. Yields a sentence for each command that prints something else."""
    steps = steps_of(text)
    done = subprocess.run(["bash", "-c", script_of(steps, prelude)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
                          timeout=120, check=False, **options)
    printed = done.stdout.split(f"{MARK}\n")
    if len(printed) != len(steps) + 1:
        yield f"the shell ended early:\n{done.stdout}"
        return
    for (command, expected), shown in zip(steps, printed):
        wanted, seen = normal(expected), normal(shown.split("\n"))
        if wanted != seen:
            yield ("`" + command + "` prints\n  " + "\n  ".join(seen) + "\ninstead of\n  " +
                   "\n  ".join(wanted))
