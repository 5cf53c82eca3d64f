// The listener process listens on every interface, authenticates each connection, and passes the connection to the worker of its session.
// The listener owns everything that sessions share: volumes, ids, holds and incarnations. The listener never reads or writes the data of
// volumes. Invariants: the listener serves nothing before the workers of an earlier listener have exited (S10); it serves nothing after
// `stop`. Rules: V1.

import type { ServerIdentity } from '@rsio/protocol/auth/handshake-server';
import { keysOf } from '@rsio/common/config/schema/client-keys';
import type { RssrvPaths } from '@rsio/common/config/root-paths';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { assert } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { DaemonLog, Log, LowestLevel } from '@rsio/base/log/log';
import { bootId } from '@rsio/base/daemon/process-facts';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import { plural } from '@rsio/base/lib/units';
import { Administration } from '../admin/administration.ts';
import { Bandwidth } from '../volumes/throttle/bandwidth.ts';
import { Halts } from '../volumes/throttle/halts.ts';
import { ChangeQueue } from '../admin/change-queue.ts';
import { CHANGE_STOP_WAIT_MS } from '../admin/limits.ts';
import { ConfigInForce, type LoadedListenerConfig } from './config-in-force.ts';
import { Admissions } from './admissions.ts';
import type { ServedSession } from './served-session.ts';
import { SessionRequests } from './session-requests.ts';
import type { ToSession } from '../session/channel/channel.ts';
import { systemDiscovery, type DiscoveryService } from './discovery-service.ts';
import { fileSystemOf } from '../machine/file-system.ts';
import { ListeningSockets, addressMissingText, toInterface } from './listening-sockets.ts';
import { rightsOf } from '../pools/asker.ts';
import { announceList, checkTls, identityOf } from './offered-volumes.ts';
import { ProvenConnections } from './proven-connections.ts';
import type { UnprovenLimiter } from './unproven-limiter.ts';
import { ProbeConnections } from '../session/probe-connections.ts';
import { Holds } from '../volumes/holds/holds.ts';
import { Ledgers } from '../volumes/holds/ledgers.ts';
import { systemVoters } from '../mirrors/own-replicas.ts';
import { Moments } from '../snapshots/moments.ts';
import { Statistics } from '../volumes/statistics/statistics.ts';
import { EventLog } from '../events/event-log.ts';
import { EventHistory, type EventStore } from '@rsio/common/events/event-history';
import { Fences } from '../volumes/fences.ts';
import { newPeers } from '../replication/peers/own-peers.ts';
import type { Peers } from '../replication/peers/peers.ts';
import { Reloader } from './reloader.ts';
import { systemAnswers, type SnapshotAnswers } from '../snapshots/reads/snapshot-answers.ts';
import { ServedSnapshots } from '../snapshots/reads/served-snapshots.ts';
import { RunRecords, incarnationOf } from './run-records.ts';
import type { GrownVolume, ServedVolume } from '../storage/io/served-volume.ts';
import { SpaceShortage } from '../volumes/space-shortage.ts';
import { Incarnations } from './incarnations.ts';
import { SharedPools } from './shared/shared-pools.ts';
import { randomUnit, sharedPoolParts } from './shared/shared-pool-parts.ts';
import { Volumes } from '../volumes/volumes.ts';
import type { Voters } from '../mirrors/voters.ts';
import { ListAnnouncements } from './workers/list-announcements.ts';
import { WorkerPool, type Worker } from './workers/worker-pool.ts';
import { WorkerRights } from './workers/worker-rights.ts';

// Reopens and moves the listener's log, and changes the log level. The listener's log also contains the lines of the workers. Invariant:
// all processes have the same log level.
interface ServerLogsPorts {
  readonly log: DaemonLog;
  /** Moves the listener's log to the place that the configuration names. */
  readonly relog: (config: RssrvConfig) => void;
  readonly config: () => RssrvConfig;
  readonly pool: () => WorkerPool;
}

class ServerLogs {
  private readonly ports: ServerLogsPorts;

  constructor(ports: ServerLogsPorts) {
    this.ports = ports;
  }

  reopen(): void {
    this.ports.log.reopen();
  }

