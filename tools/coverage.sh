#!/usr/bin/env bash
# Runs test programs that clang instrumented, says what of lib/ and daemon/ they reach, and fails
# when of lib/ it is less than it must be.
#
#   coverage.sh BUILD_DIR PROGRAM..    configured by the preset "coverage"; PROGRAMs are test
#                                      programs in BUILD_DIR/bin. The report as HTML is left in
#                                      BUILD_DIR/report
set -euo pipefail
build=$(readlink -f "${1:?the build directory}")
shift
root=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/..")
readonly kLeastLines=92 kLeastBranches=75 # percent of lib/

profiles=$build/profiles
rm -rf "$profiles"
mkdir "$profiles"
# %m: one file a program, merged as processes end; %c: written all along, so that a process that
# is killed counts, too.
export LLVM_PROFILE_FILE=$profiles/%m%c.profraw
for program in "$@"; do
  # One process for all tests of a program: what is measured is reach, not their independence.
  for transport in epoll io_uring; do
    [[ $program != unit_tests || $transport == epoll ]] || continue
    MUSTER_TEST_TRANSPORT=$transport "$build/bin/$program" --gtest_brief=1 </dev/null
  done
done
llvm-profdata-19 merge -sparse "$profiles"/*.profraw -o "$profiles/all.profdata"

# The first program stands alone; whatever follows the options is sources.
programs=("$build/bin/$1")
for program in "${@:2}"; do programs+=(-object "$build/bin/$program"); done
cover() { llvm-cov-19 "$1" "${programs[@]}" -instr-profile="$profiles/all.profdata" "${@:2}"; }
cover show -format=html -output-dir="$build/report" "$root/lib" "$root/daemon"
cover report -show-region-summary=false "$root/lib" "$root/daemon" | sed "s,^$root/,,"
cover export -summary-only "$root/lib" |
  python3 -c '
import json, sys

totals = json.load(sys.stdin)["data"][0]["totals"]
short = False
for what, least in (("lines", int(sys.argv[1])), ("branches", int(sys.argv[2]))):
    reached = totals[what]["percent"]
    short = short or reached < least
    print(f"lib/: {reached:.1f} % of {what}, of {least} % that must be reached")
sys.exit(short)
' $kLeastLines $kLeastBranches
