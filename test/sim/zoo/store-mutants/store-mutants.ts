// Mutants of snapshots on file systems (P2), of the differences between them (N5), and of moves between pools (C5). The mutants break the
// production code that changes the files, and the file system operations that this code needs. The zoo runs these mutants.

import { link, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { replaceFile } from '@rsio/base/files/durable-write';
import { unsealed } from '@rsio/base/testing/unsealed';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { LastStep } from '@rsio/rssrv/jobs/moves/last-step';
import { MoveRounds } from '@rsio/rssrv/jobs/moves/move-rounds';
import { VolumeSwitch } from '@rsio/rssrv/jobs/moves/volume-switch';
import type { Manifest } from '@rsio/rssrv/pools/disk/manifest';
import { PoolFiles } from '@rsio/rssrv/pools/disk/pool-files';
import { poolPaths } from '@rsio/rssrv/pools/disk/pool-paths';
import { MoveFiles } from '@rsio/rssrv/pools/moves/move-files';
import type { FileCopy } from '@rsio/rssrv/pools/snapshots/file-copy';
import { SnapshotFiles } from '@rsio/rssrv/pools/snapshots/snapshot-files';
import { printSnapshot, snapshotPaths, type SnapshotRecord } from '@rsio/rssrv/pools/snapshots/snapshot-record';
import { CHANGED, UNCHANGED } from '@rsio/rssrv/snapshots/reads/changed-ranges';
import { type Compared, type Comparison, Comparisons } from '@rsio/rssrv/snapshots/reads/comparisons';
import { override } from '../../base/override.ts';
import { SimData } from '../../files/sim-data.ts';
import { SimHandle } from '../../files/sim-handle.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';

interface FilesInner {
  folderOf: PrivateAs<SnapshotFiles['folderOf'], (volumeId: string) => string>;
  commit(name: string, folder: string): Promise<void>;
}

interface DataInner {
  readonly storage: SimData['storage'];
  readonly places: Int32Array;
  readonly disk: PrivateAs<SimData['disk'], { readonly users: ReadonlySet<SimData> }>;
}

interface MovesInner {
  readonly directory: PrivateAs<MoveFiles['directory'], string>;
}

const SNAPSHOTS: readonly Mutant[] = [
  {
    name: 'snapshot-unsynced',
    rule: 'P2',
    breaks: 'A snapshot is answered before its folder is synced',
    apply: () =>
      override<FilesInner, [string, string], Promise<void>>(SnapshotFiles, 'commit', () => async (_self, name, folder) => {
        await rename(snapshotPaths.newRecord(folder, name), snapshotPaths.record(folder, name));
        await rename(snapshotPaths.newData(folder, name), snapshotPaths.data(folder, name));
      }),
  },
  {
    name: 'group-in-part',
    rule: 'P2',
    breaks: 'Each snapshot of a group is committed when it is prepared, before the others are',
    apply: () =>
      all(
        override<FilesInner, [SnapshotRecord, number?], Promise<SnapshotRecord>>(
          SnapshotFiles,
          'prepare',
          (original) =>
            async (self, ...given) => {
              const record = await original(self, ...given);
              await self.commit(record.name, self.folderOf(record.volumeId));
              return record;
            },
        ),
        override<FilesInner, [string, string], Promise<void>>(SnapshotFiles, 'commit', (original) => async (self, name, folder) => {
          const isDone = await stat(snapshotPaths.newRecord(folder, name)).then(
            () => false,
            () => true,
          );
          if (!isDone) await original(self, name, folder);
        }),
      ),
  },
  {
    name: 'described-before-cloned',
    rule: 'P2',
    breaks: 'The description of a snapshot is in place before all of it is cloned',
    apply: () =>
      override<FilesInner, [SnapshotRecord], Promise<FileCopy>>(SnapshotFiles, 'begin', (original) => async (self, record) => {
        const copy = await original(self, record);
        await replaceFile(snapshotPaths.record(self.folderOf(record.volumeId), record.name), printSnapshot(record));
        return copy;
      }),
  },
  {
    name: 'rolled-into-snapshot',
    rule: 'P2',
    breaks: 'After a rollback the volume has the file of the snapshot instead of a clone',
    apply: () =>
      override<FilesInner, [SnapshotRecord, string, number], Promise<string | null>>(
        SnapshotFiles,
        'cloneData',
        (original) => async (self, record, to, sizeBytes) => {
          const stamp = await original(self, record, to, sizeBytes);
          const data = snapshotPaths.data(self.folderOf(record.volumeId), record.name);
          await rename(to, data);
          await link(data, to);
          return stamp;
        },
      ),
  },
  {
    name: 'discard-shared',
    rule: 'P2',
    breaks: 'A DISCARD frees blocks that a snapshot shares (of the simulated file system)',
    apply: () =>
      override<DataInner, [number, number], void>(SimData, 'written', (original) => (self, first, count) => {
        for (let sector = first; sector < first + count; sector++) {
          const [from, to] = [sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES];
          if (self.places[sector] === 0 || self.storage.content.subarray(from, to).some((byte) => byte !== 0)) continue;
          for (const other of self.disk.users)
            if (other.places[sector] === self.places[sector])
              for (const content of [other.storage.cache.content, other.storage.cache.disk]) content.fill(0, from, to);
        }
        original(self, first, count);
      }),
  },
  {
    name: 'removal-other',
    rule: 'P2',
    breaks: 'The removal of a snapshot deletes the files of another one',
    apply: () =>
      override<FilesInner, [SnapshotRecord, string | null], Promise<void>>(
        SnapshotFiles,
        'remove',
        (original) => async (self, record, request) => {
          const names = await readdir(snapshotPaths.folder(self.folderOf(record.volumeId)));
          const other = names.find((name) => name.endsWith('.data') && name !== `${record.name}.data`);
          await original(self, other === undefined ? record : { ...record, name: other.slice(0, -'.data'.length) }, request);
        },
      ),
  },
  {
    name: 'removal-unsynced',
    rule: 'P2',
    breaks: 'The removal of a snapshot is answered before it is durable',
    apply: () =>
      override<FilesInner, [SnapshotRecord], Promise<void>>(SnapshotFiles, 'remove', () => async (self, { name, volumeId }) => {
        const folder = self.folderOf(volumeId);
        await rm(snapshotPaths.data(folder, name));
        await rm(snapshotPaths.record(folder, name));
      }),
  },
];

const DIFFERENCES: readonly Mutant[] = [
  {
    name: 'diff-unsynced',
    rule: 'N5',
    breaks: 'The volume is compared before what was written to it is on disk',
    apply: () =>
      override<Comparisons, [Comparison], Promise<Compared>>(Comparisons, 'compare', (original) => (self, one) => {
        return original(self, { ...one, after: { ...one.after, isWritten: false } });
      }),
  },
  {
    name: 'diff-first-only',
    rule: 'N5',
    breaks: 'Only the first range that differs is told',
    apply: () =>
      override<Comparisons, [Comparison], Promise<Compared>>(Comparisons, 'compare', (original) => async (self, one) => {
        const { pairs, endBytes } = await original(self, one);
        const first = pairs.findIndex((value, index) => index % 2 === 1 && value === CHANGED);
        return { pairs: pairs.map((value, index) => (index % 2 === 1 && index > first ? UNCHANGED : value)), endBytes };
      }),
  },
];

/** While `isSo` returns true, moves do not sync their copies. */
function unsyncedCopies(isSo: () => boolean): () => void {
  return override<SimHandle, [], Promise<void>>(SimHandle, 'sync', (original) => (self) => {
    return isSo() && self.place.path.includes('moving') && self.node.data !== null ? Promise.resolve() : original(self);
  });
}

function unsyncedRounds(): () => void {
  // The current round of a move. If the listener is killed, this round never ends, and the next round of the move overwrites the variable.
  let running: object | null = null;
  return all(
    override<object, never[], Promise<unknown>>(MoveRounds, 'copy', (original) => async (self, ...given) => {
      const round = {};
      running = round;
      try {
        return await original(self, ...given);
      } finally {
        if (running === round) running = null;
      }
    }),
    unsyncedCopies(() => running !== null),
  );
}

const MOVES: readonly Mutant[] = [
  {
    name: 'moved-without-rest',
    rule: 'C5',
    breaks: 'What was written since the last round is not copied',
    apply: () => override(LastStep, 'copyRest', () => async () => true),
  },
  {
    name: 'moved-open',
    rule: 'C5',
    breaks: 'A move changes the pools while server processes have the old file open',
    apply: () => override(VolumeSwitch, 'close', () => async () => undefined),
  },
  {
    name: 'moved-served',
    rule: 'C5',
    breaks: 'A volume is served from its old file while the rest is copied',
    apply: () => override(VolumeSwitch, 'suspend', () => () => undefined),
  },
  {
    name: 'moved-unsynced',
    rule: 'C5',
    breaks: 'The new pool has the volume before the copy is durable',
    apply: () => unsyncedCopies(() => true),
  },
  {
    name: 'round-unsynced',
    rule: 'C5',
    breaks: 'A round is remembered before what it copied is durable',
    apply: () => unsyncedRounds(),
  },
  {
    name: 'moved-unmarked',
    rule: 'C5',
    breaks: 'The old pool does not name the new one before the commit point',
    apply: () =>
      override<PoolFiles, [Manifest], Promise<void>>(
        PoolFiles,
        'replaceManifest',
        (original) => (self, manifest) => (manifest.movedTo === undefined ? original(self, manifest) : Promise.resolve()),
      ),
  },
  {
    name: 'moved-and-kept',
    rule: 'C5',
    breaks: 'The old pool keeps the volume that was moved, as if it had not been',
    apply: () =>
      override<MovesInner, [string], Promise<void>>(MoveFiles, 'forget', () => async (self, id) => {
        const file = poolPaths.manifest(poolPaths.volume(self.directory, id));
        const { movedTo: _to, ...manifest } = JSON.parse(unsealed(await readFile(file, 'utf8')));
        await replaceFile(file, JSON.stringify(manifest));
      }),
  },
];

export const STORE_MUTANTS: readonly Mutant[] = [...SNAPSHOTS, ...DIFFERENCES, ...MOVES].map((mutant) => ({
  ...mutant,
  needsStores: true,
}));
