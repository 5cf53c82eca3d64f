// The peers of the listener: their processes have the files, the log and the records of this rssrv. Invariant: a process of a peer is in the
// records while it runs, so that the next listener waits until it writes no file any more.

import { randomInt } from 'node:crypto';
import path from 'node:path';
import type { RssrvPaths } from '@rsio/common/config/root-paths';
import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import { nextIdentity } from '@rsio/protocol/client-identity';
import type { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { PoolState } from '../../pools/catalogue.ts';
import { OpenSnapshots } from './open-snapshots.ts';
import { PeerProcesses } from './peer-processes.ts';
import { peersHere } from './peers-here.ts';
import { spawnPeer } from './spawn-peer.ts';

const UNIT = 2 ** 32;

/** The records of processes (server/run-records.ts). */
interface ProcessRecords {
  workerStarted(pid: number): Promise<void>;
  workerEnded(pid: number, volumeIds: readonly string[]): Promise<void>;
}

/** The part of Administration that peers need. */
interface Administered {
  readonly poolStates: readonly PoolState[];
  readonly replications: { readonly followers: { soon(): void } };
}

export interface OwnPeersParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly limitedLog: RateLimitedLog;
  readonly paths: Pick<RssrvPaths, 'stateDir'>;
  /** Instance of this start of the server. */
  readonly instance: string;
  readonly records: () => ProcessRecords | null;
  readonly administration: () => Administered;
}

export function newPeers({ clock, log, limitedLog, paths, instance, records, administration }: OwnPeersParts): PeerProcesses {
  return new PeerProcesses({
    opens: new OpenSnapshots(path.join(paths.stateDir, 'open-snapshots.json')),
    clock,
    log,
    instance,
    spawn: spawnPeer,
    unit: () => randomInt(UNIT) / UNIT,
    identity: () => nextIdentity(paths.stateDir),
    here: (peers) => peersHere(peers, administration().poolStates),
    connected: () => administration().replications.followers.soon(),
    started: async (pid) => records()?.workerStarted(pid),
    ended: async (pid) => records()?.workerEnded(pid, []),
    note: (kind, write) => limitedLog.note(kind, write),
  });
}
