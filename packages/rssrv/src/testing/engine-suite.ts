// The tests that every engine of a farm must pass. The caller makes the storage (EngineScene) and says what this machine lacks. Like a file
// system, the tests use direct writes. Separate programs make these writes, because a hanging device must not block the threads of the
// tests. Rules: F1, F4, F7 in test/models/README.md.

import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import type { Engine, StorageClient } from '../farm/engine.ts';
import { type FarmRecord, firstRecord, type Note, taken } from '../farm/farm-record.ts';
import { FARM_RECORD_MAX_BYTES } from '../farm/limits.ts';

/** A shared disk for tests. All engines of a scene belong to one pool. */
export interface EngineScene {
  /** What the scene cannot test. `hang`: its storage cannot hang. `fence`: its fence does not separate two servers on one machine. */
  readonly lacks?: readonly ('fence' | 'hang')[];
  /** FARM_RECORD_MAX_BYTES, if the storage has room for it. */
  readonly recordMaxBytes?: number;
  /** Makes an engine of this server. A second engine of the same server stands for the next process of this server. */
  engine(server: string): Engine;
  /** Stores `text` in place of the record, bypassing all engines. */
  damage(text: string): Promise<void>;
  /** Removes the record and all notes, bypassing all engines. */
  forget(): Promise<void>;
  /** Reads the disk as another machine does, bypassing all caches. */
  read(positionBytes: number, lengthBytes: number): Promise<Buffer>;
  /** Makes the storage hang, so that it answers no request. */
  hang(): void;
  resume(): void;
  remove(): Promise<void>;
}

const BLOCK_BYTES = 4_096;
const LIMIT_MS = 120_000;
const RACES = 40;
/** A write of the fenced client that is still in flight would arrive within this time. */
const LATE_MS = 2_000;
/** A write that has not ended after this time counts as hanging. */
const HANGS_MS = 500;

interface Opened {
  readonly engine: Engine;
  readonly client: StorageClient;
  readonly device: string;
}

/** `missing`: what this machine lacks; null if it lacks nothing. */
export function engineSuite(name: string, missing: string | null, make: () => Promise<EngineScene>): void {
  describe(name, () => {
    let scene: EngineScene;
    const engines: Engine[] = [];
    const opened: StorageClient[] = [];
    const engine = (server: string): Engine => {
      const made = scene.engine(server);
      engines.push(made);
      return made;
    };
    const open = async (server: string, generation = 1): Promise<Opened> => {
      const made = engine(server);
      const client = await made.connect(generation);
      opened.push(client);
      return { engine: made, client, device: await client.open() };
    };
    beforeAll(async () => {
      if (missing === null) scene = await make();
    }, LIMIT_MS);
    beforeEach((context) => context.skip(missing !== null, missing ?? ''));
    afterEach(async () => {
      if (missing !== null) return;
      scene.resume();
      for (const client of opened.splice(0)) await client.cut().then(() => client.close());
      for (const one of engines.splice(0)) await one.close();
      await scene.forget();
    }, LIMIT_MS);
    afterAll(async () => (missing === null ? scene.remove() : undefined), LIMIT_MS);
    recordTests(engine, () => scene);
    deviceTests(engine, open, () => scene);
    faultTests(engine, open, () => scene);
  });
}

