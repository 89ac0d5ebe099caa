#!/usr/bin/env bash
# Runs as root inside the container that systemd_test.sh boots.
set -euo pipefail
# shellcheck source=tests/system/systemd_lib.sh
source "$(head -n 1 /run/muster-stage/where)/tests/system/systemd_lib.sh"

# --- installed by the lines of docs/OPERATIONS.md, as written
install_as_written || fail "the lines of docs/OPERATIONS.md: $(cat /tmp/installed)"
for unit in musterd.service musterd.socket musterd-control.socket; do
  equal "$unit, enabled and started" \
    "$(systemctl is-enabled "$unit") $(property "$unit" ActiveState)" "enabled active"
done
musterctl ping || fail "musterctl ping: exit status $?"
equal "unit's program" "$(sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/musterd.service)" \
  /usr/sbin/musterd

# Another prefix, and again: the unit follows it, and a configuration that was edited stays.
sandbox=/run/reader/sandbox
again() { DESTDIR=$sandbox "$cmake" --install "$build" --component system --prefix "$1" >/tmp/installed; }
again /opt/muster
equal "unit's program below another prefix" \
  "$(sed -n 's/^ExecStart=//p' $sandbox/opt/muster/lib/systemd/system/musterd.service)" \
  /opt/muster/sbin/musterd
[[ -x $sandbox/opt/muster/sbin/musterd ]] || fail "there is no such program"
cmp "$config" "$sandbox$config" || fail "the configuration is another one"
equal "modes" "$(cd $sandbox && stat -c %a ".$config" opt/muster/lib/systemd/system/musterd.service | xargs)" \
  "644 644"
# One that was tightened, and has the default of another version, becomes the new default.
echo '# an older default' | tee "$sandbox$config" >$sandbox/opt/muster/share/muster/musterd.toml
chmod 600 "$sandbox$config"
again /opt/muster
cmp "$config" "$sandbox$config" || fail "an old default that nobody changed was kept"
equal "its mode" "$(stat -c %a "$sandbox$config")" 600
again /opt/muster
[[ ! -e $sandbox$config.new ]] || fail "a configuration that nobody changed is kept as if it were"
# shellcheck disable=SC2016 # as it stands
echo '# ours; "quoted" ${and} [[more]]' >>"$sandbox$config"
cp "$sandbox$config" /tmp/edited
again /opt/muster
cmp /tmp/edited "$sandbox$config" || fail "installing again overwrote the configuration"
cmp "$config" "$sandbox$config.new" || fail "the default is not in musterd.toml.new"
grep -q "Kept: $sandbox$config: it was changed; the default is in .*musterd.toml.new" /tmp/installed ||
  fail "installing again does not say so: $(cat /tmp/installed)"
: >"$sandbox$config"
again /opt/muster
[[ ! -s $sandbox$config ]] || fail "installing again overwrote an empty configuration"
rm "$sandbox$config"
again /opt/muster
[[ ! -e $sandbox$config ]] || fail "installing again brought back a configuration that was removed"
ok "an edited, emptied or removed configuration stays"

systemctl stop musterd.service musterd.socket musterd-control.socket muster-scan.socket
for unit in musterd.service musterd.socket musterd-control.socket musterd-sockets.service \
  muster-scan.service muster-scan.socket; do
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

# --- a rejected configuration: reload fails and changes nothing
pid=$(property musterd.service MainPID)
cp "$config" /tmp/good
for bad in '[broker]\nack_timeout = 7' '[broker' 'nonsense = 1'; do
  printf '%b\n' "$bad" >"$config"
  ! systemctl reload musterd.service 2>/tmp/said || fail "reload of '$bad' succeeds"
  grep -q 'systemctl status musterd.service' /tmp/said || fail "reload says: $(cat /tmp/said)"
  equal "service after a rejected reload" \
    "$(property musterd.service ActiveState) $(property musterd.service MainPID)" "active $pid"
done
# All rules gone, by mistake: half a file, an empty one, none. `none = true` says that it is meant.
for bad in '' '[log]\nlevel = "info"\n' '[policy]\n' gone; do
  printf '%b' "$bad" >"$config"
  [[ $bad != gone ]] || rm "$config"
  ! systemctl reload musterd.service 2>/tmp/said || fail "reload without any rule ('$bad') succeeds"
  equal "service after a reload without any rule" \
    "$(property musterd.service ActiveState) $(property musterd.service MainPID)" "active $pid"
done
journalctl --no-pager -o cat --unit musterd.service | grep -q 'has no \[\[policy.register\]\] rules any more' ||
  fail "the journal does not say that the rules would be gone"
may_register() { musterctl explain-policy --uid nobody --gid muster --service zccache >/dev/null; }
may_register || fail "the rules are gone"
printf '[policy]\nnone = true\n' >"$config"
systemctl reload musterd.service || fail "reload with none = true: exit status $?"
gone() { ! may_register; }
until_true "the rules are taken away where that is meant" gone
cp /tmp/good "$config"
systemctl reload musterd.service || fail "reload after none = true: exit status $?"
until_true "and are there again" may_register
musterctl ping || fail "musterctl ping after a rejected reload: exit status $?"
journalctl --no-pager -o cat --unit musterd.service | grep -q "musterd.toml:1:1: " ||
  fail "the journal does not say what is wrong with the configuration"
