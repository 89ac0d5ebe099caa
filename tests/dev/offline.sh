#!/usr/bin/env bash
# ./dev on a machine without a network that lacks packages: one sentence says so, and status 69.
# Exits with 77 (skipped), and says why, where that cannot be played.
set -euo pipefail
tree=$(cd "$(dirname "$0")/../.." && pwd)

cannot() {
  echo "offline.sh: skipped: $1"
  exit 77
}
((EUID == 0)) || cannot "needs root, to run apt-get"
command -v apt-get >/dev/null || cannot "there is no apt-get here"
unshare --net true 2>/dev/null || cannot "no network namespace can be made here (CAP_SYS_ADMIN)"
unshare --mount --propagation unchanged true 2>/dev/null ||
  cannot "no mount namespace can be made here (CAP_SYS_ADMIN)"
apart=(unshare --mount --net --propagation private)
"${apart[@]}" true 2>/dev/null ||
  cannot "mounts cannot be made private here (the root of a chroot is no mount point)"

scratch=$(mktemp -d /tmp/muster-offline.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/config"
cp "$tree/dev" "$scratch"
cp "$tree/config/packages.txt" "$scratch/config"
printf 'build %s\n' muster-no-such-package-{1..3} >>"$scratch/config/packages.txt"

# As on a machine that never had a network: apt-get knows of no package.
status=0
# shellcheck disable=SC2016 # expanded by that shell
"${apart[@]}" sh -c 'mount -t tmpfs none /var/lib/apt && mount -t tmpfs none /var/cache/apt &&
  exec "$1/dev" build' sh "$scratch" >"$scratch/said" 2>&1 </dev/null || status=$?

fail() {
  echo "FAILED: $1; it said:"
  cat "$scratch/said"
  exit 1
}
[[ $status == 69 ]] || fail "exit status $status, should be 69"
! grep 'Unable to locate' "$scratch/said" || fail "apt-get's complaints about each package are shown"
last=$(tail -n 1 "$scratch/said")
[[ $last == "./dev: no network: "*"muster-no-such-package-1 "* ]] || fail "the last line is '$last'"
[[ $(grep -c 'no network' "$scratch/said") == 1 ]] || fail "it is said more than once"
echo "ok: $last"
