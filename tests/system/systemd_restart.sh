#!/usr/bin/env bash
# Runs as root inside the container that systemd_test.sh boots: what a restart, and a stop, of the
# broker mean for its backends.
set -euo pipefail
# shellcheck source=tests/system/systemd_lib.sh
source "$(head -n 1 /run/muster-stage/where)/tests/system/systemd_lib.sh"

install_as_written || fail "the lines of docs/OPERATIONS.md: $(cat /tmp/installed)"

journal() { journalctl --no-pager -o cat --unit musterd.service; }
# not_asked WHAT: since the last call of backend_says, nothing was asked of the backend.
not_asked() {
  [[ $heard != *operation* ]] || fail "$1: the backend was asked: $heard"
  ok "$1: nothing was asked of the backend"
}

start_backend --socket-dir /run/muster --service zccache
backend_says 'registered*'

# --- a restart that the service manager asks for quiesces nobody
for restart in restart try-restart reload-or-try-restart; do
  [[ $restart != reload* ]] || { # restarts where the unit has no reload
    mkdir -p /run/systemd/system/musterd.service.d
    printf '[Service]\nExecReload=\n' >/run/systemd/system/musterd.service.d/no-reload.conf
    systemctl daemon-reload
  }
  pid=$(property musterd.service MainPID)
  systemctl $restart musterd.service || fail "$restart: exit status $?"
  backend_says 'registered*'
  not_asked "$restart"
  (($(property musterd.service MainPID) != pid)) || fail "$restart: it is the same process"
  musterctl release-handles /srv/cache || fail "$restart: release-handles: exit status $?"
  backend_says 'operation * release-handles /srv/cache'
done
rm /run/systemd/system/musterd.service.d/no-reload.conf
systemctl daemon-reload
equal "restarts that the journal tells of" \
  "$(journal | grep -c 'restarting: backends are not quiesced signal=SIGTERM job=restart')" 3

# A broadcast that runs is waited for: its operator gets the whole report.
start_slow() { musterctl release-handles /srv/slow --timeout 20s >/tmp/slow 2>&1; }
kill "$backend"
start_backend --socket-dir /run/muster --service zccache --on-release ack-after:1s
backend_says 'registered*'
start_slow &
slow=$!
backend_says 'operation * release-handles /srv/slow'
systemctl restart musterd.service
wait $slow || fail "the operator of a broadcast that ran: exit status $?: $(cat /tmp/slow)"
backend_says 'registered*'
not_asked "a restart while a broadcast runs"

# --- a stop does
systemctl stop musterd.service musterd.socket musterd-control.socket
backend_says 'operation * quiesce broker-shutdown'
journal | grep -q 'stopping signal=SIGTERM job=stop' || fail "the journal does not tell of the stop"
systemctl start musterd.socket musterd.service
backend_says 'registered*'
# Sent by somebody else: there is no job.
kill "$(property musterd.service MainPID)"
backend_says 'operation * quiesce broker-shutdown'
backend_says 'registered*' # it connects, which starts the service
journal | grep -q 'stopping signal=SIGTERM job=none' || fail "the journal tells of a job"

# --- a bus that does not answer, or is not there: within a second it is a stop
cat >/run/systemd/system/deaf.socket <<'UNIT'
[Socket]
ListenStream=/run/deaf/bus
SocketMode=0666
UNIT
printf '[Service]\nExecStart=/bin/sleep infinity\n' >/run/systemd/system/deaf.service
for bus in deaf gone; do
  printf '[Service]\nEnvironment=DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/%s/bus\n' $bus \
    >/run/systemd/system/musterd.service.d/bus.conf
  systemctl daemon-reload
  systemctl start deaf.socket
  systemctl restart musterd.service # which still asks the right one
  backend_says 'registered*'
  asked_at=${EPOCHREALTIME/./}
  systemctl restart musterd.service
  backend_says 'operation * quiesce broker-shutdown'
  backend_says 'registered*'
  took=$((${EPOCHREALTIME/./} - asked_at))
  ((took < 5000000)) || fail "it took $took us"
  journal | tail -n 20 | grep 'the service manager does not say whether this is a restart' ||
    fail "the journal does not say that the bus is $bus"
