// For tests: reads and writes the content of volumes and snapshots of a scene, in the files to which the layout distributes it. Invariant:
// this module shares no code with the modules that it checks, except the table of the layout.

import fs from 'node:fs';
import path from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import { LayoutMap } from '../storage/files/layout-map.ts';
import type { PoolState } from '../pools/catalogue.ts';
import { type Manifest, otherParts, partSizes } from '../pools/disk/manifest.ts';
import { filesOf, type SnapshotRecord } from '../pools/snapshots/snapshot-record.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import type { PoolScene } from './pool-scene.ts';

type Files = Pick<Manifest, 'layout' | 'sizeBytes'>;

export function volumeIn(scene: PoolScene, name: string): { readonly pool: PoolState; readonly manifest: Manifest } {
  for (const pool of scene.pools.states)
    for (const manifest of pool.volumes.values()) if (manifest.name === name) return { pool, manifest };
  throw new Error(`No volume ${name}`);
}

export function volumeContent(scene: PoolScene, name: string): Buffer {
  const { pool, manifest } = volumeIn(scene, name);
  return contentOf(scene, manifest, path.join(pool.path, 'volumes', manifest.id, 'data'));
}

export function snapshotContent(scene: PoolScene, name: string, snapshot: SnapshotRecord): Buffer {
  const { pool, manifest } = volumeIn(scene, name);
  return contentOf(scene, filesOf(snapshot), path.join(pool.path, 'volumes', manifest.id, 'snapshots', `${snapshot.name}.data`));
}

export function writeVolume(scene: PoolScene, name: string, content: Buffer): void {
  const { pool, manifest } = volumeIn(scene, name);
  forEachRun(scene, manifest, path.join(pool.path, 'volumes', manifest.id, 'data'), (file, positionBytes, from, to) => {
    const descriptor = fs.openSync(file, 'r+');
    fs.writeSync(descriptor, content.subarray(from, to), 0, to - from, positionBytes);
    fs.closeSync(descriptor);
  });
}

function contentOf(scene: PoolScene, files: Files, first: string): Buffer {
  const content = Buffer.alloc(files.sizeBytes);
  forEachRun(scene, files, first, (file, positionBytes, from, to) => {
    const whole = fs.readFileSync(file);
    if (whole.length < positionBytes + to - from) throw new Error(`${file} has only ${whole.length} bytes`);
    whole.copy(content, from, positionBytes, positionBytes + to - from);
  });
  return content;
}

function forEachRun(
  scene: PoolScene,
  { layout, sizeBytes }: Files,
  first: string,
  work: (file: string, positionBytes: number, from: number, to: number) => void,
): void {
  const others = otherParts({ layout }).map(({ poolId, fileId }) => {
    const pool = scene.pools.states.find(({ identity }) => identity?.id === poolId);
    return path.join(pool?.path ?? '', 'parts', fileId, 'data');
  });
  const parts = partSizes({ layout, sizeBytes }).map((bytes) => ({ sizeBytes: bytes }));
  const map = new LayoutMap({ chunkBytes: layout.kind === 'stripe' ? layout.chunkBytes : null, parts });
  for (let position = 0; position < sizeBytes; ) {
    map.seek(position);
    const end = Math.min(sizeBytes, position + map.runBytes);
    work([first, ...others][map.part] ?? '', map.partPositionBytes, position, end);
    position = end;
  }
}

/** Content of the snapshot with this id, of one of the named volumes. Throws E_UNKNOWN_SNAPSHOT. */
export function momentContent(scene: PoolScene, names: readonly string[], id: string): Buffer {
  for (const name of names) {
    const record = snapshotsOf(volumeIn(scene, name)).list.find((one) => one.id === id);
    if (record !== undefined) return snapshotContent(scene, name, record);
  }
  throw new RsError('E_UNKNOWN_SNAPSHOT', `Snapshot ${id} is gone`);
}
