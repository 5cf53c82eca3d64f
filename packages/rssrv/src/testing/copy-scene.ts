// A scene for tests in which the server's jobs copy volumes of a PoolScene. The tests run on any file system, because a stand-in compares
// contents instead of extents.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@rsio/base/lib/clock';
import type { JobView } from '@rsio/api/views/views';
import { JobService, type JobServicePorts } from '../jobs/service/job-service.ts';
import { type Asker, LOCAL_ASKER } from '../pools/asker.ts';
import { COMPARED_CONTENT } from './move-scene.ts';
import type { PoolScene } from './pool-scene.ts';
import { WHOLE_CHANGES, WHOLE_TURN } from './whole-turn.ts';

export const DB = { name: 'db', universe: 0 };

export interface CopyHooks {
  /** Called when files are compared. A copy to a new volume compares files twice. */
  readonly copying?: () => void;
  readonly ports?: Partial<JobServicePorts>;
}

export class CopyScene {
  readonly scene: PoolScene;
  readonly service: JobService;
  readonly logged: string[] = [];

  constructor(scene: PoolScene, { copying, ports }: CopyHooks = {}) {
    this.scene = scene;
    const { verbs, snapshots } = scene;
    const write = (text: string): void => void this.logged.push(text);
    const unused = (): never => {
      throw new Error('A copy needs no switch');
    };
    this.service = new JobService({
      clock: systemClock,
      verbs,
      snapshots,
      log: { info: write, warn: write, error: write },
      file: path.join(scene.directory, 'jobs.json'),
      triggers: {
        around: (_wanted, checkWanted, make) => {
          checkWanted();
          return make();
        },
      },
      volumeSwitch: { run: unused, settle: unused, disputedMs: unused },
      exclusive: (change) => change(WHOLE_TURN),
      askerOf: () => LOCAL_ASKER,
      programUser: () => null,
      volumeFiles: () => [],
      reached: () => undefined,
      data: {
        changedData: {
          ranges: (...range) => {
            copying?.();
            return COMPARED_CONTENT.ranges(...range);
          },
        },
        punch: () => Promise.resolve(false),
      },
      ...ports,
    });
  }

  get jobs(): JobService['jobs'] {
    return this.service.jobs;
  }

  /** Begins a job that copies to a new volume, as a command does. */
  async copy(newName: string, changes: { snapshot?: string; pool?: string } = {}, asker: Asker = LOCAL_ASKER): Promise<JobView> {
    const orders = this.service.handlers(asker, WHOLE_CHANGES);
    const { snapshot = null, pool = null } = changes;
    const { job } = await orders['volume-copy']({ ...DB, snapshot, newName, newUniverse: 0, pool, limitBytes: null, request: null });
    return job;
  }

  /** Begins a copy to a file or an NBD server. */
  async export(target: string, changes: { force?: boolean; format?: 'raw' | 'qcow2' } = {}): Promise<JobView> {
    const orders = this.service.handlers(LOCAL_ASKER, WHOLE_CHANGES);
    const { force = false, format = null } = changes;
    const { job } = await orders['volume-export']({ ...DB, snapshot: null, target, format, force, limitBytes: null, request: null });
    return job;
  }

  /** Starts the jobs, and resolves when no job is running. */
  async run(): Promise<void> {
    await this.service.start();
    while (this.jobs.list.some(({ state }) => state === 'running' || state === 'cancelling')) await sleep(1);
    await this.jobs.stop();
  }
}
