// The open file of an intent map. The calls on this file count towards the volume's share of the threads. A map on hanging storage
// therefore occupies no more threads than data on hanging storage. Invariant: the descriptor is closed once.

import fs from 'node:fs';
import { promisify } from 'node:util';
import { errnoName } from '@rsio/base/lib/errors';
import { writeWhole } from '../storage/io/positioned-io.ts';
import type { ThreadShares } from '../storage/io/thread-shares.ts';
import type { MapDisk } from './map-writer.ts';

const read = promisify(fs.read);
const close = promisify(fs.close);

export function descriptorDisk(descriptor: number, shares: ThreadShares, volumeId: string): MapDisk {
  const lane = shares.enter(volumeId);
  const run = (start: (ended: (errno: string | null) => void) => void, end: (errno: string | null) => void): void =>
    lane.run((ended) =>
      start((errno) => {
        end(errno);
        ended();
      }),
    );
  return {
    write: (source, positionBytes, end) => run((ended) => writeWhole(descriptor, source, 0, source.length, positionBytes, ended), end),
    sync: (end) =>
      run((ended) => fs.fdatasync(descriptor, (error) => ended(error === null ? null : (errnoName(error) ?? error.message))), end),
    read: async (lengthBytes, positionBytes) => {
      const target = Buffer.alloc(lengthBytes);
      let done = 0;
      while (done < lengthBytes) {
        const { bytesRead } = await read(descriptor, target, done, lengthBytes - done, positionBytes + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return target.subarray(0, done);
    },
    close: async () => {
      shares.leave(volumeId);
      // An error of `close` is ignored, because the earlier syncs have already reported failed writes.
      await close(descriptor).catch(() => undefined);
    },
  };
}
