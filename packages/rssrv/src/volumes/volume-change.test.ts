// A changed set of volumes on real files: whole or not at all, locks and descriptors kept and released, sizes, and ids that never name another
// content. The oracles are the file system and flock(1).
// volume-plan.ts decides about changes and is tested there.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { systemClock } from '@rsio/common/lib/clock';
import { needPrograms } from '@rsio/common/testing/needs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FileSystem } from '../sys/file-system.ts';
import { volumeConfig } from '../testing/volume-config.ts';
import type { VolumeChange } from './volume-change.ts';
import { volumeChanges } from './volume-plan.ts';
import { Volumes } from './volumes.ts';

const MIB = 1 << 20;
const HOLDER = { node: 'big-2', address: '127.45.0.2', sinceMs: 1_284_476_552_000 };
let directory = '';
let logged: string[] = [];
let heldIds = new Set<string>();
/** By directory, because the test's own may be in memory too. */
let systems = new Map<string, FileSystem>();
let volumes: Volumes;
let configured: readonly ServerVolumeConfig[] = [];

const at = (name: string): string => path.join(directory, name);
const say = (message: string): void => void logged.push(message);

function server(): Volumes {
  const log = { info: say, warn: say, error: say };
  return new Volumes({
    idsFile: at('volumes.json'),
    memoryDirectory: at('shm'),
    fileSystemOf: (place) => Promise.resolve(systems.get(place) ?? 'other'),
    runDirectory: at('run'),
    clock: systemClock,
    log,
    syncFailedLate: () => undefined,
    isHeld: (id) => heldIds.has(id),
    holdersOf: (id) => (heldIds.has(id) ? [HOLDER] : []),
    incarnationEnded: async () => undefined,
  });
}

// perl takes the locks.
beforeEach((context) => needPrograms(context, 'perl', 'flock'));

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-'));
  fs.mkdirSync(at('shm'), { mode: 0o700 });
  [logged, heldIds, configured, systems] = [[], new Set(), [], new Map()];
  volumes = server();
});
afterEach(async () => {
  await volumes.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

const file = (name: string, changes: Partial<ServerVolumeConfig> = {}): ServerVolumeConfig =>
  volumeConfig({ name, path: at(`${name}.img`), sizeBytes: MIB, ...changes });

const memory = (name: string, changes: Partial<ServerVolumeConfig> = {}): ServerVolumeConfig =>
  file(name, { type: 'memory', path: null, ...changes });

async function start(...next: ServerVolumeConfig[]): Promise<void> {
  configured = next;
  await volumes.open({ volumes: next });
}

/** As the server does it, without any holder. */
async function prepare(...next: ServerVolumeConfig[]): Promise<VolumeChange> {
  const { plan, refusals } = volumeChanges(configured, next, (volume) => ({ ...volumes.standing(volume), users: [] }));
  expect(refusals).toEqual([]);
  return volumes.prepare(plan, next);
}

async function reload(...next: ServerVolumeConfig[]): Promise<VolumeChange> {
  const change = await prepare(...next);
  change.commit();
  await change.finish();
  configured = next;
  return change;
}

/** Stops and restarts. */
async function restart(...next: ServerVolumeConfig[]): Promise<void> {
  await volumes.close();
  volumes = server();
  await start(...next);
}

const names = (): string[] => volumes.served.map(({ name }) => name);
const idOf = (name: string): string => volumes.served.find((one) => one.name === name)?.id ?? 'none';
const isLocked = (name: string): boolean => spawnSync('flock', ['-n', at(name), 'true']).status === 1;
/** The files below the directory that this process has open. */
function links(): string[] {
  const targets = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The descriptor that listed the others.
      return '';
    }
  });
  return targets.filter((target) => target.startsWith(directory)).toSorted();
}

