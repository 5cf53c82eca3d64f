// Executes the methods about moves and jobs, and puts together what they need. Invariants: a client sees and ends the jobs that it asked
// for, and an administrator all of them; a job begins only after the change queue has checked that its volume can move.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { JOB_METHODS } from '@rsio/common/control/server/job-methods';
import type { JobView } from '@rsio/common/control/server/views';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { isOpen } from '../jobs/job-plan.ts';
import type { JobRecord } from '../jobs/job-record.ts';
import { Jobs } from '../jobs/jobs.ts';
import { type Asker, checkRole } from '../pools/asker.ts';
import { findVolume, type NamedVolume, type VolumeName, volumeText } from '../pools/catalogue.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import type { Pools } from '../pools/pools.ts';
import { systemReflink } from '../pools/snapshots/reflink.ts';
import type { Changes } from '../requests/requests.ts';
import { changedData } from './changed-data.ts';
import { decideMove } from './move-rules.ts';
import { punchHole } from './punch-hole.ts';
import { VolumeMoves } from './volume-moves.ts';
import { VolumeSwitch, type VolumeSwitchPorts } from './volume-switch.ts';

export interface MoveServicePorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** The file with the jobs. */
  readonly file: string;
  readonly pools: Pools;
  readonly verbs: PoolVerbs;
  readonly volumeSwitch: VolumeSwitchPorts;
  /** Volumes of sections [volume]. */
  configured(): readonly NamedVolume[];
  /** Executes a change of the server itself when no other one is in progress. */
  exclusive<T>(change: () => Promise<T>, what: string): Promise<T>;
}

export class MoveService {
  readonly jobs: Jobs;
  private readonly moves: VolumeMoves;
  private readonly ports: MoveServicePorts;

  constructor(ports: MoveServicePorts) {
    const { clock, log, pools, verbs } = ports;
    this.ports = ports;
    const { ranges } = systemReflink();
    this.moves = new VolumeMoves({
      ...{ clock, log, pools, verbs, punch: punchHole },
      volumeSwitch: new VolumeSwitch(ports.volumeSwitch),
      changedData: ranges === null ? null : changedData(ranges),
      exclusive: (change, what) => ports.exclusive(change, what),
      configured: () => ports.configured(),
      moving: () => new Set(this.jobs.list.filter(isOpen).map(({ volumeId }) => volumeId)),
    });
    this.jobs = new Jobs({ clock, log, file: ports.file, run: (job) => this.moves.run(job) });
  }

  /** Lets the jobs run, when the pools are open. */
  start(): void {
    void this.moves.sweep().then(() => this.jobs.start());
  }

  /** `changes`: the queue of changes, with the limits of the asker. */
  orders(asker: Asker, changes: Changes): HandlersOf<typeof JOB_METHODS> {
    const mine = (job: JobRecord): boolean => asker.role === 'admin' || (asker.node !== null && job.by === asker.node);
    const find = (id: string): JobRecord => {
      const job = this.jobs.find(id);
      if (mine(job)) return job;
      throw new RsError('E_UNKNOWN_JOB', `No job ${id}: a client sees the jobs that it asked for`, { job: id });
    };
    return {
      'job-list': ({ id }) => ({ jobs: (id === null ? this.jobs.list.filter(mine) : [find(id)]).map((job) => this.view(job)) }),
      'job-cancel': async ({ id }) => ({ job: this.view(await this.jobs.cancel(find(id).id)) }),
      'job-limit': async ({ id, limitBytes }) => ({ job: this.view(await this.jobs.limit(find(id).id, limitBytes)) }),
      'volume-move': async ({ name, universe, pool, limitBytes }) => {
        const volume = { name, universe };
        const job = await changes.run(
          () => this.begin(volume, pool, limitBytes, asker),
          `volume ${volumeText(volume)}, which begins to move`,
        );
        return { job: this.view(job) };
      },
    };
  }

  private async begin(volume: VolumeName, to: string, limitBytes: number | null, asker: Asker): Promise<JobRecord> {
    checkRole(asker, 'manage', 'move volumes');
    const { pools, clock, log } = this.ports;
    await pools.measure();
    const { catalogue } = this.moves;
    const found = findVolume(catalogue, volume);
    const target = decideMove(catalogue, found, to, asker);
    const { pool, manifest } = found;
    const job = await this.jobs.add({
      ...{ id: this.jobs.nextId, kind: 'move', volumeId: manifest.id, name: volumeText(manifest), universe: manifest.universe },
      ...{ from: pool.name, fromId: pool.identity?.id ?? '', to: target.name, toId: target.identity?.id ?? '' },
      ...{ by: asker.node, createdMs: clock.wallMs(), endedMs: null, state: 'waiting', reason: null },
      ...{ limitBytes, rounds: 0, doneBytes: 0, totalBytes: 0, move: null },
    });
    const who = asker.node === null ? 'an administrator on the server' : `client ${asker.node}`;
    log.info(`Job ${job.id}: volume ${job.name} moves from pool ${job.from} to pool ${job.to}, by ${who}`, {
      volume: manifest.name,
      audit: true,
    });
    return job;
  }

  private view(job: JobRecord): JobView {
    const { volumeId: _volume, fromId: _from, toId: _to, move: _move, ...shown } = job;
    return { ...shown, bytesPerSecond: this.jobs.bytesPerSecond(job.id) };
  }
}
