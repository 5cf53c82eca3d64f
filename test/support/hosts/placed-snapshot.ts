// Makes snapshots for tests of readers, even on file systems without reflink: it copies the volume's data and adds the description of a
// snapshot. Invariant: rssrv is stopped while the snapshot is made, and finds the snapshot at its next start.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { VolumeId } from '@rsio/rssrv/pools/disk/ids';
import { printSnapshot } from '@rsio/rssrv/pools/snapshots/snapshot-record';

/** Makes a snapshot of the volume `name` in this pool. `createdMs`: the time of the snapshot. Returns the data file of the snapshot. */
export function placeSnapshot(pool: string, name: string, snapshot: string, createdMs = Date.now()): string {
  for (const volumeId of readdirSync(path.join(pool, 'volumes')) as VolumeId[]) {
    const folder = path.join(pool, 'volumes', volumeId);
    const manifest = JSON.parse(readFileSync(path.join(folder, 'volume.json'), 'utf8')) as {
      readonly name: string;
      readonly sizeBytes: number;
      readonly blockSizeBytes: 512 | 4096;
    };
    if (manifest.name !== name) continue;
    const { sizeBytes, blockSizeBytes } = manifest;
    const group = { id: crypto.randomUUID(), poolId: crypto.randomUUID(), volumeId };
    const record = { id: crypto.randomUUID(), name: snapshot, volumeId, sizeBytes, blockSizeBytes, createdMs, group };
    mkdirSync(path.join(folder, 'snapshots'), { recursive: true });
    const file = path.join(folder, 'snapshots', snapshot);
    copyFileSync(path.join(folder, 'data'), `${file}.data`);
    writeFileSync(`${file}.json`, printSnapshot({ ...record, creator: null, rollback: null, request: null }));
    return `${file}.data`;
  }
  throw new Error(`Pool ${pool} has no volume ${name}`);
}