describe('applied', () => {
  test('volumes are added and removed, in the order of the file, and locked while they are served', async () => {
    await start(file('a'), file('b'));
    const change = await reload(memory('m'), file('b'), file('c'));
    expect(change.isListChanged).toBe(true);
    expect(names()).toEqual(['m', 'b', 'c']);
    expect(['a.img', 'b.img', 'c.img'].map(isLocked)).toEqual([false, true, true]);
    expect(fs.statSync(at('a.img')).size, 'what goes keeps its file').toBe(MIB);
    await reload(file('b'));
    expect(links()).toEqual([at('b.img')]);
    expect(fs.readdirSync(at('shm'))).toEqual([]);
  });

  test('an unchanged file changes nothing', async () => {
    await start(file('a'), memory('m'));
    const [before, text] = [volumes.served, fs.readFileSync(at('volumes.json'), 'utf8')];
    const change = await reload(file('a'), memory('m'));
    expect({ list: change.isListChanged, grown: change.grown }).toEqual({ list: false, grown: [] });
    expect(volumes.served).toEqual(before);
    expect(fs.readFileSync(at('volumes.json'), 'utf8')).toBe(text);
  });

  test.each([file, memory])('a larger size keeps the content, adds zeros, and is reported', async (kind) => {
    await start(kind('a'));
    const { path: storage, id } = volumes.served[0]!;
    fs.writeFileSync(storage ?? '', 'content', { flag: 'r+' });
    const change = await reload(kind('a', { sizeBytes: 3 * MIB }));
    expect(change.grown).toEqual([{ id, sizeBytes: 3 * MIB }]);
    expect(volumes.served).toMatchObject([{ id, sizeBytes: 3 * MIB, path: storage }]);
    const content = fs.readFileSync(storage ?? '');
    expect([content.length, content.subarray(0, 8).toString()]).toEqual([3 * MIB, 'content\0']);
    expect(logged).toContain(`Volume a has grown from ${MIB} to ${3 * MIB} bytes`);
  });

  test('a volume without a configured size grows with its file', async () => {
    fs.writeFileSync(at('a.img'), Buffer.alloc(MIB));
    const a = file('a', { sizeBytes: null });
    await start(a);
    fs.truncateSync(at('a.img'), 2 * MIB + 100);
    expect((await reload(a)).grown).toEqual([{ id: idOf('a'), sizeBytes: 2 * MIB }]);
  });

  test('a file that grew by less than a block is served without its end, with a warning', async () => {
    fs.writeFileSync(at('a.img'), Buffer.alloc(4096));
    const without = file('a', { sizeBytes: null, blockSizeBytes: 4096 });
    await start(without);
    fs.truncateSync(at('a.img'), 2 * 4096 + 100);
    logged = [];
    await reload(without);
    expect(volumes.served[0]?.sizeBytes).toBe(2 * 4096);
    expect(logged.join()).toContain('has 8292 bytes, not a multiple of the block size 4096, and its last 100 bytes are not served');
  });

  test('shared, blocksize and clients are applied on the same descriptor', async () => {
    await start(file('a'));
    const before = links();
    await reload(file('a', { shared: true, blockSizeBytes: 4096, clients: ['big-2'] }));
    expect(volumes.served).toMatchObject([{ shared: true, blockSizeBytes: 4096, clients: ['big-2'] }]);
    expect(links()).toEqual(before);
  });

  test('readonly and back stays on the same file, whose lock follows; also by another path to it', async () => {
    await start(file('a'));
    const shared = (): number | null => spawnSync('flock', ['-n', '-s', at('a.img'), 'true']).status;
    expect(shared()).toBe(1);
    await reload(file('a', { readonly: true }));
    expect([shared(), volumes.served[0]?.readonly]).toEqual([0, true]);
    fs.symlinkSync('a.img', at('alias'));
    await reload(file('a', { path: at('alias') }));
    expect([shared(), volumes.served[0]]).toEqual([1, expect.objectContaining({ readonly: false, path: at('alias') })]);
    expect(links()).toEqual([at('a.img')]);
  });

  test('a renamed volume is another volume on the same file', async () => {
    await start(file('a'));
    const id = idOf('a');
    await reload(file('b', { path: at('a.img') }));
    expect(names()).toEqual(['b']);
    expect(idOf('b')).not.toBe(id);
    expect(isLocked('a.img')).toBe(true);
  });

  test('a volume that could not be opened is tried again at each reload', async () => {
    const lost = file('lost', { path: at('no/lost.img') });
    await start(lost, file('a'));
    expect([names(), volumes.failures.map(({ name }) => name)]).toEqual([['a'], ['lost']]);
    await reload(lost, file('a', { sizeBytes: 2 * MIB }));
    expect(volumes.failures).toHaveLength(1);
    fs.mkdirSync(at('no'));
    await reload(lost, file('a', { sizeBytes: 2 * MIB }));
    expect([names(), volumes.failures]).toEqual([['lost', 'a'], []]);
  });
});

