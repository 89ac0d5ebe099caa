#!/usr/bin/env bash
# Runs the tests of a build that clang instrumented and reports what of lib/ and daemon/ they reach.
#
#   coverage.sh BUILD_DIR    configured by the preset "coverage"; the report as HTML is left in
#                            BUILD_DIR/report
set -euo pipefail
build=$(readlink -f "${1:?the build directory}")
root=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/..")
profiles=$build/profiles
rm -rf "$profiles"
mkdir "$profiles"

# %m: one file a program, merged as processes end; %c: written all along, so that a process that
# is killed counts, too.
export LLVM_PROFILE_FILE=$profiles/%m%c.profraw
ctest --test-dir "$build" --output-on-failure --no-tests=error -LE systemd \
  -j "${JOBS:-$(nproc)}" </dev/null
llvm-profdata-19 merge -sparse "$profiles"/*.profraw -o "$profiles/all.profdata"

objects=()
for program in "$build"/bin/*; do objects+=(-object "$program"); done
sources=("$root/lib" "$root/daemon")
llvm-cov-19 show "${objects[@]}" -instr-profile="$profiles/all.profdata" -format=html \
  -output-dir="$build/report" "${sources[@]}"
llvm-cov-19 report "${objects[@]}" -instr-profile="$profiles/all.profdata" \
  -show-region-summary=false "${sources[@]}" |
  sed "s,^$root/,,"
