#!/bin/bash
# The life of the packages in a clean root: installation, setup, upgrade under I/O, refused removal, removal, purge. package-roots.mjs runs
# this script in the root, in separate namespaces, with the packages in /packages/old and /packages/new. The root has no systemd; test/vm
# tests the packages under systemd. The last line is "walk: done". If a step fails, the script prints the fault and ends.
set -uo pipefail
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
readonly SECONDS_OF_IO=40

step() { echo "walk: $* ($SECONDS s)"; }
# rsiod must remove its devices, because a remaining device would keep a loop device of the machine busy.
fail() {
  echo "walk: FAILED: $*"
  rsconfig stop --force > /dev/null 2>&1
  exit 1
}
must() { "$@" > /tmp/out 2>&1 || { cat /tmp/out; fail "$*"; }; }
refused() { if "$@" > /tmp/out 2>&1; then cat /tmp/out; fail "was not refused: $*"; fi; }
says() { grep -qE "$1" /tmp/out || { cat /tmp/out; fail "the output lacks: $1"; }; }
files() { find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /packages -o -path /run -o -path /var/lib/dpkg \
  -o -path /var/lib/apt -o -path /var/cache -o -path /var/log/apt -o -path /var/log/dpkg.log \) -prune -o -print | sort; }
install() { must apt-get install -y --no-install-recommends "$@"; }

ip link set lo up
for address in 127.9.1.10 127.9.2.10; do ip address add "$address/24" dev lo 2> /dev/null; done
files > /tmp/before

step 'installs the old packages'
install /packages/old/*.deb
[ "$(stat -c %a /etc/dvsc/rssrvcfg /etc/rscltcfg | sort -u)" = 600 ] || fail 'a configuration file can be read by others'
getent passwd rsio > /dev/null || fail 'there is no user rsio'
for program in rssrv rsadm rsslogcat rsiod rsconfig rsclogcat crsio; do must "$program" --version; done
[ -e /run/rsio/rssrv/pid ] && fail 'rssrv was started without a configuration'
refused rssrv
says 'rssrvcfg: No section'

step 'sets up a server and a client by commands'
must rsadm init --name big-9 --namespace osl --address 127.9.1.10,127.9.2.10
must rssrv
mkdir -p /storage/fast
must rsadm pool add fast /storage/fast
(umask 077; rsadm client add big-2 --rights manage > /root/key 2> /dev/null) || fail 'rsadm client add'
must rsconfig join 127.9.1.10 --name big-2 --key-file /root/key --interface 127.9.1.20 --interface 127.9.2.20
must rsconfig volume create db --size 64m --attach
must rsslogcat
says 'run as user rsio'
grep -q 'ERROR' /tmp/out && { cat /tmp/out; fail 'the log of rssrv has errors'; }
device=/dev/av0/db
if [ ! -b "$device" ]; then
  rsclogcat | grep 'NBD socket only'
  fail 'there is no block device'
fi

step 'upgrades under I/O'
fio --name=walk --filename="$device" --direct=1 --rw=randwrite --bs=8k --iodepth=8 --ioengine=libaio --size=64m --time_based \
  --runtime="$SECONDS_OF_IO" --verify=crc32c --verify_backlog=512 --verify_state_save=0 > /tmp/fio 2>&1 &
writer=$!
sleep 4
[ -d "/proc/$writer" ] || { cat /tmp/fio; fail 'fio has ended'; }
install /packages/new/*.deb
cp /tmp/out /tmp/upgrade
cat /tmp/upgrade
grep -q 'rssrv runs on with the old version' /tmp/upgrade || fail 'the upgrade does not say that rssrv runs on'
must test -s /usr/share/man/man8/rsslogcat.8.gz
version=$(rsconfig --version | sed 's/.* //')
must rsconfig -q --json
step "the packages have version $version; rssrv is started again"
kill "$(head -n 1 /run/rsio/rssrv/pid)"
for _ in $(seq 100); do [ -e /run/rsio/rssrv/pid ] || break; sleep 0.2; done
must rssrv
wait "$writer" || { cat /tmp/fio; fail 'I/O failed during the upgrade'; }
grep -qE 'verify: bad|Input/output error' /tmp/fio && { cat /tmp/fio; fail 'fio found a fault'; }
grep -E 'write: IOPS|err=' /tmp/fio

step 'refuses to remove what is in use'
sleep 600 < "$device" &
user=$!
refused apt-get remove -y rsio-client
says "sleep"
must rsconfig --version
[ -b "$device" ] || fail 'the device is gone after a refused removal'
kill "$user"
wait "$user" 2> /dev/null
refused apt-get remove -y rsio-server
says 'big-2 \(db@0\)'
must rsadm status

step 'removes'
must apt-get remove -y rsio-client
[ -e /run/rsio/rsiod/pid ] && fail 'rsiod is still running'
must apt-get remove -y rsio-server
[ -e /etc/dvsc/rssrvcfg ] && [ -e /etc/rscltcfg ] || fail 'a removal took the configuration'
install /packages/new/*.deb
must rsadm check
must rssrv
must rsiod
must rsconfig -q
must rsconfig stop

step 'purges'
must apt-get purge -y rsio-client rsio-server rsio-web rsio-common
for user in rsio rsio-web; do getent passwd "$user" > /dev/null && fail "a purge leaves the user $user"; done
must apt-get autoremove -y
files | grep -v '^/storage' > /tmp/after
ls /storage/fast/volumes/*/data > /dev/null || fail 'a purge took the volumes'
grep -vxFf /tmp/before /tmp/after > /tmp/left
grep -vE '^/(root/key|etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|usr/share/doc|var/lib/systemd)|adduser|deb-systemd' /tmp/left > /tmp/out
[ -s /tmp/out ] && { cat /tmp/out; fail 'a purge leaves files'; }
[ -d /run/rsio ] && fail 'a purge leaves /run/rsio'
echo 'walk: done'
