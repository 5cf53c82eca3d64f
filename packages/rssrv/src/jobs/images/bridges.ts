// If the storage of a volume cannot execute a READ, finds an image that can answer it. Counts these READs for each volume.
// bridged-backend.ts reads the image in the worker. Invariant: a file is passed only if, in the whole range, it has the content of the
// volume at some moment between the READ and its answer. If the content is not certain, no file is passed, and the READ keeps its error.
//
//   volume's data --same blocks now--> snapshot of the refresh --copied then--> `base` beside the image; nothing writes to `base`

import { counter, type KindsOf, text, token } from '@rsio/protocol/wire/guards';
import { SENTENCE_MAX_CHARS } from '@rsio/protocol/wire/limits';
import fs from 'node:fs';
import { promisify } from 'node:util';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { plural } from '@rsio/base/lib/units';
import { storageName, storageStamp } from '../../storage/files/storage-identity.ts';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { eventOf } from '../../events/event-log.ts';
import { imagesOf } from './image-rules.ts';
import { type ChangedData, changedData } from '../moves/changed-data.ts';
import type { CopyPorts } from '../moves/copy-ranges.ts';
import { volumeText } from '../../pools/catalogue.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import type { Pools } from '../../pools/pools.ts';
import { systemReflink } from '../../pools/snapshots/reflink.ts';
import type { MomentPorts } from '../../snapshots/moments.ts';
import type { ServedSnapshots } from '../../snapshots/reads/served-snapshots.ts';
import { PoolTurns } from '../../snapshots/reads/turns.ts';
import type { Volumes } from '../../volumes/volumes.ts';
import { BRIDGE_IMAGES_MAX, BRIDGE_LOOK_MAX_MS, BRIDGE_REPORT_MS, BRIDGED_SHOWN_MS, BRIDGED_VOLUMES_MAX } from '../limits.ts';

const openFile = promisify(fs.open);
const closeFile = promisify(fs.close);
const fstat = promisify(fs.fstat) as (descriptor: number, options: { bigint: true }) => Promise<fs.BigIntStats>;

/** A request of a worker. `storage` is the name of the file that the worker reads (storage-identity.ts). */
export const BRIDGE_ASKS = {
  bridge: { volumeId: token, storage: text(SENTENCE_MAX_CHARS), positionBytes: counter, lengthBytes: counter },
  /** Reports that a READ was answered from the image that was passed last. */
  bridged: { volumeId: token },
};
export type BridgeAsk = KindsOf<'what', typeof BRIDGE_ASKS>;

/** `bridgeTag` is the tag of the passed file; null if no image can answer. */
export interface BridgeAnswer {
  readonly bridgeTag: number | null;
}

/** READs of a volume that images have answered since rssrv was started. */
export interface BridgedReads {
  readonly reads: number;
  readonly lastMs: number;
}

export interface BridgesPorts extends Pick<CopyPorts, 'changedData'>, Pick<MomentPorts, 'lost'> {
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  readonly pools: Pick<Pools, 'states'>;
  readonly volumes: Pick<Volumes, 'sync'>;
  readonly snapshots: Pick<ServedSnapshots, 'placeOf'>;
  served(id: string): ServedVolume | null;
}

interface AskingSession {
  readonly uses: { isGranted(volumeId: string): boolean };
  readonly workerSession: { pass(descriptors: readonly number[]): Promise<number> };
}

/** An image, and the files that determine whether the image can answer a READ. */
interface Candidate {
  readonly text: string;
  /** Names of the pools that have the files below. */
  readonly pools: readonly string[];
  readonly snapshotId: string;
  readonly snapshotFile: string;
  readonly imageFile: string;
  readonly imageStamp: string;
}

interface BridgeRecord extends BridgedReads {
  /** Pool that the volume was in when the image answered. The record no longer counts when the volume is in another pool. */
  readonly poolId: string;
  readonly reportedMs: number;
  readonly reportedReads: number;
}

export class Bridges {
  private readonly ports: BridgesPorts;
  private readonly turns: PoolTurns;
  private readonly records = new Map<string, BridgeRecord>();
  /** Maps each volume id to the image whose file was passed last. */
  private readonly lastImages = new Map<string, string>();

