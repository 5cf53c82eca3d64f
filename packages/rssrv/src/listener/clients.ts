// Phase 5 of the listener: the workers, the sessions of clients in them, and what ends a client's use of a volume; and the connections to
// peers. Invariant: a worker is in the records while it runs, so that the next listener can end it (S10).

import { keysOf } from '@rsio/common/config/schema/client-keys';
import { assert } from '@rsio/base/lib/assert';
import { systemBridges } from '../jobs/images/bridges.ts';
import { newPeers } from '../replication/peers/own-peers.ts';
import { Admissions } from '../server/admissions.ts';
import { toInterface } from '../server/listening-sockets.ts';
import { checkTls } from '../server/offered-volumes.ts';
import { Refusals } from '../server/refusals.ts';
import type { ServedSession } from '../server/served-session.ts';
import { WorkerPool, type Worker } from '../server/workers/worker-pool.ts';
import { WorkerRights } from '../server/workers/worker-rights.ts';
import type { ToSession } from '../session/channel/channel.ts';
import { disputePause } from '../volumes/holds/releases.ts';
import { Revocations } from '../volumes/holds/revocations.ts';
import type { Content } from './content.ts';
import type { Foundation } from './foundation.ts';
import type { Holders } from './holders.ts';
import type { Storage } from './storage.ts';

type Earlier = Foundation & Holders & Storage & Content;
export type Clients = ReturnType<typeof newClients>;

export function newClients(earlier: Earlier) {
  const { clock, log, limitedLog, paths, identity, current, records, signals } = earlier;
  const { holds, fences, pools, volumes, snapshots, servedById, lists, shared, incarnations, incarnationOf } = earlier;
  const rights = new WorkerRights({ clock, log, served: servedById });
  const workers = new WorkerPool(() => startWorker(earlier, rights), current.config.server.processes);
  const refusals = new Refusals(log, limitedLog);
  const admissions = newAdmissions(earlier, workers, refusals);
  signals.holdersCame.listen((fenced) => {
    admissions.holdersCame();
    for (const node of fenced) admissions.endSession(node, 'E_FENCED', `Node ${node} was fenced at the last server of a pool`);
  });
  const revocations = new Revocations({
    clock,
    log,
    holds,
    isFenced: (node) => fences.has(node),
    find: servedById,
    readBy: (...reader) => snapshots.readBy(...reader),
    incarnation: incarnationOf,
    revoke: (...grants) => admissions.revokeForTakeOver(...grants),
    sync: ({ id }) => volumes.sync(id),
    incarnationEnded: ({ id }) => records.incarnationsEnded([id]),
    disputedMs: (volume) => shared.disputedMs(volume),
    pause: disputePause(clock, log),
    holdersChanged: () => lists.changed([], null),
  });
  const bridges = systemBridges({
    clock,
    log,
    pools,
    volumes,
    snapshots,
    served: servedById,
    lost: (id) => void incarnations.lost(id),
  });
  const connected = signals.peerConnected.send;
  const peers = newPeers({ clock, log, limitedLog, paths, instance: identity.instance, records, pools, connected });
  return { rights, workers, refusals, admissions, revocations, bridges, peers };
}

function startWorker({ log, records }: Earlier, rights: WorkerRights): Worker {
  assert(records.isLoaded, 'A worker is started before the records are loaded');
  const worker = rights.start((pid) => records.workerStarted(pid));
  void worker.ended.then(() => records.workerEnded(worker.pid, [])).catch((error: Error) => log.error(error.message));
  return worker;
}

function newAdmissions(earlier: Earlier, workers: WorkerPool, refusals: Refusals): Admissions {
  const { clock, log, limitedLog, current, sessions, holds, fences, volumes, bandwidth, statistics } = earlier;
  const { incarnations, shortage, moments, gateRecords, signals } = earlier;
  return new Admissions({
    clock,
    log,
    limitedLog,
    holds,
    bandwidth,
    served: sessions,
    workers,
    fences,
    statistics,
    incarnations,
    moments,
    gateRecords,
    refusals,
    beginMessage: (node) => beginMessage(earlier, node),
    isClient: (node) => keysOf(current.config.clients, node).length > 0,
    checkTls: (features) => checkTls(features, current.config),
    waitsForSpace: ({ id }, volume, waits, pool) => shortage.changed(id, volume, volumes.nameOf(volume), waits, pool),
    answer: signals.request.send,
    sessionEnded: (session, isClean) => sessionEnded(earlier, session, isClean),
  });
}

function beginMessage({ current, lists, pools }: Earlier, node: string): Extract<ToSession, { type: 'begin' }> {
  const { interfaces, server } = current.config;
  return {
    type: 'begin',
    interfaces: interfaces.map(toInterface),
    generation: lists.generation,
    log: { node: server.name, level: server.logLevel },
    shortPools: pools.space.shortIds,
    node,
  };
}

async function sessionEnded(
  { shortage, bandwidth, statistics, moments, signals, snapshots, records }: Earlier,
  session: ServedSession,
  isClean: boolean,
): Promise<void> {
  shortage.sessionEnded(session.id);
  bandwidth.sessionEnded(session.id);
  statistics.book.sessionEnded(session.id);
  moments.sessionEnded(session.id);
  signals.sessionEnded.send(session.id);
  const written = [...session.uses].filter((id) => !snapshots.has(id));
  if (!isClean) await records.workerEnded(session.workerSession.pid, written);
}
