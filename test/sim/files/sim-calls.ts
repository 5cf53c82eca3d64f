// The calls of node:fs/promises for paths of simulated file systems, and the calls that clone files and list their extents. The
// replacements pass all other paths to Node's own calls. Unchanged production code can therefore work on the simulated pools. Only these
// calls are replaced, because a second implementation of the steps could not show a wrong order of steps in the real one.

import { constants } from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { Reflink } from '@rsio/rssrv/pools/disk/data-file';
import { errno } from './sim-files.ts';
import { handleOf, SimHandle, statOf } from './sim-handle.ts';
import type { SimStorage } from '../storage/sim-storage.ts';
import { isSimulated, later, type Place, placeOf } from './sim-mounts.ts';

const { O_CREAT, O_EXCL } = constants;
const FREE_BLOCKS = 2 ** 24;
const BLOCK_BYTES = 4096;

type Call = (...args: never[]) => Promise<unknown>;

function does<T>(path: string, act: (place: Place) => T): Promise<T> {
  let place: Place;
  try {
    place = placeOf(path);
  } catch (thrown) {
    return Promise.reject(thrown as Error);
  }
  return later(place, place.process(), () => act(place));
}

const CALLS: Readonly<Record<string, Call>> = {
  mkdir: (path: string, options: { recursive?: boolean } = {}) =>
    does(path, (place) => {
      if (options.recursive !== true || !place.files.has(place.path)) place.files.make(place.path, true);
    }),
  open: (path: string, flags: string | number = 'r') =>
    does(path, (place) => {
      const isNew = typeof flags === 'number' ? (flags & O_CREAT) !== 0 : flags.startsWith('w');
      const isExclusive = typeof flags === 'number' && (flags & O_EXCL) !== 0;
      const isThere = place.files.has(place.path);
      if (isThere && isExclusive) throw errno('EEXIST', place.path);
      return new SimHandle(place, isThere || !isNew ? place.files.find(place.path) : place.files.make(place.path, false));
    }),
  rename: (from: string, to: string) => does(from, (place) => place.files.rename(place.path, placeOf(to).path)),
  link: (from: string, to: string) => does(from, (place) => place.files.link(place.path, placeOf(to).path)),
  rm: (path: string, options: { force?: boolean } = {}) =>
    does(path, (place) => {
      if (options.force !== true || place.files.has(place.path)) place.files.remove(place.path);
    }),
  stat: (path: string) => does(path, (place) => statOf(place.files.find(place.path))),
  lstat: (path: string) => does(path, (place) => statOf(place.files.find(place.path))),
  chmod: (path: string) => does(path, (place) => void place.files.find(place.path)),
  readFile: (path: string) => does(path, (place) => String(place.files.find(place.path).text)),
  readdir: (path: string, options: { withFileTypes?: boolean } = {}) =>
    does(path, (place) => {
      const { entries } = place.files.find(place.path);
      if (entries === null) throw errno('ENOTDIR', place.path);
      return options.withFileTypes === true
        ? [...entries].map(([name, node]) => ({ name, isDirectory: () => node.entries !== null }))
        : [...entries.keys()];
    }),
  statfs: (path: string) => does(path, () => ({ bsize: BLOCK_BYTES, blocks: FREE_BLOCKS, bavail: FREE_BLOCKS })),
};

let isInstalled = false;

/** Replaces Node's calls. A program calls this function once. */
export function installCalls(): void {
  if (isInstalled) return;
  isInstalled = true;
  for (const [name, call] of Object.entries(CALLS)) {
    const own = Reflect.get(fsPromises, name) as Call;
    Reflect.set(fsPromises, name, (...args: never[]) => (isSimulated(args[0]) ? call(...args) : own(...args)));
  }
  syncBuiltinESMExports();
}

/** Clones the file in two parts, one after the other. Before cloning a part, writes back the dirty data of this part. */
async function cloneFile(from: string, to: string): Promise<void> {
  const target = await does(to, (place) => place.files.make(place.path, false));
  const source = await does(from, (place) => place.files.find(place.path));
  const place = placeOf(from);
  const process = place.process();
  const { data } = source;
  if (data === null) {
    target.text = source.text;
    return;
  }
  const sectors = data.places.length;
  const middle = place.random.int(0, sectors);
  for (const [first, count] of [
    [0, middle],
    [middle, sectors - middle],
  ] as const)
    await later(place, process, () => {
      if (!data.storage.clones(first, count, Buffer.alloc(data.storage.content.length))) throw errno('EIO', place.path);
      place.files.clone(source, target, first, count);
    });
  target.sizeBytes = source.sizeBytes;
}

export const SIM_REFLINK: Reflink = {
  cloneFile,
  ranges: {
    cloneRange: () => Promise.reject(errno('EIO', ['a simulated file has one piece'])),
    countExtents: async () => 1,
    mapExtents: (descriptor, offsetBytes, lengthBytes, max) => {
      const handle = handleOf(descriptor);
      if (handle === null) return Promise.reject(errno('EBADF', []));
      return handle.later(() => handle.node.data?.extents(offsetBytes, lengthBytes, max) ?? []);
    },
  },
};

export function simPunch(descriptor: number, offsetBytes: number, lengthBytes: number): Promise<boolean> {
  return handleOf(descriptor)?.punch(offsetBytes, lengthBytes) ?? Promise.resolve(false);
}

/** The data of a file, as programs see it; null: the file does not exist or has no data. */
export function dataAt(path: string): { readonly storage: SimStorage; readonly sizeBytes: number; readonly stamp: string } | null {
  const { files, path: rest } = placeOf(path);
  if (!files.has(rest)) return null;
  const { data, sizeBytes, number } = files.find(rest);
  return data === null ? null : { storage: data.storage, sizeBytes, stamp: `b${number}` };
}

export function contentAt(path: string): Buffer | null {
  const data = dataAt(path);
  return data === null ? null : data.storage.content.subarray(0, data.sizeBytes);
}
