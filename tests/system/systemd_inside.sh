#!/usr/bin/env bash
# Runs as root inside the container that systemd_test.sh boots; /run/muster-stage holds what was
# installed. Every wait is for an event and bounded; the first check that fails ends it.
set -euo pipefail
stage=/run/muster-stage
fake=$stage/tools/muster-fake-backend

ok() { echo "ok: $*"; }
fail() {
  echo "FAILED: $*"
  systemctl status --no-pager --full musterd.service musterd.socket musterd-control.socket || true
  journalctl --no-pager --unit musterd.service | tail -n 40 || true
  exit 1
}
equal() { # WHAT IS SHOULD
  [[ $2 == "$3" ]] || fail "$1: is '$2', should be '$3'"
  ok "$1: $2"
}
property() { systemctl show --property "$2" --value "$1"; }

# until_true WHAT COMMAND..: each try starts processes, so it does not spin hot.
until_true() {
  local what=$1 end=$((SECONDS + 20))
  shift
  until "$@"; do ((SECONDS < end)) || fail "never: $what"; done
  ok "$what"
}

# The backend: a daemon in the group muster, not root; its output is read from descriptor 3.
start_backend() {
  exec 3< <(exec setpriv --reuid=nobody --regid=nogroup --groups=muster "$fake" "$@" 2>&1)
  backend=$!
}

# backend_says PATTERN: reads its lines until one matches.
backend_says() {
  local line=
  while IFS= read -r -t 20 -u 3 line; do
    # shellcheck disable=SC2053 # a pattern
    [[ $line != $1 ]] || { ok "the backend says: $line"; return; }
  done
  fail "the backend never said '$1'; its last line: '$line'"
}

# --- installed as a package would
cp -a "$stage/root/." /
systemd-sysusers
systemd-tmpfiles --create
systemctl daemon-reload
for unit in musterd.service musterd.socket musterd-control.socket; do
  systemd-analyze verify --man=no --recursive-errors=no "$unit" || fail "verify $unit"
  ok "systemd-analyze verify $unit"
done
# Ten times the exposure that systemd-analyze shows: 0.5.
systemd-analyze security --threshold=5 --no-pager musterd.service >/tmp/security ||
  fail "exposure: $(tail -n 1 /tmp/security)"
ok "$(tail -n 1 /tmp/security | tr -cd '[:print:]')"

# A watchdog period and a stop timeout that a test can outlive.
mkdir -p /run/systemd/system/musterd.service.d
printf '[Service]\nWatchdogSec=1s\nTimeoutStopSec=1s\n' >/run/systemd/system/musterd.service.d/test.conf
systemctl daemon-reload

# --- started by its socket
systemctl start musterd.socket
equal "service before anybody connects" "$(property musterd.service ActiveState)" inactive
equal "control socket, started along" "$(property musterd-control.socket ActiveState)" active
equal "backend.sock" "$(stat -c '%U:%G %a' /run/muster/backend.sock)" "muster:muster 660"
equal "control.sock" "$(stat -c '%U:%G %a' /run/muster/control.sock)" "muster:muster 600"

start_backend --socket-dir /run/muster --service zccache --on-release ack \
  --on-quiesce ack-after:2s --ack-timeout 20s
backend_says 'registered*'
equal "service after a backend connected" "$(property musterd.service ActiveState)" active
equal "its user" "$(ps -o user= -p "$(property musterd.service MainPID)")" muster

# The unit's sandbox takes no transport away.
transport() { sed -n 's/.* transport=\([a-z_]*\).*/\1/p' | head -n 1; }
mkdir /tmp/outside
outside=$(timeout 2 musterd --socket-dir /tmp/outside --state-dir /tmp/outside 2>&1 | transport || true)
[[ -n $outside ]] || fail "musterd does not say its transport"
equal "its transport" "$(journalctl --no-pager -o cat --unit musterd.service | transport)" "$outside"

# --- a broadcast
musterctl ping
musterctl backends | tee /tmp/backends
grep -q zccache /tmp/backends || fail "musterctl backends does not show zccache"
musterctl explain-policy --uid nobody --gid muster --service zccache | tee /tmp/explained
grep -q 'register zccache: \[\[policy.register\]\] at /etc/muster/musterd.toml:' /tmp/explained ||
  fail "a member of the group muster may register for another reason"
! musterctl explain-policy --uid nobody --service zccache || fail "so may who is not in it"
! musterctl explain-policy --uid nobody --gid muster --look || fail "its members may look"
musterctl release-handles /srv/cache || fail "release-handles: exit status $?"
backend_says 'operation * release-handles /srv/cache'

# --- the watchdog is fed, the service reloads
fed_after() { (($(property musterd.service WatchdogTimestampMonotonic) > $1)); }
first=$(property musterd.service WatchdogTimestampMonotonic)
until_true "the watchdog is fed" fed_after "$first"
until_true "and fed past its period" fed_after $((first + 1000000))
systemctl reload musterd.service
equal "service after a reload" "$(property musterd.service ActiveState)" active

# --- stopped: the quiesce reaches the backend, which takes longer than TimeoutStopSec=
systemctl stop musterd.socket musterd-control.socket musterd.service
backend_says 'operation * quiesce broker-shutdown'
equal "result of the service" "$(property musterd.service Result)" success
equal "exit status of the broker" "$(property musterd.service ExecMainStatus)" 0
[[ ! -e /run/muster/backend.sock && ! -e /run/muster/control.sock ]] || fail "sockets left behind"
kill "$backend"
equal "restarts" "$(property musterd.service NRestarts)" 0
journalctl --no-pager --unit musterd.service >/tmp/journal
! grep -iE 'denied|not permitted|error' /tmp/journal || fail "the journal tells of trouble"
ok "nothing left to check"