  constructor(ports: BridgesPorts) {
    this.ports = ports;
    this.turns = new PoolTurns(ports.clock);
  }

  /** Answers a request of a worker. Never rejects. */
  async answer({ uses, workerSession }: AskingSession, ask: BridgeAsk): Promise<BridgeAnswer | null> {
    const volume = uses.isGranted(ask.volumeId) ? this.ports.served(ask.volumeId) : null;
    if (volume === null) return { bridgeTag: null };
    if (ask.what === 'bridged') {
      this.count(volume);
      return null;
    }
    try {
      const descriptor = await this.inTime((isOver) => this.fileFor(volume, ask, isOver));
      return { bridgeTag: descriptor === null ? null : await workerSession.pass([descriptor]) };
    } catch {
      // The READ fails as it would without an image, and the log already contains the error of the READ.
      return { bridgeTag: null };
    }
  }

  /**
   * Returns the READs of a volume that images have answered. Returns null if no image has answered since the volume moved to its current
   * pool, or if the last answer is older than BRIDGED_SHOWN_MS.
   */
  of(volumeId: string): BridgedReads | null {
    const record = this.records.get(volumeId);
    if (record === undefined || Math.abs(this.ports.clock.wallMs() - record.lastMs) > BRIDGED_SHOWN_MS) return null;
    const isThere = this.ports.served(volumeId)?.pool?.ids.includes(record.poolId) === true;
    return isThere ? { reads: record.reads, lastMs: record.lastMs } : null;
  }

  /** Returns a descriptor of an image's file, or null if no image can answer. The caller closes the descriptor. */
  private async fileFor(volume: ServedVolume, ask: Extract<BridgeAsk, { what: 'bridge' }>, isOver: () => boolean): Promise<number | null> {
    const calls = this.ports.changedData;
    const { path, storage, pool, layout, snapshotOf } = volume;
    const isOneFile = pool !== undefined && layout === undefined && snapshotOf === undefined && path !== null;
    if (!isOneFile || storage === undefined || storage !== ask.storage) return null;
    for (const candidate of this.candidates(volume.id, ask.positionBytes + ask.lengthBytes)) {
      const look = async (): Promise<number | null> =>
        isOver() ? null : this.lookAt(calls, { id: volume.id, path, storage }, candidate, ask);
      const found = await this.turns.run(candidate.pools, look);
      if (found === null) continue;
      this.lastImages.set(volume.id, candidate.text);
      return found;
    }
    return null;
  }

  private candidates(volumeId: string, endBytes: number): Candidate[] {
    const pools = this.ports.pools.states;
    const home = pools.find(({ isOpen, volumes }) => isOpen && volumes.has(volumeId));
    if (home === undefined) return [];
    const images = imagesOf({ pools, configured: [] }, volumeId).toSorted(
      (a, b) => (b.manifest.image?.momentMs ?? 0) - (a.manifest.image?.momentMs ?? 0),
    );
    return images.slice(0, BRIDGE_IMAGES_MAX).flatMap(({ pool, manifest }): Candidate[] => {
      const base = manifest.image?.base;
      const place = base === undefined ? null : this.ports.snapshots.placeOf(base.snapshot);
      const [file, other] = place?.files ?? [];
      if (base === undefined || place === null || file === undefined || file.path === null || other !== undefined) return [];
      if (place.record.volumeId !== volumeId || endBytes > place.record.sizeBytes) return [];
      return [
        {
          text: volumeText(manifest),
          pools: [...new Set([home.name, pool.name])],
          snapshotId: base.snapshot,
          snapshotFile: file.path,
          imageFile: poolPaths.baseData(poolPaths.volume(pool.path, manifest.id)),
          imageStamp: base.stamp,
        },
      ];
    });
  }

