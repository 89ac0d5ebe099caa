# What the scripts that systemd_test.sh runs inside its container share; each sources it.
# /run/muster-stage holds what they need. Every wait is for an event and bounded; the first check
# that fails ends the script.
# shellcheck shell=bash disable=SC2034 # used by those scripts
set -euo pipefail
stage=/run/muster-stage
fake=$stage/tools/muster-fake-backend
mapfile -t where <"$stage/where"
build=${where[1]} cmake=${where[2]}
config=/etc/muster/musterd.toml

ok() { echo "ok: $*"; }
fail() {
  echo "FAILED: $*"
  systemctl status --no-pager --full musterd.service musterd.socket musterd-control.socket || true
  journalctl --no-pager | tail -n 40 || true
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

# backend_says PATTERN: reads its lines until one matches; all of them are in $heard then.
backend_says() {
  local line=
  heard=
  while IFS= read -r -t 20 -u 3 line; do
    heard+=$line$'\n'
    # shellcheck disable=SC2053 # a pattern
    [[ $line != $1 ]] || { ok "the backend says: $line"; return; }
  done
  fail "the backend never said '$1'; its last line: '$line'"
}

# The lines of docs/OPERATIONS.md, as written, over the build directory of the host.
mkdir -p /run/scratch/{upper,work} /run/reader
mount -t overlay none "$build" -o "lowerdir=$build,upperdir=/run/scratch/upper,workdir=/run/scratch/work"
ln -s "$build" /run/reader/build
install_as_written() { (cd /run/reader && PATH=$(dirname "$cmake"):$PATH bash -eux "$stage/install") >/tmp/installed 2>&1; }
