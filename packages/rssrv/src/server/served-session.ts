// A session that the server serves, and the state of a client with one or several sessions: one for each of its data processes.
// admissions.ts begins and ends sessions. Invariants: a client counts once, however many sessions it has. A client is silent only if all
// its sessions are silent, and absent only if the client has no session.

import type { Timer } from '@rsio/base/lib/clock';
import type { AskingSession } from '../admin/remote/remote-requests.ts';
import type { SessionStatus } from '../admin/server-views.ts';
import { eventOf } from '../events/event-log.ts';
import type { ClientIdentity } from '../volumes/holds/grants.ts';
import type { VolumeUses } from '../volumes/holds/volume-uses.ts';
import type { WorkerSession } from './workers/worker-session.ts';

export interface ServedSession {
  readonly id: string;
  readonly secret: Buffer;
  readonly client: ClientIdentity;
  /** Number of the client's data process that has the session; 0 for the main process. */
  readonly dataProcess: number;
  /**
   * The keys that the session's paths have proved: the key of the first path, and further keys if the node's key was changed during the
   * session.
   */
  readonly keys: Set<string>;
  readonly workerSession: WorkerSession;
  /** Wall-clock time at which the session began. */
  readonly beganMs: number;
  readonly uses: VolumeUses;
  /** Generation of the list for this client. The generation grows when something that the client may see changes. */
  generation: number;
  /** Time at which the session's last path closed; null while the session has paths. */
  silentSinceMs: number | null;
  /** Time at which the session last heard its client if the client has been quiet since then; null while the client is heard. */
  quietSinceMs: number | null;
  /** Number of paths of the session. */
  paths: number;
  /** Timer that ends the session if it stays without a path. */
  linger: Timer | null;
}

/** Returns the session as the asker of a control method. */
export function askingSession({ id, client: { node }, workerSession }: ServedSession): AskingSession {
  return { id, node, isThere: () => !workerSession.isEnding && !workerSession.isGone };
}

export type ClientState = 'absent' | 'silent' | 'connected';

export function stateOf(sessions: readonly Pick<ServedSession, 'silentSinceMs'>[]): ClientState {
  if (sessions.length === 0) return 'absent';
  return sessions.every(({ silentSinceMs }) => silentSinceMs !== null) ? 'silent' : 'connected';
}

/** Returns the status of a client, for the list of clients. `sessions`: all sessions of the client, at least one. */
export function statusOf(sessions: readonly ServedSession[]): SessionStatus {
  const first = sessions.reduce((one, other) => (other.dataProcess < one.dataProcess ? other : one));
  return {
    node: first.client.node,
    address: first.client.address,
    keys: new Set(sessions.flatMap(({ keys }) => [...keys])),
    beganMs: Math.min(...sessions.map(({ beganMs }) => beganMs)),
    isSilent: stateOf(sessions) === 'silent',
    paths: Math.min(...sessions.map(({ paths }) => paths)),
  };
}

/** Returns the name of a session's client for texts, with the number of the data process. */
export function whoText({ client: { node }, dataProcess }: Pick<ServedSession, 'client' | 'dataProcess'>): string {
  return dataProcess === 0 ? node : `${node} (data process ${dataProcess})`;
}

/** Returns true if `newcomer` and `client` are different client processes, so that `newcomer` replaces all sessions of `client`. */
export function isReplacement(client: ClientIdentity, newcomer: ClientIdentity): boolean {
  return (['instance', 'machine', 'process'] as const).some((field) => client[field] !== newcomer[field]);
}

/** Returns the event for a changed state of a client; undefined if the state is unchanged. */
export function changeOf(node: string, from: ClientState, to: ClientState, reason: string): ReturnType<typeof eventOf> | undefined {
  return from === to ? undefined : eventOf(`client ${node}`, from, to, reason);
}
