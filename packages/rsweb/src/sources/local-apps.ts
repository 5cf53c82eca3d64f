// The rsapp of this machine as a source, through its control socket. Invariant: if rsapp was stopped in order, or this machine has none,
// this source has no picture and reports no fault.

import { existsSync } from 'node:fs';
import type { DaemonPaths } from '@rsio/common/config/root-paths';
import { callApp } from '@rsio/api/rsapp/call-app';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { applicationsIn } from '../daemons/app-picture.ts';
import { LOCAL_ANSWER_MS } from '../limits.ts';
import type { Picture } from '../model/picture.ts';
import { localFailure, localMachine } from './local-machine.ts';
import { NOTHING, type Source } from './source.ts';

export class LocalApps implements Source {
  readonly name = 'rsapp';
  readonly isOwn = true;
  readonly restMs = 0;
  private readonly paths: DaemonPaths;
  private readonly clock: Clock;

  constructor(paths: DaemonPaths, clock: Clock) {
    this.paths = paths;
    this.clock = clock;
  }

  async sample(): Promise<Picture | null> {
    const { clock } = this;
    const { controlSocket } = this.paths;
    if (!existsSync(controlSocket)) return null;
    const options = { timeoutMs: LOCAL_ANSWER_MS, clock };
    const [daemon, answer] = await Promise.all([
      callApp(controlSocket, 'daemon', {}, options),
      callApp(controlSocket, 'applications', {}, options),
    ]);
    return { ...NOTHING, takenMs: clock.wallMs(), machines: [localMachine('rsapp', daemon)], applications: applicationsIn(answer) };
  }

  failed(thrown: unknown, last: Picture | null): Picture {
    return localFailure('rsapp', toRsError(thrown), last, this.clock.wallMs());
  }

  close(): void {}
}
