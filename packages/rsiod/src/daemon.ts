// The client daemon: connects the namespaces with the attached volumes, their frontends and the control socket. Invariant: all parts are
// started and stopped in this file, in a fixed order.

import { sleep } from '@rsio/base/lib/waiting';
import { randomBytes, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { type ControlServer, startControlServer } from '@rsio/common/control/control-server';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import { CONTROL_METHODS, CUT_STATE } from '@rsio/api/rsiod/methods';
import type { EventStore } from '@rsio/common/events/event-history';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { Triggers } from '@rsio/common/triggers/triggers';
import { machineInterfaces, systemFacts } from '@rsio/protocol/explorer/interfaces';
import { STATUS } from '@rsio/protocol/wire/status';
import { AttachedList } from './attachments/attached-list.ts';
import { Attachments } from './attachments/attachments.ts';
import { flushAll, whyInUse, whyNotReplaced } from './attachments/final-flush.ts';
import { GateOffers } from './attachments/gate-offers.ts';
import { RESTORED_AT_ONCE } from './attachments/limits.ts';
import { labelOf } from './attachments/offers.ts';
import { Backups } from './control/backups.ts';
import { ClientSnapshots } from './control/client-snapshots.ts';
import { controlHandlers } from './control/control-handlers.ts';
import { ServerCalls } from './control/server-calls.ts';
import { RESTART_ANSWER_MS } from './control/limits.ts';
import { Notifications } from './control/notifications.ts';
import { notesOf } from './notes/notes-of.ts';
import type { MirrorMoments } from './mirrors/commands/mirror-moments.ts';
import { mirrorCommands } from './mirrors/commands/mirror-commands.ts';
import type { PathProbes } from './control/path-probes.ts';
import { systemPathProbes } from './control/system-probes.ts';
import { ClientMetrics } from './control/client-metrics.ts';
import { type ProcessFigures, processFigures } from './control/process-figures.ts';
import type { Frontends } from './frontends/frontends.ts';
import type { NbdFrontend } from './frontends/nbd/nbd-frontend.ts';
import type { AoeGates } from './gates/aoe/aoe-gates.ts';
import type { Gates } from './gates/gates.ts';
import { deviceFacts } from './frontends/system/device-choice.ts';
import { type WithoutKeeper, withoutKeeper } from './keeper/keeper-choice.ts';
import { firstContact } from './network/first-contact.ts';
import { localInterfaces } from './network/local-interfaces.ts';
import { Namespace, type NamespacePorts, type NamespaceSetup } from './network/namespace.ts';
import type { LocalInterface } from './network/route-plan.ts';
import { unreachableServers, unreachedSections } from './network/unreachable-servers.ts';
import { isSameLogin } from './config-changes.ts';
import { type Ending, OWN_METHODS } from './processes/messages.ts';
import { reloadConfig } from './reloader.ts';
import type { InterfaceEvent } from './sys/interface-table.ts';
import { InterfaceWatcher } from './sys/interface-watcher.ts';
import { VOLUMES_AT_ONCE } from './sys/limits.ts';
import { machineInterfaces as interfaceSource } from './sys/machine-interfaces.ts';
import type { FrontendVolume, VolumeIdentity } from './volumes/frontend-volume.ts';
import type { Volume } from './volumes/volume.ts';
import { type MadeFrontends, makeFrontends } from './make-frontends.ts';
import { namespacePorts } from './namespace-ports.ts';
import { ProcessRole, type RoleOptions } from './processes/role.ts';

export interface ClientDaemonOptions extends RoleOptions {
  readonly config: RscltConfig;
  /** Wall-clock time of the start of this process. */
  readonly beganMs: number;
  /** Keeps the events across restarts; null in a data process, which passes its events to the main process. */
  readonly store: EventStore | null;
  /** Applies the log settings of a configuration. */
  readonly relog: (config: RscltConfig) => void;
  /** Reason why this machine cannot run a keeper; null if it can. */
  readonly keeperLack: string | null;
  /** Calls `handOver` and exits, so that the keeper starts another process. */
  readonly restart: () => Promise<void>;
  /** Stops this process as SIGTERM does. */
  readonly stop: () => void;
}

export class ClientDaemon {
  private readonly options: ClientDaemonOptions;
  private config: RscltConfig;
  private locals: readonly LocalInterface[] = [];
  private namespaces: readonly Namespace[];
  private readonly attachments: Attachments;
  readonly attached: AttachedList<Volume>;
  private readonly role: ProcessRole;
  private readonly frontends: Frontends;
  readonly nbd: NbdFrontend;
  private readonly gates: Gates;
  private readonly aoeGates: AoeGates;
  private readonly notifications: Notifications;
  private readonly triggers: Triggers;
  private readonly snapshots: ClientSnapshots;
  private readonly ports: NamespacePorts;
  private readonly watcher: InterfaceWatcher;
  private readonly probes: PathProbes;
  private readonly metrics: ClientMetrics;
  private readonly backups: Backups;
  private reloading: Promise<unknown> = Promise.resolve();
  private configuredMs: number;
  private control: ControlServer | null = null;
  private state: 'starting' | 'running' | 'restarting' | 'ending' = 'starting';
  private isReloadRequested = false;
  /** True after an attempt to attach each volume of the previous process and of the configuration. */
  private hasAttached = false;
  private mirrorMoments: MirrorMoments | null = null;
  /** True if the daemon must stop even while its devices are in use. */
  private isForced = false;

  constructor(options: ClientDaemonOptions) {
    const { config, paths, identity, clock, log } = options;
    this.options = options;
    this.configuredMs = clock.wallMs();
    this.notifications = new Notifications(log, clock, options.store);
    this.triggers = new Triggers({
      clock,
      log,
      daemon: 'rsiod',
      machine: () => ({ client: this.config.namespaces[0]?.nodename ?? '' }),
      triggers: () => (this.role.isData ? [] : this.config.triggers),
    });
    this.snapshots = new ClientSnapshots({ clock, triggers: this.triggers });
    this.role = new ProcessRole(options, {
      config: () => this.config,
      changed: (...event) => this.notifications.add(...event),
      offers: () => this.attachments.offers,
      reached: () => void this.attachWanted(false),
    });
    this.notifications.heard = (event) => {
      if (this.role.isData) this.role.passOn(event);
      else {
        this.metrics.events.note(event.object);
        this.triggers.event(event);
      }
    };
    [this.config, this.locals] = [config, this.localsOf(config)];
    const made = this.makeFrontends();
    ({ all: this.frontends, nbd: this.nbd, gates: this.gates, aoeGates: this.aoeGates } = made);
    this.attachments = new Attachments({
      clock,
      log,
      origins: this.role.origins,
      namespaces: () => this.namespaces,
      frontends: this.frontends,
      stalled: (volume, event) => this.notifications.stalled(volume, event),
      moved: () => void this.attached.record(),
      cut: (volume, sentence) => this.notifications.cut(volume, sentence),
      random: () => randomBytes(4).readUInt32LE() / 2 ** 32,
      instance: identity.instance,
      elsewhere: this.role.processes,
      attachesWanted: !this.role.isData,
      shownTo: (volume) => made.shownTo(volume, this.attached.audienceOf(volume)),
      note: (...event) => this.notifications.add(...event),
    });
    this.configure(config);
    this.attached = new AttachedList({
      clock,
      log,
      store: (current) => this.role.store(current),
      boot: identity.boot,
      restoredAtOnce: Math.max(VOLUMES_AT_ONCE, this.role.share(RESTORED_AT_ONCE)),
      attachments: this.attachments,
      serverOf: (volume) => this.attachments.serverOf(volume) ?? null,
      release: async (...volume) => await this.frontends.release(...volume),
      note: (...event) => this.notifications.add(...event),
      applications: () => this.config.applications,
    });
    this.watcher = new InterfaceWatcher(
      this.locals.map(({ address }) => address),
      { clock, log, source: interfaceSource, changed: (event) => this.interfaceChanged(event) },
    );
    this.probes = systemPathProbes(clock, () => this.namespaces);
    this.backups = new Backups({ clock, log, folder: paths.stateDir, attachments: this.attachments, namespaces: () => this.namespaces });
    this.metrics = this.newMetrics();
    this.ports = namespacePorts({
      clock,
      log,
      role: this.role,
      attached: this.attached,
      namespaces: () => this.namespaces,
      attachments: this.attachments,
      frontends: this.frontends,
      notifications: this.notifications,
      attachAgain: async () => {
        await this.attachAgain();
        this.role.reached();
      },
    });
    this.namespaces = this.setupsOf(config, this.locals).map((setup) => new Namespace(setup, identity, this.ports));
  }

  /** Resolves when every path has been tried, the wanted volumes are attached and the sockets are open. Throws if a socket fails. */
  async start(): Promise<void> {
    const { paths, log, warn } = this.options;
    const { warning } = this.unkept(this.config);
    if (warning !== null) warn(warning);
    await Promise.all([this.attached.load(warn), this.backups.load(), this.role.load()]);
    await this.frontends.start();
    try {
      if (!this.role.isData) this.control = await startControlServer(paths.controlSocket, CONTROL_METHODS, this.handlers(), log);
    } catch (error) {
      await this.frontends.close();
      throw error;
    }
    if (!this.role.isData) await this.metrics.follow(this.config);
    const started = this.role.processes?.start();
    this.watcher.start();
    for (const namespace of this.namespaces) namespace.start();
    this.state = 'running';
    if (this.isReloadRequested) this.hangUp();
    if (!this.role.isData) this.namespaces.flatMap(unreachedSections).forEach(warn);
    await firstContact(this.options.clock, () => this.namespaces);
    await started;
    await this.attachAgain(true);
    this.hasAttached = true;
    await this.releaseUnknown();
    for (const one of this.attached.awaited) warn(`${labelOf(one)} is not attached again yet: ${one.reason}`);
    // The main process tries the same paths, and warns about unreachable servers.
    if (this.role.isData) return;
    for (const { config, tried } of this.namespaces) unreachableServers(config.name, tried).forEach(warn);
  }

  /**
   * Called before another process replaces this one. Stops taking requests, completes the requests in flight, and flushes as many volumes
   * as possible within HAND_OVER_WAIT_MS. Requests that are still incomplete are executed again by the next process. Nothing is detached.
   */
  async handOver(): Promise<void> {
    const { clock, log } = this.options;
    await this.snapshots.stop();
    await this.role.processes?.end(OWN_METHODS.handOver, '');
    this.mirrorMoments?.stop();
    this.attached.stop();
    this.watcher.stop();
    await this.frontends.handOver();
    await flushAll(this.attachments.list, clock, log);
    await this.control?.close();
  }

  /** Resolves with the reason if devices in use prevent the end of this process; null if it may end. */
  async refusal(ending: Ending): Promise<string | null> {
    if (this.isForced && ending === 'stop') return null;
    const why = ending === 'stop' ? whyInUse : whyNotReplaced;
    return (await why(this.attachments.list, this.frontends)) ?? (await this.role.processes?.refusal(ending)) ?? null;
  }

  /** Detaches volumes and closes paths and sockets. Stopping takes a bounded time even if servers do not answer. */
  async stop(reason: string): Promise<void> {
    this.state = 'ending';
    await this.snapshots.stop();
    await this.role.processes?.end(OWN_METHODS.end, reason);
    this.mirrorMoments?.stop();
    this.attached.stop();
    this.watcher.stop();
    await this.frontends.close();
    const left = this.frontends.releaseLeft('rsiod ends', () => false);
    await Promise.all([this.attachments.stop(), left]);
    await this.frontends.stop();
    for (const namespace of this.namespaces) namespace.stop(STATUS.IO_ERROR, reason);
    await this.control?.close();
    await this.metrics.close();
  }

  /** Handles SIGHUP: reopens the log and reloads the configuration. The result of the reload appears in the log and the events. */
  hangUp(): void {
    this.options.log.reopen();
    this.role.reopenLogs();
    // A daemon that is starting keeps its first configuration, and reloads once it is running.
    if (this.state === 'starting') this.isReloadRequested = true;
    if (this.state !== 'running') return;
    this.reload().catch((thrown: unknown) => {
      const error = toRsError(thrown);
      // Only internal errors are logged here, because the reload has already logged all other errors.
      if (error.kind === 'internal') this.options.log.error(`The configuration was not reloaded: ${error.message}`, { error: thrown });
    });
  }

  /** Executes one reload at a time, because a reload asks the data processes before it applies the configuration. */
  private reload(): Promise<string[]> {
    const reloaded = this.reloading.then(() => this.reloadNow());
    this.reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  private async reloadNow(): Promise<string[]> {
    if (this.state !== 'running') throw new RsError('E_SHUTTING_DOWN', 'rsiod is starting or ending: try again');
    const { paths, log } = this.options;
    return await reloadConfig({
      file: paths.configFile,
      log,
      config: () => this.config,
      inUse: (namespace) => [...this.attachments.inUse(namespace), ...(this.role.processes?.labelsIn(namespace) ?? [])],
      lostBy: (next) => this.lostBy(next),
      obstacles: async (next) => [
        ...[this.unkept(next).obstacle].filter((sentence) => sentence !== null),
        ...((await this.role.processes?.obstacles(next)) ?? []),
      ],
      take: (next) => this.take(next),
      note: (...event) => this.notifications.add(...event),
    });
  }

  /** Returns the servers with volumes of this process that the next configuration would make unreachable. */
  lostBy(next: RscltConfig): { readonly namespace: string; readonly server: string }[] {
    const setups = this.setupsOf(next, this.localsOf(next));
    return this.namespaces.flatMap((namespace) => {
      const setup = setups.find(({ config }) => isSameLogin(namespace.config, config));
      const lost = setup === undefined ? [] : namespace.lostBy(setup);
      return lost.map((server) => ({ namespace: namespace.config.name, server: server.name }));
    });
  }

  /**
   * Applies a configuration. A namespace whose login is the same in the new configuration is changed in place, so that its paths, sessions
   * and volumes stay.
   */
  take(next: RscltConfig): void {
    const { identity, log } = this.options;
    const before = this.namespaces;
    this.config = next;
    this.options.relog(next);
    this.configuredMs = this.options.clock.wallMs();
    this.configure(next);
    this.locals = this.localsOf(next);
    const setups = this.setupsOf(next, this.locals);
    const known = (setup: NamespaceSetup): Namespace | undefined => before.find(({ config }) => isSameLogin(config, setup.config));
    this.namespaces = setups.map((setup) => known(setup) ?? new Namespace(setup, identity, this.ports));
    for (const namespace of before) {
      if (!this.namespaces.includes(namespace)) namespace.stop(STATUS.IO_ERROR, 'The namespace was removed from the configuration');
    }
    for (const [index, namespace] of this.namespaces.entries()) {
      if (before.includes(namespace)) namespace.change(setups[index]!);
      else namespace.start();
    }
    if (!this.role.isData) void this.metrics.follow(next);
    this.watcher.watch(this.locals.map(({ address }) => address));
    if (!this.role.isData) for (const sentence of this.namespaces.flatMap(unreachedSections)) log.warn(sentence);
    const { warning } = this.unkept(next);
    if (warning !== null) log.warn(warning);
    this.role.exportsChanged(this.nbd);
    if (!this.role.isData) void Promise.all([this.gates.follow(next.gates), this.aoeGates.follow(next.aoeGates)]);
    this.attachments.configurationChanged();
    this.role.configure(next);
    void this.attachWanted(true).then(() => this.attached.record());
  }

  /** A data process attaches only what the main process tells it to. */
  private async attachWanted(isVerbose: boolean): Promise<void> {
    if (!this.role.isData) await this.attachments.attachWanted(isVerbose);
  }

  private configure({ logTotalBytes, busyPollUs }: RscltConfig): void {
    this.attachments.configure({ logTotalBytes: this.role.share(logTotalBytes), busyPollUs });
  }

  /**
   * First reattaches the volumes that were attached before the daemon started, each in its previous mode; then attaches the volumes that
   * the configuration wants attached.
   */
  private async attachAgain(isVerbose = false): Promise<void> {
    await this.attached.restore();
    await this.attachWanted(isVerbose);
    await this.attached.record();
  }

  /** Releases the devices of volumes that the previous process was attaching or detaching when it exited. */
  private async releaseUnknown(): Promise<void> {
    const isSame = (one: VolumeIdentity, other: VolumeIdentity): boolean => labelOf(one) === labelOf(other) && one.id === other.id;
    await this.frontends.releaseLeft('its volume was not attached', (volume) => this.attached.awaited.some((one) => isSame(one, volume)));
  }

  private reportLoss(volume: Pick<FrontendVolume, 'namespace' | 'name' | 'universe'> | null, sentence: string): void {
    this.options.warn(sentence);
    if (volume !== null) this.notifications.add(`volume ${labelOf(volume)}`, 'attached before', CUT_STATE, sentence);
  }

  /** The figures of a data process for the metrics. */
  figures(): Promise<ProcessFigures> {
    const { clock } = this.options;
    const pause = (): Promise<void> => sleep(clock, 0);
    return processFigures(
      { clock, attachments: this.attachments, attached: this.attached, namespaces: () => this.namespaces },
      pause,
      true,
    );
  }

  private newMetrics(): ClientMetrics {
    const { clock, log, beganMs, keeper } = this.options;
    const { attachments, attached, backups } = this;
    return new ClientMetrics({
      clock,
      log,
      beganMs,
      attachments,
      attached,
      backups,
      gates: this.gates,
      aoeGates: this.aoeGates,
      configuredMs: () => this.configuredMs,
      namespaces: () => this.namespaces,
      restarts: () => (keeper?.inheritance.life ?? 1) - 1 + (this.role.processes?.restarts ?? 0),
      others: async () => (await this.role.processes?.figures()) ?? [],
    });
  }

  private unkept(config: RscltConfig): WithoutKeeper {
    const { keeper, keeperLack, paths } = this.options;
    return keeper === null && !this.role.isData
      ? withoutKeeper(config, deviceFacts(paths.root), keeperLack)
      : { obstacle: null, warning: null };
  }

  private localsOf(config: RscltConfig): LocalInterface[] {
    return localInterfaces(config.interfaces, machineInterfaces(systemFacts), this.locals);
  }

  private setupsOf(whole: RscltConfig, locals: readonly LocalInterface[]): NamespaceSetup[] {
    return whole.namespaces.map((config) => ({ whole, config, locals }));
  }

  private makeFrontends(): MadeFrontends {
    const { paths, clock, log } = this.options;
    return makeFrontends({
      paths,
      clock,
      log,
      role: this.role,
      config: () => this.config,
      attached: () => this.attachments.list,
      changed: () => this.attached.record(),
      gateOffers: new GateOffers({
        offers: () => this.attachments.offers,
        // Record the volume, so that the next process attaches it again before that process lets hosts in.
        takeOver: (...volume) => this.attachments.takeOver(...volume).finally(() => void this.attached.record()),
      }),
      isSettled: () => this.hasAttached && this.attached.awaited.length === 0,
      reportLoss: (...loss) => this.reportLoss(...loss),
    });
  }

  private interfaceChanged(event: InterfaceEvent): void {
    if (!this.role.isData) this.notifications.interfaceChanged(event);
    // An interface may have moved to a different subnet, which changes the possible paths.
    const locals = this.localsOf(this.config);
    if (!isDeepStrictEqual(locals, this.locals)) {
      this.locals = locals;
      for (const [index, setup] of this.setupsOf(this.config, locals).entries()) this.namespaces[index]?.change(setup);
    }
    for (const namespace of this.namespaces) namespace.interfaceChanged(event);
  }

  handlers(): ControlHandlers {
    const { clock, beganMs, log } = this.options;
    const { attachments, attached, notifications, probes } = this;
    const ports = { clock, log, attachments, namespaces: () => this.namespaces, newId: randomUUID, elsewhere: this.role.processes };
    const mirrors = mirrorCommands(ports);
    this.mirrorMoments = mirrors.mirrorMoments;
    this.mirrorMoments.start();
    const own = controlHandlers({
      clock,
      log,
      beganMs,
      attachments,
      attached,
      notifications,
      probes,
      serverCalls: new ServerCalls({
        log,
        absences: this.role.absences,
        namespaces: () => this.namespaces,
        callAdmin: (server, ...call) => server.callAdmin(...call),
      }),
      snapshots: this.snapshots,
      backups: this.backups,
      origins: this.role.origins,
      ...mirrors,
      notes: notesOf({ clock, attachments, namespaces: () => this.namespaces }),
      config: () => this.config,
      configuredMs: () => this.configuredMs,
      namespaces: () => this.namespaces,
      frontends: this.frontends,
      gates: this.gates,
      aoeGates: this.aoeGates,
      reload: () => this.reload(),
      restart: () => this.restart(),
      end: (isForced) => this.end(isForced),
    });
    return this.role.handlers(own, attachments, () => this.namespaces);
  }

  /** Restarts the daemon after the answer to the request has been sent. Throws E_SHUTTING_DOWN, E_SYSTEM and E_IN_USE. */
  private async restart(): Promise<void> {
    if (this.options.keeper === null)
      throw new RsError('E_SYSTEM', 'This rsiod has no keeper, which a restart needs: stop it and start it again');
    const refusal = this.state === 'running' ? await this.refusal('restart') : null;
    // A second request during a restart needs no second restart, because the next process has read neither the program nor the
    // configuration yet.
    if (this.state === 'restarting') return;
    if (this.state !== 'running') throw new RsError('E_SHUTTING_DOWN', 'rsiod is starting or ending: try again');
    if (refusal !== null) throw new RsError('E_IN_USE', refusal);
    this.state = 'restarting';
    this.options.clock.after(RESTART_ANSWER_MS, () => void this.options.restart());
  }

  /** Stops the daemon after the answer to the request has been sent. Throws E_IN_USE. */
  private async end(isForced: boolean): Promise<void> {
    this.isForced ||= isForced;
    const refusal = await this.refusal('stop');
    if (refusal !== null) throw new RsError('E_IN_USE', refusal);
    this.options.clock.after(RESTART_ANSWER_MS, () => this.options.stop());
  }
}