function recordTests(engine: (server: string) => Engine, scene: () => EngineScene): void {
  const first = firstRecord(['big-9', 'big-8'], 1);

  it('a disk that was never prepared has neither record nor notes', async () => {
    expect(await engine('big-9').look()).toEqual({ record: null, notes: new Map() });
  });

  it('a record is stored if nothing has changed since the look (F1)', async () => {
    const [one, other] = [engine('big-9'), engine('big-8')];
    expect(await one.swap(null, first)).toBe(true);
    expect((await other.look()).record).toEqual(first);
    expect(await other.swap(null, { ...first, sinceMs: 2 })).toBe(false);
    const second = next(first, 'big-8');
    expect(await other.swap(first, second)).toBe(true);
    expect(await one.swap(first, { ...second, sinceMs: 3 })).toBe(false);
    expect((await one.look()).record).toEqual(second);
  });

  it('of two servers that change the record at the same time, exactly one succeeds (F1)', { timeout: LIMIT_MS }, async () => {
    const pair = [engine('big-9'), engine('big-8')] as const;
    let seen: FarmRecord | null = null;
    const winners = new Set<string>();
    for (let round = 0; round < RACES; round++) {
      const offers: readonly [FarmRecord, FarmRecord] =
        seen === null ? [first, { ...first, sinceMs: 2 }] : [next(seen, 'big-9'), next(seen, 'big-8')];
      const results: readonly boolean[] = await Promise.all([pair[0].swap(seen, offers[0]), pair[1].swap(seen, offers[1])]);
      expect(results.filter((isDone) => isDone)).toEqual([true]);
      const winner: FarmRecord | undefined = offers[results.indexOf(true)];
      expect((await pair[round % 2]?.look())?.record).toEqual(winner);
      winners.add(winner?.owner?.server ?? '');
      seen = winner === undefined ? null : { ...winner, writers: [] };
      // A swap compares only the version. The list of writers can therefore be emptied here, although the stored record still has it.
    }
  });

  it('each server has its own last note, and a note changes no record', async () => {
    const [one, other] = [engine('big-9'), engine('big-8')];
    await one.swap(null, first);
    const note = (count: number, wants: Note['wants'] = null): Note => ({ generation: 0, count, wants, refusal: null });
    await one.post(note(1));
    await other.post(note(7, { generation: 3, to: 'big-8' }));
    await one.post(note(2));
    const sight = await other.look();
    expect(sight.record).toEqual(first);
    expect(Object.fromEntries(sight.notes)).toEqual({ 'big-9': note(2), 'big-8': note(7, { generation: 3, to: 'big-8' }) });
    expect(await other.swap(first, next(first, 'big-8'))).toBe(true);
    expect((await one.look()).notes.get('big-9')).toEqual(note(2));
  });

  it.each([
    ['is no JSON', '{"version":1,'],
    ['is no record', '{"version":1}'],
    ['has a strange field', JSON.stringify({ ...first, colour: 'blue' })],
    ['is too long', JSON.stringify({ ...first, owners: ['x'.repeat(FARM_RECORD_MAX_BYTES)] })],
  ])('a stored record that %s is E_STORAGE', async (_, text) => {
    const one = engine('big-9');
    await one.swap(null, first);
    await scene().damage(text);
    await expect(one.look()).rejects.toMatchObject({ code: 'E_STORAGE' });
  });

  it('a record with as much as fits can be stored', async () => {
    const one = engine('big-9');
    const rest = (scene().recordMaxBytes ?? FARM_RECORD_MAX_BYTES) - Buffer.byteLength(JSON.stringify({ ...first, owners: ['é'] }));
    const longest = { ...first, owners: [`é${'x'.repeat(rest)}`] };
    expect(await one.swap(null, longest)).toBe(true);
    expect((await one.look()).record).toEqual(longest);
    const longer = { ...longest, version: 2, owners: [`${longest.owners[0]}x`] };
    await expect(one.swap(longest, longer)).rejects.toMatchObject({ code: 'E_STORAGE' });
  });
}

function deviceTests(
  engine: (server: string) => Engine,
  open: (server: string, generation?: number) => Promise<Opened>,
  scene: () => EngineScene,
): void {
  it('what is written to the device is on the disk, and a client that was closed has left nothing', { timeout: LIMIT_MS }, async () => {
    const one = await open('big-9');
    expect(await write(one.device, 0, 'one')).toBe(true);
    expect(await write(one.device, 1, 'two')).toBe(true);
    await one.client.close();
    expect((await stampAt(scene(), 0)) + (await stampAt(scene(), 1))).toBe('onetwo');
    const other = await open('big-8', 2);
    expect(other.client.name).not.toBe(one.client.name);
    expect(await write(other.device, 0, 'three')).toBe(true);
    await other.client.close();
    expect((await stampAt(scene(), 0)) + (await stampAt(scene(), 1))).toBe('threetwo');
  });

  it('after a fence, the storage executes no write of the fenced client (F4)', { timeout: LIMIT_MS }, async (context) => {
    need(context, scene(), 'fence');
    const old = await open('big-9');
    const writer = new WriteLoop(old.device);
    await writer.acknowledged(20);
    const taker = engine('big-8');
    const fenced = { generation: 1, server: 'big-9', client: old.client.name };
    await taker.fence(fenced);
    const found = await stampAt(scene(), 0);
    await writer.ended;
    // Every acknowledged write is on the disk. At most one further write was executed.
    expect(Number(found)).toBeGreaterThanOrEqual(writer.last);
    expect(Number(found)).toBeLessThanOrEqual(writer.last + 1);
    expect(await write(old.device, 0, 'zombie')).toBe(false);
    expect(await write(old.device, 2, 'zombie')).toBe(false);
    expect(await isSynced(old.device)).toBe(false);
    await taker.fence(fenced);
    const next = await open('big-8', 2);
    expect(await write(next.device, 0, 'next')).toBe(true);
    expect(await write(old.device, 0, 'zombie')).toBe(false);
    await sleep(LATE_MS);
    expect(await stampAt(scene(), 0)).toBe('next');
    expect(await isSynced(next.device)).toBe(true);
  });
}