describe('truncated storage', () => {
  const { truncateSync } = fs;
  const size = (name: string): number => fs.statSync(at(`${name}.img`)).size;
  const failure = (): string => volumes.failures.map(({ error }) => error.message).join('\n');

  test('is not served until a reload finds it whole; nothing lengthens it meanwhile', async () => {
    await start(file('a'), file('b'));
    const id = idOf('a');
    truncateSync(at('a.img'), 4096);
    expect(await volumes.cut(id)).toMatch(
      /^Volume a: .*a\.img was truncated to 4096 bytes while 1048576 bytes of it were served, and it is not served until it is whole: restore/,
    );
    expect([names(), failure()]).toEqual([['b'], expect.stringContaining('a.img was truncated to 4096 bytes')]);
    expect([await volumes.cut(id), await volumes.cut('no id')]).toEqual([null, null]);
    const change = await reload(file('a', { sizeBytes: 2 * MIB }), file('b'));
    expect([names(), size('a'), change.cut, isLocked('a.img')]).toEqual([['b'], 4096, [], true]);
    truncateSync(at('a.img'), MIB);
    logged = [];
    expect((await reload(file('a'), file('b'))).isListChanged).toBe(true);
    expect([names(), idOf('a'), volumes.failures]).toEqual([['a', 'b'], id, []]);
    expect(logged).toEqual([`Volume a: ${at('a.img')} is whole again and is served`]);
  });

  test('is noticed by a reload, which would have lengthened it', async () => {
    await start(file('a'), file('b', { sizeBytes: null }));
    expect(failure()).toContain('does not exist');
    fs.writeFileSync(at('b.img'), Buffer.alloc(8192));
    await reload(file('a'), file('b', { sizeBytes: null }));
    const ids = ['a', 'b'].map(idOf);
    truncateSync(at('a.img'), 4096);
    truncateSync(at('b.img'), 4096);
    const change = await reload(file('a', { sizeBytes: 2 * MIB }), file('b', { sizeBytes: null }));
    expect([change.cut, names(), size('a')]).toEqual([ids, [], 4096]);
    expect(logged.at(-1)).toContain('b.img was truncated to 4096 bytes while 8192 bytes of it were served');
  });

  test('that is whole again, but now has a smaller configured size, is not served to its holder', async () => {
    await start(file('a'));
    heldIds.add(idOf('a'));
    await restart(file('a', { sizeBytes: 4096 }));
    expect([names(), size('a')]).toEqual([[], MIB]);
    expect(failure()).toMatch(
      /^Volume a: size is less than the 1048576 bytes served before, and a client holds it: set size = 1048576, or detach/,
    );
    heldIds.clear();
    await restart(file('a', { sizeBytes: 4096 }));
    expect(names()).toEqual(['a']);
  });

  test.each([
    ['made here', null],
    ['configured', '11111111-2222-4333-8444-555555555555'],
  ])('while rssrv was stopped is not filled up with zeros for who holds it (id %s)', async (_name, id) => {
    await start(file('a', { id }));
    const held = idOf('a');
    truncateSync(at('a.img'), 4096);
    heldIds.add(held);
    await restart(file('a', { id }));
    expect([names(), size('a')]).toEqual([[], 4096]);
    expect(failure()).toMatch(/^Volume a: .* has 4096 bytes, 1048576 were served before, and a client holds it: restore its content; if/);
    fs.rmSync(at('a.img'));
    await restart(file('a', { id }));
    expect([names(), fs.existsSync(at('a.img'))]).toEqual([[], false]);
    fs.writeFileSync(at('a.img'), Buffer.alloc(MIB));
    await restart(file('a', { id }));
    const [, sameContent = ''] = /set same-content = (\S+);/.exec(failure()) ?? [];
    await restart(file('a', { id, sameContent }));
    expect([names(), idOf('a')]).toEqual([['a'], held]);
    heldIds.clear();
    truncateSync(at('a.img'), 4096);
    await restart(file('a', { id }));
    expect([names(), size('a')]).toEqual([['a'], MIB]);
    expect(logged.join()).toContain('has 4096 bytes, and had 1048576 when it was last served');
  });
});