  setLevel(level: LowestLevel): void {
    this.ports.log.setLevel(level);
    this.ports.pool().setLogLevel(level);
  }

  /** Calls `apply`, which applies a configuration, and then moves the log if its file or its time format has changed. */
  async along(apply: () => Promise<void>): Promise<void> {
    const { relog, config } = this.ports;
    const before = config().server;
    await apply();
    const { server } = config();
    if (before.log === server.log && before.logTime === server.logTime) return;
    relog(config());
  }
}

export interface ListenerOptions {
  readonly config: RssrvConfig;
  readonly paths: RssrvPaths;
  readonly clock: Clock;
  readonly log: DaemonLog;
  /** Stores the list of events, so that it survives restarts. */
  readonly store: EventStore;
  /** Moves the log to the place that the configuration names. */
  readonly relog: (config: RssrvConfig) => void;
  /** Prints a message for the administrator who starts the daemon. */
  readonly warn: (sentence: string) => void;
}

export class Listener {
  private readonly options: ListenerOptions;
  private readonly events: EventHistory;
  private readonly stats: Statistics;
  private readonly rights: WorkerRights;
  private readonly logs: ServerLogs;
  private readonly inForce: ConfigInForce;
  private readonly identity: ServerIdentity;
  private readonly sockets: ListeningSockets;
  private readonly reloader: Reloader<LoadedListenerConfig>;
  private readonly holds: Holds;
  private readonly fences: Fences;
  private readonly ledgers: Ledgers;
  private readonly voters: Voters;
  private readonly moments: Moments;
  private readonly snapshots: ServedSnapshots;
  private readonly snapshotAnswers: SnapshotAnswers;
  private readonly requests: SessionRequests;
  private readonly admissions: Admissions;
  private readonly probes: ProbeConnections;
  private readonly discovery: DiscoveryService;
  private readonly pool: WorkerPool;
  private readonly proven: ProvenConnections;
  private readonly unproven: UnprovenLimiter;
  private readonly limitedLog: RateLimitedLog;
  private records: RunRecords | null = null;
  private readonly volumes: Volumes;
  private readonly incarnations: Incarnations;
  private readonly administration: Administration;
  private readonly shared: SharedPools;
  private readonly peers: Peers;
  private readonly shortage: SpaceShortage;
  private readonly halts: Halts;
  private readonly bandwidth: Bandwidth;
  private readonly changes = new ChangeQueue();
  private readonly lists: ListAnnouncements;
  private isServing = false;
  /**
   * If a reload was requested before the server was up, this is the asker of the last such request, for example `SIGHUP`. The reload waits
   * until the server is up. Null if no reload was requested.
   */
  private reloadWantedBy: string | null = null;

  private readonly incarnationOf = (volume: ServedVolume | null): string => incarnationOf(volume, this.records, this.identity.instance);

