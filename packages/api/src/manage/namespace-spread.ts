// Gives one order about a namespace to all its servers. rsconfig uses this module, and so does a world of the zoo. Invariants: an old key ends
// only where every server of the namespace has the new one, and each session proves it; what one server refuses is done at none; a server that
// does not answer is named, and does not stop the others; all servers get one generation of a file. Rules: G53.

import type { AppliedFile, NamespaceShown, SecondKeyView } from '../rssrv/namespace-methods.ts';
import type { ServerMethods } from '../rssrv/server-methods.ts';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { severalAtOnce } from '@rsio/base/structures/concurrency';

type Answer = ServerMethods['namespace-apply']['result'];
type Params = ServerMethods['namespace-apply']['params'];

export interface SpreadPorts<P> {
  /** The file that the server has applied last. Throws if the server does not answer. */
  applied(place: P): Promise<AppliedFile | null>;
  apply(place: P, params: Params): Promise<Answer>;
  readonly atOnce: number;
}

/** What one server has answered. */
export interface Spread<P> {
  readonly place: P;
  readonly answer: Answer | null;
  /** Null: the server has done it. */
  readonly error: RsError | null;
}

export interface SpreadOrder extends Pick<Params, 'text' | 'plan' | 'part' | 'clients' | 'prune'> {
  /** Clients whose old key ends, if all servers have their new one. Null: those of which each server says so. */
  readonly endKeys: readonly string[] | null;
  /** Hash of a whole file; null for a part. */
  readonly hash: string | null;
}

/** Errors of a server that is away, or of a release without the method. The other servers go on without it. */
export const MAY_PASS: readonly string[] = [
  ...['E_NO_PATH', 'E_NO_SESSION', 'E_TIMEOUT', 'E_RESET', 'E_UNREACHABLE', 'E_SHUTTING_DOWN', 'E_NOT_RUNNING', 'E_BUSY'],
  ...['E_USAGE', 'E_VERSION'],
];

export function notDone(refusal: RsError | null): RsError {
  return new RsError(refusal?.code ?? 'E_BUSY', `Not done, because another server refuses: ${refusal?.message ?? ''}`);
}

export class NamespaceSpread<P> {
  private readonly ports: SpreadPorts<P>;

  constructor(ports: SpreadPorts<P>) {
    this.ports = ports;
  }

  /** Gives the order to all these servers, and ends old keys where it may. Never rejects. */
  async give(places: readonly P[], order: SpreadOrder): Promise<Spread<P>[]> {
    const generation = order.hash === null ? null : this.generationFor(order.hash, await this.appliedAt(places));
    const round = (endKeys: readonly string[], plan: boolean): Promise<Spread<P>[]> =>
      severalAtOnce(places, this.ports.atOnce, (place) => this.one(place, { ...order, plan }, endKeys, generation));
    const planned = await round([], true);
    const refusal = planned.find(({ error }) => error !== null && !MAY_PASS.includes(error.code));
    if (order.plan) return planned;
    // What one server refuses is done at none, so that no client is left at a part of them.
    if (refusal !== undefined)
      return planned.map((one) => (one.error === null ? { ...one, answer: null, error: notDone(refusal.error) } : one));
    const first = await round([], false);
    const ready = this.endable(first, order.endKeys);
    if (ready.length === 0) return first;
    const second = await round(ready, false);
    return second.map((now, index) => merged(first[index]!, now));
  }

  /** A server that does not answer is left out: it refuses the order later, if it has a newer file. */
  private async appliedAt(places: readonly P[]): Promise<AppliedFile[]> {
    const all = await severalAtOnce(places, this.ports.atOnce, (place) => this.ports.applied(place).catch(() => null));
    return all.filter((file) => file !== null);
  }

  private async one(place: P, order: SpreadOrder, endKeys: readonly string[], generation: number | null): Promise<Spread<P>> {
    const { text, plan, part, clients, prune } = order;
    try {
      const answer = await this.ports.apply(place, { text, plan, part, clients, prune, endKeys: [...endKeys], generation });
      return { place, answer, error: null };
    } catch (thrown) {
      return { place, answer: null, error: toRsError(thrown) };
    }
  }

  /** Returns the generation of a file with this hash: that of the newest one if it is the same file, else the next one. */
  private generationFor(hash: string, applied: readonly AppliedFile[]): number {
    const newest = applied.reduce((most, { generation }) => Math.max(most, generation), 0);
    const isSame = newest > 0 && applied.every((file) => file.generation < newest || file.hash === hash);
    return isSame ? newest : newest + 1;
  }

  /**
   * Returns the clients whose other key may end: all servers have answered, and so have the key of the order, and each that has two keys of
   * the client says that its session there proves the right one. `only`: no other clients; null: all.
   */
  private endable(answers: readonly Pick<Spread<P>, 'answer'>[], only: readonly string[] | null): string[] {
    if (answers.some(({ answer }) => answer === null)) return [];
    const all: SecondKeyView[] = answers.flatMap(({ answer }) => answer?.secondKeys ?? []);
    const names = [...new Set(all.map(({ client }) => client))].filter((name) => only === null || only.includes(name));
    return names.filter((name) => all.every(({ client, isProven }) => client !== name || isProven));
  }
}

/** The changes of both rounds, and the state after the second one. */
export function merged<P>(first: Spread<P>, now: Spread<P>): Spread<P> {
  if (now.answer === null) return now;
  return { ...now, answer: { ...now.answer, changes: [...(first.answer?.changes ?? []), ...now.answer.changes] } };
}

/**
 * Returns why the file of a server is not the newest one of its namespace; null if it is, or if the server did not answer. Equal files may
 * have different generations, because rsadm apply counts those of its server only.
 */
export function olderText(own: NamespaceShown | null, all: readonly (NamespaceShown | null)[]): string | null {
  if (own === null) return null;
  const files = all.flatMap((one) => (one === null || one.applied === null ? [] : [{ ...one.applied, server: one.server }]));
  const newest = files.reduce<(typeof files)[number] | null>(
    (best, file) => (best === null || file.generation > best.generation ? file : best),
    null,
  );
  if (newest === null) return null;
  if (own.applied?.hash === newest.hash) return null;
  if (own.applied === null)
    return `no file was applied here, and ${newest.server} has generation ${newest.generation}: apply the file again`;
  if (own.applied.generation < newest.generation)
    return `it has generation ${own.applied.generation}, and ${newest.server} has ${newest.generation}: apply the file again`;
  return `it has another file of generation ${newest.generation} than ${newest.server}: compare the files, and apply the right one again`;
}
