#!/usr/bin/env bash
# Shows Muster at work: a broker in a temporary directory, five backends of different behaviour,
# both operations, the results explained. Leaves nothing behind.
#
#   demo.sh BIN_DIR    where musterd, musterctl and muster-fake-backend are
set -euo pipefail

bin=$(readlink -f "${1:?the directory with the programs}")
dir=$(mktemp -d "${TMPDIR:-/tmp}/muster-demo.XXXXXX")
export MUSTER_SOCKET_DIR=$dir
unset XDG_RUNTIME_DIR
broker=
backends=() # pids

stop() { # PID..: ends what this script started, and waits for it
  local pid
  for pid in "$@"; do kill "$pid" 2>/dev/null || true; done
  for pid in "$@"; do wait "$pid" 2>/dev/null || true; done
}

clean_up() {
  stop ${broker:+"$broker"} "${backends[@]}"
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\033[1m' dim=$'\033[2m' plain=$'\033[0m'
else
  bold='' dim='' plain=''
fi
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s  %s%s\n' "$dim" "$*" "$plain"; }

# Runs a command as an operator would type it; its exit status lands in $status.
status=0
operator() {
  printf '%s$ %s%s\n' "$bold" "$*" "$plain"
  status=0
  PATH=$bin:$PATH "$@" || status=$?
}

fail() {
  printf 'demo: %s\n' "$1" >&2
  sed 's/^/  musterd: /' "$dir/broker.log" >&2
  exit 1
}

# backend NAME ARG..: starts one and returns once the broker knows it; its pid is in $!.
backend() {
  local name=$1 line
  shift
  exec {lines}< <(exec "$bin/muster-fake-backend" --service "$name" "$@" 2>&1)
  local pid=$!
  backends+=("$pid")
  while IFS= read -r -t 10 -u "$lines" line; do
    [[ $line != registered* ]] || break
  done
  [[ ${line:-} == registered* ]] || fail "backend $name did not register: ${line:-no output}"
  # What it says from now on is not shown; a pipe that nobody reads must not stop it.
  cat <&"$lines" >"$dir/$name.log" &
  exec {lines}<&-
  last_backend=$pid
}

title "A broker, and five backends that do not behave alike"
"$bin/musterd" --config /dev/null --state-dir "$dir/state" >"$dir/broker.log" 2>&1 &
broker=$!
backend zccache --version 1.4.2 --on-release ack --on-quiesce ack
note "zccache   acknowledges at once"
backend soldr --version 0.9.0 --ack-timeout 200ms --on-release work:300ms:3 --on-quiesce work:300ms:3
note "soldr     needs 450 ms and declared 200: asks for 300 ms more at each of three steps"
backend keeper --version 2.0.1 --on-release reject --on-quiesce ack
note "keeper    refuses to let go of files; drains when asked"
backend mute --version 1.0.0 --ack-timeout 1s --on-release silent --on-quiesce silent
note "mute      never answers; it registered with a budget of one second"
backend fallen --version 3.1.0
kill -KILL "$last_backend"
wait "$last_backend" 2>/dev/null || true
note "fallen    registered, and was killed"
# The broker learns of the death from the kernel, within a millisecond.
for ((i = 0; i < 100; ++i)); do
  "$bin/musterctl" backends 2>/dev/null | grep -q 'fallen.*dead' && break
done
echo
operator musterctl backends

title "Asking all of them to let go of every file below a path"
operator musterctl release-handles /srv/cache
title "What that says"
note "acked     zccache at once, soldr after its extensions: a backend may ask for more time"
note "timed out mute, after the second that it declared; it delayed nobody else's answer"
note "rejected  keeper, with the reason that it gave"
note "skipped   fallen: dead when the broadcast began, and named all the same"
note "exit status $status: not every backend acked"

title "The same, asking only two of them"
operator musterctl release-handles /srv/cache --select service=zccache --select service=soldr
note "exit status $status: every backend that was asked acked"

title "A daemon with a real file: deleting its cache is not enough"
cache=$dir/cache
mkdir "$cache"
head -c 1000000 /dev/zero >"$cache/index"
backend indexer --version 4.0.0 --keep-open "$cache/index"
note "indexer   has $cache/index open, and opens it again whenever nobody asks it not to"
operator rm -r "$cache"
operator musterctl holders "$cache"
note "exit status $status: the file has no name any more, and takes its space all the same"
stop "$last_backend"
title "The same with Muster: indexer releases the file, and stays away until the command is done"
mkdir "$cache"
head -c 1000000 /dev/zero >"$cache/index"
backend indexer --version 4.0.1 --keep-open "$cache/index"
operator musterctl with-released --select 'service=indexer' "$cache" -- rm -r "$cache"
if [[ $status == 6 ]]; then
  note "exit status 6, and nothing was deleted: this user, or this container, may not look into every"
  note "process of the host, and what Muster does not know is no yes. Without the kernel's proof:"
  operator musterctl with-released --no-verify --select 'service=indexer' "$cache" -- rm -r "$cache"
fi
note "exit status $status: what indexer heard meanwhile"
grep -E '^(closed|hold-|operation)' "$dir/indexer.log" | sed "s/^/$dim  /; s/\$/$plain/"
[[ ! -e $cache ]] || fail "the cache is still there"

title "Asking all of them to stop taking work and drain"
operator musterctl quiesce
note "exit status $status: mute again"

title "Stopping the broker (SIGTERM): it quiesces its backends, waits for them, and exits"
kill -TERM "$broker"
wait "$broker" && status=0 || status=$?
broker=
note "musterd exited with status $status; the last that each backend heard:"
for name in zccache soldr keeper mute; do
  line=$(grep '^operation' "$dir/$name.log" | tail -n 1 || true)
  note "$(printf '%-9s %s' "$name" "${line:-nothing}")"
done