cp /tmp/good "$config"
systemctl reload musterd.service || fail "reload after the repair: exit status $?"

# --- who has files in use: the broker's user may not look into root's processes, muster-scan may
systemctl start muster-scan.socket
mkdir -p /srv/held
(cd /srv/held && exec tail -f /dev/null) &
holder=$!
holders() { setpriv --reuid=muster --regid=muster --clear-groups musterctl holders "$@"; }
is_there() { holders /srv/held >/tmp/holders 2>&1 || grep -q "^$holder .*tail" /tmp/holders; }
until_true "the holder is there" is_there
status=0
holders /srv/held >/tmp/holders 2>&1 || status=$?
equal "holders, by muster-scan" "$status $(grep -c "^$holder .*root .*tail.*working directory" /tmp/holders)" "6 1"
scan=$(property muster-scan.service MainPID)
equal "its user" "$(ps -o user= -p "$scan")" muster
# CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_LEASE
equal "its capabilities" "$(awk '/^Cap(Eff|Bnd)/ {print $2}' "/proc/$scan/status" | xargs)" \
  "0000000010080004 0000000010080004"
equal "scan.sock" "$(stat -c '%U:%G %a' /run/muster-scan/scan.sock)" "muster:muster 600"
# It sees the host's mounts and every process, which is most of what is left.
systemd-analyze security --threshold=40 --no-pager muster-scan.service >/tmp/security ||
  fail "muster-scan.service is exposed: $(tail -n 1 /tmp/security)"
kill -9 "$scan" # the next question starts another one
status=0
holders /srv/held >/tmp/holders 2>&1 || status=$?
equal "holders, after muster-scan was killed" "$status" 6
grep -q "^$holder " /tmp/holders || fail "it does not name the holder: $(cat /tmp/holders)"
kill "$holder"
systemctl stop muster-scan.socket muster-scan.service

# --- stopped: the quiesce reaches the backend, which takes longer than TimeoutStopSec=
systemctl stop musterd.socket musterd-control.socket musterd.service
backend_says 'operation * quiesce broker-shutdown'
equal "result of the service" "$(property musterd.service Result)" success
equal "exit status of the broker" "$(property musterd.service ExecMainStatus)" 0
[[ ! -e /run/muster/backend.sock && ! -e /run/muster/control.sock ]] || fail "sockets left behind"
kill "$backend"
equal "restarts" "$(property musterd.service NRestarts)" 0
# But of the configurations above.
journalctl --no-pager --unit musterd.service | grep -vE "$config:|Control process exited" >/tmp/journal
! grep -iE 'denied|not permitted|error' /tmp/journal || fail "the journal tells of trouble"

# --- a rejected configuration at the start: the sockets stay, clients wait, the repair is enough
systemctl start musterd.socket
echo 'nonsense = 1' >"$config"
! systemctl start musterd.service 2>/tmp/said || fail "starts with a rejected configuration"
grep -q 'systemctl status musterd.service' /tmp/said || fail "start says: $(cat /tmp/said)"
equal "exit status of the broker" "$(property musterd.service ExecMainStatus)" 2
# Connects, and so starts the service again and again.
start_backend --socket-dir /run/muster --service patient
journal_of_starts() { journalctl --no-pager -o cat --unit musterd.service | grep -c 'Failed to start'; }
tried_often() { (($(journal_of_starts) >= 3)); }
until_true "a waiting client lets systemd try again" tried_often
# More often than any limit of systemd's would be, if it were not for the pause.
equal "state of the sockets" \
  "$(property musterd.socket ActiveState) $(property musterd-control.socket ActiveState)" "active active"
for _ in 1 2; do ! systemctl start musterd.service 2>/dev/null || fail "it starts"; done
cp /tmp/good "$config"
systemctl start musterd.service || fail "start after the repair: exit status $?"
equal "service after the repair" "$(property musterd.service ActiveState)" active
equal "sockets" \
  "$(property musterd.socket ActiveState) $(property musterd-control.socket ActiveState)" "active active"
backend_says 'registered patient*'
kill "$backend"

# --- the daemon of docs/SDK.md as www-data, which is in no group muster at first
install -m 755 "$stage/tools/muster-"{zccache,states} /usr/local/bin
for daemon in zccache states; do
  cat >"/run/systemd/system/$daemon.service" <<UNIT
[Service]
User=www-data
ExecStart=/usr/local/bin/muster-$daemon
UNIT
done
systemctl daemon-reload
systemctl start zccache states
refused() { journalctl --no-pager -o cat --unit states | grep -q 'waiting .*usermod -aG muster www-data'; }
until_true "a daemon that may not connect says so" refused
registered() { musterctl backends | grep -qw "$1"; }
for daemon in zccache states; do
  equal "$daemon" "$(property "$daemon" ActiveState) $(property "$daemon" NRestarts)" "active 0"
  ! registered $daemon || fail "$daemon is registered, though www-data is in no group muster"
done
bash -eu "$stage/join" || fail "the line of docs/OPERATIONS.md: exit status $?"
systemctl restart zccache states
until_true "zccache registers as www-data" registered zccache
until_true "states registers as www-data" registered states
musterctl release-handles /var/cache/x --select service=zccache ||
  fail "release-handles by www-data's daemon: exit status $?"
systemctl stop zccache states
ok "nothing left to check"
