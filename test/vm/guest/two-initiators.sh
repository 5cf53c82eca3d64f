#!/bin/bash
# Makes a LUN of the kernel's iSCSI target (LIO), logs in to it as two initiators, and prints its two devices. Writes are durable
# before they are answered.
set -e
modprobe -a target_core_mod target_core_file iscsi_target_mod loop
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
root=/sys/kernel/config/target
disk=$root/core/fileio_7/suite
name=iqn.2026-01.net.example
mkdir -p /var/target/pr "$disk"
truncate -s 400M /var/suite
echo "fd_dev_name=/var/suite,fd_dev_size=419430400" > "$disk/control"
echo 5017e > "$disk/wwn/vpd_unit_serial"
echo 1 > "$disk/enable"
group=$root/iscsi/$name:suite/tpgt_1
mkdir -p "$group/lun/lun_0" "$group/np/127.0.0.1:3260"
ln -s "$disk" "$group/lun/lun_0/lun"
echo 0 > "$group/attrib/authentication"
for who in one two; do
  mkdir -p "$group/acls/$name:$who/lun_0"
  ln -s "$group/lun/lun_0" "$group/acls/$name:$who/lun_0/lun"
  for timeout in dataout_timeout nopin_response_timeout; do echo 60 > "$group/acls/$name:$who/attrib/$timeout"; done
done
echo 1 > "$group/enable"
[ -s /etc/iscsi/initiatorname.iscsi ] || echo "InitiatorName=$name:array" > /etc/iscsi/initiatorname.iscsi
systemctl start iscsid
before=" $(cd /sys/block; echo *) "
for who in one two; do
  iscsiadm -m iface -I $who -o new
  iscsiadm -m iface -I $who -o update -n iface.initiatorname -v $name:$who
  iscsiadm -m node -T $name:suite -p 127.0.0.1:3260 -I $who -o new
  iscsiadm -m node -T $name:suite -p 127.0.0.1:3260 -I $who --login
done
for i in $(seq 300); do
  new=()
  for disk in $(cd /sys/block; echo sd*); do case $before in *" $disk "*) ;; *) new+=("/dev/$disk") ;; esac; done
  [ "${#new[@]}" = 2 ] && [ -b "${new[1]}" ] && break
  sleep 0.2
done
udevadm settle
echo "${new[*]}"
