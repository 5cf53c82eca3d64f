// Tests the watch over files that workers of other listeners have open: the time and number of the checks, and the volumes that the watch
// reports. The lock helper is a fake; marks.test.ts has real marks.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LOCKABLE_FILES_AT_ONCE, MARK_LOOK_MS, MARK_LOOK_REST } from '../../machine/limits.ts';
import type { LockRequest } from './file-locks.ts';
import { type MarkedVolume, MarkWatch } from './mark-watch.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let directory = '';
let clock: FakeClock;
let waiting: MarkedVolume[] = [];
/** Files that a worker has open. */
let busy = new Set<string>();
let asked: (readonly LockRequest[])[] = [];
let freed: string[][] = [];
/** Time that each check takes. */
let lookMs = 0;
/** A file about which the fake helper answers only when the test permits it. */
let hanging = '';
let letGo = (): void => undefined;
let watch: MarkWatch;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-watch-'));
  [waiting, busy, asked, freed, lookMs, hanging] = [[], new Set(), [], [], 0, ''];
  clock = new FakeClock();
  watch = new MarkWatch({
    clock,
    takeLocks: async (requests) => {
      asked.push(requests);
      clock.advance(lookMs);
      const files = requests.map(({ descriptor }) => fs.readlinkSync(`/proc/self/fd/${descriptor}`));
      if (files.includes(hanging)) await new Promise<void>((resolve) => (letGo = resolve));
      return files.map((one) => (busy.has(one) ? 'marked' : 'held'));
    },
    waiting: () => waiting,
    freed: async (keys) => {
      freed.push([...keys]);
      waiting = waiting.filter(({ key }) => !keys.has(key));
    },
  });
});
afterEach(async () => {
  watch.stop();
  await removeFolder(directory);
});

function volume(key: string, ...names: string[]): MarkedVolume {
  const files = names.map((name) => path.join(directory, name));
  for (const file of files) fs.writeFileSync(file, '');
  return { key, pool: 'fast', files };
}

const file = (name: string): string => path.join(directory, name);

/** Advances the clock to the next check, and waits until the helper was called and the watch has `timers` timers. */
async function look(timers: number, restMs = MARK_LOOK_MS): Promise<void> {
  const before = asked.length;
  clock.advance(restMs);
  await vi.waitFor(() => expect([asked.length > before, clock.timersPending]).toEqual([true, timers]));
}

test('nothing is looked at while no volume waits', () => {
  watch.follow();
  expect(clock.timersPending).toBe(0);
});

test('a volume is free when no server process has one of its files open, and only then', async () => {
  waiting = [volume('one@0', 'one'), volume('wide@0', 'a', 'b')];
  busy = new Set([file('one'), file('b')]);
  watch.follow();
  watch.follow();
  await look(1);
  expect(freed).toEqual([]);
  expect(asked.flat().every(({ isLook }) => isLook === true)).toBe(true);
  busy.delete(file('b'));
  await look(1);
  expect(freed).toEqual([['wide@0']]);
  busy.clear();
  await look(0);
  await vi.waitFor(() => expect(freed).toEqual([['wide@0'], ['one@0']]));
  expect(fs.readdirSync('/proc/self/fd').some((fd) => linkOf(fd).startsWith(directory))).toBe(false);
});

test('a file that has vanished is reported, so that its volume gets the right reason', async () => {
  waiting = [volume('one@0', 'one')];
  fs.rmSync(file('one'));
  watch.follow();
  await look(0);
  await vi.waitFor(() => expect(freed).toEqual([['one@0']]));
});

test('a look that took long is followed by a long rest, one helper looks at a bounded number, and the end ends it', async () => {
  const names = Array.from({ length: LOCKABLE_FILES_AT_ONCE + 1 }, (_, index) => `f${index}`);
  waiting = [volume('wide@0', ...names)];
  busy = new Set([file('f0')]);
  lookMs = 2_000;
  watch.follow();
  await look(1);
  expect(asked.map(({ length }) => length)).toEqual([LOCKABLE_FILES_AT_ONCE, 1]);
  clock.advance(2 * lookMs * MARK_LOOK_REST - 1);
  expect(asked).toHaveLength(2);
  await look(1, 1);
  expect(asked).toHaveLength(4);
  watch.stop();
  watch.follow();
  expect(clock.timersPending).toBe(0);
});

test('a pool that does not answer holds up no other, and is looked at once', async () => {
  waiting = [volume('one@0', 'one'), { ...volume('two@0', 'two'), pool: 'slow' }, { ...volume('own@0', 'own'), pool: null }];
  busy = new Set([file('own')]);
  hanging = file('two');
  watch.follow();
  expect(clock.timersPending).toBe(3);
  clock.advance(MARK_LOOK_MS);
  await vi.waitFor(() => expect([freed, clock.timersPending]).toEqual([[['one@0']], 1]));
  busy.clear();
  watch.follow();
  clock.advance(MARK_LOOK_MS);
  await vi.waitFor(() => expect(freed).toEqual([['one@0'], ['own@0']]));
  expect(asked).toHaveLength(4);
  letGo();
  await vi.waitFor(() => expect(freed).toHaveLength(3));
});

test('a look that fails frees nothing, and the next look tries again', async () => {
  waiting = [volume('one@0', 'one')];
  let isFailing = true;
  const failing = new MarkWatch({
    clock,
    takeLocks: async (requests) => {
      asked.push(requests);
      if (isFailing) throw new Error('spawn ENOMEM');
      return ['held'];
    },
    waiting: () => waiting,
    freed: async (keys) => {
      freed.push([...keys]);
      waiting = [];
    },
  });
  failing.follow();
  await look(1);
  expect(freed).toEqual([]);
  isFailing = false;
  await look(0);
  await vi.waitFor(() => expect(freed).toEqual([['one@0']]));
});

function linkOf(fd: string): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The listing contains the closed descriptor with which the directory itself was listed.
    return '';
  }
}
