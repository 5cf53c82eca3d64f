// What the machine must have for a drill. The harness names the needs in the help, and checks all of them before the drill begins.

import { spawnSync } from 'node:child_process';
import { programAt } from '@rsio/base/testing/needs';
import { missingForCeph } from '../devices/ceph.ts';
import { whyNoDevices } from '../devices/devices.ts';
import { whyNoNetlab } from '../netlab/netns.ts';

export interface Need {
  /** What is needed, for the help: a right or Debian packages. */
  readonly what: string;
  /** Returns why this machine cannot have it (`needs fio: install fio`); null: this machine has it. */
  why(): string | null | Promise<string | null>;
}

export const ROOT_USER: Need = { what: 'root', why: () => (process.getuid?.() === 0 ? null : 'needs root') };

/** The devices of rsiod. */
export const DEVICES: Need = { what: 'root, /dev/fuse and loop devices', why: whyNoDevices };

/** Machines in network namespaces. */
export const NETLAB: Need = {
  what: 'root, iproute2 and nftables',
  why: async () => (await whyNoNetlab()) ?? program('nft', 'nftables').why(),
};

export const CEPH: Need = {
  what: 'ceph-mon, ceph-mgr, ceph-osd, ceph-common, qemu-system-common and qemu-block-extra',
  why: missingForCeph,
};

/** fio with its engine for NBD. */
export const FIO: Need = {
  what: 'fio and libnbd0',
  why: () => {
    const { stdout, status } = spawnSync('fio', ['--enghelp'], { encoding: 'utf8' });
    return status === 0 && /^\s*nbd$/m.test(stdout) ? null : 'needs fio with its nbd engine: install fio and libnbd0';
  },
};

export const POSTGRESQL: Need = {
  what: 'postgresql with pg_amcheck',
  why: () => {
    const found = spawnSync('sh', ['-c', 'ls /usr/lib/postgresql/*/bin/pg_amcheck'], { stdio: 'ignore' });
    return found.status === 0 ? null : 'needs pg_amcheck: install postgresql';
  },
};

export const CGROUPS: Need = {
  what: 'control groups of version 2',
  why: () => {
    const found = spawnSync('sh', ['-c', 'ls /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/unified/cgroup.procs'], { encoding: 'utf8' });
    return found.stdout === '' ? 'needs control groups of version 2' : null;
  },
};

/** A program also counts if it is where the PATH of root has it: some drills without root need such programs. */
export function program(name: string, debianPackage: string): Need {
  const isThere = (): boolean => programAt(name, `${process.env['PATH']}:/usr/sbin:/sbin`) !== undefined;
  return { what: debianPackage, why: () => (isThere() ? null : `needs ${name}: install ${debianPackage}`) };
}

export const XFS = program('mkfs.xfs', 'xfsprogs');
export const BTRFS = program('mkfs.btrfs', 'btrfs-progs');
export const EXT4 = program('mkfs.ext4', 'e2fsprogs');
