#!/bin/bash
# Runs a container that boots systemd, and boots it again when it reboots. It has namespaces, a control group and an overlay of its own, and the
# kernel of this machine. Without /dev/kmsg, its journal has no messages of that kernel. Usage: container.sh NAME FOLDER GROUP; FOLDER has the root
# (root), a folder for all guests (share), and up, work and all of this one. The network namespace rsio-NAME is there already.
name=$1 folder=$2 group=$3
if [ "$4" != inside ]; then
  while :; do
    find "$group" -mindepth 1 -depth -type d -exec rmdir {} + 2> /dev/null
    echo $$ > "$group/cgroup.procs"
    nsenter --net="/run/netns/rsio-$name" unshare --mount --pid --uts --ipc --cgroup --fork --kill-child bash "$0" "$name" "$folder" "$group" inside
    # 129: it has called reboot.
    [ $? = 129 ] || exit
  done
fi
set -e
all=$folder/$name/all
mount --make-rprivate /
mount -t overlay -o "lowerdir=$folder/root,upperdir=$folder/$name/up,workdir=$folder/$name/work" overlay "$all"
mount -t proc proc "$all/proc"
# Each boot has an id of its own in the journal.
cat /proc/sys/kernel/random/uuid > "$folder/$name/boot"
mount --bind "$folder/$name/boot" "$all/proc/sys/kernel/random/boot_id"
mount -t sysfs -o ro sysfs "$all/sys"
mount -t cgroup2 none "$all/sys/fs/cgroup"
mount -t tmpfs -o mode=755 dev "$all/dev"
cd "$all/dev"
while read -r node minor; do mknod -m 666 "$node" c $minor; done <<< $'null 1 3\nzero 1 5\nfull 1 7\nrandom 1 8\nurandom 1 9\ntty 5 0\nfuse 10 229\nloop-control 10 237'
for number in $(seq 0 31); do mknod -m 660 "loop$number" b 7 "$number"; done
mkdir pts shm
mount -t devpts -o newinstance,ptmxmode=666 devpts pts
ln -s pts/ptmx ptmx
ln -s /proc/self/fd fd
mount -t tmpfs -o mode=755 run "$all/run"
mkdir -p "$all/share" "$all/.old"
mount --bind "$folder/share" "$all/share"
cd "$all"
pivot_root . .old
umount -l /.old
# As on a machine, an unmount also reaches the services with a mount namespace of their own. In a container, systemd leaves that as it is.
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init < /dev/null > /dev/null 2>&1