describe('a change is applied as a whole or not at all', () => {
  /** Served, locked, open and kept, as far as can be observed. */
  function everything(): unknown {
    const files = fs.readdirSync(directory, { recursive: true, withFileTypes: true }).map((entry) => entry.name);
    const sizes = files.filter((name) => name.endsWith('.img')).map((name) => [name, fs.statSync(at(name)).size]);
    return [volumes.served, volumes.failures, files.toSorted(), sizes, links(), fs.readFileSync(at('volumes.json'), 'utf8')];
  }

  test.each<[string, (good: ServerVolumeConfig[]) => ServerVolumeConfig[], RegExp]>([
    [
      'a new volume that cannot be had',
      (good) => [...good, file('bad', { path: '/nowhere/at/all.img' })],
      /directory \/nowhere\/at does not/,
    ],
    ['a new volume on the file of another', (good) => [...good, file('twin', { path: at('a.img') })], /is already volume a/],
    ['a new volume with the id of another', (good) => [...good, file('twin', { id: idOf('a') })], /it has id .* which volume a has/],
    ['a new volume whose file is locked', (good) => [...good, file('locked')], /locked\.img is locked: stop the other/],
    [
      'a changed one that does not fit its blocks',
      () => [file('a', { blockSizeBytes: 4096, sizeBytes: MIB + 512 }), file('b')],
      /not a multiple/,
    ],
    [
      'one that goes elsewhere, where it cannot be',
      () => [file('a', { path: '/nowhere/a.img' }), file('b')],
      /directory \/nowhere does not/,
    ],
    [
      'one that is to be larger than a file can be',
      () => [file('a', { sizeBytes: 2 ** 53 - MIB }), file('b')],
      /cannot be grown from 1048576/,
    ],
  ])('%s', async (_what, next, sentence) => {
    fs.writeFileSync(at('locked.img'), Buffer.alloc(MIB));
    const lock = fs.openSync(at('locked.img'), 'r');
    expect(spawnSync('flock', ['-n', '9'], { stdio: ['ignore', 'ignore', 'ignore', ...Array(6).fill('ignore'), lock] }).status).toBe(0);
    await start(file('a'), file('b'));
    const before = everything();
    const good = [file('a'), file('new'), memory('m')];
    await expect(prepare(...next(good))).rejects.toMatchObject({ code: 'E_VOLUME', message: expect.stringMatching(sentence) });
    expect(everything()).toEqual(before);
    fs.closeSync(lock);
    await reload(...good);
    expect(names()).toEqual(['a', 'new', 'm']);
  });

  test('undone after everything was prepared: a changed mode, a changed path, a new volume', async () => {
    await start(file('a'), file('b'));
    const before = everything();
    const change = await prepare(file('a', { readonly: true }), file('b', { path: at('other.img') }), memory('m'));
    await change.undo();
    expect(everything()).toEqual(before);
    expect(spawnSync('flock', ['-n', '-s', at('a.img'), 'true']).status).toBe(1);
  });

  test('undone while another program has locked its file: a failure, tried again at the next reload', async () => {
    await start(file('a'));
    const change = await prepare(file('a', { readonly: true }));
    fs.renameSync(at('a.img'), at('gone.img'));
    await change.undo();
    expect([names(), volumes.failures.map(({ error }) => error.message)]).toEqual([[], [expect.stringContaining('a.img, which has its')]]);
    fs.renameSync(at('gone.img'), at('a.img'));
    await reload(file('a'));
    expect(names()).toEqual(['a']);
  });

  test('the ids cannot be stored', async () => {
    await start(file('a'));
    fs.writeFileSync(at('volumes.json'), '{');
    await expect(prepare(file('a'), file('b'))).rejects.toMatchObject({ code: 'E_SYSTEM' });
    expect([names(), fs.existsSync(at('b.img'))]).toEqual([['a'], false]);
  });
});

