// Tests which files the listener opens for workers and passes on, and what the listener does while storage hangs.
// machine/descriptor-passing.test.ts tests how descriptors are passed. Rules: G24.

import fs from 'node:fs';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, it } from 'vitest';
import { storageName } from '../../storage/files/storage-identity.ts';
import { closeAll } from '../../machine/descriptor-passing.ts';
import { OPENS_PER_DEVICE_MAX, OPEN_WAIT_MS } from '../../machine/limits.ts';
import { servedVolume, temporaryDirectory } from '../../testing/backend-scene.ts';
import { FileOpens } from './file-opens.ts';

const directory = temporaryDirectory();
const SIZE = 4_096;

function served(name: string, extra: Partial<Parameters<typeof servedVolume>[0]> = {}) {
  const file = path.join(directory, name);
  fs.writeFileSync(file, Buffer.alloc(SIZE), { mode: 0o600 });
  const storage = storageName(fs.statSync(file, { bigint: true }));
  return { ...servedVolume({ path: file, sizeBytes: SIZE, ...extra }), id: name, name, storage };
}

const session = (granted: readonly string[], passed: number[][] = []) => ({
  uses: { isGranted: (id: string) => granted.includes(id) },
  workerSession: {
    pass: async (descriptors: readonly number[]) => {
      passed.push([...descriptors]);
      return passed.length;
    },
  },
});

it('a replica is opened with its intent map behind its file; a map that is gone is made empty', async () => {
  const mapPath = path.join(directory, 'mirror.map');
  const replica = { mirror: 'a'.repeat(32), identity: 'b'.repeat(32), mapPath };
  const volume = { ...served('replica'), replica };
  const opens = new FileOpens(new FakeClock(), () => volume);
  const passed: number[][] = [];
  expect(await opens.answer(session(['replica'], passed), 'replica')).toEqual({ filesTag: 1, perFile: 2 });
  const descriptors = passed[0]!;
  expect(descriptors).toHaveLength(3);
  fs.writeSync(descriptors[2]!, 'map');
  closeAll(descriptors);
  expect(fs.readFileSync(mapPath, 'utf8')).toBe('map');
});

it('a granted volume is opened with the descriptors that a server process would open, and no other volume is', async () => {
  const volumes = [served('rw'), served('ro', { readonly: true }), served('memory', { type: 'memory' })];
  const opens = new FileOpens(new FakeClock(), (id) => volumes.find((one) => one.id === id) ?? null);
  const passed: number[][] = [];
  const asking = session(['rw', 'ro', 'memory'], passed);
  expect(await opens.answer(asking, 'rw')).toEqual({ filesTag: 1, perFile: 2 });
  expect(await opens.answer(asking, 'ro')).toEqual({ filesTag: 2, perFile: 1 });
  expect(await opens.answer(asking, 'memory')).toEqual({ filesTag: 3, perFile: 1 });
  const flags = (fd: number | undefined): number =>
    Number.parseInt(/^flags:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '', 8);
  const { O_RDWR, O_DSYNC, O_ACCMODE = 3 } = fs.constants as typeof fs.constants & { O_ACCMODE?: number };
  expect(passed.map((all) => all.map((fd) => flags(fd) & (O_ACCMODE | O_DSYNC)))).toEqual([[O_RDWR, O_RDWR | O_DSYNC], [0], [O_RDWR]]);
  closeAll(passed.flat());
  for (const [asker, id] of [
    [session([]), 'rw'],
    [asking, 'unknown'],
  ] as const) {
    expect(await opens.answer(asker, id)).toMatchObject({
      filesCode: 'E_VOLUME',
      sentence: expect.stringContaining('is not open to this session'),
    });
  }
});

it('a file under the same name that is not the one that is served is not passed on, and nothing stays open', async () => {
  const volume = served('replaced');
  fs.renameSync(volume.path ?? '', `${volume.path}.old`);
  fs.writeFileSync(volume.path ?? '', Buffer.alloc(SIZE));
  const opens = new FileOpens(new FakeClock(), () => volume);
  const before = fs.readdirSync('/proc/self/fd').length;
  expect(await opens.answer(session(['replaced']), 'replaced')).toMatchObject({
    sentence: expect.stringContaining('was replaced by another file'),
  });
  fs.rmSync(volume.path ?? '');
  expect(await opens.answer(session(['replaced']), 'replaced')).toMatchObject({
    sentence: expect.stringContaining('cannot be opened (ENOENT)'),
  });
  expect(fs.readdirSync('/proc/self/fd').length).toBe(before);
});

it('opens that hang keep a few threads, opens of other storage go on, and those that wait for the same are refused', async () => {
  const clock = new FakeClock();
  let release = (): void => undefined;
  const answered = new Promise<number[]>((resolve) => {
    release = () => resolve([]);
  });
  const begun: string[] = [];
  const opens = new FileOpens(
    clock,
    () => null,
    ({ name }) => {
      begun.push(name);
      return name === 'elsewhere' ? Promise.resolve([]) : answered;
    },
  );
  const volume = (name: string, storage: string) => ({ ...servedVolume({ path: '/x', sizeBytes: SIZE }), name, storage });
  const hanging = Array.from({ length: OPENS_PER_DEVICE_MAX }, (_, index) => opens.open(volume(`hangs${index}`, `file 1:${index}`)));
  const refused = expect(opens.open(volume('late', 'file 1:99'))).rejects.toThrow('does not answer an open: check the storage');
  expect(await opens.open(volume('elsewhere', 'file 2:1'))).toEqual([]);
  expect(begun).toEqual(['hangs0', 'hangs1', 'hangs2', 'hangs3', 'elsewhere']);
  clock.advance(OPEN_WAIT_MS);
  await refused;
  const next = opens.open(volume('next', 'file 1:100'));
  release();
  expect(await Promise.all([...hanging, next])).toHaveLength(OPENS_PER_DEVICE_MAX + 1);
  expect([begun.at(-1), clock.timersPending]).toEqual(['next', 0]);
});
