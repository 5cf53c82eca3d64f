// The rssrv of this machine as a source, through its control socket. Facts that change rarely are requested less often. Invariant: only
// methods of the read-only socket are called, so that rsweb needs no root rights.

import { existsSync } from 'node:fs';
import type { RssrvPaths } from '@rsio/common/config/root-paths';
import { callServer } from '@rsio/api/rssrv/call-server';
import type { ServerMethodName, ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { serverFindings } from '../daemons/server-findings.ts';
import { Meters } from '../daemons/meters.ts';
import type { Picture } from '../model/picture.ts';
import { type ServerFacts, serverPart } from '../daemons/server-picture.ts';
import { EVENTS_ASKED, LOCAL_ANSWER_MS, SLOW_FACTS_MS } from '../limits.ts';
import { localFailure, localMachine } from './local-machine.ts';
import type { Source } from './source.ts';

type Slow = Pick<ServerFacts, 'daemon' | 'interfaces' | 'volumes' | 'witnesses' | 'file'>;

export class LocalServer implements Source {
  readonly name = 'rssrv';
  readonly isOwn = true;
  readonly restMs = 0;
  private readonly paths: RssrvPaths;
  private readonly clock: Clock;
  private readonly meters = new Meters();
  private slow: { readonly facts: Slow; readonly atMs: number } | null = null;
  /** Number of calls of `renew`. An answer is kept only if `renew` was not called since the answer was requested. */
  private renewals = 0;

  constructor(paths: RssrvPaths, clock: Clock) {
    this.paths = paths;
    this.clock = clock;
  }

  async sample(): Promise<Picture | null> {
    if (!existsSync(this.paths.controlSocket) && !existsSync(this.paths.configFile)) return null;
    const [slow, pools, clients, stats, change, jobs, replications, events] = await Promise.all([
      this.slowFacts(),
      this.ask('pool-list', {}),
      this.ask('client-list', {}),
      this.ask('stats', {}),
      this.ask('change-show', {}),
      this.ask('job-list', { id: null }),
      this.ask('replication-list', {}),
      this.ask('events', { count: EVENTS_ASKED, after: null, waitMs: 0 }),
    ]);
    const facts: ServerFacts = {
      ...slow,
      pools: pools.pools,
      clients: clients.clients,
      stats,
      change: change.change,
      jobs: jobs.jobs,
      replications: replications.replications,
      events: events.events,
      wallMs: this.clock.wallMs(),
      monotonicMs: this.clock.monotonicMs(),
    };
    const machine = localMachine('rssrv', facts.daemon);
    const part = serverPart(facts, machine.id, this.meters);
    this.meters.endRound();
    return { ...part, machines: [machine], findings: serverFindings(facts) };
  }

  failed(thrown: unknown, last: Picture | null): Picture {
    this.slow = null;
    return localFailure('rssrv', toRsError(thrown), last, this.clock.wallMs());
  }

  renew(): void {
    this.slow = null;
    this.renewals++;
  }

  close(): void {
    this.slow = null;
  }

  private async slowFacts(): Promise<Slow> {
    const nowMs = this.clock.monotonicMs();
    if (this.slow !== null && nowMs - this.slow.atMs < SLOW_FACTS_MS) return this.slow.facts;
    const asked = this.renewals;
    const [daemon, interfaces, volumes, witnesses, file] = await Promise.all([
      this.ask('daemon', {}),
      this.ask('interface-list', {}),
      this.ask('volume-list', { pool: null }),
      this.ask('witness-list', {}),
      this.ask('namespace-show', {}).catch(() => null),
    ]);
    const facts = { daemon, interfaces: interfaces.interfaces, volumes: volumes.volumes, witnesses: witnesses.records, file };
    if (asked === this.renewals) this.slow = { facts, atMs: nowMs };
    return facts;
  }

  private ask<M extends ServerMethodName>(method: M, params: ServerMethods[M]['params']): Promise<ServerMethods[M]['result']> {
    return callServer(this.paths.controlSocket, method, params, { timeoutMs: LOCAL_ANSWER_MS, clock: this.clock });
  }
}