describe('ids', () => {
  test('a section that is removed and restored is the same volume', async () => {
    await start(file('a'), file('b'));
    const id = idOf('a');
    await reload(file('b'));
    await restart(file('b'));
    await reload(file('b'), file('a'));
    expect(idOf('a')).toBe(id);
  });

  test('another location is another volume, at a reload and at a start, and its former id is reported', async () => {
    await start(file('a'));
    const first = idOf('a');
    await reload(file('a', { path: at('other.img') }));
    const second = idOf('a');
    expect(second).not.toBe(first);
    expect(logged).toContainEqual(expect.stringContaining(`it gets a new id, because its content may differ; set id = ${first}`));
    await restart(memory('a'));
    expect([first, second]).not.toContain(idOf('a'));
    await reload(file('a', { id: first }));
    expect(idOf('a')).toBe(first);
  });

  test('while a client holds it, a moved volume keeps its id, with a warning', async () => {
    await start(file('a'));
    const id = idOf('a');
    heldIds.add(id);
    await restart(file('a', { path: at('moved.img') }));
    expect(volumes.failures[0]?.error.message, 'an empty one is not its content').toContain('moved.img, which has its content, is missing');
    fs.renameSync(at('a.img'), at('moved.img'));
    await restart(file('a', { path: at('moved.img') }));
    expect(idOf('a')).toBe(id);
    expect(logged).toContainEqual(expect.stringMatching(/^Volume a has moved from .*a\.img to .*moved\.img, and its holder/));
  });

  test('a location in volumes.json is printed without control characters', async () => {
    const id = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';
    fs.writeFileSync(at('volumes.json'), JSON.stringify({ version: 1, volumes: { 'a@0': id }, places: { [id]: '/x\u001b[2J' } }));
    await start(file('a'));
    expect(logged).toContainEqual(expect.stringContaining('has moved from /x\\x1b[2J to'));
  });

  test('a deleted file is not recreated silently', async () => {
    await start(file('a'));
    const id = idOf('a');
    await volumes.close();
    fs.renameSync(at('a.img'), at('away'));
    await restart(file('a'));
    expect(volumes.failures[0]?.error.message).toMatch(
      /^Volume a: \S+a\.img, which has its content, is missing: restore it \(is its file system mounted\?\), or create an empty file/,
    );
    fs.renameSync(at('away'), at('a.img'));
    await reload(file('a'));
    expect(idOf('a')).toBe(id);
  });

  test('a served volume keeps its id, also after the file of ids was removed', async () => {
    await start(file('a'));
    const id = idOf('a');
    fs.rmSync(at('volumes.json'));
    await reload(file('a'), file('b'));
    expect(idOf('a')).toBe(id);
    await restart(file('a'));
    expect(idOf('a')).toBe(id);
  });

  // The next start handles everything that a killed rssrv has left.
  test('after a kill between any two steps the next start serves, and no id names two contents', async () => {
    await start(file('a'), file('b'));
    const ids = new Map(volumes.served.map(({ name, id }) => [name, id]));
    const next = [file('a', { sizeBytes: 2 * MIB }), file('b', { path: at('other.img') }), file('c')];
    const states: string[] = [];
    // Each step leaves other files behind, so every state visible between two event-loop turns is a point for a kill.
    const look = setInterval(() => {
      const images = fs.readdirSync(directory).filter((name) => name.endsWith('.img') || name === 'volumes.json');
      const state = JSON.stringify(
        images.map((name) => [name, name.endsWith('.img') ? fs.statSync(at(name)).size : fs.readFileSync(at(name), 'utf8')]),
      );
      if (states.at(-1) !== state) states.push(state);
    });
    const change = await prepare(...next);
    clearInterval(look);
    await change.undo();
    await volumes.close();
    expect(states.length).toBeGreaterThan(1);
    for (const state of states) {
      for (const name of ['other.img', 'c.img']) fs.rmSync(at(name), { force: true });
      for (const [name, content] of JSON.parse(state) as [string, number | string][]) {
        if (typeof content === 'string') fs.writeFileSync(at(name), content);
        else fs.writeFileSync(at(name), Buffer.alloc(content));
      }
      volumes = server();
      await volumes.open({ volumes: next });
      expect(volumes.failures).toEqual([]);
      expect(volumes.served).toMatchObject([{ sizeBytes: 2 * MIB }, { path: at('other.img') }, { name: 'c' }]);
      expect([idOf('a'), new Set(volumes.served.map(({ id }) => id)).size]).toEqual([ids.get('a'), 3]);
      expect([...ids.values()]).not.toContain(idOf('c'));
      expect(idOf('b')).not.toBe(ids.get('b'));
      await volumes.close();
    }
  });
});

