// Executes the commands of local programs and of clients. Owns the control sockets, the pools, and the changes of the volumes of pools. The
// listener serves the volumes and keeps the sessions. The other files of this folder execute the methods, one file for each subject.
// Invariant: a request is executed with the rights of its asker, and a local program has all rights.

import { randomBytes, randomUUID } from 'node:crypto';
import { openConfigFile } from '@rsio/common/config/config-file';
import { hashLater } from '@rsio/common/config/namespace-file';
import { changeServerFile } from '@rsio/api/manage/server-file';
import { StateFile } from '@rsio/base/files/state-file';
import { LOCAL_ROLES, type LocalRole } from '@rsio/common/config/schema/local-roles';
import { mayCall } from '@rsio/api/rssrv/may-call';
import type { RssrvPaths } from '@rsio/common/config/root-paths';
import { type Caller, CONTROL_BOUNDS, startControlServer, type ControlServer, type HandlersOf } from '@rsio/common/control/control-server';
import { CONTROL_VERSION, type EventView } from '@rsio/common/control/method-table';
import { SERVER_METHODS, type ServerMethodName, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { programVersion } from '@rsio/base/lib/version';
import { stepReached } from '../pools/disk/kill-step.ts';
import { LOCAL_ASKER, clientAsker, localAsker, limitOf, sharesVolumes, type Asker } from '../pools/asker.ts';
import { poolNamed, type PoolState, type VolumeName } from '../pools/catalogue.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import { volumesNamed } from '../pools/disk/volume-index.ts';
import type { PoolPaces } from '../pools/space/pool-paces.ts';
import type { PoolMemory } from '../pools/pool-memory.ts';
import { PoolVerbs, type PoolVerbsPorts } from '../pools/pool-verbs.ts';
import type { Farms } from '../farm/farms.ts';
import type { Moments } from '../pools/snapshots/moment.ts';
import { ScheduleRunner } from '../snapshots/schedule-runner.ts';
import type { SnapshotAnswers } from '../snapshots/reads/snapshot-answers.ts';
import { Triggers } from '@rsio/common/triggers/triggers';
import { SnapshotVerbs } from '../snapshots/snapshot-verbs.ts';
import type { Pools } from '../pools/pools.ts';
import { messageHandlers } from './remote/messages.ts';
import { RemoteRequests, type AskingSession, type RemoteAsker } from './remote/remote-requests.ts';
import { ImageVerbs } from '../jobs/images/image-verbs.ts';
import { VolumeSwitch, type ReplacedVolumes } from '../jobs/moves/volume-switch.ts';
import { JobService } from '../jobs/service/job-service.ts';
import { ReplicaStore } from '../mirrors/replica-verbs.ts';
import { Replications } from '../replication/replications.ts';
import { Journal } from '../pools/requests/journal.ts';
import { LOCAL_WAITER, Requests, gated, type Changes, type Waiter } from '../pools/requests/requests.ts';
import type { AdminReply, AdminRequest } from '../session/session-admin.ts';
import { ServerMetrics } from './server-metrics.ts';
import { failuresOf, storagePicture } from './storage-picture.ts';
import type { Voters } from '../mirrors/voters.ts';
import { witnessHandlers } from '../mirrors/witness-handlers.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import type { VolumeFailure } from '../volumes/volume-failures.ts';
import { eventOf, orderLog } from '../events/event-log.ts';
import { AuditFiles } from '../events/audit-files.ts';
import { StorageWatch } from '../events/storage-watch.ts';
import { peerUser } from '../machine/peer-user.ts';
import { haltHandlers } from '../volumes/throttle/halt-handlers.ts';
import type { Halts } from '../volumes/throttle/halts.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import type { OwnedLedgers } from '../volumes/holds/owned-ledgers.ts';
import type { Revocations } from '../volumes/holds/revocations.ts';
import type { ChangeQueue } from './change-queue.ts';
import { accessHandlers } from './access-handlers.ts';
import { Audit, type Order } from './audit.ts';
import { clientHandlers, type ClientPorts } from './client-handlers.ts';
import { clientNameHandlers, type RenameFile } from './client-rename.ts';
import { farmHandlers } from './farm-handlers.ts';
import { Inventory } from './inventory.ts';
import { STORED_FORM } from './namespace/applied-file.ts';
import { NamespaceFiles } from './namespace/namespace-handlers.ts';
import { observingHandlers, type ObservedServer } from './observing-handlers.ts';
import type { Peers } from '../replication/peers/peers.ts';
import { PoolUpkeep, type PoolUpkeepPorts } from './pool-upkeep.ts';
import { readinessHandler } from './readiness.ts';
import { GroupSockets } from './group-socket.ts';
import { LoggedChanges } from './logged-changes.ts';
import { imageHandlers } from './image-handlers.ts';
import { snapshotHandlers } from './snapshot-handlers.ts';
import { volumeHandlers } from './volume-handlers.ts';
import type { POOL_METHODS } from '@rsio/api/rssrv/pool-methods';
import type { PoolView } from '@rsio/api/views/views';
import type { Clock } from '@rsio/base/lib/clock';
import { printDuration, quoteText } from '@rsio/base/lib/units';
import { POOL_CHANGE_MS } from '../pools/limits.ts';
import { makePool } from '../pools/make-pool.ts';
import { answers } from '../pools/disk/answers.ts';
import { poolView } from './server-views.ts';

/** Facts about the workers. */
export interface ServerProcesses {
  /** Name of the user of the workers; null if they run as the user of the listener. */
  readonly user: string | null;
  /** The uid and gid of the user of the workers, for other programs that get descriptors. */
  readonly userIds: { readonly uid: number; readonly gid: number } | null;
  /** The reason why the workers have more rights than they need, with the remedy; null if they have only the rights that they need. */
  readonly warning: string | null;
}

export interface AdministrationPorts
  extends ObservedServer,
    Pick<PoolVerbsPorts, 'apply' | 'check'>,
    Pick<PoolUpkeepPorts, 'shortPoolsChanged'> {
  readonly paths: RssrvPaths;
  readonly changes: ChangeQueue;
  readonly pools: Pools;
  /** The volumes that the pools had when they were last open. */
  readonly memory: PoolMemory;
  readonly paces: PoolPaces;
  readonly ledgers: Pick<OwnedLedgers, 'saveDirty'>;
  readonly farms: Farms;
  readonly peers: Peers;
  readonly moments: Moments;
  readonly differences: Pick<SnapshotAnswers, 'difference'>;
  readonly rights: ServerProcesses;
  readonly clients: ClientPorts & {
    readonly holds: Pick<Holds, 'unsettledNode' | 'endHolds'>;
    readonly revocations: Pick<Revocations, 'take'>;
  };
  readonly voters: Voters;
  readonly halts: Halts;
  /** Reads the configuration again and returns a text for each change. Throws if the file is refused. */
  reload(by: string): Promise<readonly string[]>;
  readonly inForce: ReplacedVolumes;
  /** Reads the configuration again as soon as the server is up. */
  reloadLater(by: string): void;
}

export class Administration {
  private readonly ports: AdministrationPorts;
  private readonly pools: Pools;
  private readonly verbs: PoolVerbs;
  private readonly snapshots: SnapshotVerbs;
  private readonly images: ImageVerbs;
  /** Makes volumes of the pools replicas of mirrors. */
  readonly replicas: ReplicaStore;
  private readonly schedules: ScheduleRunner;
  private readonly upkeep: PoolUpkeep;
  readonly replications: Replications;
  private readonly triggers: Triggers;
  private readonly jobs: JobService;
  private readonly inventory: Inventory;
  private readonly namespaces: NamespaceFiles;
  private readonly renameFile: RenameFile;
  private readonly journal: Journal;
  private readonly auditFiles: AuditFiles;
  private readonly audit: Audit;
  private readonly requests: Requests;
  private readonly remote: RemoteRequests;
  private readonly startedMs: number;
  /** The control sockets for the members of groups. */
  readonly groupSockets: GroupSockets;
  readonly metrics: ServerMetrics;
  private control: ControlServer | null = null;
  private readonly storageWatch = new StorageWatch();
  private isLookWanted = false;

  constructor(ports: AdministrationPorts) {
    this.ports = ports;
    const { clock, log } = ports;
    this.startedMs = clock.wallMs();
    this.pools = ports.pools;
    const { pools } = this;
    this.journal = new Journal(ports.paths.requestsFile, log);
    this.auditFiles = new AuditFiles(ports.paths.auditDir);
    this.audit = new Audit({
      clock,
      log,
      files: this.auditFiles,
      stateOf: (wanted) => manifestOf(this.pools.states, wanted),
    });
    this.requests = new Requests(this.journal, clock);
    this.remote = new RemoteRequests({
      clock,
      log,
      config: () => ports.config(),
      execute: (method, params, asker, id, waiter) =>
        this.execute({ node: asker.node, paced: asker.node, id, method, params, who: asker.by }, asker, waiter, asker),
    });
    this.groupSockets = new GroupSockets({
      clock,
      log,
      paths: ports.paths.groupSockets,
      handlers: (role) => this.localHandlers(role),
      userOf: peerUser,
      refused: (method, params, caller, error) => this.audit.refused(localOrder(method, params, caller, 'reader'), error),
    });
    this.verbs = new PoolVerbs({
      pools,
      clock,
      log,
      newId: () => randomUUID({ disableEntropyCache: true }),
      configured: () => this.inventory.sectionVolumes,
      check: (was, now) => {
        if (was !== null && now === null) this.jobs.checkNotCopied(was.id);
        ports.check(was, now);
      },
      apply: (was, now) => ports.apply(was, now),
    });
    this.snapshots = new SnapshotVerbs({
      verbs: this.verbs,
      moments: ports.moments,
      log,
      whileUnread: async (record, name, work) => {
        this.jobs.checkNotRead(record.id, name);
        return ports.readers.whileUnread(record, name, work);
      },
      limitOf: (node) => limitOf(node, ports.config().rights),
    });
    this.images = new ImageVerbs(this.verbs, this.snapshots, log);
    const newIdentity = (): string => randomBytes(16).toString('hex');
    this.replicas = new ReplicaStore(this.verbs, newIdentity, (work, what) => ports.changes.run(work, what), log, {
      isServed: (id) => ports.clients.volumes.served.some((one) => one.id === id),
      end: (id) =>
        ports.clients.holds.endHolds(
          id,
          (all) => all,
          () => Promise.resolve(),
          () => Promise.resolve(),
        ),
    });
    this.triggers = new Triggers({
      clock,
      log,
      daemon: 'rssrv',
      machine: () => ({ server: ports.config().server.name }),
      triggers: () => ports.config().triggers,
    });
    ports.events.heard = (event) => this.heard(event);
    this.schedules = new ScheduleRunner({
      clock,
      log,
      snapshots: this.snapshots,
      pools: () => pools.states,
      around: (wanted, make) => this.triggers.around(wanted, () => undefined, make),
      tried: (method, params, error) => this.audit.byServer('schedule', method, params, error),
      change: (work, what) => ports.changes.runOwn(work, what),
    });
    this.upkeep = new PoolUpkeep({ ...ports, pools, verbs: this.verbs, measured: () => this.look() });
    this.replications = new Replications(ports, this.verbs, this.snapshots, this.triggers);
    this.inventory = new Inventory(ports, this.verbs, this.schedules, ports.clients.fences);
    this.namespaces = this.newNamespaces();
    this.renameFile = this.newRenameFile();
    this.jobs = this.newJobs();
    this.metrics = new ServerMetrics({
      server: ports,
      pools,
      paces: ports.paces,
      inventory: this.inventory,
      fences: ports.clients.fences,
      jobs: this.jobs,
      startedMs: this.startedMs,
      replications: () => this.replications.views(),
    });
  }

  /** Edits rssrvcfg for orders, as rsadm does for persons. */
  private configFile(): Pick<RenameFile, 'document' | 'check' | 'change'> {
    const { ports } = this;
    const { configFile } = ports.paths;
    const call = async (method: 'config-check' | 'reload', params: object, by: string): Promise<never> =>
      (method === 'reload'
        ? { applied: await ports.reload(by) }
        : await ports.checkConfig((params as { readonly text: string }).text)) as never;
    return {
      document: () => openConfigFile(configFile).document,
      check: (text) => ports.checkConfig(text),
      change: (edit, by) =>
        changeServerFile(
          { configFile, call: (method, params) => call(method, params, by), out: () => undefined, note: () => undefined },
          edit,
        ),
    };
  }

  private newRenameFile(): RenameFile {
    const { namespaces } = this;
    return {
      ...this.configFile(),
      wasRenamed: (name, to) => namespaces.wasRenamed(name, to),
      renamed: (name, to) => namespaces.renamed(name, to),
    };
  }

  private newNamespaces(): NamespaceFiles {
    const { ports } = this;
    const { clock, log, paths } = ports;
    return new NamespaceFiles({
      ...this.configFile(),
      clock,
      log,
      store: (current) => new StateFile(paths.namespaceFile, STORED_FORM, current),
      hash: hashLater,
      config: () => ports.config(),
      clients: () => this.inventory.clients(),
      checkFence: (client) => ports.clients.fences.check(client),
    });
  }

  private newJobs(): JobService {
    const { verbs, snapshots, triggers, ports } = this;
    const { clock, log } = ports;
    return new JobService({
      clock,
      log,
      verbs,
      snapshots,
      triggers,
      file: ports.paths.jobsFile,
      volumeSwitch: new VolumeSwitch({
        clock,
        volumes: ports.clients.volumes,
        sessions: ports.clients.sessions,
        inForce: () => ports.inForce,
        listChanged: () => ports.clients.holdersChanged(),
        incarnationOf: (volume) => ports.clients.incarnation(volume),
        incarnationEnded: (volume) => ports.clients.incarnationEnded(volume),
        disputedMs: (volume) => ports.clients.disputedMs(volume),
      }),
      exclusive: (change, what) => ports.changes.runOwn(change, what),
      programUser: () => ports.rights.userIds,
      volumeFiles: () =>
        ports.config().volumes.flatMap(({ name, path, pool }) => (path === null || pool !== undefined ? [] : [{ name, path }])),
      reached: stepReached,
      askerOf: (node) => (node === null ? LOCAL_ASKER : clientAsker(node, ports.config())),
    });
  }

  /**
   * Loads what earlier runs of the server have saved: the remembered volumes and the paces of pools, the journal of requests, the file of the
   * namespace, and the jobs. Must be called before the pools are opened.
   */
  async load(): Promise<void> {
    await this.ports.memory.load();
    await this.ports.paces.load();
    await this.journal.load();
    await this.namespaces.load();
    await this.jobs.jobs.load();
  }

  /** For each pool that cannot be used, the reason. */
  get troubles(): string[] {
    return this.pools.states.flatMap(({ name, trouble, isOpen, isShared }) =>
      trouble === null || (isShared && !isOpen) ? [] : [`Pool ${name} cannot be used: ${trouble}`],
    );
  }

  /** The volumes of pools that cannot be used, each with the reason why it is not served. */
  get failures(): VolumeFailure[] {
    return failuresOf(this.pools.states, this.ports.memory);
  }

  /** Opens the control sockets. Throws E_CONFIG, E_ALREADY_RUNNING, E_SOCKET_PATH, E_RIGHTS or E_SYSTEM. */
  async start(): Promise<void> {
    const { paths, log } = this.ports;
    this.upkeep.judgeSpace();
    this.control = await startControlServer(paths.controlSocket, SERVER_METHODS, this.localHandlers('administrator'), log, {
      ...CONTROL_BOUNDS,
      userOf: peerUser,
    });
    await (await this.groupSockets.prepare(this.ports.config().server.groups)).commit();
    void this.jobs.start();
    this.look();
    this.upkeep.start();
    void this.schedules.look();
    this.replications.followers.start();
    await this.metrics.follow(this.ports.config());
  }

  /** Closes the control sockets. No further change begins. */
  async stop(): Promise<void> {
    this.upkeep.stop();
    this.schedules.close();
    await this.replications.followers.stop();
    await this.metrics.close();
    await this.groupSockets.close();
    await this.control?.close();
    this.remote.close();
    await this.jobs.jobs.stop();
    await this.ports.memory.close();
  }

  /** Releases the pools. The caller must first release the volumes of the pools. */
  async close(): Promise<void> {
    await this.pools.close();
    await this.journal.close();
    await this.auditFiles.close();
    this.audit.close();
  }

  /** Answers an ADMIN of a session. Never rejects. */
  answer(session: AskingSession, request: AdminRequest): Promise<AdminReply> {
    return this.remote.answer(session, request);
  }

  sessionEnded(id: string): void {
    this.remote.sessionEnded(id);
  }

  private heard(event: EventView): void {
    this.metrics.events.note(event);
    this.triggers.event(event);
  }

  /** Called when a reload has ended that no order has asked for. `by`: who has, such as SIGHUP. */
  reloaded(by: string, applied: readonly string[], error: RsError | null): void {
    this.audit.byServer(by, 'reload', {}, error, { applied });
  }

  /** Called when a client has taken a volume over from the nodes `losers`. */
  tookOver({ id, name, universe }: ServedVolume, by: string, losers: readonly string[]): void {
    this.audit.takenOver({ id, name, universe }, by, losers);
  }

  /** Called when the free space of the pools was measured. */
  spaceMeasured(): void {
    this.upkeep.judgeSpace();
    this.ports.paces.note(this.pools.states);
  }

  /** Called when the file system of a pool answers again. Never rejects. */
  async poolAnswers(name: string): Promise<void> {
    const { changes, ledgers, log } = this.ports;
    try {
      const isOpen = this.pools.states.some((pool) => pool.name === name && pool.isOpen);
      if (isOpen) {
        await changes.runOwn(() => this.verbs.readAgain(name), `reading pool ${name} again`);
        await ledgers.saveDirty();
      } else this.ports.reloadLater(`the server, because pool ${name} answers again`);
    } catch (thrown) {
      log.error(toRsError(thrown).message);
    }
  }

  private localHandlers(role: LocalRole): HandlersOf<typeof SERVER_METHODS> {
    const names = Object.keys(SERVER_METHODS) as ServerMethodName[];
    const entries = names.map((method) => [
      method,
      async (params: object, _gone: unknown, caller?: Caller) => {
        const asked = lowerOf(role, caller?.role ?? role);
        const order = localOrder(method, params, caller, asked);
        if (mayCall(asked, SERVER_METHODS[method])) return this.execute(order, localAsker(asked), LOCAL_WAITER, null);
        const error = new RsError('E_RIGHTS', `Method ${method} is refused to ${order.who}, who asks as ${asked}: ask with more rights`);
        await this.audit.refused(order, error);
        throw error;
      },
    ]);
    return Object.fromEntries(entries) as HandlersOf<typeof SERVER_METHODS>;
  }

  /**
   * Executes a method. A request with an id is executed only once, however often it arrives. `remote` checks the client's rights again when
   * a change begins; it is null for a local program.
   */
  private async execute(order: Order, asker: Asker, waiter: Waiter, remote: RemoteAsker | null): Promise<unknown> {
    const { node, id, method, params } = order;
    const { changes, clock } = this.ports;
    const call = async (queue: Changes, values: object): Promise<unknown> =>
      (this.handlers(order, asker, queue)[method] as (given: object) => unknown)(values);
    if (id === null) return this.audit.around(order, (watched) => call(watched(changes), params));
    return this.requests.execute({ node, id, method, params: { ...params, request: null } }, waiter, (execution) =>
      this.audit.around(order, async (watched) => {
        remote?.check(method);
        return call(watched(gated(changes, execution, () => remote?.check(method), clock)), { ...params, request: execution.stamp });
      }),
    );
  }

  private handlers({ who, method, id }: Order, asker: Asker, changes: Changes): HandlersOf<typeof SERVER_METHODS> {
    const { inventory, verbs, snapshots, images } = this;
    const { clock, clients } = this.ports;
    const log = orderLog(this.ports.log, { who, method, id });
    const ports = { ...this.ports, log };
    // If a client is fenced while its change still waits, the change does not begin.
    const run: Changes['run'] = (change, what) => changes.run((turn) => clients.fences.order(asker.node, () => change(turn)), what);
    const logged = new LoggedChanges(log, { run, checkWanted: () => changes.checkWanted() }, inventory, asker);
    return {
      daemon: () => ({
        program: 'rssrv',
        version: programVersion(),
        control: CONTROL_VERSION,
        methods: Object.keys(SERVER_METHODS),
        pid: process.pid,
        nodename: this.ports.config().server.name,
        startedMs: this.startedMs,
        configuredMs: this.ports.configuredMs(),
        processUser: this.ports.rights.user,
        processNote: asker.node === null ? this.ports.rights.warning : null,
        sharesVolumes: sharesVolumes(this.ports.config()),
      }),
      ...poolHandlers(clock, changes, verbs, this.ports),
      ...farmHandlers(clock, this.ports.farms, this.pools, this.ports.config().server.name),
      ...volumeHandlers(logged, inventory, verbs, this.schedules, asker),
      ...this.jobs.handlers(asker, logged),
      ...snapshotHandlers({ ...ports, clock, changes: logged, inventory, snapshots, triggers: this.triggers }, asker),
      ...imageHandlers({ changes: logged, inventory, images, replicas: this.replicas, jobs: this.jobs.images }, asker),
      ...this.replications.handlers(logged, (pool, manifest) => inventory.viewOf(pool, manifest), asker),
      ...haltHandlers(log, this.ports.halts, (volume) => inventory.show(volume), asker),
      ...accessHandlers(logged, verbs, clients, asker),
      ...clientNameHandlers(logged, verbs, clients, (node) => this.jobs.openIdsOf(node), this.renameFile, asker),
      ...clientHandlers(ports, clients, inventory, asker),
      ...this.namespaces.handlers(asker),
      ...observingHandlers(this.ports),
      ...readinessHandler(this.ports, this.pools, this.jobs.jobs, this.startedMs),
      ...witnessHandlers(log, this.ports.voters, this.ports.config().server.witness, asker),
      ...messageHandlers(this.remote.mailboxes, clients.volumes, this.ports, asker),
      'change-show': () => ({ change: this.ports.changes.view }),
      audit: (params) => this.audit.read(params),
      reload: async () => ({ applied: await this.ports.reload(asker.by) }),
    };
  }

  /** Reports changes of the storage in a later turn of the event loop. Many calls in the same turn cause only one report. */
  lookSoon(): void {
    if (this.isLookWanted) return;
    this.isLookWanted = true;
    this.ports.clock.soon(() => this.look());
  }

  private look(): void {
    this.isLookWanted = false;
    if (this.control === null) return;
    void this.pools.fillSpare();
    const failures = [...this.ports.volumeFailures(), ...this.failures];
    const { farms } = this.ports;
    const [isAway, unproven] = [(pool: PoolState) => farms.away(pool) !== null, (pool: string) => farms.unproven(pool)];
    const changes = this.storageWatch.look(storagePicture(this.pools.states, this.ports.config().volumes, failures, isAway, unproven));
    for (const { object, from, to, reason } of changes)
      this.ports.log.info(
        `The state of ${object} was ${from} and is ${to}${reason === '' ? '' : `: ${reason}`}`,
        eventOf(object, from, to, reason),
      );
  }

  /** Returns the ids of the open jobs that read or write a volume of the pool. */
  jobsIn(name: string): readonly string[] {
    const state = this.pools.states.find((pool) => pool.name === name);
    return this.jobs.idsIn({ name, id: state?.identity?.id ?? null }, new Set(state?.volumes.keys() ?? []));
  }
}

/** A caller gives up rights with a role, and gets none. Throws E_USAGE for an unknown role, because the caller means less than its own. */
function lowerOf(own: LocalRole, asked: string): LocalRole {
  const at = (LOCAL_ROLES as readonly string[]).indexOf(asked);
  if (at < 0) throw new RsError('E_USAGE', `Unknown role ${quoteText(asked)}: known are ${LOCAL_ROLES.join(', ')}`);
  return LOCAL_ROLES[Math.min(at, LOCAL_ROLES.indexOf(own))] ?? own;
}

/** Returns the order of a person on the server. */
function localOrder(method: ServerMethodName, params: object, caller: Caller | undefined, role: LocalRole): Order {
  const { request: id = null } = params as { readonly request?: string | null };
  const who = personOf(caller);
  // No client has a name with a space.
  return { node: null, paced: role === 'administrator' ? null : `user ${who}`, id, method, params, who };
}

/** Name in the audit of a person, or of a program that asks on behalf of one. */
function personOf(caller: Caller | undefined): string {
  const user = caller?.user ?? 'an unknown user';
  return (caller?.by ?? null) === null ? user : `${caller?.by}, by ${user}`;
}

function manifestOf(pools: readonly PoolState[], wanted: VolumeName | { readonly id: string }): Manifest | null {
  for (const { volumes } of pools) {
    const manifest = 'id' in wanted ? volumes.get(wanted.id) : volumesNamed(volumes, wanted)[0];
    if (manifest !== undefined) return manifest;
  }
  return null;
}

// Executes the methods about pools. The class Pools owns the pools and their locks. Invariant: if a file system does not answer, only
// requests about this file system are delayed.
function poolHandlers(
  clock: Clock,
  changes: Changes,
  verbs: PoolVerbs,
  { farms, paces }: Pick<AdministrationPorts, 'farms' | 'paces'>,
): HandlersOf<typeof POOL_METHODS> {
  const { pools } = verbs;
  const viewOf = (pool: PoolState): PoolView =>
    poolView(pool, pools.states, { space: pools.space.of(pool), pace: paces.of(pool) }, farms.away(pool));
  return {
    // `pool-make` is not executed in the queue of changes, because the file system at the given path may not answer.
    'pool-make': ({ path, noHolders }) => madePool(clock, pools, path, noHolders),
    'pool-check': ({ name }) =>
      changes.run(async () => {
        poolNamed(verbs.catalogue, name);
        await pools.check(name);
        return { pool: viewOf(poolNamed(verbs.catalogue, name)) };
      }, `a check of pool ${name}`),
    'pool-list': async () => {
      await pools.measure();
      return { pools: pools.states.map(viewOf) };
    },
  };
}

async function madePool(clock: Clock, pools: Pools, path: string, noHolders: boolean): Promise<ServerMethods['pool-make']['result']> {
  if (pools.makingAt.has(path)) throw new RsError('E_BUSY', `A pool is being made at ${path}: try again when that has ended`, { path });
  pools.makingAt.add(path);
  const made = makePool(path, clock.wallMs(), pools.states, noHolders).finally(() => pools.makingAt.delete(path));
  if (await answers(clock, POOL_CHANGE_MS, () => made)) return made;
  throw new RsError('E_TIMEOUT', `${path} does not answer within ${printDuration(POOL_CHANGE_MS)}: check its file system`, { path });
}
