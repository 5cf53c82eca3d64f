// Helpers for the tests of backends: a temporary directory, a volume, ports, and promises in place of callbacks. Each test removes the
// temporary directory that it has made.

import { STORAGE_THREADS } from '../server/limits.ts';
import { ThreadShares } from '../storage/io/thread-shares.ts';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { ownSleeps } from '@rsio/base/daemon/process-facts';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { systemFileSize } from '../storage/io/file-size.ts';
import { systemDropPages } from '../storage/io/drop-pages.ts';
import type { Backend } from '../storage/io/backend.ts';
import type { BackendPorts } from '../storage/files/backend-ports.ts';
import { type FileCalls, fileCalls } from '../machine/file-calls.ts';
import { filesByPath } from '../storage/files/volume-files.ts';
import { RangeFile } from '../storage/files/range-file.ts';

export function temporaryDirectory(): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-'));
}

export function servedVolume(changes: Partial<ServedVolume>): ServedVolume {
  return {
    name: 'oracle',
    universe: 0,
    id: '11111111-2222-4333-8444-555555555555',
    type: 'file',
    path: null,
    sizeBytes: 0,
    blockSizeBytes: 512,
    readonly: false,
    shared: false,
    takeOver: null,
    takeOverForce: true,
    clients: null,
    ...changes,
  };
}

export interface TestPorts extends BackendPorts {
  readonly errors: string[];
}

export function testPorts(calls: Partial<FileCalls> = {}): TestPorts {
  const errors: string[] = [];
  return {
    clock: systemClock,
    sleeps: ownSleeps,
    threads: new ThreadShares(STORAGE_THREADS),
    calls: { ...fileCalls(), ...calls },
    files: filesByPath,
    nowait: null,
    fileSize: systemFileSize(),
    dropPages: systemDropPages(),
    onError: (operation, errno) => errors.push(`${operation} ${errno}`),
    errors,
  };
}

/** Calls of storage that has neither holes nor marks. */
export const WITHOUT_HOLES: Partial<FileCalls> = refusing('ENOTSUP');

/** Returns calls that all fail with the errno. */
export function refusing(errno: string): Partial<FileCalls> {
  const change: FileCalls['punch'] = (_descriptor, _positionBytes, _lengthBytes, end) => void setImmediate(end, errno);
  return {
    punch: change,
    zero: change,
    seek: (_descriptor, _positionBytes, _to, end) => void setImmediate(end, errno, -1),
    mark: (_descriptor, end) => void setImmediate(end, errno),
  };
}

/** Returns a file of storage without holes. */
export function plainRange(): Promise<RangeFile> {
  const file = { descriptor: -1, isRegular: true, sizeBytes: 0, isWritable: true, canPunch: 'probe' } as const;
  return RangeFile.open({ ...fileCalls(), ...WITHOUT_HOLES }, systemClock, file);
}

/** Returns functions that call the backend's asynchronous operations and return promises. */
export function promised(backend: Backend) {
  const status = (start: (done: (status: Status) => void) => void): Promise<Status> => new Promise(start);
  return {
    read: (target: Buffer, offset: number, length: number, position: number) =>
      status((done) => backend.read(target, offset, length, position, done)),
    write: (source: Buffer, offset: number, length: number, position: number, fua = false) =>
      status((done) => backend.write(source, offset, length, position, fua, done)),
    flush: () => status((done) => backend.flush(done)),
    discard: (position: number, length: number) => status((done) => backend.discard(position, length, done)),
    zero: (position: number, length: number, keep = false, fua = false) =>
      status((done) => backend.zero(position, length, keep, fua, done)),
    extents: (position: number, length: number): Promise<number[]> =>
      new Promise((resolve, reject) => {
        backend.extents(position, length, (result, pairs) => {
          if (result === STATUS.OK) resolve(pairs);
          else reject(new Error(`Extents answered ${result}`));
        });
      }),
  };
}
