// Tests pool volumes that have a file which a worker of another listener has open. rssrv does not serve these volumes, names the file and
// the remedy, and tries again when that worker has ended. The locks are fakes; test/integration/outlived-listener.test.ts has real
// processes. Rules: N11 in docs/GUARANTEES.md.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { LockOutcome, LockRequest } from '../storage/locks/file-locks.ts';
import { LOCKABLE_FILES_AT_ONCE, MARK_LOOK_MS } from '../machine/limits.ts';
import { volumeConfig } from '../testing/volume-config.ts';
import { Volumes } from './volumes.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const SIZE_BYTES = 65_536;
const ID = '00000000-0000-4000-8000-00000000000';
let directory = '';
let clock: FakeClock;
/** Maps a file to the outcome that the fake gives for it. A file without an entry gets `held`. */
let outcomes = new Map<string, LockOutcome>();
let asked: { readonly file: string; readonly request: LockRequest }[] = [];
let calls = 0;
/** Called while the marks are looked for. */
let whileAsked = (): void => undefined;
let unmarked: string[] = [];
let volumes: Volumes;
let configured: readonly ServerVolumeConfig[] = [];
let created = new Set<string>();

const at = (name: string): string => path.join(directory, name);
const linkOf = (descriptor: number | string): string => fs.readlinkSync(`/proc/self/fd/${descriptor}`);

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-marked-'));
  [outcomes, asked, calls, unmarked, clock, created] = [new Map(), [], 0, [], new FakeClock(), new Set()];
  whileAsked = () => undefined;
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  volumes = new Volumes({
    idsFile: at('volumes.json'),
    memoryDirectory: at('shm'),
    fileSystemOf: () => Promise.resolve('other'),
    clock,
    log,
    syncFailedLate: () => undefined,
    takeLocks: async (requests) => {
      calls++;
      whileAsked();
      return requests.map((request) => {
        const file = linkOf(request.descriptor);
        asked.push({ file, request });
        return outcomes.get(file) ?? 'held';
      });
    },
    isHeld: () => false,
    isNew: (id) => created.has(id),
    holdersOf: () => [],
    incarnationEnded: async () => undefined,
    unmarked: async (keys) => {
      unmarked.push(...keys);
      const retried = configured.filter(({ name }) => keys.has(`${name}@0`));
      const change = await volumes.prepare({ added: [], retried, kept: [], removed: [], isPartial: true }, configured);
      change.commit();
    },
  });
});
afterEach(async () => {
  await volumes.close();
  await removeFolder(directory);
});

function inPool(name: string, pool = 'fast', changes: Partial<ServerVolumeConfig> = {}): ServerVolumeConfig {
  fs.writeFileSync(at(name), Buffer.alloc(SIZE_BYTES));
  const id = `${ID}${name.charCodeAt(0) % 10}`;
  const place = { name: pool, stamp: null, ids: [pool], isThick: false };
  return volumeConfig({ name, type: 'file', path: at(name), sizeBytes: SIZE_BYTES, id, pool: place, ...changes });
}

/** Returns a volume with one file in pool `fast` and one file in pool `slow`. */
function overTwo(name: string, second: string): ServerVolumeConfig {
  fs.writeFileSync(at(second), Buffer.alloc(SIZE_BYTES));
  const part = { sizeBytes: SIZE_BYTES, stamp: null, trouble: null };
  const parts = [
    { ...part, poolId: 'fast', pool: 'fast', path: at(name) },
    { ...part, poolId: 'slow', pool: 'slow', path: at(second) },
  ];
  return inPool(name, 'fast', { sizeBytes: 2 * SIZE_BYTES, layout: { chunkBytes: null, parts } });
}

async function start(...next: ServerVolumeConfig[]): Promise<void> {
  configured = next;
  await volumes.open({ volumes: next });
}

const served = (): string[] => volumes.served.map(({ name }) => name);
const reasons = (): string[] => volumes.failures.map(({ error }) => error.message);
const openFiles = (): string[] =>
  fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const file = linkOf(fd);
      return file.startsWith(directory) ? [path.basename(file)] : [];
    } catch {
      return [];
    }
  });

const text = (name: string, file: string): string =>
  `Volume ${name}: ${at(file)} is still open in a server process of another rssrv, perhaps on another machine: ` +
  'stop that rssrv, or end the process if that rssrv was killed; the volume is then served without a reload';

test('no file of a pool is served that another server process has open, whichever file of the volume it is', async () => {
  const all = [inPool('a'), inPool('b'), overTwo('c', 'c2'), inPool('d', 'slow', { readonly: true })];
  outcomes = new Map([at('b'), at('c2'), at('d')].map((file) => [file, 'marked']));
  await start(...all);
  expect(served()).toEqual(['a']);
  expect(reasons()).toEqual([text('b', 'b'), text('c', 'c2'), text('d', 'd')]);
  expect(openFiles(), 'nothing else stays open').toEqual(['a']);
  expect(asked.map(({ request }) => request.isLook)).toEqual([true, true, true, true, true]);
});

