// Tests the demo's messages on a machine that cannot have block devices or a file system. Each test has one missing requirement.
// test/integration/demo.test.ts tests the steps on a machine that meets the requirements.

import { expect, it } from 'vitest';
import { type Machine, whyNoDevices, whyNoFileSystem } from './device-needs.ts';

const ABLE: Machine = {
  isRoot: true,
  hasTool: () => true,
  succeeds: () => Promise.resolve(true),
  canOpen: () => true,
  knowsFileSystem: () => true,
};
const XFS = { name: 'xfs', tools: ['mkfs.xfs', 'xfs_repair', 'cp'] };

const without = (tool: string): Machine => ({ ...ABLE, hasTool: (name) => name !== tool });
const failing = (program: string): Machine => ({ ...ABLE, succeeds: (name) => Promise.resolve(name !== program) });

it('a machine that has everything has block devices', async () => {
  expect(await whyNoDevices(ABLE, false)).toBeNull();
  expect(await whyNoFileSystem(ABLE, XFS)).toBeNull();
});

it.each([
  ['a plain user', { ...ABLE, isRoot: false }, 'devices need root (sudo npm start)'],
  ['no losetup', without('losetup'), 'no losetup here (Debian: mount)'],
  ['no unshare', without('unshare'), 'no unshare here (Debian: util-linux)'],
  ['no right to mount', failing('unshare'), 'root may not mount here (containers need CAP_SYS_ADMIN)'],
  ['no FUSE', { ...ABLE, canOpen: () => false }, '/dev/fuse cannot be opened (modprobe fuse; containers: --device /dev/fuse)'],
  ['no loop device', failing('losetup'), 'no free loop device (modprobe loop)'],
])('%s: no block devices, and why', async (_, machine, why) => {
  expect(await whyNoDevices(machine, false)).toBe(why);
});

it('--bare requires nothing of the machine', async () => {
  const untouched = { ...ABLE, hasTool: () => expect.fail('asked'), succeeds: () => expect.fail('asked') };
  expect(await whyNoDevices(untouched, true)).toBe('--bare');
});

it('a file system needs its programs and its kernel', async () => {
  expect(await whyNoFileSystem(without('mkfs.xfs'), XFS)).toBe('no mkfs.xfs here (Debian: xfsprogs)');
  expect(await whyNoFileSystem(without('cp'), XFS)).toBe('no cp here (Debian: coreutils)');
  const old = { ...ABLE, knowsFileSystem: () => false };
  expect(await whyNoFileSystem(old, XFS)).toBeNull();
  expect(await whyNoFileSystem({ ...old, ...failing('modprobe'), knowsFileSystem: () => false }, XFS)).toBe(
    'this kernel has no xfs (modprobe xfs)',
  );
});