done
rm /run/systemd/system/musterd.service.d/bus.conf
systemctl daemon-reload
kill "$backend"

# --- the sockets' directory is removed: the broker ends, and with new sockets backends come back
start_backend --socket-dir /run/muster --service zccache
backend_says 'registered*'
musterctl release-handles /srv/kept --key kept || fail "release-handles --key: exit status $?"
backend_says 'operation * release-handles /srv/kept'
pid=$(property musterd.service MainPID)
removed_at=$SECONDS
rm -rf /run/muster
backend_says 'registered*'
not_asked "sockets that are made again"
((SECONDS - removed_at <= 5)) || fail "it took $((SECONDS - removed_at)) s"
(($(property musterd.service MainPID) != pid)) || fail "it is the same broker"
journal | grep -q 'sockets deleted and cannot be made again, exiting' || fail "it does not say why"
equal "sockets that are made again" "$(stat -c '%n %U:%G %a' /run/muster/*.sock | xargs)" \
  "/run/muster/backend.sock muster:muster 660 /run/muster/control.sock muster:muster 600"
musterctl release-handles /srv/cache || fail "release-handles: exit status $?"
backend_says 'operation * release-handles /srv/cache'
# What was kept on disk is there: nothing is sent again for a key.
! musterctl release-handles /srv/kept --key kept 2>/tmp/said || fail "the key is forgotten"
grep -q 'so nothing is sent' /tmp/said || fail "musterctl says: $(cat /tmp/said)"
musterctl release-handles /srv/end || fail "release-handles: exit status $?"
backend_says 'operation * release-handles /srv/end'
[[ $heard != */srv/kept* ]] || fail "it was sent again: $heard"
kill "$backend"

# --- a process that has one of the sockets shuts it down: the same
start_backend --socket-dir /run/muster --service zccache
backend_says 'registered*'
pid=$(property musterd.service MainPID)
python3 - "$pid" <<'SHUT_DOWN' || fail "the broker's socket cannot be shut down from here"
import ctypes, os, socket, sys
PIDFD_GETFD, FIRST_PASSED = 438, 3
process = os.pidfd_open(int(sys.argv[1]))
shared = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, FIRST_PASSED, 0)
if shared < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
socket.socket(fileno=shared).shutdown(socket.SHUT_RDWR)
SHUT_DOWN
backend_says 'registered*'
not_asked "a socket that was shut down"
(($(property musterd.service MainPID) != pid)) || fail "it is the same broker"
journal | grep -q 'sockets shut down by another process and cannot be made again, exiting' ||
  fail "it does not say why"
musterctl release-handles /srv/cache || fail "release-handles: exit status $?"
backend_says 'operation * release-handles /srv/cache'
kill "$backend"

# --- the broker of a user's own service manager
if [[ -e /usr/lib/systemd/user/dbus.socket ]]; then
  useradd --create-home dev
  uid=$(id -u dev)
  mkdir -p /home/dev/.config/systemd/user
  printf '[log]\nlevel = "info"\n' >/home/dev/own.toml
  printf '[Service]\nType=notify\nExecStart=/usr/sbin/musterd --config %%h/own.toml --socket-dir %%t/own\n' \
    >/home/dev/.config/systemd/user/own.service
  chown -R dev: /home/dev/.config
  systemctl start "user@$uid.service" || fail "the service manager of a user: exit status $?"
  of_dev() { setpriv --reuid=dev --regid=dev --init-groups env "XDG_RUNTIME_DIR=/run/user/$uid" "$@"; }
  of_dev systemctl --user start own.service || fail "the broker of a user: exit status $?"
  exec 3< <(exec setpriv --reuid=dev --regid=dev --init-groups "$fake" \
    --socket-dir "/run/user/$uid/own" --service mine 2>&1)
  backend=$!
  backend_says 'registered*'
  of_dev systemctl --user restart own.service || fail "its restart: exit status $?"
  backend_says 'registered*'
  not_asked "a restart by a user's service manager"
  of_dev systemctl --user stop own.service || fail "its stop: exit status $?"
  backend_says 'operation * quiesce broker-shutdown'
  kill "$backend"
else
  ok "left out: there is no bus of users (dbus-user-session)"
fi
