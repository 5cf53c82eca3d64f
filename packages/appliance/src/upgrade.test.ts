// Upgrades on a disk of files: the new system is tried only if it is complete in its slot, and the running slot is never written. The texts on
// the disk are those that scripts/appliance writes and that GRUB reads.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { useApplianceScene } from './testing/appliance-scene.ts';
import { exclusively } from './machine.ts';
import { bootBlock, bootChoiceOf, bootedSlot, factsOf, PAGE_BYTES, pageOffset } from './system-image.ts';
import { confirmSlot, goBack, slotsNow, upgrade } from './upgrade.ts';

const scene = useApplianceScene('proc', 'dev/disk/by-partlabel', 'dev/disk/by-partuuid', 'run/rsio-appliance/boot/grub');
const idOf = (slot: string): string => `0b6a1e4f-7c21-4c58-9d3b-2f1c9a527a0${slot}`;
const slotFile = (slot: string): string => `${scene.root}/dev/disk/by-partuuid/${idOf(slot)}`;
const partitions = (): string => `${scene.root}/run/rsio-appliance/partitions`;
const env = (): string => readFileSync(`${scene.root}/run/rsio-appliance/boot/grub/grubenv`, 'latin1');

function systemOf(version: string, bytes: number): Buffer {
  const squashfs = Buffer.alloc(Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES, version);
  squashfs.write('hsqs');
  squashfs.writeBigUInt64LE(BigInt(bytes), 40);
  const sha256 = createHash('sha256').update(squashfs).digest('hex');
  const page = Buffer.alloc(PAGE_BYTES);
  page.write(`RSIO appliance 1\nversion=${version}\nsize=${squashfs.length}\nsha256=${sha256}\n`);
  return Buffer.concat([squashfs, page]);
}

function booted(slot: string, more = ''): void {
  writeFileSync(`${scene.root}/proc/cmdline`, `boot=rsio rsio.slot=${slot} ${more}\n`);
}

beforeEach(() => {
  booted('a');
  writeFileSync(partitions(), ['a', 'b', 'boot', 'config'].map((name, at) => `${name}=${idOf('abcd'[at]!)}\n`).join(''));
  // A client of a raw volume has given its partitions the names of the appliance's.
  for (const one of ['a', 'b', 'boot', 'config']) writeFileSync(`${scene.root}/dev/disk/by-partlabel/rsio-${one}`, 'of a client');
  writeFileSync(`${scene.root}/proc/mounts`, '');
  writeFileSync(slotFile('a'), systemOf('1.0', 9_000));
  writeFileSync(slotFile('b'), Buffer.alloc(100_000));
  writeFileSync(`${scene.root}/run/rsio-appliance/boot/grub/grubenv`, bootBlock({ good: 'a', once: null }));
  writeFileSync(`${scene.root}/new`, systemOf('2.0', 50_001));
});

