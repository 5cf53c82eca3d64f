// The peers of the listener: their processes have the files, the log and the records of this rssrv. Invariant: a process of a peer is in the
// records while it runs, so that the next listener waits until it writes no file any more.

import { randomInt } from 'node:crypto';
import path from 'node:path';
import type { RssrvPaths } from '@rsio/common/config/root-paths';
import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import { nextIdentity } from '@rsio/protocol/client-identity';
import type { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { Pools } from '../../pools/pools.ts';
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

export interface OwnPeersParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly limitedLog: RateLimitedLog;
  readonly paths: Pick<RssrvPaths, 'stateDir'>;
  /** Instance of this start of the server. */
  readonly instance: string;
  readonly records: ProcessRecords;
  readonly pools: Pick<Pools, 'states'>;
  /** Called when a peer is connected. */
  readonly connected: () => void;
}

export function newPeers({ clock, log, limitedLog, paths, instance, records, pools, connected }: OwnPeersParts): PeerProcesses {
  return new PeerProcesses({
    opens: new OpenSnapshots(path.join(paths.stateDir, 'open-snapshots.json')),
    clock,
    log,
    instance,
    spawn: spawnPeer,
    unit: () => randomInt(UNIT) / UNIT,
    identity: () => nextIdentity(paths.stateDir),
    here: (peers) => peersHere(peers, pools.states),
    connected,
    started: (pid) => records.workerStarted(pid),
    ended: (pid) => records.workerEnded(pid, []),
    note: (kind, write) => limitedLog.note(kind, write),
  });
}
