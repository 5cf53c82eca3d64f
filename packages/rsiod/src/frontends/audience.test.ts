// Programs of a gate's machine and hosts of the gate exclude each other: who gets a volume that is attached, and what a gate takes that is
// configured later, or while a program begins to use the volume. Rules: G51.

import { RsError } from '@rsio/base/lib/errors';
import { beforeEach, expect, test } from 'vitest';
import { MemoryVolume } from './nbd/testing/memory-volume.ts';
import { FakeFrontend } from '../testing/attachments-scene.ts';
import type { FrontendVolume } from '../volumes/frontend-volume.ts';
import { type AudienceFacts, audienceOf, takeFromPrograms } from './audience.ts';

// Regression: a device that an earlier process had left was taken by force from a program that mounted it just then.
test.each([
  [{ isReadonly: false, hasDevice: true, isClaimed: false }, 'programs'],
  [{ isReadonly: false, hasDevice: true, isClaimed: true, before: 'programs' }, 'programs'],
  [{ isReadonly: false, hasDevice: true, isClaimed: true, before: 'gates', isUsed: true }, 'programs'],
  [{ isReadonly: false, hasDevice: true, isClaimed: true }, 'gates'],
  [{ isReadonly: false, hasDevice: true, isClaimed: true, isUsed: true }, 'programs'],
  [{ isReadonly: false, hasDevice: false, isClaimed: false }, 'gates'],
  [{ isReadonly: false, hasDevice: false, isClaimed: true, isUsed: true }, 'programs'],
  [{ isReadonly: true, hasDevice: true, isClaimed: true, isUsed: true }, undefined],
] as const)('%j: %s', async ({ isUsed = false, ...facts }: { isUsed?: boolean } & Omit<AudienceFacts, 'before'>, expected) => {
  const released: string[] = [];
  const release = async (): Promise<void> => {
    if (isUsed) throw new RsError('E_IN_USE', 'It is in use by mount point /mnt');
    released.push('device');
  };
  expect(await audienceOf({ before: null, ...facts }, release)).toBe(expected);
  expect(released.length > 0).toBe(expected === 'gates');
});

const GATE = { name: 'g1', volumes: ['oracle'] };
let volume: FrontendVolume;
let devices: FakeFrontend;
let nbd: FakeFrontend;

beforeEach(async () => {
  [isShown, isWanted, mayReturn] = [true, true, false];
  recorded.length = 0;
  volume = Object.assign(new MemoryVolume({ name: 'oracle' }), { shownTo: 'programs' as const });
  [devices, nbd] = [new FakeFrontend(), new FakeFrontend()];
  for (const frontend of [devices, nbd]) await frontend.show(volume);
  const taking = takeFromPrograms([nbd, devices], { mayReturn: () => mayReturn, taken: async () => void recorded.push(volume.shownTo) });
  take = (gate = GATE) =>
    taking(
      gate,
      volume,
      () => isShown,
      () => isWanted,
    );
});

let isShown = true;
let isWanted = true;
let mayReturn = false;
const recorded: unknown[] = [];
let take: (gate?: { name: string; volumes: 'all' | string[] }) => Promise<void>;
const state = (): unknown[] => [volume.shownTo, devices.shown.has(volume), nbd.shown.has(volume)];

test('a gate that names the volume takes it when no program uses it', async () => {
  await take();
  expect([...state(), recorded]).toEqual(['gates', false, false, ['gates']]);
  await take({ name: 'g2', volumes: 'all' });
});

test('a program that uses the volume keeps it', async () => {
  devices.usersOf = () => Promise.resolve(['mount point /mnt']);
  await expect(take()).rejects.toMatchObject({ code: 'E_IN_USE', message: expect.stringContaining('(mount point /mnt): end that') });
  expect(state()).toEqual(['programs', true, true]);
});

test('a program that comes at the same moment keeps it, and its export comes back', async () => {
  devices.hide = () => Promise.reject(new RsError('E_IN_USE', 'It is in use by mount point /mnt'));
  await expect(take()).rejects.toMatchObject({ code: 'E_IN_USE' });
  expect(state()).toEqual(['programs', true, true]);
});

// Regression: a gate that had lost the race showed the device again after another gate had taken the volume.
test('two gates that take it at the same moment, one of which a program disturbs, end with one owner', async () => {
  let disturb: (error: Error) => void = () => undefined;
  const plain = devices.hide.bind(devices);
  const waiting = new Promise<void>((_, reject) => (disturb = reject));
  devices.hide = async () => await ((devices.hide = plain), waiting);
  const [first, second] = [take(), take({ name: 'g2', volumes: ['oracle'] })];
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  disturb(new RsError('E_IN_USE', 'It is in use by mount point /mnt'));
  expect((await Promise.allSettled([first, second])).map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  expect(state()).toEqual(['gates', false, false]);
});

// Regression: after a reload at the same moment, neither programs nor hosts had the volume.
test('programs get it back if the gate does not want it any more', async () => {
  devices.hide = async () => {
    await FakeFrontend.prototype.hide.call(devices, volume);
    isWanted = false;
  };
  await expect(take()).rejects.toMatchObject({ message: expect.stringContaining('its gate has changed meanwhile') });
  expect([...state(), recorded]).toEqual(['programs', true, true, []]);
});

// Regression: after a restart of rsiod, a gate took the disk of a virtual machine before its NBD client had connected again.
test('programs that had it before a restart keep it until they have had the time to come back', async () => {
  mayReturn = true;
  await expect(take()).rejects.toMatchObject({ code: 'E_IN_USE', message: expect.stringContaining('may come back') });
  expect(state()).toEqual(['programs', true, true]);
  mayReturn = false;
  await take();
  expect(state()).toEqual(['gates', false, false]);
});

// Regression: a volume that was detached at the same moment was shown again, with a device that nobody removed.
test.each([true, false])('a volume that is detached meanwhile is not shown again: in use %s', async (isUsed) => {
  devices.hide = () => {
    isShown = false;
    return isUsed ? Promise.reject(new RsError('E_IN_USE', 'It is in use')) : FakeFrontend.prototype.hide.call(devices, volume);
  };
  await expect(take()).rejects.toMatchObject({ code: isUsed ? 'E_IN_USE' : 'E_VOLUME' });
  expect(state()).toEqual(['programs', isUsed, false]);
  expect(recorded).toEqual([]);
});

test('a gate that names no volumes takes none from programs, and says how it would', async () => {
  await expect(take({ name: 'g1', volumes: 'all' })).rejects.toMatchObject({
    message: expect.stringContaining('add osl:oracle@0 to volumes of [gate g1], and reload'),
  });
  expect(state()).toEqual(['programs', true, true]);
});
