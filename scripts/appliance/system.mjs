// Makes the system of a slot: Debian with systemd and the packages of this checkout, as a squashfs that GRUB can read, and a page with its
// version, size and checksum. Invariants: the root has no password and no host keys, and everything that a machine writes for good is on the
// configuration partition. The page begins at the first multiple of 4096 bytes after the squashfs, so that a slot describes itself;
// packages/appliance/src/system-image.ts reads it.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, closeSync, createReadStream, openSync, statSync } from 'node:fs';
import { join } from 'node:path';

const PAGE_BYTES = 4096;
const SUITE = 'trixie';
const PACKAGES = [
  ...['systemd-sysv', 'systemd-resolved', 'systemd-timesyncd', 'udev', 'dbus', 'kmod', 'tzdata', 'procps', 'iproute2', 'iputils-ping'],
  ...['linux-image-amd64', 'initramfs-tools', 'busybox', 'zstd', 'fdisk', 'e2fsprogs', 'dosfstools', 'xfsprogs', 'mdadm', 'openssh-server'],
  ...['adduser', 'nodejs', 'perl', 'less', 'login', 'logrotate'],
];
/** Folders of drivers that no storage server needs. */
const LEFT_OUT = [
  ...['sound', 'drivers/gpu', 'drivers/media', 'drivers/staging', 'drivers/bluetooth', 'drivers/net/wireless', 'drivers/iio'],
  ...['drivers/isdn', 'drivers/comedi', 'drivers/nfc', 'drivers/infiniband', 'drivers/accel', 'net/bluetooth', 'net/mac80211', 'net/nfc'],
];
const BULK =
  '/usr/share/doc/* /usr/share/man/* /usr/share/locale/* /usr/share/info/* /var/cache/apt/* /var/lib/apt/lists/* /var/log/*.log /var/log/apt';

/** Files of packaging/appliance, and their places in the root. */
const PLACES = {
  console: 'usr/lib/rsio-appliance/console',
  'hash-password': 'usr/lib/rsio-appliance/hash-password',
  'initramfs-hook': 'etc/initramfs-tools/hooks/rsio',
  'initramfs-boot': 'etc/initramfs-tools/scripts/rsio',
  'rsio-apply.service': 'etc/systemd/system/rsio-apply.service',
  'rsio-confirm.service': 'etc/systemd/system/rsio-confirm.service',
  'rsio-trial.service': 'etc/systemd/system/rsio-trial.service',
  'rsio-console@.service': 'etc/systemd/system/rsio-console@.service',
  'default.network': 'etc/systemd/network/90-default.network',
  'mdadm.conf': 'etc/mdadm/mdadm.conf',
  'modules.conf': 'etc/modules-load.d/rsio.conf',
  'sysctl.conf': 'etc/sysctl.d/90-rsio.conf',
  'sshd.conf': 'etc/ssh/sshd_config.d/rsio.conf',
};
const ENABLED = [
  ...['rsio-apply', 'rsio-confirm', 'rsio-trial', 'rsio-console@tty1', 'rsio-console@ttyS0'],
  ...['systemd-networkd', 'systemd-resolved', 'systemd-timesyncd', 'rssrv'],
];
const MASKED = [
  ...['getty@tty1', 'serial-getty@ttyS0', 'systemd-networkd-wait-online', 'systemd-firstboot', 'mdmonitor'].map((one) => `${one}.service`),
  ...['apt-daily.timer', 'apt-daily-upgrade.timer', 'fstrim.timer', 'ssh.socket', 'sshd-keygen.service'],
];

/** Commands that mmdebstrap runs with the new root as $1. `debs`: the packages of RSIO. */
function setup({ debs, files, version }) {
  const install = Object.entries(PLACES).map(
    ([from, to]) => `install -D -m $(test -x "${join(files, from)}" && echo 755 || echo 644) "${join(files, from)}" "$1/${to}"`,
  );
  return [
    `mkdir "$1/var/tmp/debs" && cp ${debs.map((deb) => `"${deb}"`).join(' ')} "$1/var/tmp/debs" && chroot "$1" sh -c "dpkg -i /var/tmp/debs/*" && rm -r "$1/var/tmp/debs"`,
    ...install,
    `printf '{"version":"${version}"}\\n' > "$1/usr/lib/rsio-appliance/release.json"`,
    // What commands change lies on the configuration partition.
    'mkdir "$1/config" && rm -rf "$1/etc/dvsc" "$1/var/lib/rsio" && ln -s /config/dvsc "$1/etc/dvsc" && ln -s /config/state "$1/var/lib/rsio"',
    'rm -f "$1"/etc/ssh/ssh_host_* && chroot "$1" passwd --lock root && chroot "$1" usermod --shell /usr/lib/rsio-appliance/console root',
    'echo /usr/lib/rsio-appliance/console >> "$1/etc/shells" && : > "$1/etc/fstab" && : > "$1/etc/machine-id" && echo rsio > "$1/etc/hostname"',
    `chroot "$1" systemctl enable ${ENABLED.join(' ')} && chroot "$1" systemctl disable ssh.service && chroot "$1" systemctl mask ${MASKED.join(' ')}`,
    `cd "$1"/lib/modules/*/kernel && rm -rf ${LEFT_OUT.join(' ')}`,
    // The arrays start after the boot, by the rules of udev, and not in the initrd.
    'rm -f "$1/usr/share/initramfs-tools/hooks/mdadm" && chroot "$1" sh -c "depmod $(ls "$1/lib/modules") && update-initramfs -u -k all"',
    // GRUB reads these two files from the squashfs.
    'rm -f "$1"/vmlinuz* "$1"/initrd.img*; mv "$1"/boot/vmlinuz-* "$1/vmlinuz" && mv "$1"/boot/initrd.img-* "$1/initrd.img" && rm -rf "$1"/boot/*',
    `cd "$1" && rm -rf ${BULK.replaceAll(/(?<=^| )\//g, './')} etc/resolv.conf && ln -s /run/systemd/resolve/stub-resolv.conf etc/resolv.conf`,
  ];
}

/** Makes `file`. `mirror`: URL of Debian's packages. `work`: an empty folder. */
export async function makeSystem(file, { mirror, work, ...given }) {
  const tar = join(work, 'root.tar');
  const hooks = setup(given).map((hook) => `--customize-hook=${hook}`);
  const options = ['--quiet', '--variant=minbase', '--architectures=amd64', '--components=main', `--include=${PACKAGES.join(',')}`];
  execFileSync('mmdebstrap', [...options, ...hooks, SUITE, tar, mirror], { stdio: 'inherit' });
  const input = openSync(tar, 'r');
  try {
    // GRUB's squashfs knows neither zstd nor lz4.
    const format = ['-comp', 'gzip', '-b', '256K', '-no-progress', '-quiet'];
    execFileSync('sqfstar', [...format, file], { stdio: [input, 'ignore', 'inherit'] });
  } finally {
    closeSync(input);
  }
  await seal(file, given.version);
}

/** Pads the squashfs and appends the page. */
async function seal(file, version) {
  const rest = statSync(file).size % PAGE_BYTES;
  if (rest > 0) appendFileSync(file, Buffer.alloc(PAGE_BYTES - rest));
  const hash = createHash('sha256');
  for await (const part of createReadStream(file)) hash.update(part);
  const page = Buffer.alloc(PAGE_BYTES);
  page.write(`RSIO appliance 1\nversion=${version}\nsize=${statSync(file).size}\nsha256=${hash.digest('hex')}\n`);
  appendFileSync(file, page);
}
