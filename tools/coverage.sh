#!/usr/bin/env bash
# Says what of lib/ and daemon/ was reached by the programs that clang instrumented, and fails when
# of lib/ it is less than it must be.
#
#   coverage.sh BUILD_DIR    configured with MUSTER_COVERAGE; what its programs reached is in
#                            BUILD_DIR/profiles. The report as HTML is left in BUILD_DIR/report
set -euo pipefail
build=$(readlink -f "${1:?the build directory}")
root=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/..")
readonly kLeastLines=92 kLeastBranches=75 # percent of lib/

llvm-profdata-19 merge -sparse "$build"/profiles/*.profraw -o "$build/profiles/all.profdata"

# The first program stands alone; whatever follows the options is sources.
programs=("$build/bin/unit_tests")
for program in component_tests system_tests musterd musterctl; do
  programs+=(-object "$build/bin/$program")
done
cover() { llvm-cov-19 "$1" "${programs[@]}" -instr-profile="$build/profiles/all.profdata" "${@:2}"; }
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
