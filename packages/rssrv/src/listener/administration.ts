// Phase 7 of the listener: what changes the server: the configuration in force, reloads, commands, requests of sessions, and pools that come
// and leave. Invariant: with this phase, every signal has its listener.

import { Administration } from '../admin/administration.ts';
import { ConfigInForce, type LoadedListenerConfig } from '../server/config-in-force.ts';
import { Reloader } from '../server/reloader.ts';
import { SessionRequests } from '../server/session-requests.ts';
import { PoolHandOver } from '../server/shared/pool-hand-over.ts';
import { PoolLoads } from '../server/shared/pool-loads.ts';
import type { Clients } from './clients.ts';
import type { Content } from './content.ts';
import type { Foundation } from './foundation.ts';
import type { Front } from './front.ts';
import type { Holders } from './holders.ts';
import { ServerLogs } from './server-logs.ts';
import type { Storage } from './storage.ts';

type Earlier = Foundation & Holders & Storage & Content & Clients & Front;

export function newAdministration(earlier: Earlier) {
  const { paths, log, identity, current, changes, records, lists, signals } = earlier;
  const inForce = new ConfigInForce({
    ...earlier,
    configFile: paths.configFile,
    prepareGroups: signals.groups.send,
    followMetrics: signals.metrics.send,
  });
  signals.volumesUnmarked.listen((keys) => changes.runOwn(() => inForce.openAgain(keys), 'volumes whose files are free again'));
  const logs = new ServerLogs(earlier);
  const reloader = new Reloader({
    log,
    current: () => current.config,
    load: (text) => inForce.load(text),
    examine: (next) => inForce.examine(next),
    exclusive: (work) => changes.runOwn(work, 'a reload'),
    standingOf: (volume) => inForce.standingOf(volume),
    apply: (plan, next) => logs.along(() => inForce.apply(plan, next)),
    ended: signals.reloaded.send,
    setLevel: (level) => logs.setLevel(level),
  });
  const administration = newCommands(earlier, inForce, reloader);
  const requests = new SessionRequests({
    ...earlier,
    server: identity.server,
    administration,
    incarnationEnded: ({ id }) => records.incarnationsEnded([id]),
    listChanged: (changed) => lists.changed([], changed),
  });
  signals.request.listen((session, request) => requests.answer(session, request));
  listenToPools(earlier, inForce, administration);
  return { inForce, logs, reloader, administration };
}

function newCommands(earlier: Earlier, inForce: ConfigInForce, reloader: Reloader<LoadedListenerConfig>): Administration {
  const { current, holds, fences, volumes, lists, shared, snapshots, snapshotAnswers, statistics } = earlier;
  const { incarnationOf, incarnations, admissions, revocations, probes, sockets, signals } = earlier;
  const administration = new Administration({
    ...earlier,
    readers: snapshots,
    differences: snapshotAnswers,
    inForce,
    config: () => current.config,
    configuredMs: () => current.sinceMs,
    sessions: () => admissions.statuses,
    statusOf: (volume) => inForce.statusOf(volume),
    occupiedBytes: (volume) => volumes.occupiedBytes(volume),
    check: (was, now) => void inForce.checkChange(was, now),
    apply: (was, now) => inForce.applyVolume(was, now),
    clients: {
      fences,
      sessions: admissions,
      holds,
      volumes,
      probes,
      revocations,
      incarnation: incarnationOf,
      disputedMs: (volume) => shared.disputedMs(volume),
      incarnationEnded: ({ id }) => incarnations.start(id),
      holdersChanged: () => lists.changed([], null),
    },
    reload: (by) => reloader.request(by),
    reloadLater: (by) => reloader.askLater(by),
    volumeFailures: () => volumes.failures,
    statistics: () => statistics.view(),
    isListening: (one) => sockets.listening([one]).length > 0,
    checkConfig: (text) => reloader.check(text),
    shortPoolsChanged: (ids) => admissions.tell({ type: 'short-pools', ids }),
  });
  signals.listAnnounced.listen(() => administration.lookSoon());
  signals.sessionEnded.listen((id) => administration.sessionEnded(id));
  signals.spaceMeasured.listen(() => administration.spaceMeasured());
  signals.poolAnswers.listen((name) => void administration.poolAnswers(name));
  signals.peerConnected.listen(() => administration.replications.followers.soon());
  signals.groups.listen((groups) => administration.groupSockets.prepare(groups));
  signals.reloaded.listen((by, applied, error) => administration.reloaded(by, applied, error));
  signals.metrics.listen((config) => administration.metrics.follow(config));
  return administration;
}

function listenToPools(earlier: Earlier, inForce: ConfigInForce, administration: Administration): void {
  const { clock, current, shared, statistics, peers, signals } = earlier;
  const handOver = new PoolHandOver({ ...earlier, inForce, administration });
  const loads = new PoolLoads(clock, statistics, shared);
  const ownerChanged = (): void => peers.follow(current.config.peers);
  signals.poolLoad.listen((name) => loads.of(name));
  signals.poolCame.listen((name) => handOver.came(name).then(ownerChanged));
  signals.poolLeaves.listen((name, isLost, why) => handOver.leave(name, isLost, why).then(ownerChanged));
}