test('a file of a pool is no file of a section, whatever its name, because two servers could serve it', async () => {
  fs.mkdirSync(at('pool/volumes/id'), { recursive: true });
  fs.writeFileSync(at('pool/pool.json'), '{}');
  fs.writeFileSync(at('pool/volumes/id/data'), Buffer.alloc(MIB));
  fs.symlinkSync(at('pool/volumes/id/data'), at('link'));
  await start(file('a', { path: at('pool/volumes/id/data') }), file('b', { path: at('link') }), file('c'));
  expect(names()).toEqual(['c']);
  expect(volumes.failures.map(({ error }) => error.message)).toEqual(
    ['a', 'b'].map((name) =>
      expect.stringMatching(new RegExp(`^Volume ${name}: .* belongs to a volume of the pool in .*/pool: serve it with`)),
    ),
  );
});

describe('a partial plan', () => {
  const POOL = { name: 'fast', stamp: null };
  const ID = '00000000-0000-4000-8000-0000000000';
  const ofPool = (name: string, changes: Partial<ServerVolumeConfig> = {}): ServerVolumeConfig => {
    fs.closeSync(fs.openSync(at(`${name}.img`), 'a'));
    fs.truncateSync(at(`${name}.img`), MIB);
    return file(name, { type: 'file', id: `${ID}0${name.length}`, pool: POOL, ...changes });
  };
  const open = (...next: ServerVolumeConfig[]): Promise<VolumeChange> =>
    volumes.prepare({ added: [], retried: next, kept: [], removed: [], isPartial: true }, [...configured, ...next]);

  test('opens no file that an untouched volume has, and no second volume of its id', async () => {
    await start(file('db'));
    const same = await open(file('other', { path: at('db.img'), type: 'file', pool: POOL, id: `${ID}99` }));
    same.commit();
    expect([names(), volumes.failures.map(({ error }) => error.message)]).toEqual([
      ['db'],
      [expect.stringContaining('is already volume db')],
    ]);
    await restart(ofPool('one'));
    (await open(ofPool('copy', { id: `${ID}03` }))).commit();
    expect([names(), volumes.failures.map(({ error }) => error.message)]).toEqual([
      ['one'],
      [expect.stringContaining('which volume one has')],
    ]);
  });

  test('a truncation that is found meanwhile stays known', async () => {
    await start(file('db'));
    const change = await open(ofPool('one'));
    await volumes.cut(idOf('db'));
    change.commit();
    expect(names()).toEqual(['one']);
  });

  test('the id and the records of an untouched volume that is not served stay as they are', async () => {
    await start(file('db'), file('gone', { sizeBytes: null }));
    const before = fs.readFileSync(at('volumes.json'), 'utf8');
    const gone = volumes.standing(file('gone')).id;
    (await open(ofPool('one'))).commit();
    expect(volumes.standing(file('gone')).id).toBe(gone);
    expect(fs.readFileSync(at('volumes.json'), 'utf8')).toBe(before);
  });
});