  /** Returns the open file of the image if it has the content of the volume in the range; null otherwise. */
  private async lookAt(
    calls: ChangedData,
    { id, path, storage }: { readonly id: string; readonly path: string; readonly storage: string },
    { snapshotId, snapshotFile, imageFile, imageStamp }: Candidate,
    { positionBytes, lengthBytes }: { readonly positionBytes: number; readonly lengthBytes: number },
  ): Promise<number | null> {
    const opened: number[] = [];
    const open = async (file: string): Promise<number> => {
      const descriptor = await openFile(file, 'r');
      opened.push(descriptor);
      return descriptor;
    };
    try {
      const image = await open(imageFile);
      if (storageStamp(await fstat(image, { bigint: true }), imageFile) !== imageStamp) return null;
      const data = await open(path);
      if (storageName(await fstat(data, { bigint: true })) !== storage) return null;
      const snapshot = await open(snapshotFile);
      // Check that the opened file belongs to the snapshot: before the open, the snapshot may have been removed, and another snapshot may
      // have taken its name.
      if (this.ports.snapshots.placeOf(snapshotId)?.files[0]?.path !== snapshotFile) return null;
      // Sync first, because the file system still reports shared blocks until an answered write is written back. If the sync reports a lost
      // write, the content of the volume is unknown.
      await this.sync(id);
      for await (const _changed of calls.ranges(snapshot, data, positionBytes, positionBytes + lengthBytes)) return null;
      // If the storage of the volume has changed, another file may have been synced.
      if (this.ports.served(id)?.storage !== storage) return null;
      opened.splice(opened.indexOf(image), 1);
      return image;
    } finally {
      for (const descriptor of opened) await closeFile(descriptor);
    }
  }

  /**
   * Syncs the volume. Throws if the storage reports an error, or does not answer. The sync uses the listener's descriptor, because a new
   * descriptor would not get errors that the kernel has already reported. After an error, a new incarnation begins, because a session that
   * begins later would not get the error that was reported here.
   */
  private async sync(id: string): Promise<void> {
    try {
      await this.ports.volumes.sync(id, 'spare');
    } catch (thrown) {
      // After E_TIMEOUT, the sync continues, and reports a later failure itself.
      if (toRsError(thrown).code !== 'E_TIMEOUT') this.ports.lost(id);
      throw thrown;
    }
  }

  /** Calls `look`, which searches for a file. Rejects after BRIDGE_LOOK_MAX_MS; if `look` finds a file later, the file is closed. */
  private inTime(look: (isOver: () => boolean) => Promise<number | null>): Promise<number | null> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const timer = this.ports.clock.after(BRIDGE_LOOK_MAX_MS, () => {
        isOver = true;
        reject(new Error('The pools do not answer'));
      });
      look(() => isOver).then(
        (found) => {
          timer.cancel();
          if (isOver && found !== null) fs.close(found, () => undefined);
          resolve(found);
        },
        (thrown: unknown) => {
          timer.cancel();
          reject(thrown);
        },
      );
    });
  }

  private count(volume: ServedVolume): void {
    const { id, pool } = volume;
    const poolId = pool?.ids[0] ?? '';
    const known = this.records.get(id);
    const before = known?.poolId === poolId ? known : undefined;
    if (known === undefined && this.records.size >= BRIDGED_VOLUMES_MAX) return;
    const nowMs = this.ports.clock.wallMs();
    const reads = (before?.reads ?? 0) + 1;
    const isReported = before !== undefined && Math.abs(nowMs - before.reportedMs) < BRIDGE_REPORT_MS;
    const reported = isReported
      ? { reportedMs: before.reportedMs, reportedReads: before.reportedReads }
      : { reportedMs: nowMs, reportedReads: reads };
    this.records.set(id, { reads, lastMs: nowMs, poolId, ...reported });
    if (!isReported) this.report(volume, reads - (before?.reportedReads ?? 0));
  }

  private report(volume: ServedVolume, reads: number): void {
    const text = volumeText(volume);
    const image = this.lastImages.get(volume.id) ?? '-';
    const what = `${plural(reads, 'READ')} of volume ${text} failed and got the data from image ${image}, because nothing has changed there: find the cause in the system's log (dmesg), and keep the image`;
    this.ports.log.warn(what, { volume: volume.name, ...eventOf(`volume ${text}`, 'served', 'bridged', what) });
  }
}

/** Returns Bridges that compare the extents of files with the calls of this machine. */
export function systemBridges(ports: Omit<BridgesPorts, 'changedData'>): Bridges {
  const { ranges } = systemReflink();
  return new Bridges({ ...ports, changedData: changedData(ranges) });
}