  constructor(given: ListenerOptions) {
    this.events = new EventHistory(given.clock, given.store);
    const options = { ...given, log: new EventLog(given.log, this.events) };
    const { config, paths, clock, log } = options;
    this.options = options;
    this.logs = new ServerLogs({ log, relog: given.relog, config: () => this.config, pool: () => this.pool });
    this.identity = identityOf(config);
    this.rights = new WorkerRights({ ...options, served: (id) => this.requests.served(id) });
    this.sockets = new ListeningSockets({
      clock,
      log,
      connected: (socket, listeningSocket) => this.unproven.connected(socket, listeningSocket),
      addressCame: () => void this.explore(this.config),
    });
    this.limitedLog = new RateLimitedLog(clock, log);
    this.lists = new ListAnnouncements({ clock, volumes: () => this.volumes.served.length, announce: (...all) => this.announce(...all) });
    this.shortage = new SpaceShortage(log, () => this.lists.changed([], null));
    this.reloader = this.newReloader();
    const parts = { records: () => this.records, administration: () => this.administration, admissions: () => this.admissions };
    ({ holds: this.holds, fences: this.fences, ledgers: this.ledgers } = newHolderState(options, parts));
    this.proven = this.newProven();
    this.unproven = this.proven.newLimiter();
    this.halts = new Halts(clock, paths.haltsFile);
    this.bandwidth = this.newBandwidth();
    this.voters = systemVoters({ folder: paths.votersDir, log, config: () => this.config, served: () => this.volumes.served });
    this.volumes = new Volumes({
      idsFile: paths.volumesFile,
      memoryDirectory: paths.memoryDir,
      fileSystemOf,
      clock,
      log,
      syncFailedLate: (id) => void this.incarnations.lost(id),
      isHeld: (id) => this.holds.holdersOf(id).length > 0,
      holdersOf: (id) => this.holds.holdersOf(id),
      isNew: (id) => this.administration.isNew(id),
      incarnationEnded: async (id) => this.records?.incarnationsEnded([id]),
      unmarked: (keys) => this.changes.runOwn(() => this.inForce.openAgain(keys), 'volumes whose files are free again'),
    });
    this.pool = new WorkerPool(() => this.startWorker(), options.config.server.processes);
    this.snapshots = this.newSnapshots();
    this.snapshotAnswers = systemAnswers(this.snapshots, clock);
    this.stats = new Statistics({
      clock,
      sessions: () => this.admissions.sessions,
      volumes: this.volumes,
      snapshots: this.snapshots,
      bandwidth: this.bandwidth,
    });
    this.admissions = new Admissions({
      clock,
      log,
      limitedLog: this.limitedLog,
      holds: this.holds,
      bandwidth: this.bandwidth,
      figures: (session, figures) => this.stats.book.received(session, figures),
      takeWorkerSession: (session) => this.pool.take(session),
      beginMessage: (node) => ({ ...this.beginMessage(), node }),
      isClient: (node) => keysOf(this.config.clients, node).length > 0,
      checkFence: (node) => this.fences.check(node),
      checkTls: (features) => checkTls(features, this.config),
      lost: (volumeId) => void this.incarnations.lost(volumeId),
      cut: (volumeId) => void this.incarnations.cut(volumeId),
      waitsForSpace: ({ id }, volume, waits, pool) => this.shortage.changed(id, volume, this.volumes.nameOf(volume), waits, pool),
      held: ({ id }, number) => this.moments.held(id, number),
      answer: (session, request) => this.requests.answer(session, request),
      recordIdle: (id) => this.requests.records.idle(id),
      sessionEnded: (session, isClean) => this.sessionEnded(session, isClean),
      refuse: (socket, proven, error) => this.proven.refuse(socket, proven, error),
    });
    this.moments = this.newMoments();
    this.requests = this.newRequests();
    this.incarnations = this.newIncarnations();
    this.inForce = this.newConfigInForce();
    this.shared = this.newShared();
    this.peers = newPeers({ ...options, ...parts, limitedLog: this.limitedLog, instance: this.identity.instance });
    this.administration = this.newAdministration();
    this.probes = new ProbeConnections(clock, log, this.limitedLog);
    this.discovery = systemDiscovery(clock, log, this.identity.instance);
  }

  /**
   * Resolves when the server listens on every interface whose address exists. If the server cannot start, throws, and leaves nothing open.
   */
  async start(): Promise<void> {
    const { paths, clock, log, warn } = this.options;
    this.records = new RunRecords(paths.recordsFile, bootId());
    await this.records.endOldWorkers(clock, log);
    for (const state of [this.holds, this.fences, this.halts, this.voters, this.administration]) await state.load();
    await this.inForce.openPools().finally(() => this.records?.firstStartEnded());
    const { config } = this;
    this.holds.keepNodes(config.clients.map(({ name }) => name));
    await this.volumes.open(config);
    this.bandwidth.refresh();
    for (const trouble of this.administration.troubles) this.warn(trouble);
    for (const { error } of this.volumes.failures) warn(`${error.message} [${error.code}]`);
    try {
      for (const problem of await this.sockets.open(config.interfaces)) this.warn(addressMissingText(problem));
      await this.administration.start();
    } catch (error) {
      await this.stop('The server could not start');
      throw error;
    }
    this.rights.choose(this.config.server);
    this.pool.fill();
    await this.explore(config, (sentence) => this.warn(sentence));
    this.isServing = true;
    if (this.reloadWantedBy !== null) this.reloader.ask(this.reloadWantedBy);
    const listening = this.sockets.listening(config.interfaces).map(({ address, port }) => `${address}/${port}`);
    this.shared.farms.follow(config.pools);
    this.peers.follow(this.config.peers);
    log.info(`Server ${config.server.name} serves ${plural(this.volumes.served.length, 'volume')} on ${listening.join(', ')}`);
  }

