#!/usr/bin/env bash
# The installed units and programs under a real systemd: started by a socket, one broadcast, the
# watchdog, and a stop whose quiesce reaches a backend. What happens inside stands in
# systemd_inside.sh.
#
#   systemd_test.sh BUILD_DIR [CMAKE]
#
# Exits with 77 (skipped), and says why, where no systemd can be booted.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
build=$(readlink -f "${1:?the build directory}")
cmake=${2:-cmake}

stage=$(mktemp -d /tmp/muster-stage.XXXXXX)
trap 'rm -rf "$stage"' EXIT
DESTDIR=$stage/root "$cmake" --install "$build" --component system >"$stage/install.log" || {
  cat "$stage/install.log" >&2
  exit 1
}
mkdir "$stage/tools"
cp "$build/bin/muster-fake-backend" "$stage/tools"

"$here/../support/boot_systemd.sh" -T 90 -r "$stage:/run/muster-stage" "$here/systemd_inside.sh"
