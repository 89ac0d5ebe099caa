#!/usr/bin/env bash
# What ./dev says in one sentence: JOBS that is no number, a clone that another user owns, and the
# tests that were skipped.
set -euo pipefail
tree=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d /tmp/muster-sentences.XXXXXX)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT

# expect STATUS TEXT COMMAND..: ends so, and says just that
expect() {
  local wanted=$1 text=$2 status=0
  shift 2
  "$@" >"$scratch/said" 2>&1 </dev/null || status=$?
  [[ $status == "$wanted" && $(<"$scratch/said") == "$text" ]] || {
    echo "FAILED: $*: status $status instead of $wanted, and it said:"
    cat "$scratch/said"
    exit 1
  }
}

for jobs in x 0 -1 '2 3'; do
  expect 2 "./dev: JOBS is '$jobs': it is how many compilers may run at once, like JOBS=2" \
    env JOBS="$jobs" "$tree/dev" help
done

mkdir -p "$scratch/clone/config" "$scratch/clone/build"
cp "$tree/dev" "$scratch/clone"
: >"$scratch/clone/config/packages.txt" # all of them are there
chmod 755 "$scratch" && chmod 555 "$scratch/clone/build"
as=()
if ((EUID == 0)); then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
if ((EUID != 0)) || "${as[@]}" true 2>/dev/null; then
  name=$("${as[@]}" id -un)
  expect 1 "./dev: $name may not write $scratch/clone/build: build in a clone of your own" \
    "${as[@]}" "$scratch/clone/dev" build
fi

cat >"$scratch/test.xml" <<'XML'
<testsuite>
<testcase name="a" status="notrun"><skipped/><system-out>a_test.cpp:12: Skipped
needs root,
to be several users


[  SKIPPED ] a</system-out></testcase>
<testcase name="b" status="notrun"><skipped/><system-out>b.sh: skipped: no network</system-out></testcase>
<testcase name="c" status="notrun"><skipped/><system-out>nothing</system-out></testcase>
<testcase name="docs" status="run"><system-out>skipped: README.md:12: no mounts
README.md:20: compiled
skipped: docs/SDK.md:7: no mounts</system-out></testcase>
<testcase name="d" status="run"><system-out>skipped: that is its own affair</system-out></testcase>
</testsuite>
XML
expect 0 "
Skipped, and why (3):
  a: needs root, to be several users
  b: no network
  c: no reason given

Ran but for a part, and why (2):
  README.md:12, docs/SDK.md:7: no mounts" "$tree/tools/skipped_tests.py" "$scratch/test.xml"
echo ok