  /** Stops admitting clients, answers requests in progress, flushes, and ends all workers. */
  async stop(sentence: string): Promise<void> {
    const { clock } = this.options;
    this.isServing = false;
    this.shared.farms.stop();
    await this.peers.stop();
    this.sockets.closeAll();
    this.unproven.close({ code: 'E_SHUTTING_DOWN', sentence });
    this.moments.stop();
    this.bandwidth.close();
    await this.administration.stop();
    await this.changes.idle(clock, CHANGE_STOP_WAIT_MS);
    this.probes.close('E_SHUTTING_DOWN', sentence);
    this.discovery.close();
    await this.admissions.close('E_SHUTTING_DOWN', sentence);
    await this.pool.stop();
    this.limitedLog.close();
    this.lists.close();
    const clean = await this.shared.settled();
    await this.volumes.close();
    await this.administration.close();
    // Save records that name no workers, so that the next listener knows that this listener exited cleanly.
    await this.shared.farms.close(clean);
    await this.records?.saved();
  }

  /** Called on SIGHUP. Reopens the logs at once; reads the configuration as soon as the server is up. */
  reload(): void {
    this.logs.reopen();
    this.reloadLater('SIGHUP');
  }

  private reloadLater(by: string): void {
    this.reloadWantedBy = by;
    if (this.isServing) this.reloader.ask(by);
  }

  /** Answers discovery datagrams on all interfaces with a listening socket. */
  private async explore(config: RssrvConfig, warn = (sentence: string) => this.options.log.warn(sentence)): Promise<void> {
    const interfaces = this.sockets.listening(config.interfaces);
    for (const sentence of await this.discovery.follow({ ...config, interfaces })) warn(sentence);
  }

  private warn(sentence: string): void {
    this.options.log.warn(sentence);
    this.options.warn(`Warning: ${sentence}`);
  }

  /**
   * Announces a new generation of the list, so that the clients request the list. `seenBy` contains the changed volumes, in their old and
   * their new state: only clients that may attach one of these volumes are notified. If `seenBy` is null, all clients are notified.
   */
  private announce(grown: readonly GrownVolume[], seenBy: readonly Pick<ServedVolume, 'clients'>[] | null): void {
    announceList(this.admissions.sessions, { interfaces: this.interfaces, generation: this.lists.generation, grown }, seenBy);
    this.administration.lookSoon();
  }

  private get config(): RssrvConfig {
    return this.inForce.config;
  }

  private get interfaces(): ServerInterface[] {
    return this.config.interfaces.map(toInterface);
  }

  private newBandwidth(): Bandwidth {
    return new Bandwidth({
      clock: this.options.clock,
      log: this.options.log,
      halts: this.halts,
      config: () => this.config,
      sessions: () => this.admissions.sessions,
      volumes: () => this.volumes,
      heldChanged: (volumes) => this.lists.changed([], volumes),
    });
  }

  private newIncarnations(): Incarnations {
    return new Incarnations({
      log: this.options.log,
      volumes: this.volumes,
      begin: async (id) => this.records?.incarnationsEnded([id]),
      revoke: (id) => this.admissions.revoke(id, this.holds.epochOf(id)),
      listChanged: (volume) => this.lists.changed([], volume === null ? null : [volume]),
    });
  }

  private newMoments(): Moments {
    return new Moments({
      ...this.options,
      sessions: () => this.admissions.sessions,
      nameOf: (id) => this.volumes.nameOf(id),
      incarnationOf: (id) => this.incarnationOf(this.requests.served(id)),
      unsettledNode: (id, incarnation) => this.holds.unsettledNode(id, incarnation),
      sync: (id) => this.volumes.sync(id),
      lost: (id) => void this.incarnations.lost(id),
    });
  }

  private newSnapshots(): ServedSnapshots {
    return new ServedSnapshots({
      pools: () => this.administration.poolStates,
      volumes: () => this.config.volumes,
      holdersOf: (id) => this.holds.holdersOf(id),
      opening: () => this.admissions.opening,
      isOpen: (id, node) => this.admissions.sessions.some(({ client, uses }) => client.node === node && uses.isGranted(id)),
      isCopying: (node) => rightsOf(node, this.config.rights).role === 'copy',
    });
  }

