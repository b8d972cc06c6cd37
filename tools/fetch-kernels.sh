#!/usr/bin/env bash
# Debian's stock kernels, the newest of each series that apt knows, unpacked into .kernels/ for the tests that boot them;
# nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# apt downloads as a user of its own where it can.
chmod 777 "$work"

declare -A series
while IFS='| ' read -r _ version _; do
  upstream=${version%%-*}
  of=${upstream%.*}
  [ -n "${series[$of]:-}" ] && continue
  series[$of]=1
  package=$(apt-cache show "linux-image-amd64=$version" | sed -n 's/^Depends: \([^ ,]*\).*/\1/p')
  folder=.kernels/$package
  [ -e "$folder" ] && continue
  echo "$package"
  (cd "$work" && apt-get -qq download "$package")
  dpkg-deb --extract "$work/$package"_*.deb "$work/$package"
  mkdir -p .kernels
  mv "$work/$package" "$folder"
done < <(apt-cache madison linux-image-amd64)
