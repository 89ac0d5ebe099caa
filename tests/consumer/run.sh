#!/usr/bin/env bash
# Installs the libraries, builds the project beside this script against them, and runs it, a daemon
# and a plugin: without a broker, and with one where musterd and musterctl are built.
#
#   run.sh BUILD_DIR CMAKE [argument for the consumer's cmake]...
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=$1
cmake=$2
shift 2

scratch=$(mktemp -d "${TMPDIR:-/tmp}/muster.XXXXXX")
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$scratch"
}
trap finish EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# The first main() of docs/SDK.md is the one that is built here, line by line.
main_of() { sed -n '/^int main() {$/,/^}$/{p;/^}$/q}' "$1"; }
[ -n "$(main_of "$here/../../docs/SDK.md")" ] || fail "docs/SDK.md has no backend in C++"
diff <(main_of "$here/../../docs/SDK.md") <(main_of "$here/zccache.cpp") ||
  fail "the backend of docs/SDK.md is not the one in $here/zccache.cpp"
lines=$(main_of "$here/zccache.cpp" | grep -c .)
[ "$lines" -le 15 ] || fail "the backend of docs/SDK.md takes $lines lines, not 15"

"$cmake" --install "$build" --component development --prefix "$scratch/prefix" >"$scratch/log" ||
  { cat "$scratch/log"; fail "install"; }
"$cmake" -S "$here" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$scratch/prefix" "$@" \
  >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "configure"; }
"$cmake" --build "$scratch/build" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "build"; }

result=$("$scratch/build/oracle")
[ "$result" = "release-handles /cache: acked zccache 1.4.2" ] || fail "oracle says: $result"

export MUSTER_SOCKET_DIR=$scratch/sockets
mkdir "$MUSTER_SOCKET_DIR"

# A daemon's output is read from descriptor 3.
start() {
  exec 3< <(exec "$@")
  daemon=$!
  pids+=("$daemon")
}
says() {
  local line=
  IFS= read -r -t 30 -u 3 line || fail "the daemon says nothing instead of: $1"
  [ "$line" = "$1" ] || fail "the daemon says '$line' instead of '$1'"
}
end_with() {
  kill -TERM "$daemon"
  says "$1"
  wait "$daemon" || fail "the daemon ended with status $?"
}

# No broker is not an error for the daemon.
start "$scratch/build/zccache"
says running
end_with "ended by signal 15"
start "$scratch/build/plugin_host" "$scratch/build/libplugin.so"
says loaded
end_with unloaded

if [ ! -x "$build/bin/musterd" ] || [ ! -x "$build/bin/musterctl" ]; then
  echo "PASSED (musterd and musterctl are not built: nobody to join)"
  exit 0
fi

start "$scratch/build/zccache"
says running
"$build/bin/musterd" --config /dev/null >"$scratch/broker" 2>&1 &
pids+=("$!")
# The backend comes when there is a broker.
registered() { "$build/bin/musterctl" backends 2>/dev/null | grep -q "$1"; }
wait_for() {
  local end=$((SECONDS + 30))
  until registered "$1"; do
    [ "$SECONDS" -lt "$end" ] || { cat "$scratch/broker"; fail "$1 did not register"; }
  done
}
ask() {
  "$build/bin/musterctl" "$@" >"$scratch/result" ||
    { cat "$scratch/result"; fail "musterctl $*: not acknowledged"; }
}
wait_for zccache
ask release-handles /var/cache/x
says "closed what was below /var/cache/x"
ask quiesce
says "drained"
end_with "ended by signal 15"
! registered zccache || fail "it did not deregister"

start "$scratch/build/plugin_host" "$scratch/build/libplugin.so"
says loaded
wait_for plugin
ask release-handles /var/cache/y
says "released /var/cache/y"
end_with unloaded
! registered plugin || fail "the plugin did not deregister"
echo "PASSED"