  private newRequests(): SessionRequests {
    const { limitedLog, holds, volumes, shortage, bandwidth, rights, moments, snapshots, snapshotAnswers, voters, fences } = this;
    return new SessionRequests({
      ...this.options,
      limitedLog,
      holds,
      volumes,
      shortage,
      bandwidth,
      rights,
      moments,
      snapshots,
      snapshotAnswers,
      voters,
      fences,
      server: this.identity.server,
      admissions: () => this.admissions,
      administration: () => this.administration,
      config: () => this.config,
      interfaces: () => this.interfaces,
      incarnationOf: (one) => this.incarnationOf(one),
      shared: () => this.shared,
      incarnationEnded: async ({ id }) => this.records?.incarnationsEnded([id]),
      lost: (id) => void this.incarnations.lost(id),
      listChanged: (changed) => this.lists.changed([], changed),
    });
  }

  private newConfigInForce(): ConfigInForce {
    const { clock, log, paths } = this.options;
    return new ConfigInForce(this.options.config, {
      clock,
      log,
      configFile: paths.configFile,
      sockets: this.sockets,
      volumes: this.volumes,
      holds: this.holds,
      snapshots: this.snapshots,
      shortage: this.shortage,
      bandwidth: this.bandwidth,
      halts: this.halts,
      workers: this.pool,
      rights: this.rights,
      bridged: (id) => this.requests.bridges.of(id),
      revocations: this.requests.revocations,
      admissions: () => this.admissions,
      administration: () => this.administration,
      listChanged: (grown, seenBy) => this.lists.changed(grown, seenBy),
      startIncarnation: (id) => this.incarnations.start(id),
      explore: (next) => this.explore(next),
      sharedPools: (pools) => this.shared.farms.follow(pools),
      peers: (peers) => this.peers.follow(peers),
    });
  }

  private newShared(): SharedPools {
    const { clock, log, paths } = this.options;
    return new SharedPools({
      clock,
      log,
      volumes: this.volumes,
      ledgers: this.ledgers,
      random: randomUnit,
      server: () => this.config.server.name,
      partsOf: (config) => sharedPoolParts(config, this.config.server.name, paths.runDir, clock),
      admissions: () => this.admissions,
      administration: () => this.administration,
      inForce: () => this.inForce,
      changes: this.changes,
      incarnations: () => this.incarnations,
      statistics: () => this.stats.view(),
      listChanged: () => this.lists.changed([], null),
      ownerChanged: () => this.peers.follow(this.config.peers),
    });
  }

  private newReloader(): Reloader<LoadedListenerConfig> {
    return new Reloader({
      log: this.options.log,
      current: () => this.config,
      load: (text) => this.inForce.load(text),
      examine: (next) => this.inForce.examine(next),
      exclusive: (work) => this.changes.runOwn(work, 'a reload'),
      standingOf: (volume) => this.inForce.standingOf(volume),
      apply: (plan, next) => this.logs.along(() => this.inForce.apply(plan, next)),
      setLevel: (level) => this.logs.setLevel(level),
    });
  }

  private newAdministration(): Administration {
    const { clock, log, paths } = this.options;
    return new Administration({
      clock,
      log,
      paths,
      changes: this.changes,
      moments: this.moments,
      voters: this.voters,
      halts: this.halts,
      ledgers: this.ledgers,
      farms: this.shared.farms,
      peers: this.peers,
      readers: this.snapshots,
      differences: this.snapshotAnswers,
      inForce: () => this.inForce,
      config: () => this.config,
      configuredMs: () => this.inForce.configuredMs,
      sessions: () => this.admissions.statuses,
      statusOf: (volume) => this.inForce.statusOf(volume),
      check: (was, now) => void this.inForce.checkChange(was, now),
      apply: (was, now) => this.inForce.applyVolume(was, now),
      clients: {
        fences: this.fences,
        sessions: this.admissions,
        holds: this.holds,
        volumes: this.volumes,
        probes: () => this.probes,
        revocations: this.requests.revocations,
        incarnation: (volume) => this.incarnationOf(volume),
        disputedMs: (volume) => this.shared.disputedMs(volume),
        incarnationEnded: ({ id }) => this.incarnations.start(id),
        holdersChanged: () => this.lists.changed([], null),
      },
      reload: (by) => this.reloader.request(by),
      reloadLater: (by) => this.reloadLater(by),
      events: this.events,
      volumeFailures: () => this.volumes.failures,
      statistics: () => this.stats.view(),
      isListening: (one) => this.sockets.listening([one]).length > 0,
      checkConfig: (text) => this.reloader.check(text),
      rights: this.rights,
      workers: this.pool,
      shortPoolsChanged: (ids) => this.admissions.tell({ type: 'short-pools', ids }),
    });
  }