test('they are served by themselves when the process has ended', async () => {
  await start(inPool('a'));
  expect(clock.timersPending).toBe(0);
  outcomes = new Map([[at('b'), 'marked']]);
  configured = [...configured, inPool('b')];
  (await volumes.prepare({ added: [], retried: configured.slice(1), kept: [], removed: [], isPartial: true }, configured)).commit();
  expect(served()).toEqual(['a']);
  clock.advance(MARK_LOOK_MS);
  await vi.waitFor(() => expect([calls, clock.timersPending]).toEqual([3, 1]));
  expect(unmarked).toEqual([]);
  outcomes.clear();
  clock.advance(MARK_LOOK_MS);
  await vi.waitFor(() => expect(served()).toEqual(['a', 'b']));
  expect([unmarked, volumes.failures, clock.timersPending]).toEqual([['b@0'], [], 0]);
});

test('a process that takes the file between the look and the opening keeps it', async () => {
  outcomes = new Map([[at('b'), 'marked']]);
  await start(inPool('b'));
  outcomes.delete(at('b'));
  const prepare = volumes.prepare.bind(volumes);
  vi.spyOn(volumes, 'prepare').mockImplementationOnce((...all) => {
    outcomes.set(at('b'), 'marked');
    return prepare(...all);
  });
  clock.advance(MARK_LOOK_MS);
  await vi.waitFor(() => expect([unmarked, clock.timersPending]).toEqual([['b@0'], 1]));
  expect([served(), reasons()]).toEqual([[], [text('b', 'b')]]);
});

test.for([
  ['silent', /^Volume a: the file system of .* did not lock it in time: check that file system, then reload$/],
  ['unavailable', /^Volume a: .* cannot be checked for other server processes that have it open: raise the limit of open files of rssrv/],
] as const)('a file about which nothing is known is not served either: %s', async ([outcome, reason]) => {
  outcomes = new Map([[at('a'), outcome]]);
  await start(inPool('a'));
  expect([served(), reasons()]).toEqual([[], [expect.stringMatching(reason)]]);
  expect(clock.timersPending).toBe(0);
});

test('a file that is replaced or cut while its marks are looked for is not served', async () => {
  const all = [inPool('a'), inPool('b'), inPool('c')];
  whileAsked = () => {
    fs.renameSync(at('a'), at('old'));
    fs.writeFileSync(at('a'), Buffer.alloc(SIZE_BYTES));
    fs.truncateSync(at('b'), SIZE_BYTES - 512);
  };
  await start(...all);
  expect(served()).toEqual(['c']);
  expect(reasons()).toEqual([
    `Volume a: ${at('a')} is no longer the file that was opened: restore that file, or restart rssrv`,
    expect.stringContaining(`Volume b: ${at('b')} has ${SIZE_BYTES - 512} bytes, but the volume has ${SIZE_BYTES}`),
  ]);
});

test('a section is locked, and tells of a process in the same way', async () => {
  fs.writeFileSync(at('s'), Buffer.alloc(SIZE_BYTES));
  outcomes = new Map([[at('s'), 'marked']]);
  await start(volumeConfig({ name: 's', path: at('s') }));
  expect(reasons()).toEqual([text('s', 's')]);
  expect(asked[0]?.request).toEqual({ descriptor: asked[0]?.request.descriptor, shared: false });
  outcomes.clear();
  clock.advance(MARK_LOOK_MS);
  await vi.waitFor(() => expect(served()).toEqual(['s']));
  expect(asked.map(({ request: { isLook = false } }) => isLook)).toEqual([false, true, false]);
});

test('all files of a pool are looked at together', async () => {
  const one = inPool('a');
  const many = Array.from({ length: LOCKABLE_FILES_AT_ONCE }, (_, index) => {
    const name = `v${index}`;
    return inPool(name, index % 2 === 0 ? 'fast' : 'slow', { id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}` });
  });
  await start(...many, { ...one, id: '10000000-0000-4000-8000-000000000000' });
  expect([served().length, calls]).toEqual([many.length + 1, 2]);
});

test('the file of a volume that is being created is not looked at, and every other file is', async () => {
  await start(inPool('a'));
  const [old, fresh] = [inPool('b'), inPool('c')];
  created.add(fresh.id ?? '');
  outcomes = new Map([at('b'), at('c')].map((file) => [file, 'marked']));
  asked = [];
  configured = [...configured, old, fresh];
  const change = await volumes.prepare({ added: [], retried: [old, fresh], kept: [], removed: [], isPartial: true }, configured);
  change.commit();
  expect(asked.map(({ file }) => file)).toEqual([at('b')]);
  expect(served()).toEqual(['a', 'c']);
});
