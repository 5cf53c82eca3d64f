// The disk from which the virtual machines boot: a bare Debian root made by mmdebstrap, with its kernel and initrd beside it. The image has
// systemd, fio and an agent, but no dependency of RSIO is installed. The packages of the dependencies are in the cache of apt, as if apt
// had downloaded them. Invariant: an image is made once for each recipe. Machines write only to overlays of the image, and never to the
// image itself.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../support/programs/programs.ts';

/** A disk with its kernel and initrd. */
export interface Image {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
  /** Release of Debian, for the report. */
  readonly suite: string;
}

/** `setup`: commands that mmdebstrap runs with the new root as $1. */
export interface Recipe {
  readonly packages: readonly string[];
  readonly setup: readonly string[];
}

const BARE: Recipe = { packages: [], setup: [] };
const GUEST = fileURLToPath(new URL('guest', import.meta.url));
const MIRROR = 'http://deb.debian.org/debian';
/** Packages that are installed: those of a machine in a data centre, and those that the test uses, such as fio. */
const PRESENT = ['systemd-sysv', 'udev', 'dbus', 'kmod', 'linux-image-amd64', 'initramfs-tools', 'e2fsprogs', 'fio', 'procps'];
/** Packages that RSIO's packages may depend on or recommend. */
const CACHED = ['nodejs', 'fuse3', 'iproute2', 'logrotate', 'perl', 'adduser', 'qemu-utils'];
const DISK_SIZE = '4g';
const MAKE_TIMEOUT_MS = 1_200_000;

const SETUP = [
  'echo LABEL=vm / ext4 defaults 0 1 > "$1/etc/fstab"',
  'echo bare > "$1/etc/hostname"; : > "$1/etc/machine-id"; mkdir -p "$1/var/log/journal"',
  'chroot "$1" passwd -d root; chroot "$1" systemctl enable agent.service systemd-networkd.service',
  `chroot "$1" apt-get install --yes --download-only -o APT::Install-Recommends=true ${CACHED.join(' ')}`,
  // The timers of apt are masked, so that apt does not run during the test.
  'chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer',
];

/**
 * Returns the image for this recipe. If the folder does not contain the image, makes it there. `say` is called before long steps. `more`: what
 * is installed beyond a bare root.
 */
export async function imageIn(folder: string, suite: string, say: (text: string) => void, more: Recipe = BARE): Promise<Image> {
  const packages = [...PRESENT, ...more.packages];
  const setup = [...SETUP, ...more.setup];
  const recipe = [suite, MIRROR, ...packages, ...CACHED, DISK_SIZE, ...setup, ...['agent.sh', 'agent.service'].map(guestFile)].join('\n');
  const place = path.join(folder, `${suite}-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`);
  if (!existsSync(place)) {
    say(`Making a bare root of Debian ${suite} in ${place}`);
    await make(`${place}.new`, suite, packages, setup);
    renameSync(`${place}.new`, place);
  }
  return { disk: path.join(place, 'disk.img'), kernel: path.join(place, 'vmlinuz'), initrd: path.join(place, 'initrd.img'), suite };
}

function guestFile(name: string): string {
  return readFileSync(path.join(GUEST, name), 'utf8');
}

async function make(place: string, suite: string, packages: readonly string[], setup: readonly string[]): Promise<void> {
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  const hooks = [
    `upload "${path.join(GUEST, 'agent.sh')}" /usr/local/sbin/agent`,
    `upload "${path.join(GUEST, 'agent.service')}" /etc/systemd/system/agent.service`,
    'chmod 755 "$1/usr/local/sbin/agent"',
    ...setup,
  ].map((hook) => `--customize-hook=${hook}`);
  const options = ['--variant=minbase', '--skip=cleanup/apt', `--include=${packages.join(',')}`, ...hooks];
  const isRoot = process.getuid?.() === 0;
  // Otherwise, apt, dpkg, the mounts and the new root of a run that is ended would stay. Without root, mmdebstrap makes its own namespaces.
  const alone = ['env', `TMPDIR=${path.resolve(place)}`, 'unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  await mustRun([...(isRoot ? alone : []), 'mmdebstrap', ...options, suite, path.join(place, 'root.tar'), MIRROR]);
  // Without root, the helper of mmdebstrap unpacks in a user namespace, so that owners are as in the archive.
  const steps = [
    'cd "$1" && mkdir root && tar -C root -xf root.tar',
    'cp root/boot/vmlinuz-* vmlinuz && cp root/boot/initrd.img-* initrd.img',
    `PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -L vm -d root disk.img ${DISK_SIZE} && rm -r root root.tar`,
  ];
  const shell = ['sh', '-ec', steps.join('\n'), 'sh', place];
  await mustRun(isRoot ? shell : ['mmdebstrap', '--unshare-helper', ...shell]);
}

async function mustRun([program = '', ...args]: readonly string[]): Promise<void> {
  const { code, stderr, timedOut } = await run(program, args, { timeoutMs: MAKE_TIMEOUT_MS });
  if (code !== 0) throw new Error(`The image was not made${timedOut ? ' in time' : ''}: ${stderr.slice(-2_000)}`);
}
