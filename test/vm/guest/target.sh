#!/bin/bash
# Makes this machine a disk array: one LUN of the kernel's iSCSI target (LIO) on a file, with persistent reservations that survive a power cut
# (APTPL). Usage: target.sh PORTAL... ; each portal is an address. Writes of the LUN are durable before they are answered.
set -e
modprobe -a target_core_mod target_core_file iscsi_target_mod
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
root=/sys/kernel/config/target
mkdir -p /var/target/pr "$root/core/fileio_0/lun"
[ -e /var/lun ] || truncate -s 600M /var/lun
disk=$root/core/fileio_0/lun
echo "fd_dev_name=/var/lun,fd_dev_size=629145600" > "$disk/control"
echo rsio0 > "$disk/wwn/vpd_unit_serial"
echo 1 > "$disk/enable"
group=$root/iscsi/iqn.2026-01.net.example:lun/tpgt_1
mkdir -p "$group/lun/lun_0"
ln -s "$disk" "$group/lun/lun_0/lun"
echo 0 > "$group/attrib/authentication"
for portal in "$@"; do mkdir -p "$group/np/$portal:3260"; done
for server in big-9 big-8; do
  mkdir -p "$group/acls/iqn.2026-01.net.example:$server/lun_0"
  ln -s "$group/lun/lun_0" "$group/acls/iqn.2026-01.net.example:$server/lun_0/lun"
  # An emulated machine may be slow for seconds, and its session must not end for that.
  for timeout in dataout_timeout nopin_response_timeout; do echo 60 > "$group/acls/iqn.2026-01.net.example:$server/attrib/$timeout"; done
done
echo 1 > "$group/enable"
