// Says what a mirror and a shared pool lack without some servers, for long (impact.ts) or while a server restarts (ready-to-restart,
// rsconfig servers). Pure. Invariant: what is not known to be there counts as missing.

import type { MirrorSummary } from '../views/mirror-views.ts';
import type { SharedPoolView } from '../views/views.ts';

/** The facts that decide about a mirror; rssrv knows its servers by their ids. */
export interface MirrorParts {
  readonly replicas: readonly { readonly server: string; readonly inSync: boolean; readonly isReachable: boolean }[];
  readonly voters: readonly { readonly server: string; readonly answers: boolean }[];
  readonly majority: number;
}

/** `replica`: no replica with every write is left. `votes`: too few voters are left. */
export type MirrorLack = 'replica' | 'votes';

export interface MirrorLeft {
  /** null: the mirror goes on. */
  readonly lack: MirrorLack | null;
  /** Servers of the replicas with every write. */
  readonly servers: readonly string[];
  readonly votes: number;
}

/** `isHeld`: a client has the mirror attached, which writes without votes as long as it loses no replica with every write. */
export function mirrorWithout({ replicas, voters, majority }: MirrorParts, lost: ReadonlySet<string>, isHeld: boolean): MirrorLeft {
  const votes = voters.filter(({ server, answers }) => answers && !lost.has(server)).length;
  const inSync = replicas.filter((one) => one.inSync);
  const left = inSync.filter(({ server, isReachable }) => isReachable && !lost.has(server));
  const isShort = votes < majority && !(isHeld && left.length === inSync.length);
  return { lack: left.length === 0 ? 'replica' : isShort ? 'votes' : null, servers: left.map(({ server }) => server), votes };
}

/**
 * What stands against a restart of a server of a mirror in use; null: nothing. A restart is short, and clients wait for what they can get
 * from no other server. So a mirror that stops without the server even when all is well, such as one of two voters, stands against no
 * restart, and neither does a plain volume. It does if something else is missing now: a replica lacks writes or cannot be reached, or a
 * voter does not answer. Then more than this server may be away, and waiting helps. The holder may end meanwhile, so votes count.
 */
export function restartLack(mirror: MirrorParts, server: string): MirrorLack | null {
  const { lack, votes } = mirrorWithout(mirror, new Set([server]), false);
  const isOwn = (one: { readonly server: string }): boolean => one.server === server;
  if (lack === 'replica' && mirror.replicas.some((one) => isOwn(one) && one.inSync && one.isReachable)) return lack;
  const isWell =
    mirror.replicas.every((one) => one.inSync && (one.isReachable || isOwn(one))) &&
    mirror.voters.every((one) => one.answers || isOwn(one));
  const isVoter = mirror.voters.some((one) => isOwn(one) && one.answers);
  return votes < mirror.majority && isVoter && !isWell ? 'votes' : null;
}

/**
 * The mirrors in use that stand against a restart of the server, by what all servers have told. `unknown`: no voter has told the state of a
 * mirror of this server.
 */
export function restartLacks(mirrors: readonly MirrorSummary[], server: string): { mirror: MirrorSummary; lack: MirrorLack | 'unknown' }[] {
  return mirrors.flatMap((mirror): { mirror: MirrorSummary; lack: MirrorLack | 'unknown' }[] => {
    const isIts = [...mirror.replicas, ...mirror.voters].some((one) => one.server === server);
    if (mirror.state === 'unknown') return isIts ? [{ mirror, lack: 'unknown' }] : [];
    const lack = mirror.state === 'known' && mirror.holder !== null ? restartLack(mirror, server) : null;
    return lack === null ? [] : [{ mirror, lack }];
  });
}

export interface PoolLeft {
  readonly effect: 'stops' | 'moves' | 'degraded';
  /** The owner that takes the pool, or that a command can give it to; null: none. */
  readonly to: string | null;
  readonly why: string;
}

/** What becomes of a shared pool without these servers; null: it stays as it is. */
export function poolWithout({ owner, owners, takeOverMs, state, next, why }: SharedPoolView, lost: ReadonlySet<string>): PoolLeft | null {
  if (state !== 'serving' || owner === null) return { effect: 'stops', to: null, why: `no server serves it now: ${why}` };
  const others = owners.filter(({ server, isThere }) => isThere && server !== owner && !lost.has(server)).map(({ server }) => server);
  if (!lost.has(owner)) {
    const hadOthers = owners.some(({ server, isThere }) => isThere && server !== owner);
    if (!hadOthers || others.length > 0) return null;
    return { effect: 'degraded', to: null, why: `${owner} goes on, and no other server could take it` };
  }
  const [first] = others;
  if (first === undefined) return { effect: 'stops', to: null, why: 'no other owner is there' };
  if (takeOverMs === null) return { effect: 'stops', to: first, why: 'only a command moves it' };
  return { effect: 'moves', to: next !== null && others.includes(next) ? next : first, why: `from ${owner}, after a take-over` };
}