function faultTests(
  engine: (server: string) => Engine,
  open: (server: string, generation?: number) => Promise<Opened>,
  scene: () => EngineScene,
): void {
  it.each(['', 'nobody', '; rm -rf /', '-'.repeat(257)])('a fence of the client "%s" is refused', async (client) => {
    await expect(engine('big-8').fence({ generation: 1, server: 'big-9', client })).rejects.toMatchObject({ code: 'E_FENCE' });
  });

  it('a cut ends I/O that hangs (F7)', { timeout: LIMIT_MS }, async (context) => {
    need(context, scene(), 'hang');
    const { client, device } = await open('big-9');
    expect(await write(device, 0, 'before')).toBe(true);
    scene().hang();
    const hanging = write(device, 0, 'hanging');
    expect(await Promise.race([hanging, sleep(HANGS_MS, 'hangs')])).toBe('hangs');
    await client.cut();
    expect(await hanging).toBe(false);
    expect(await write(device, 0, 'after')).toBe(false);
    await client.close();
  });

  it('a storage that hangs is E_STORAGE, and can be used again when it answers', { timeout: LIMIT_MS }, async (context) => {
    need(context, scene(), 'hang');
    const one = engine('big-9');
    await one.look();
    scene().hang();
    await expect(one.look()).rejects.toMatchObject({ code: 'E_STORAGE' });
    scene().resume();
    expect((await one.look()).record).toBe(null);
  });

  it('the next process of a server ends what the last one has left', { timeout: LIMIT_MS }, async () => {
    const killed = await open('big-9');
    expect(await write(killed.device, 0, 'killed')).toBe(true);
    const again = engine('big-9');
    await again.clear();
    expect(await write(killed.device, 0, 'zombie')).toBe(false);
    await again.clear();
    const client = await again.connect(2);
    const device = await client.open();
    expect(await write(device, 1, 'again')).toBe(true);
    await client.close();
    expect((await stampAt(scene(), 0)) + (await stampAt(scene(), 1))).toBe('killedagain');
  });
}

function need(context: TestContext, { lacks = [] }: EngineScene, what: 'fence' | 'hang'): void {
  context.skip(lacks.includes(what), `the storage of this test has no ${what}`);
}

function next(before: FarmRecord, server: string): FarmRecord {
  const record = taken(before, server, `client of ${server}`, before.sinceMs + 1);
  if (record === null) throw new Error('the record has no room for another writer');
  return record;
}

/** Writes a block that begins with `stamp` to the device, bypassing the cache. Resolves with false if the device refuses the write. */
export async function write(device: string, block: number, stamp: string): Promise<boolean> {
  return (await shell('printf %s "$1" | dd of="$2" bs=4096 seek="$3" conv=notrunc,sync oflag=direct', stamp, device, String(block))) === 0;
}

/** Writes a block through the cache, and syncs. If nothing is dirty, a sync need not reach the storage. */
async function isSynced(device: string): Promise<boolean> {
  return (await shell('dd if=/dev/zero of="$1" bs=4096 count=1 seek=3 conv=notrunc,fdatasync', device)) === 0;
}

/** Returns the stamp at the beginning of a block. */
export async function stampAt(scene: Pick<EngineScene, 'read'>, block: number): Promise<string> {
  const bytes = await scene.read(block * BLOCK_BYTES, BLOCK_BYTES);
  return bytes.subarray(0, bytes.indexOf(0)).toString('latin1');
}

function shell(script: string, ...words: readonly string[]): Promise<number | null> {
  const child = spawn('sh', ['-c', script, 'sh', ...words], { stdio: 'ignore' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
}

const LOOP = `
stamp=0
while printf %s "$stamp" | dd of="$1" bs=4096 conv=notrunc,sync oflag=direct status=none; do
  echo "$stamp"
  stamp=$((stamp + 1))
done`;

/** Writes growing numbers to the first block of a device until a write fails. */
export class WriteLoop {
  readonly ended: Promise<void>;
  private readonly waiting: (() => void)[] = [];
  private said = '';

  constructor(device: string) {
    const child = spawn('sh', ['-c', LOOP, 'sh', device], { stdio: ['ignore', 'pipe', 'ignore'] });
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      this.said = (this.said + text).slice(-100);
      for (const look of this.waiting) look();
    });
    this.ended = new Promise((resolve) => child.once('close', () => resolve()));
  }

  /** The last number that the device has acknowledged; -1 if there is none. */
  get last(): number {
    return Number(this.said.trimEnd().split('\n').at(-1) || -1);
  }

  /** Resolves when the device has acknowledged this number. */
  acknowledged(number: number): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(() => {
        if (this.last >= number) resolve();
      });
    });
  }
}
