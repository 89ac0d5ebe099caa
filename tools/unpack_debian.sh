#!/usr/bin/env bash
# Debian's own daemons for tests, without installing them: an installed one would start a service.
#
#   unpack_debian.sh DIR    fetches the packages of the group "unpacked" of config/packages.txt, and the
#                           libraries of theirs that are not installed, once; unpacks them in
#                           DIR/root, and makes DIR/bin/PROGRAM for each program. Any user may.
#
# apt-get checks what it fetches against the signed lists. Exit status 77 and a sentence on stdout
# where the packages cannot be fetched.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
mkdir -p "$1"
dir=$(readlink -f "$1")
mapfile -t named < <(awk '$1 == "unpacked" { print $2 }' "$here/../config/packages.txt")

stamp="${named[*]} in $dir"
is_done() { [[ $(cat "$dir/done" 2>/dev/null) == "$stamp" ]]; }
! is_done || exit 0
exec 9>"$dir/lock"
flock 9
! is_done || exit 0
rm -rf "${dir:?}"/{done,root,bin,packages}
mkdir "$dir/root" "$dir/bin" "$dir/packages"

# The download may be root's own: apt's user cannot write here.
apt=(timeout 60 apt-get -q -o APT::Sandbox::User=root -o Acquire::http::Timeout=15
  -o Acquire::Retries=1 -o Dir::Log="$dir")
fetch() {
  local wanted libraries
  wanted=$("${apt[@]}" --simulate --no-install-recommends install "${named[@]}" 2>"$dir/log") ||
    return 1
  mapfile -t libraries < <(sed -nE 's/^Inst ((lib|zlib)[^ ]*) .*/\1/p' <<<"$wanted")
  (cd "$dir/packages" && "${apt[@]}" download "${named[@]}" "${libraries[@]}") >"$dir/log" 2>&1
}
# The machine's lists may be missing or old; lists of our own leave them as they are.
if ! fetch; then
  apt+=(-o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache")
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
  if ! { "${apt[@]}" update --error-on=any >"$dir/log" 2>&1 && fetch; }; then
    echo "the packages ${named[*]} cannot be fetched:" \
      "$(grep -m1 '^E:' "$dir/log" || echo 'apt-get took too long')"
    exit 77
  fi
fi
for package in "$dir"/packages/*.deb; do dpkg-deb -x "$package" "$dir/root"; done

library_path=$(find "$dir/root" -name '*.so*' -printf '%h\n' | sort -u | grep -v '/rsyslog$' | paste -sd:)
modules=$(find "$dir/root" -type d -path '*/lib/*/rsyslog')
for program in "$dir"/root/usr/sbin/* "$dir"/root/usr/bin/*; do
  name=$(basename "$program")
  [[ -f $program && ! -e $dir/bin/$name ]] || continue
  cat >"$dir/bin/$name" <<SCRIPT
#!/bin/sh
export LD_LIBRARY_PATH='$library_path'
exec '$program'$([[ $name != rsyslogd ]] || printf " -M '%s'" "$modules") "\$@"
SCRIPT
  chmod +x "$dir/bin/$name"
done
printf '%s\n' "$stamp" >"$dir/done"