test('a system is written to the idle slot, read back, and tried once', async () => {
  const before = readFileSync(slotFile('a'));
  expect(await upgrade(scene, `${scene.root}/new`, () => {})).toMatchObject({ version: '2.0' });
  expect(readFileSync(slotFile('b')).subarray(0, systemOf('2.0', 50_001).length).equals(systemOf('2.0', 50_001))).toBe(true);
  expect(readFileSync(slotFile('a')).equals(before)).toBe(true);
  expect(env()).toMatch(/^# GRUB Environment Block\ngood=a\ntry=b\n#+$/);
  expect(env()).toHaveLength(1024);
  expect(scene.programs).toContain(`blockdev --flushbufs ${slotFile('b')}`);
  booted('b', 'rsio.trial');
  await expect(upgrade(scene, `${scene.root}/new`, () => {})).rejects.toThrow('still on trial');
  await expect(goBack(scene)).rejects.toThrow('still on trial');
  expect(await confirmSlot(scene, systemClock)).toBe('b');
  const confirmed = { running: 'b', isTrial: false, choice: { good: 'b', once: null }, systems: { a: { version: '1.0' } } };
  expect(await slotsNow(scene)).toMatchObject(confirmed);
  expect(await goBack(scene)).toMatchObject({ version: '1.0' });
  // The earlier system is tried too, because it may not come up either.
  expect(bootChoiceOf(env())).toEqual({ good: 'b', once: 'a' });
  expect((await slotsNow(scene)).isTrial).toBe(false);
});

test('a confirmation waits while another command looks at the slots', async () => {
  booted('b', 'rsio.trial');
  let confirming: Promise<string> | undefined;
  await exclusively(scene, 'slots', async () => {
    confirming = confirmSlot(scene, systemClock);
    await new Promise<void>((resolve) => void systemClock.after(20, resolve));
  });
  await expect(confirming).resolves.toBe('b');
  // A pool that is being made does not end the trial either.
  expect(await exclusively(scene, 'settings', () => confirmSlot(scene, systemClock))).toBe('b');
});

test('what a command that was killed has mounted is unmounted first', async () => {
  writeFileSync(`${scene.root}/proc/mounts`, `/dev/sda2 ${scene.root}/run/rsio-appliance/boot vfat ro 0 0\n`);
  await slotsNow(scene);
  expect(scene.programs.map((line) => line.split(' ')[0])).toEqual(['umount', 'mount', 'umount']);
});

test('a system that is larger than its slot changes nothing', async () => {
  writeFileSync(`${scene.root}/run/rsio-appliance/boot/grub/grubenv`, bootBlock({ good: 'a', once: 'b' }));
  writeFileSync(`${scene.root}/new`, systemOf('2.0', 100_001));
  await expect(upgrade(scene, `${scene.root}/new`, () => {})).rejects.toThrow('a slot only 100000');
  expect(bootChoiceOf(env())).toEqual({ good: 'a', once: 'b' });
});

test('a damaged or cut file changes nothing', async () => {
  const whole = systemOf('2.0', 50_001);
  const damaged = Buffer.from(whole);
  damaged[30_000] = 1;
  for (const [content, why] of [
    [damaged, 'its checksum is wrong'],
    [whole.subarray(0, 40_000), 'it has no page'],
    [Buffer.from('text'), 'it has no page'],
  ] as const) {
    writeFileSync(`${scene.root}/new`, content);
    await expect(upgrade(scene, `${scene.root}/new`, () => {})).rejects.toThrow(why);
  }
  expect(readFileSync(slotFile('b')).every((byte) => byte === 0)).toBe(true);
  expect(bootChoiceOf(env())).toEqual({ good: 'a', once: null });
});

test('an upgrade that ends early leaves no system in the idle slot, and the running slot boots', async () => {
  booted('b');
  writeFileSync(slotFile('a'), Buffer.alloc(100_000));
  writeFileSync(slotFile('b'), systemOf('1.0', 9_000));
  // The earlier trial of slot A must not come back.
  writeFileSync(`${scene.root}/run/rsio-appliance/boot/grub/grubenv`, bootBlock({ good: 'a', once: 'a' }));
  scene.output = (program) => {
    if (program !== 'blockdev') return '';
    const cut = readFileSync(slotFile('a'));
    cut[40_000] = 1;
    writeFileSync(slotFile('a'), cut);
    return '';
  };
  await expect(upgrade(scene, `${scene.root}/new`, () => {})).rejects.toThrow('Slot A is not a usable system');
  expect(bootChoiceOf(env())).toEqual({ good: 'b', once: null });
  await expect(goBack(scene)).rejects.toThrow('its checksum is wrong');
  expect(bootChoiceOf(env())).toEqual({ good: 'b', once: null });
});

test('texts on the disk that are damaged mean slot A, or no system', () => {
  for (const block of ['', '####', 'good=b\n', '# GRUB Environment Block\ngood=c\ntry=d\n'])
    expect(bootChoiceOf(block)).toEqual({ good: 'a', once: null });
  expect(pageOffset(Buffer.alloc(PAGE_BYTES))).toBeNull();
  expect(pageOffset(systemOf('1', 4_096))).toBe(4_096);
  expect(pageOffset(systemOf('1', 4_097))).toBe(8_192);
  const page = systemOf('1.0', 9_000).subarray(-PAGE_BYTES);
  expect(factsOf(page, 12_288)?.version).toBe('1.0');
  expect(factsOf(page, 8_192)).toBeNull();
  expect(() => bootedSlot('root=/dev/sda1')).toThrow('not started from a slot');
  expect(bootedSlot('x rsio.slot=b rsio.trial')).toEqual({ slot: 'b', isTrial: true });
});

test('without the ids of the boot, no partition is used', async () => {
  for (const text of ['', `a=${idOf('a')}\nb=../../sdb\n`]) {
    writeFileSync(partitions(), text);
    await expect(slotsNow(scene)).rejects.toThrow(/The boot has not found partition [ab] of the appliance/);
  }
  expect(scene.programs).toEqual([]);
});
