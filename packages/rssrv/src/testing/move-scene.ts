// A scene for tests that move volumes between the pools of a PoolScene. The tests run on any file system, because a stand-in compares
// contents instead of extents. Another stand-in replaces VolumeSwitch and records when the volume is not served.

import { read } from 'node:fs';
import { promisify } from 'node:util';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@rsio/base/lib/clock';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { Jobs } from '../jobs/jobs.ts';
import type { JobRecord } from '../jobs/job-record.ts';
import { isOpen } from '../jobs/job-plan.ts';
import type { ChangedData } from '../jobs/moves/changed-data.ts';
import { VolumeMoves } from '../jobs/moves/volume-moves.ts';
import { VolumeSwitch } from '../jobs/moves/volume-switch.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import type { PoolScene } from './pool-scene.ts';

const BLOCK_BYTES = 4_096;
const readFrom = promisify(read);

/** Finds the differences between two files by their content. */
export const COMPARED_CONTENT: ChangedData = {
  ranges: async function* (base, next, fromBytes, toBytes) {
    for (let offsetBytes = fromBytes; offsetBytes < toBytes; offsetBytes += BLOCK_BYTES) {
      const lengthBytes = Math.min(BLOCK_BYTES, toBytes - offsetBytes);
      const [before, after] = [await blockOf(base, offsetBytes, lengthBytes), await blockOf(next, offsetBytes, lengthBytes)];
      if (!before.equals(after)) yield { offsetBytes, lengthBytes, isHole: after.every((byte) => byte === 0) };
    }
  },
};

async function blockOf(descriptor: number | null, offsetBytes: number, lengthBytes: number): Promise<Buffer> {
  const block = Buffer.alloc(lengthBytes);
  if (descriptor !== null) await readFrom(descriptor, block, 0, lengthBytes, offsetBytes);
  return block;
}

export interface MoveHooks {
  /** Called at each sync of the switch, before the last step copies the remaining differences. */
  readonly waiting?: () => void;
  /** Called before each round. */
  readonly round?: (rounds: number) => void;
  /**
   * Executes the changes of a move one at a time. A test that makes other changes during the move needs this function. Without `turns`,
   * each change begins at once.
   */
  readonly turns?: <T>(change: () => Promise<T>) => Promise<T>;
}

export class MoveScene {
  readonly scene: PoolScene;
  readonly jobs: Jobs;
  readonly moves: VolumeMoves;
  /** Ids of the volumes that are currently not served because of a switch. */
  readonly suspended = new Set<string>();

  constructor(scene: PoolScene, hooks: MoveHooks = {}) {
    this.scene = scene;
    const { verbs } = scene;
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const inForce = (id: string) => [...scene.served.values()].find((one) => one.id === id) ?? null;
    const { suspended } = this;
    const volumeSwitch = new VolumeSwitch({
      clock: systemClock,
      volumes: {
        get served() {
          return [...scene.served.values()].flatMap(({ id }) => (id === null || suspended.has(id) ? [] : [{ id } as ServedVolume]));
        },
        suspend: (id, reason) => void (reason === null ? suspended.delete(id) : suspended.add(id)),
        sync: async () => hooks.waiting?.(),
      },
      sessions: { closeHandles: async () => true },
      inForce: () => ({
        inForceById: inForce,
        replaceVolume: async (_was, now) => {
          scene.served.set(volumeKey(now), now);
          suspended.delete(now.id ?? '');
        },
      }),
      listChanged: () => undefined,
      incarnationOf: () => 'one',
      disputedMs: () => 0,
      incarnationEnded: async () => undefined,
    });
    this.moves = new VolumeMoves({
      clock: systemClock,
      log,
      verbs,
      volumeSwitch,
      changedData: COMPARED_CONTENT,
      punch: () => Promise.resolve(false),
      exclusive: (change) => (hooks.turns === undefined ? change() : hooks.turns(change)),
      moving: () => new Set(this.jobs.list.filter(isOpen).map(({ volumeId }) => volumeId)),
    });
    this.jobs = new Jobs({
      clock: systemClock,
      log,
      file: path.join(scene.directory, 'jobs.json'),
      run: (job) => {
        const { note } = job;
        const noted: typeof note = (changes) => {
          note(changes);
          if (changes.rounds !== undefined) hooks.round?.(changes.rounds);
        };
        // Define `record` as a getter, because the spread of `job` copies only the current value of the record.
        return this.moves.run(Object.defineProperty({ ...job, note: noted }, 'record', { get: () => this.jobs.find(job.record.id) }));
      },
    });
  }

  /**
   * Adds a job that moves the only volume to another pool. If `part` is given, only the files that the volume has in the pool `part` move.
   */
  async begin(to: string, part?: string): Promise<JobRecord> {
    const home = this.scene.pools.states.find(({ volumes }) => volumes.size > 0)!;
    const from = part === undefined ? home : this.scene.pools.states.find(({ name }) => name === part)!;
    const target = this.scene.pools.states.find(({ name }) => name === to)!;
    const [manifest] = home.volumes.values();
    return this.jobs.add({
      id: this.jobs.nextId,
      kind: 'move',
      volumeId: manifest!.id,
      name: manifest!.name,
      universe: 0,
      by: null,
      createdMs: 1,
      endedMs: null,
      from: from.name,
      fromId: from.identity!.id,
      to,
      toId: target.identity!.id,
      state: 'waiting',
      reason: null,
      limitBytes: null,
      rounds: 0,
      doneBytes: 0,
      totalBytes: 0,
      move: null,
      ...(part === undefined ? {} : { homeId: home.identity!.id }),
    });
  }

  /** Sweeps leftovers, starts the jobs, and resolves when no job is running. */
  async run(): Promise<void> {
    await this.moves.sweep();
    this.jobs.start();
    while (this.jobs.list.some(({ state }) => state === 'running' || state === 'cancelling')) await sleep(1);
    // Call `stop`, which resolves only when the end of each job is saved.
    await this.jobs.stop();
  }
}
