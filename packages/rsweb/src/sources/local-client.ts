// The rsiod of this machine as a source, through its control socket. Facts that change rarely are requested less often. Invariant: this
// source sends rsiod only requests that rsiod answers without asking its servers.

import { existsSync } from 'node:fs';
import type { RsiodPaths } from '@rsio/common/config/root-paths';
import { callControl } from '@rsio/api/rsiod/call-rsiod';
import type { ControlMethodName, ControlMethods } from '@rsio/api/rsiod/methods';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { clientFindings } from '../daemons/client-findings.ts';
import { type ClientFacts, clientPart } from '../daemons/client-picture.ts';
import { Meters } from '../daemons/meters.ts';
import type { Picture } from '../model/picture.ts';
import { EVENTS_ASKED, LOCAL_ANSWER_MS } from '../limits.ts';
import { localFailure, localMachine } from './local-machine.ts';
import type { Source } from './source.ts';

export class LocalClient implements Source {
  readonly name = 'rsiod';
  readonly isOwn = true;
  readonly restMs = 0;
  private readonly paths: RsiodPaths;
  private readonly clock: Clock;
  private readonly meters = new Meters();

  constructor(paths: RsiodPaths, clock: Clock) {
    this.paths = paths;
    this.clock = clock;
  }

  async sample(): Promise<Picture | null> {
    if (!existsSync(this.paths.controlSocket) && !existsSync(this.paths.configFile)) return null;
    const [daemon, query, local, status, stats, events, backups, progress, gates] = await Promise.all([
      this.ask('daemon', {}),
      this.ask('query', { refresh: false }),
      this.ask('local', {}),
      this.ask('status', {}),
      this.ask('stats', {}),
      this.ask('events', { count: EVENTS_ASKED }),
      this.ask('backups', {}),
      this.ask('progress', {}).catch(() => ({ progress: [] })),
      this.ask('gates', {}),
    ]);
    const facts: ClientFacts = {
      daemon,
      namespaces: query.namespaces,
      attachments: local.attachments,
      awaited: local.awaited,
      status,
      stats,
      events: events.events,
      backups: backups.backups,
      progress: progress.progress,
      gates,
      wallMs: this.clock.wallMs(),
      monotonicMs: this.clock.monotonicMs(),
    };
    const machine = localMachine('rsiod', daemon);
    const part = clientPart(facts, machine.id, this.meters);
    this.meters.endRound();
    return { ...part, machines: [machine], findings: clientFindings(facts) };
  }

  failed(thrown: unknown, last: Picture | null): Picture {
    return localFailure('rsiod', toRsError(thrown), last, this.clock.wallMs());
  }

  close(): void {
    this.meters.endRound();
  }

  private ask<M extends ControlMethodName>(method: M, params: ControlMethods[M]['params']): Promise<ControlMethods[M]['result']> {
    return callControl(this.paths.controlSocket, method, params, { timeoutMs: LOCAL_ANSWER_MS, clock: this.clock });
  }
}
