// Asks all servers, through the rsiod of this machine, for the facts of the page /impact. Invariants: only methods that every token may call
// are called, and with the role of the least token; one gathering runs at a time, and serves all visitors; it ends within FACTS_WAIT_MS.

import { type CallAt, serverPlaces } from '@rsio/api/manage/asked-servers';
import type { ImpactFacts } from '@rsio/api/manage/impact';
import { impactFacts, type FactPorts } from '@rsio/api/manage/impact-facts';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { assert } from '@rsio/base/lib/assert';
import type { CallOptions } from '@rsio/common/control/control-client';
import { type DaemonCalls, execute } from '../api/calls.ts';
import { type Daemon, type Operation, OPERATIONS, type Place } from '../api/operations.ts';
import { LOCAL } from '../config/rights.ts';
import { FACTS_ANSWER_MS, FACTS_REST_MS, FACTS_SERVERS_AT_ONCE, FACTS_WAIT_MS } from '../limits.ts';

export interface Told {
  /** The facts of each namespace that rsiod knows. */
  readonly namespaces: readonly { readonly namespace: string; readonly facts: ImpactFacts }[];
  /** Why nothing could be asked; null: it could. */
  readonly trouble: string | null;
}

export class ServerFacts {
  private readonly clock: Clock;
  private readonly calls: DaemonCalls;
  private running: Promise<Told> | null = null;
  private last: { readonly told: Told; readonly atMs: number } | null = null;

  constructor(clock: Clock, calls: DaemonCalls) {
    this.clock = clock;
    this.calls = calls;
  }

  /** Returns the facts of the gathering that runs, or of one that has just ended; otherwise of a new one. */
  tell(): Promise<Told> {
    const { last, clock } = this;
    if (last !== null && clock.monotonicMs() - last.atMs < FACTS_REST_MS) return Promise.resolve(last.told);
    this.running ??= this.gathered().finally(() => {
      this.running = null;
    });
    return this.running;
  }

  private async gathered(): Promise<Told> {
    const end = new AbortController();
    const timer = this.clock.after(FACTS_WAIT_MS, () => end.abort());
    const told = await this.gather(end.signal).catch((thrown: unknown): Told => ({ namespaces: [], trouble: toRsError(thrown).message }));
    timer.cancel();
    this.last = { told, atMs: this.clock.monotonicMs() };
    return told;
  }

  private async gather(signal: AbortSignal): Promise<Told> {
    const ports = this.ports(signal);
    const { namespaces } = await ports.call('query', { refresh: false });
    const places = serverPlaces(namespaces);
    const told: Told['namespaces'][number][] = [];
    for (const namespace of new Set(places.map((one) => one.namespace))) {
      const own = places.filter((one) => one.namespace === namespace);
      told.push({ namespace, facts: await impactFacts(ports, own, namespaces, namespace) });
    }
    return { namespaces: told, trouble: null };
  }

  private ports(signal: AbortSignal): FactPorts {
    const { calls, clock } = this;
    // rsiod ends its question to a server first, and says why it has no answer.
    const options: CallOptions = { clock, signal, role: LOCAL.view, timeoutMs: 2 * FACTS_ANSWER_MS };
    const bounded = async (ask: () => Promise<object>): Promise<object> => {
      const late = new RsError('E_TIMEOUT', `It was not asked to the end within ${FACTS_WAIT_MS / 1_000} s: try again`);
      if (signal.aborted) throw late;
      return ask().catch((thrown: unknown) => {
        throw signal.aborted && toRsError(thrown).code === 'E_RESET' ? late : thrown;
      });
    };
    const local = (place: Daemon, method: string, params: object): Promise<object> =>
      bounded(() => execute(calls, reading(place, method), null, params, options));
    // The compiler cannot know that `execute` checks the result against the shape of this method.
    const callAt: CallAt = ({ namespace, server }, method, params) =>
      bounded(() => execute(calls, reading('servers', method), { namespace, server }, params, options, FACTS_ANSWER_MS)) as never;
    return {
      call: (method, params) => local('client', method, params) as never,
      callApp: (method, params) => local('applications', method, params) as never,
      callAt,
      atOnce: FACTS_SERVERS_AT_ONCE,
    };
  }
}

/** Returns an operation that every token may call. */
function reading(place: Place, method: string): Operation {
  const operation = OPERATIONS[place].get(method);
  assert(operation?.role === 'view', `Every token may call ${method} of ${place}`);
  return operation;
}
