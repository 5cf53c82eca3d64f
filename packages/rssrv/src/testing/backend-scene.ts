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
import { RangeHelper, type RangeHelperPorts } from '../storage/files/range-helper.ts';

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
  readonly lost: string[];
}

export function testPorts(helper: Partial<RangeHelperPorts> = {}): TestPorts {
  const errors: string[] = [];
  const lost: string[] = [];
  return {
    clock: systemClock,
    sleeps: ownSleeps,
    threads: new ThreadShares(STORAGE_THREADS),
    helper: new RangeHelper({ clock: systemClock, onLost: (reason) => lost.push(reason), ...helper }),
    fileSize: systemFileSize(),
    dropPages: systemDropPages(),
    onError: (operation, errno) => errors.push(`${operation} ${errno}`),
    errors,
    lost,
  };
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
