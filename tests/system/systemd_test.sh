#!/usr/bin/env bash
# The installed units and programs under a real systemd. What happens inside stands in SCRIPT:
#
#   systemd_inside.sh   installed by the lines of docs/OPERATIONS.md, a broadcast, the watchdog, a stop
#                       whose quiesce reaches a backend, rejected configurations, a daemon of another
#                       user
#   systemd_restart.sh  what a restart, a stop and a socket directory that is removed mean for backends
#
#   systemd_test.sh BUILD_DIR CMAKE SCRIPT
#
# Exits with 77 (skipped), and says why, where no systemd can be booted.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
tree=$(readlink -f "$here/../..")
build=$(readlink -f "${1:?the build directory}")

stage=$(mktemp -d /tmp/muster-stage.XXXXXX)
trap 'rm -rf "$stage"' EXIT
mkdir "$stage/tools"
cp "$build"/bin/muster-{fake-backend,zccache,states} "$stage/tools"
printf '%s\n' "$tree" "$build" "${2:?cmake}" >"$stage/where"

# block NAME FILE TEXT: the block of the documentation in which TEXT stands is run inside as NAME.
block() { "$here/../docs/blocks.py" "$tree/$2" "$3" >"$stage/$1"; }
block install docs/OPERATIONS.md 'systemctl enable'
block join docs/OPERATIONS.md 'usermod -aG muster'

"$here/../support/boot_systemd.sh" -T 110 -r "$stage:/run/muster-stage" -r "$tree:$tree" \
  -r "$build:$build" "$here/${3:?the script to run}"