  private newProven(): ProvenConnections {
    const { limitedLog, identity, fences, holds } = this;
    return new ProvenConnections({
      ...this.options,
      limitedLog,
      identity,
      fences,
      holds,
      config: () => this.config,
      admissions: () => this.admissions,
      discovery: () => this.discovery,
      probes: () => this.probes,
      list: () => ({ interfaces: this.interfaces, generation: this.lists.generation }),
    });
  }

  private startWorker(): Worker {
    const { records } = this;
    assert(records !== null, 'A worker is started before the records are loaded');
    const worker = this.rights.start((pid) => records.workerStarted(pid));
    void worker.ended.then(() => records.workerEnded(worker.pid, [])).catch((error: Error) => this.options.log.error(error.message));
    return worker;
  }

  private beginMessage(): Extract<ToSession, { type: 'begin' }> {
    const { name, logLevel } = this.config.server;
    return {
      type: 'begin',
      interfaces: this.interfaces,
      generation: this.lists.generation,
      log: { node: name, level: logLevel },
      shortPools: this.administration.shortPools,
    };
  }

  private async sessionEnded(session: ServedSession, isClean: boolean): Promise<void> {
    this.shortage.sessionEnded(session.id);
    this.bandwidth.sessionEnded(session.id);
    this.stats.book.sessionEnded(session.id);
    this.moments.sessionEnded(session.id);
    this.administration.sessionEnded(session.id);
    const written = [...session.uses].filter((id) => !this.snapshots.has(id));
    if (!isClean) await this.records?.workerEnded(session.workerSession.pid, written);
  }
}

// Makes the objects that record which clients hold which volumes, and which clients are fenced: the files in the state directory, and the
// ledgers of the pools. Invariant: the holds and fences of a pool are saved in the ledger of this pool, and in no other ledger.
interface HolderState {
  readonly holds: Holds;
  readonly fences: Fences;
  readonly ledgers: Ledgers;
}

/** Each part is a function, because the parts are made later; `records` returns null until the server starts. */
interface HolderStateParts {
  readonly records: () => RunRecords | null;
  readonly administration: () => Administration;
  readonly admissions: () => Admissions;
}

function newHolderState(
  { paths, clock, log }: { readonly paths: RssrvPaths; readonly clock: Clock; readonly log: Log },
  { records, administration, admissions }: HolderStateParts,
): HolderState {
  const holds = new Holds(paths.holdersFile, () => clock.wallMs(), log, {
    save: (poolId) => ledgers.save(poolId),
    isDirty: (poolId) => ledgers.isDirty(poolId),
    doubt: (poolId) => ledgers.doubt(poolId),
  });
  const fences = new Fences(clock, paths.fencesFile, holds, () => ledgers.saveFences());
  const ledgers: Ledgers = new Ledgers({
    log,
    holds,
    fences,
    owner: () => records()?.runId ?? '',
    begin: async (ids) => records()?.poolCame(ids),
    countOf: (id) => records()?.countOf(id) ?? 0,
    adoptCounts: (counts) => records()?.adoptCounts(counts),
    areRemembered: (path, volumes) => administration().areRemembered(path, volumes),
    onLedger: (poolId, work) => administration().onLedger(poolId, work),
    came: (fenced) => {
      admissions().holdersCame();
      for (const node of fenced) admissions().endSession(node, 'E_FENCED', `Node ${node} was fenced at the last server of a pool`);
    },
  });
  return { holds, fences, ledgers };
}
