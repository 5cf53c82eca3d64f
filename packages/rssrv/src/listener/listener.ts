// The listener process listens on every interface, authenticates each connection, and passes the connection to the worker of its session.
// The listener owns everything that sessions share: volumes, ids, holds and incarnations. The listener never reads or writes the data of
// volumes. Invariant: the listener serves nothing before the workers of an earlier listener have exited (S10), and nothing after `stop`.

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type Proven, provedRefusal, ServerHandshake, type ServerIdentity } from '@rsio/protocol/auth/handshake-server';
import type { RssrvPaths } from '@rsio/common/config/root-paths';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { udpSockets } from '@rsio/protocol/explorer/network/datagram-sockets';
import { machineInterfaces, systemFacts } from '@rsio/protocol/explorer/network/interfaces';
import { assert } from '@rsio/common/lib/assert';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import { RateLimitedLog } from '@rsio/common/log/rate-limited-log';
import type { DaemonLog } from '@rsio/common/log/log';
import { bootId } from '@rsio/common/daemon/process-facts';
import { FEATURE, PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import { type ListAnswer, type OpenRequest, type ServerInterface, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { plural } from '@rsio/common/lib/units';
import { Administration } from '../admin/administration.ts';
import { ChangeQueue } from '../admin/change-queue.ts';
import { CHANGE_STOP_WAIT_MS } from '../admin/limits.ts';
import { ConfigInForce, type LoadedListenerConfig } from './config-in-force.ts';
import { Admissions, type ServedSession } from './admissions.ts';
import type { SessionRequest, ToSession } from '../workers/channel.ts';
import { DiscoveryService } from '../discovery/discovery-service.ts';
import { sendRefusal } from './unproven-connection.ts';
import { fileSystemOf } from '../sys/file-system.ts';
import { type ListeningSocket, ListeningSockets, addressMissingText, toInterface } from './listening-sockets.ts';
import { notOffered, offeredTo, volumeEntry } from './offered-volumes.ts';
import { UnprovenLimiter } from './unproven-limiter.ts';
import { ProbeConnections } from '../probes/probe-connections.ts';
import { type GrantPorts, Holds } from '../holds/holds.ts';
import { Reloader } from '../reload/reloader.ts';
import { RunRecords } from './run-records.ts';
import type { GrownVolume, ServedVolume } from '../backends/io/served-volume.ts';
import type { Grant, Settled } from '../session/session-volumes.ts';
import { SpaceShortage } from '../volumes/space-shortage.ts';
import { Volumes } from '../volumes/volumes.ts';
import { Worker, WorkerPool } from '../workers/worker-pool.ts';

export interface ListenerOptions {
  readonly config: RssrvConfig;
  readonly paths: RssrvPaths;
  readonly clock: Clock;
  readonly log: DaemonLog;
  /** True if workers also log to stderr. */
  readonly foreground: boolean;
  /** True if rssrv was started with --test, which permits the `test-...` keys of volumes. */
  readonly mayInjectFaults: boolean;
  /** Prints a message for the administrator who starts the daemon. */
  readonly warn: (sentence: string) => void;
}

export class Listener {
  private readonly options: ListenerOptions;
  private readonly inForce: ConfigInForce;
  private readonly identity: ServerIdentity;
  private readonly sockets: ListeningSockets;
  private readonly reloader: Reloader<LoadedListenerConfig>;
  private readonly holds: Holds;
  private readonly admissions: Admissions;
  private readonly probes: ProbeConnections;
  private readonly discovery: DiscoveryService;
  private readonly pool: WorkerPool;
  private readonly unproven: UnprovenLimiter;
  private readonly limitedLog: RateLimitedLog;
  private records: RunRecords | null = null;
  private readonly volumes: Volumes;
  private readonly administration: Administration;
  private readonly shortage: SpaceShortage;
  private readonly changes = new ChangeQueue();
  /** Generation of the list that the server sends to clients. */
  private generation = 1;
  private isServing = false;
  private isReloadWanted = false;

  constructor(options: ListenerOptions) {
    const { config, paths, clock, log } = options;
    this.options = options;
    this.identity = {
      namespaceid: config.namespace.namespaceid,
      server: config.server.name,
      serverid: config.server.serverid,
      instance: randomBytes(16).toString('hex'),
      serverkey: config.server.serverkey,
      versions: PROTOCOL_VERSIONS,
      features: [FEATURE.DIGEST, FEATURE.PROBE, FEATURE.REVOKE],
    };
    this.sockets = new ListeningSockets({
      clock,
      log,
      connected: (socket, listeningSocket) => this.unproven.connected(socket, listeningSocket),
      addressCame: () => void this.explore(this.config),
    });
    this.unproven = this.newUnprovenLimiter();
    this.limitedLog = new RateLimitedLog(clock, log);
    this.shortage = new SpaceShortage(log);
    this.reloader = this.newReloader();
    this.holds = new Holds(paths.holdersFile, () => clock.wallMs(), log);
    this.volumes = new Volumes({
      idsFile: paths.volumesFile,
      memoryDirectory: paths.memoryDir,
      fileSystemOf,
      runDirectory: paths.runDir,
      clock,
      log,
      syncFailedLate: (id) => void this.lost(id),
      isHeld: (id) => this.holds.holdersOf(id).length > 0,
      holdersOf: (id) => this.holds.holdersOf(id),
      incarnationEnded: async (id) => this.records?.incarnationEnded(id),
    });
    this.pool = new WorkerPool(() => this.startWorker(), options.config.server.processes);
    this.admissions = new Admissions({
      clock,
      log,
      limitedLog: this.limitedLog,
      holds: this.holds,
      takeWorkerSession: (session) => this.pool.take(session),
      beginMessage: (node) => ({ ...this.beginMessage(), node }),
      isClient: (node) => this.keyOf(node) !== null,
      lost: (volumeId) => void this.lost(volumeId),
      cut: (volumeId) => void this.cut(volumeId),
      waitsForSpace: ({ id }, volumeId, isWaiting) => this.shortage.changed(id, volumeId, this.volumes.nameOf(volumeId), isWaiting),
      answer: (session, request) => this.answer(session, request),
      sessionEnded: (session, isClean) => this.sessionEnded(session, isClean),
      refuse: (socket, proven, error) => this.refuse(socket, proven, error),
    });
    this.inForce = this.newConfigInForce();
    this.administration = this.newAdministration();
    this.probes = new ProbeConnections(clock, log, this.limitedLog);
    const { instance } = this.identity;
    this.discovery = new DiscoveryService({
      clock,
      log,
      sockets: udpSockets,
      machine: () => machineInterfaces(systemFacts),
      instance,
    });
  }

  /**
   * Resolves when the server listens on every interface whose address exists. Throws and leaves nothing behind if the server cannot start.
   */
  async start(): Promise<void> {
    const { paths, clock, log, warn } = this.options;
    this.records = new RunRecords(paths.recordsFile, bootId());
    await this.records.endOldWorkers(clock, log);
    await this.holds.load();
    await this.administration.load();
    await this.inForce.openPools();
    const { config } = this;
    this.holds.keepNodes(config.clients.map(({ name }) => name));
    await this.volumes.open(config);
    for (const trouble of this.administration.troubles) this.warn(trouble);
    for (const { error } of this.volumes.failures) warn(`${error.message} [${error.code}]`);
    try {
      for (const problem of await this.sockets.open(config.interfaces)) this.warn(addressMissingText(problem));
      await this.administration.start();
    } catch (error) {
      await this.stop('The server could not start');
      throw error;
    }
    this.pool.fill();
    await this.explore(config, (sentence) => this.warn(sentence));
    this.isServing = true;
    if (this.isReloadWanted) this.reloader.ask();
    const listening = this.sockets.listening(config.interfaces).map(({ address, port }) => `${address}/${port}`);
    log.info(`Server ${config.server.name} serves ${plural(this.volumes.served.length, 'volume')} on ${listening.join(', ')}`);
  }

  /** Stops admitting clients, answers requests in progress, flushes, and ends all workers. */
  async stop(sentence: string): Promise<void> {
    const { clock } = this.options;
    this.isServing = false;
    this.sockets.closeAll();
    this.unproven.close({ code: 'E_SHUTTING_DOWN', sentence });
    await this.administration.stop();
    await this.changes.idle(clock, CHANGE_STOP_WAIT_MS);
    this.probes.close('E_SHUTTING_DOWN', sentence);
    this.discovery.close();
    await this.admissions.close('E_SHUTTING_DOWN', sentence);
    await this.pool.stop();
    this.limitedLog.close();
    await this.volumes.close();
    await this.administration.close();
    // Save records that name no workers, so that the next listener knows that this listener exited cleanly.
    await this.records?.saved();
  }

  /** Called on SIGHUP. Reopens the logs at once; reads the configuration as soon as the server is up. */
  reload(): void {
    this.options.log.reopen();
    this.reopenWorkerLogs();
    this.reloadLater();
  }

  private reloadLater(): void {
    this.isReloadWanted = true;
    if (this.isServing) this.reloader.ask();
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

  /** Announces a new generation of the list, so that the clients request the list. */
  private listChanged(grown: readonly GrownVolume[]): void {
    this.generation++;
    const message = { type: 'list-changed', interfaces: this.interfaces, generation: this.generation, grown } as const;
    for (const session of this.admissions.sessions) session.workerSession.send(message);
  }

  private reopenWorkerLogs(): void {
    this.pool.reopenLogs(this.config.server.logLevel);
  }

  private get config(): RssrvConfig {
    return this.inForce.config;
  }

  private get interfaces(): ServerInterface[] {
    return this.config.interfaces.map(toInterface);
  }

  private keyOf(node: string): string | null {
    return this.config.clients.find((client) => client.name === node)?.key ?? null;
  }

  private newConfigInForce(): ConfigInForce {
    const { clock, log, paths, mayInjectFaults } = this.options;
    return new ConfigInForce(this.options.config, {
      clock,
      log,
      configFile: paths.configFile,
      mayInjectFaults,
      sockets: this.sockets,
      volumes: this.volumes,
      holds: this.holds,
      shortage: this.shortage,
      workers: this.pool,
      admissions: () => this.admissions,
      administration: () => this.administration,
      listChanged: (grown) => this.listChanged(grown),
      startIncarnation: (id) => this.startIncarnation(id),
      explore: (next) => this.explore(next),
    });
  }

  private newReloader(): Reloader<LoadedListenerConfig> {
    const { log } = this.options;
    return new Reloader({
      log,
      current: () => this.config,
      load: () => this.inForce.load(),
      exclusive: (work) => this.changes.runOwn(work),
      standingOf: (volume) => this.inForce.standingOf(volume),
      apply: (plan, next) => this.inForce.apply(plan, next),
      setLevel: (level) => {
        log.setLevel(level);
        this.reopenWorkerLogs();
      },
    });
  }

  private newAdministration(): Administration {
    const { clock, log, paths } = this.options;
    return new Administration({
      clock,
      log,
      paths,
      changes: this.changes,
      config: () => this.config,
      configuredMs: () => this.inForce.configuredMs,
      sessions: () => this.admissions.statuses,
      statusOf: (volume) => this.inForce.statusOf(volume),
      check: (was, now) => void this.inForce.checkChange(was, now),
      apply: (was, now) => this.inForce.applyVolume(was, now),
      reload: () => this.reloader.request(),
      reloadLater: () => this.reloadLater(),
    });
  }

  private newUnprovenLimiter(): UnprovenLimiter {
    const { clock, log } = this.options;
    return new UnprovenLimiter({
      clock,
      log,
      newHandshake: () => new ServerHandshake(this.identity, randomBytes),
      keyOf: (node) => this.keyOf(node),
      secretOf: (session, node) => this.admissions.secretOf(session, node),
      currentSecretOf: (node) => this.admissions.currentSecretOf(node),
      isKnown: (claim) => this.holds.isKnown(claim),
      proven: (socket, proven, listeningSocket, isOutdated) => {
        this.discovery.proved(socket.remoteAddress ?? '');
        if (isOutdated)
          this.refuse(socket, proven, new RsError('E_DRAINING', 'The configuration of the server has just changed: try again'));
        else this.admit(socket, proven, listeningSocket);
      },
    });
  }

  /** Probes stay in the listener, because they never touch sessions. */
  private admit(socket: Socket, proven: Proven, { config }: ListeningSocket): void {
    if (!proven.features.includes(FEATURE.PROBE)) {
      this.admissions.admit(socket, proven, toInterface(config));
      return;
    }
    try {
      const { interfaces, generation } = this;
      this.probes.admit(socket, proven, config.name, { interfaces, generation });
    } catch (error) {
      this.refuse(socket, proven, toRsError(error));
    }
  }

  private refuse(socket: Socket, proven: Proven, error: RsError): void {
    const write = (): void => this.options.log.warn(`Refused ${socket.remoteAddress ?? '?'}: ${error.message} [${error.code}]`);
    this.limitedLog.note(`Refused connections of node ${proven.hello.node}`, write);
    sendRefusal(socket, provedRefusal(proven, error.code, error.message));
  }

  private startWorker(): Worker {
    const { clock, log, foreground } = this.options;
    const { records } = this;
    assert(records !== null, 'A worker is started before the records are loaded');
    const worker = new Worker(clock, log, foreground, (pid) => records.workerStarted(pid));
    void worker.ended.then(() => records.workerEnded(worker.pid, [])).catch((error: Error) => log.error(error.message));
    return worker;
  }

  private beginMessage(): Extract<ToSession, { type: 'begin' }> {
    const { paths, foreground } = this.options;
    const { name, logLevel } = this.config.server;
    return {
      type: 'begin',
      interfaces: this.interfaces,
      generation: this.generation,
      log: { file: paths.logFile, node: name, level: logLevel, copiesToStderr: foreground },
    };
  }

  private async answer(session: ServedSession, request: SessionRequest): Promise<ListAnswer | Grant | Settled | null> {
    switch (request.what) {
      case 'list':
        return this.list(session.client.node);
      case 'grant':
        return this.grant(session, request.request);
      case 'release':
        session.volumeIds.delete(request.volumeId);
        await this.holds.release(request.volumeId, session.client, request.epoch);
        return null;
      case 'settle':
        return { isSettled: await this.holds.settle(request.volumeId, session.client, request.epoch, request.incarnation) };
    }
  }

  private async grant(session: ServedSession, request: OpenRequest): Promise<Grant> {
    const { client, workerSession } = session;
    const find = (): ServedVolume | null =>
      offeredTo(client.node, this.volumes.served).find(({ name, universe }) => name === request.name && universe === request.universe) ??
      null;
    const volume = find();
    if (volume === null) {
      const failures = [...this.volumes.failures, ...this.administration.failures];
      return notOffered(client.node, request, failures, this.identity.server);
    }
    const ports: GrantPorts = {
      find,
      incarnation: (one) => this.incarnationOf(one),
      revokeHold: ({ id }, { node }, epoch, why) => this.admissions.revokeForTakeOver(node, id, epoch, why),
      sync: ({ id }) => this.volumes.sync(id),
      incarnationEnded: async ({ id }) => this.records?.incarnationEnded(id),
      isWanted: () => !workerSession.isEnding,
      holdersChanged: () => this.listChanged([]),
    };
    const granting = this.holds.grant(volume.id, client, request, ports).then((grant) => {
      if (grant.granted) session.volumeIds.add(volume.id);
      return grant;
    });
    // If this session ends, do not wait for the take-over, because the take-over depends on another client's worker.
    if (request.take === TAKE.NO) return granting;
    const sentence = `The session ended before volume ${volume.name} was taken over`;
    return Promise.race([
      granting,
      workerSession.ending.then((): Grant => ({ granted: false, status: STATUS.HELD, sentence, holders: [] })),
    ]);
  }

  private incarnationOf({ id, type }: ServedVolume): string {
    return type === 'memory' ? this.identity.instance : (this.records?.incarnationOf(id) ?? '');
  }

  private list(node: string): ListAnswer {
    const volumes = offeredTo(node, this.volumes.served).map((volume) => volumeEntry(volume, this.holds.holdersOf(volume.id)));
    return { generation: this.generation, interfaces: this.interfaces, volumes };
  }

  /** Called when a sync of the volume has failed in a worker. */
  private async lost(id: string): Promise<void> {
    const name = this.volumes.nameOf(id);
    this.options.log.error(
      `Volume ${name}: a sync failed, and writes acknowledged since the last good one may be lost: its storage starts a new incarnation, and ` +
        'the client sends again what it has kept; check the storage',
      { volume: name },
    );
    await this.startIncarnation(id);
  }

  /**
   * Called when a worker has found the storage truncated. The server stops serving the volume until a reload or a start finds the storage
   * complete.
   */
  private async cut(id: string): Promise<void> {
    const sentence = await this.volumes.cut(id);
    if (sentence === null) return;
    this.options.log.error(sentence, { volume: this.volumes.nameOf(id) });
    await this.startIncarnation(id);
  }

  private async startIncarnation(id: string): Promise<void> {
    // From now on, grants name the new incarnation. The incarnation need not be saved first, because a crash of this process changes the
    // incarnations of all volumes.
    const kept = this.records?.incarnationEnded(id);
    this.admissions.revoke(id, this.holds.epochOf(id));
    // A changed list makes even idle clients check their handles.
    this.listChanged([]);
    void this.volumes.clearOldError(id);
    try {
      await kept;
    } catch (thrown) {
      const name = this.volumes.nameOf(id);
      this.options.log.error(`Volume ${name}: the new incarnation of its storage could not be saved: ${toRsError(thrown).message}`, {
        volume: name,
      });
    }
  }

  private async sessionEnded(session: ServedSession, isClean: boolean): Promise<void> {
    this.shortage.sessionEnded(session.id);
    if (!isClean) await this.records?.workerEnded(session.workerSession.pid, [...session.volumeIds]);
  }
}
