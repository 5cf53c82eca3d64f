// What a source is: something that can be asked for a picture. The hub asks each of them at its own pace. Invariant: a source keeps its own
// deadline, and a failure tells what to do.

import type { Finding, Picture } from '../model/picture.ts';

export interface Source {
  /** Unique among the sources. */
  readonly name: string;
  /** It is on this machine, so that other machines are told of it. */
  readonly isOwn: boolean;
  /** Time for which it is not asked again, because its last answer took much of this process' time. */
  readonly restMs: number;
  /** Null: it is not there, and need not be. Rejects with an error for people. */
  sample(): Promise<Picture | null>;
  /** What is known while it fails. `last`: what it has told before; null: nothing yet. */
  failed(thrown: unknown, last: Picture | null): Picture;
  /** Forgets what it keeps of earlier answers, because something was ordered. */
  renew?(): void;
  /** Ends what is open. */
  close(): void;
}

export const NOTHING: Picture = {
  takenMs: 0,
  machines: [],
  servers: [],
  clients: [],
  paths: [],
  volumes: [],
  pools: [],
  mirrors: [],
  snapshots: 0,
  findings: [],
  events: [],
};

/** What remains of a picture whose source does not answer: its servers are down, and nothing is served. */
export function withoutAnswer(last: Picture | null, reason: string, findings: readonly Finding[]): Picture {
  if (last === null) return { ...NOTHING, findings };
  return {
    ...last,
    machines: last.machines.map((machine) => ({ ...machine, state: 'silent', reason })),
    servers: last.servers.map((server) => (server.machine === null ? server : { ...server, state: 'down', reason })),
    clients: last.clients.map((client) => (client.machine === null ? client : { ...client, state: 'absent' })),
    paths: [],
    volumes: last.volumes.map((volume) => ({ ...volume, state: 'unavailable', reason, waits: [] })),
    pools: last.pools.map((pool) => ({ ...pool, state: 'unavailable', reason })),
    mirrors: [],
    findings,
  };
}
