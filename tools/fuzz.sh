#!/usr/bin/env bash
# Runs libFuzzer programs, two at a time, each on its corpus and on what it makes of it.
#
#   fuzz.sh BUILD_DIR SECONDS [TARGET]    configured by the preset "fuzz"
#
# New inputs that reach something new stay in BUILD_DIR/corpus/TARGET, and are where the next run
# begins. An input that breaks something is left in BUILD_DIR/broken/.
set -uo pipefail
build=$(readlink -f "${1:?the build directory}")
readonly build seconds=${2:?how many seconds} only=${3:-}
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../tests/fuzz" || exit

readonly kLongestInput=16384 # bytes
readonly kAtATime=2
# The sanitizers' findings end the program by a signal, so that libFuzzer keeps the input.
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:handle_abort=1
export UBSAN_OPTIONS=print_stacktrace=1
ASAN_SYMBOLIZER_PATH=$(command -v llvm-symbolizer-19 || true)
export ASAN_SYMBOLIZER_PATH

# run TARGET: the log is the program's own.
run() {
  local target=$1
  local arguments=(-max_total_time="$seconds" -max_len="$kLongestInput" -timeout=10 -rss_limit_mb=2048
    -print_final_stats=1 -artifact_prefix="$build/broken/$target-")
  [[ ! -f dictionaries/$target.dict ]] || arguments+=(-dict="dictionaries/$target.dict")
  local folders=("$build/corpus/$target" "corpus/$target")
  [[ ! -d regressions/$target ]] || folders+=("regressions/$target")
  "$build/bin/fuzz/$target" "${arguments[@]}" "${folders[@]}" >"$build/fuzz-$target.log" 2>&1
}

# tell TARGET STATUS: one line, or all that is needed to see it again.
tell() {
  local target=$1 log=$build/fuzz-$1.log
  if (($2 == 0)); then
    local runs reached
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    reached=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
    printf '%-16s ok: %s runs, %s edges\n' "$target" "$runs" "$reached"
    return
  fi
  local input
  input=$(sed -n 's/^artifact_prefix=.*Test unit written to //p' "$log")
  printf '%-16s BROKEN\n' "$target"
  grep -v '^#\|^INFO:\|^MS: \|^stat::' "$log" | tail -60
  echo "the input:       $input"
  echo "to see it again: $build/bin/fuzz/$target $input"
  echo "to keep it:      cp $input tests/fuzz/regressions/$target/, named by what was wrong"
}

targets=()
for program in "$build"/bin/fuzz/*; do
  [[ -n $only && ${program##*/} != "$only" ]] || targets+=("${program##*/}")
done
if ((${#targets[@]} == 0)); then
  echo "fuzz: there is no target '$only'" >&2
  exit 2
fi
mkdir -p "$build/broken"

declare -A name_of=()
status=0
collect() {
  local pid result=0
  wait -n -p pid || result=$?
  tell "${name_of[$pid]}" "$result"
  ((result == 0)) || status=1
  unset "name_of[$pid]"
}
for target in "${targets[@]}"; do
  mkdir -p "$build/corpus/$target" "corpus/$target"
  ((${#name_of[@]} < kAtATime)) || collect
  run "$target" &
  name_of[$!]=$target
done
while ((${#name_of[@]} > 0)); do collect; done
exit "$status"
