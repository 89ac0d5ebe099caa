#!/usr/bin/env bash
# Boots a real systemd over a throw-away overlay of this machine's own root (through
# systemd-nspawn; half a second), runs SCRIPT as root inside it, prints what it writes, shuts down
# and exits with the script's own status (124 when the time limit passed).
#
#   boot_systemd.sh [-r HOST:GUEST].. [-T SECONDS] SCRIPT [ARG..]
#
#   -r  bind a path of the host into the container, read-only
#   -T  limit in seconds (default 120)
#
# Exits with 77, and says why, where it cannot be done: it needs root, systemd-nspawn, systemd, dbus,
# overlayfs, and a cgroup file system that can be written. Nothing that the script does to files is kept.
#
# In a container itself, MemoryMax= and TasksMax= may count for nothing inside, a negative
# OOMScoreAdjust= becomes 0, and LimitNOFILE= is capped at the host's hard limit.
set -euo pipefail

cannot() {
  echo "boot_systemd.sh: skipped: $1" >&2
  exit 77
}

((EUID == 0)) || ! sudo -n true 2>/dev/null || exec sudo -n "$0" "$@"

limit=120
binds=()
while getopts 'r:T:' option; do
  case $option in
    r) binds+=(--bind-ro="$OPTARG") ;;
    T) limit=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
script=$(realpath "${1:?the script to run}")
shift

((EUID == 0)) || cannot "only root can boot a container"
[[ $(stat -f -c %T /sys/fs/cgroup 2>/dev/null) =~ ^(cgroup2fs|cgroupfs|tmpfs)$ ]] ||
  cannot "there is no cgroup file system at /sys/fs/cgroup"
command -v systemd-nspawn >/dev/null || cannot "there is no systemd-nspawn (systemd-container)"
[[ -x /usr/lib/systemd/systemd ]] || cannot "there is no systemd on this machine"
[[ -e /usr/lib/systemd/system/dbus.socket ]] || cannot "there is no dbus on this machine"

work=$(mktemp -d /tmp/boot_systemd.XXXXXX)
name=boot-$$
cgroups=()
clean_up() {
  local group
  for group in "${cgroups[@]}"; do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
  rmdir "$work/root" 2>/dev/null || true # never rm -rf: a bind of / may still be mounted there
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT
mkdir "$work/io" "$work/root"

unshare --mount --propagation unchanged true 2>/dev/null ||
  cannot "no mount namespace can be made here (CAP_SYS_ADMIN)"
unshare --mount true 2>/dev/null ||
  cannot "mounts cannot be made private here (the root of a chroot is no mount point)"
# shellcheck disable=SC2016 # expanded by that shell
unshare --mount sh -c 'cd "$1" && mkdir low up work all && mount -t tmpfs none up &&
  mkdir up/up up/work && mount -t overlay none all -o lowerdir=low,upperdir=up/up,workdir=up/work' \
  sh "$(mktemp -d -p "$work")" 2>/dev/null || cannot "the kernel has no overlayfs for us"

# The unit that runs the script: the script's exit status becomes that of the container.
install -m 755 "$script" "$work/io/script"
: >"$work/io/out"
(($# == 0)) || printf '%s\0' "$@" >"$work/io/arguments"
[[ -e $work/io/arguments ]] || : >"$work/io/arguments"
cat >"$work/boot-run.target" <<'UNIT'
[Unit]
Requires=basic.target dbus.socket boot-run.service
After=basic.target dbus.socket
AllowIsolate=yes
UNIT
cat >"$work/boot-run.service" <<'UNIT'
[Unit]
After=basic.target dbus.socket
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=exec
Environment=LANG=C.UTF-8 HOME=/root
ExecStart=/bin/bash -c 'mapfile -d "" -t a < /run/boot-run/arguments; exec /run/boot-run/script "$${a[@]}"'
StandardOutput=append:/run/boot-run/out
StandardError=append:/run/boot-run/out
UNIT

# A cgroup of its own, so that runs side by side do not share nspawn's "payload" group.
for hierarchy in systemd unified; do
  [[ -d /sys/fs/cgroup/$hierarchy ]] || continue
  mkdir "/sys/fs/cgroup/$hierarchy/$name" 2>/dev/null && cgroups+=("/sys/fs/cgroup/$hierarchy/$name")
done

# contained SECONDS ARG..: systemd-nspawn on this machine's root, for so long.
contained() (
  local seconds=$1
  shift
  for group in "${cgroups[@]}"; do echo "$BASHPID" >"$group/cgroup.procs"; done
  # nspawn's own system call filter off, so that only the unit's SystemCallFilter= counts.
  export SYSTEMD_SECCOMP=0
  # / is bound read-only in a mount namespace of its own: nspawn refuses "/" itself.
  # shellcheck disable=SC2016 # expanded by that shell
  exec timeout -k 5 "$seconds" unshare --mount --propagation private sh -c '
      root=$1; shift
      mount --bind / "$root" && mount -o remount,bind,ro "$root" || exit 125
      exec systemd-nspawn --directory="$root" "$@"' sh "$work/root" \
    --quiet --volatile=overlay \
    --machine="$name" --register=no --keep-unit --private-network --console=pipe \
    --link-journal=no "$@"
)

# What else a container may not let us do shows in one that does nothing.
contained 20 --as-pid2 /bin/true </dev/null >"$work/nspawn.log" 2>&1 ||
  cannot "systemd-nspawn cannot run here: $(grep -v 'capabilities will not be set' "$work/nspawn.log" | tail -n 1)"

set +e
contained "$limit" --boot --bind="$work/io:/run/boot-run" \
  --bind-ro="$work/boot-run.target:/run/boot-run.target" \
  --bind-ro="$work/boot-run.target:/etc/systemd/system/boot-run.target" \
  --bind-ro="$work/boot-run.service:/etc/systemd/system/boot-run.service" \
  "${binds[@]}" systemd.unit=boot-run.target </dev/null >"$work/nspawn.log" 2>&1 &
container=$!
tail -n +1 -f --pid=$container -s 0.1 "$work/io/out" &
printer=$!
wait $container
status=$?
wait $printer
((status == 0)) ||
  grep -vE 'capabilities will not be set|nspawn/propagate' "$work/nspawn.log" >&2
exit $status
