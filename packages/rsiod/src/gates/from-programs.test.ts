// Programs of a gate's machine and hosts of the gate exclude each other: who gets a volume that is attached, and what a gate takes that is
// configured later, or while a program begins to use the volume. Rules: G51.

import { RsError } from '@rsio/common/lib/errors';
import { beforeEach, expect, test } from 'vitest';
import { MemoryVolume } from '../frontends/nbd/testing/memory-volume.ts';
import { FakeFrontend } from '../testing/attachments-scene.ts';
import type { FrontendVolume } from '../volumes/frontend-volume.ts';
import { decideAudience, takeFromPrograms } from './from-programs.ts';

const MOUNT = ['mount point /mnt'];

test.each([
  [{ isReadonly: false, hasDevice: true, isClaimed: false, users: [] }, 'programs'],
  [{ isReadonly: false, hasDevice: true, isClaimed: true, users: [], before: 'programs' }, 'programs'],
  [{ isReadonly: false, hasDevice: true, isClaimed: true, users: MOUNT, before: 'gates' }, 'programs'],
  [{ isReadonly: false, hasDevice: true, isClaimed: true, users: [] }, 'gates'],
  [{ isReadonly: false, hasDevice: true, isClaimed: true, users: MOUNT }, 'programs'],
  [{ isReadonly: false, hasDevice: false, isClaimed: false, users: [] }, 'gates'],
  [{ isReadonly: false, hasDevice: false, isClaimed: true, users: MOUNT }, 'programs'],
  [{ isReadonly: true, hasDevice: true, isClaimed: true, users: MOUNT }, undefined],
] as const)('%j: %s', (facts, expected) => {
  expect(decideAudience({ before: null, ...facts })).toBe(expected);
});

const GATE = { name: 'g1', volumes: ['oracle'] };
let volume: FrontendVolume;
let devices: FakeFrontend;
let nbd: FakeFrontend;

beforeEach(async () => {
  [isShown, mayReturn] = [true, false];
  recorded.length = 0;
  volume = Object.assign(new MemoryVolume({ name: 'oracle' }), { shownTo: 'programs' as const });
  [devices, nbd] = [new FakeFrontend(), new FakeFrontend()];
  for (const frontend of [devices, nbd]) await frontend.show(volume);
});

let isShown = true;
let mayReturn = false;
const recorded: unknown[] = [];
const take = (gate: { name: string; volumes: 'all' | string[] } = GATE): Promise<void> =>
  takeFromPrograms([nbd, devices], { mayReturn: () => mayReturn, taken: async () => void recorded.push(volume.shownTo) })(
    gate,
    volume,
    () => isShown,
  );
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
