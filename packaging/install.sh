#!/bin/sh
# Installs this checkout for the whole machine, below DESTDIR when that is given: links to its launchers, the manual, systemd units,
# log rotation, shell completion, the user of server processes. `npm run build` first. Starts nothing, and touches no configuration. `--remove` takes all of it away.
set -eu
here=$(dirname "$(readlink -f "$0")")
checkout=$(dirname "$here")
dest=${DESTDIR:-}

sbin=$dest/usr/sbin
man=$dest/usr/share/man
units=$dest/usr/lib/systemd/system
users=$dest/usr/lib/sysusers.d
rotation=$dest/etc/logrotate.d
completions=$dest/usr/share/bash-completion/completions
programs='rssrv rsiod rsconfig rsadm crsio rsclogcat rsslogcat'

if [ $# -gt 1 ] || { [ $# -eq 1 ] && [ "$1" != --remove ]; }; then
  echo 'usage: [DESTDIR=DIR] packaging/install.sh [--remove]' >&2
  exit 2
fi

pages() {
  cd "$checkout/dist/man" && ls man*/*
}

if [ ! -d "$checkout/dist/man" ]; then
  echo "install.sh: Nothing is built: run npm run build in $checkout" >&2
  exit 1
fi

if [ "${1:-}" = --remove ]; then
  if [ -d "$sbin" ] && [ ! -w "$sbin" ]; then
    echo "install.sh: No permission to write in $sbin: run as root" >&2
    exit 1
  fi
  for program in $programs fence_rsio; do rm -f "$sbin/$program"; done
  for page in $(pages); do rm -f "$man/$page"; done
  rm -f "$users/rsio.conf" "$units/rssrv.service" "$units/rsiod.service" "$rotation/rssrv" "$rotation/rsiod" "$completions/rsconfig" "$completions/rsadm"
  exit 0
fi

for folder in "$sbin" "$man" "$units" "$users" "$rotation" "$completions"; do
  if ! mkdir -p "$folder" || [ ! -w "$folder" ]; then
    echo "install.sh: No permission to write in $folder: run as root, or with DESTDIR=DIR" >&2
    exit 1
  fi
done
"$checkout/bin/rsconfig" completion bash > "$completions/rsconfig"
"$checkout/bin/rsadm" completion bash > "$completions/rsadm"
for program in $programs; do ln -sf "$checkout/bin/$program" "$sbin/$program"; done
ln -sf "$here/fence_rsio" "$sbin/fence_rsio"
for page in $(pages); do install -D -m 644 "$checkout/dist/man/$page" "$man/$page"; done
install -m 644 "$here/rssrv.service" "$here/rsiod.service" "$units/"
install -m 644 "$here/rsio.sysusers" "$users/rsio.conf"
for daemon in rssrv rsiod; do install -m 644 "$here/$daemon.logrotate" "$rotation/$daemon"; done
