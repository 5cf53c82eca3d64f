// The client daemon: namespaces over the network on one side, attached volumes and their doors on the other, and the control socket that
// shows and changes both. Wiring only: what each part does is its own, what the control methods answer is control-handlers.ts's.

import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { RsiodPaths } from '@rsio/common/config/root-paths';
import { type EffectiveVolume, effectiveVolumeOf } from '@rsio/common/config/effective-volume';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { type ControlHandlers, type ControlServer, startControlServer } from '@rsio/common/control/control-server';
import { CUT_STATE } from '@rsio/common/control/methods';
import { udpSockets } from '@rsio/protocol/explorer/network/datagram-sockets';
import { allCounters, machineInterfaces, systemFacts } from '@rsio/protocol/explorer/network/interfaces';
import { BufferPool } from '@rsio/common/structures/buffer-pool';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import type { DaemonLog } from '@rsio/common/log/log';
import { FIRST_CONTACT_WAIT_MS, LIST_WAIT_MS } from '@rsio/common/control/limits';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { RESTART_ANSWER_MS } from './control/limits.ts';
import { FIRST_CONTACT_POLL_MS } from './network/limits.ts';
import { tcpConnector } from '@rsio/protocol/link/tcp-transport';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { STATUS } from '@rsio/protocol/wire/status';
import { AttachedList } from './attachments/attached-list.ts';
import { Attachments } from './attachments/attachments.ts';
import { isSameLogin } from './reload/config-changes.ts';
import { controlHandlers } from './control/control-handlers.ts';
import { DeviceFrontend } from './frontends/devices/devices.ts';
import type { FrontendVolume, VolumeIdentity } from './volumes/frontend-volume.ts';
import { deviceFacts } from './frontends/system/device-facts.ts';
import { NbdFrontend } from './frontends/nbd/nbd-frontend.ts';
import type { Identity } from './network/identity.ts';
import { KeptDevices } from './keeper/kept-devices.ts';
import { type WithoutKeeper, withoutKeeper } from './keeper/keeper-choice.ts';
import type { KeeperLink, Inheritance } from './keeper/keeper-link.ts';
import { Frontends } from './frontends/frontends.ts';
import { localInterfaces } from './network/local-interfaces.ts';
import { unreachableServers } from './network/unreachable-servers.ts';
import { Namespace, type NamespacePorts, type NamespaceSetup } from './network/namespace.ts';
import { Notifications } from './control/notifications.ts';
import { labelOf } from './attachments/offers.ts';
import { PathProbes } from './control/path-probes.ts';
import { reloadConfig } from './reload/reloader.ts';
import type { LocalInterface } from './network/route-plan.ts';
import type { InterfaceEvent } from './sys/interface-table.ts';
import type { Server } from './network/server.ts';
import { InterfaceWatcher } from './sys/interface-watcher.ts';
import { machineInterfaces as interfaceSource } from './sys/machine-interfaces.ts';
import type { Volume } from './volumes/volume.ts';
import { flushAll, whyInUse } from './attachments/final-flush.ts';

export interface ClientDaemonOptions {
  readonly config: RscltConfig;
  readonly paths: RsiodPaths;
  readonly identity: Identity;
  readonly clock: Clock;
  /** When this process began, before it read anything. */
  readonly beganMs: number;
  readonly log: DaemonLog;
  /** A sentence for whoever started the daemon. */
  readonly warn: (sentence: string) => void;
  /** By which devices outlive this process, and what the one before has left; null: they do not. */
  readonly keeper: { readonly link: KeeperLink; readonly inheritance: Inheritance } | null;
  /** Why this machine can have no keeper; null: it can. */
  readonly keeperLack: string | null;
  /** Ends this process, after `handOver`, so that its keeper starts another one. */
  readonly restart: () => Promise<void>;
  /** Ends this process as SIGTERM does. */
  readonly stop: () => void;
}

export class ClientDaemon {
  private readonly options: ClientDaemonOptions;
  private config: RscltConfig;
  private locals: readonly LocalInterface[] = [];
  private namespaces: readonly Namespace[];
  private readonly attachments: Attachments;
  private readonly attached: AttachedList<Volume>;
  private readonly frontends: Frontends;
  private readonly notifications: Notifications;
  private readonly ports: NamespacePorts;
  private readonly watcher: InterfaceWatcher;
  private readonly probes: PathProbes;
  private configuredMs: number;
  private control: ControlServer | null = null;
  private state: 'starting' | 'running' | 'begins anew' | 'ending' = 'starting';
  private isReloadRequested = false;
  /** Ends also when its devices are in use. */
  private isForced = false;

  constructor(options: ClientDaemonOptions) {
    const { config, paths, identity, clock, log } = options;
    this.options = options;
    this.configuredMs = clock.wallMs();
    this.notifications = new Notifications(log, clock);
    this.config = config;
    this.locals = this.localsOf(config);
    this.frontends = this.makeFrontends();
    this.attachments = new Attachments({
      clock,
      log,
      namespaces: () => this.namespaces,
      frontends: this.frontends,
      stalled: (volume, word) => this.notifications.stalled(volume, word),
      cut: (volume, sentence) => this.notifications.cut(volume, sentence),
    });
    this.attachments.logTotal.limitBytes = config.logTotalBytes;
    this.attached = new AttachedList({
      clock,
      log,
      file: paths.attachedFile,
      boot: identity.boot,
      attachments: this.attachments,
      serverOf: (volume) => this.serverOf(volume),
      release: async (...volume) => await this.frontends.release(...volume),
      note: (...words) => this.notifications.add(...words),
    });
    this.watcher = new InterfaceWatcher(
      this.locals.map(({ address }) => address),
      { clock, log, source: interfaceSource, changed: (event) => this.interfaceChanged(event) },
    );
    this.probes = this.pathProbes();
    this.ports = this.namespacePorts();
    this.namespaces = this.setupsOf(config, this.locals).map((setup) => new Namespace(setup, identity, this.ports));
  }

  /** Resolves when paths were tried, what is wanted is attached and the sockets are there. Throws what stands in the way of those. */
  async start(): Promise<void> {
    const { paths, log, warn } = this.options;
    const { warning } = this.unkept(this.config);
    if (warning !== null) warn(warning);
    await this.attached.load(warn);
    await this.frontends.start();
    try {
      this.control = await startControlServer(paths.controlSocket, this.handlers(), log);
    } catch (error) {
      await this.frontends.close();
      throw error;
    }
    this.watcher.start();
    for (const namespace of this.namespaces) namespace.start();
    this.state = 'running';
    if (this.isReloadRequested) this.hangUp();
    this.reportUnreached(warn);
    await this.firstContact();
    await this.attachAgain(true);
    await this.releaseUnknown();
    for (const one of this.attached.awaited) warn(`${labelOf(one)} is not attached again yet: ${one.reason}`);
    for (const { config, tried } of this.namespaces) unreachableServers(config.name, tried).forEach(warn);
  }

  /**
   * Before another process goes on in place of this one: no more requests are taken, what is under way ends and is flushed, as far as that
   * goes within HAND_OVER_WAIT_MS; what is left is done once more by the next one. Nothing is detached.
   */
  async handOver(): Promise<void> {
    const { clock, log } = this.options;
    this.attached.stop();
    this.watcher.stop();
    await this.frontends.handOver();
    await flushAll(this.attachments.list, clock, log);
    await this.control?.close();
  }

  /** Why this daemon does not end, when somebody uses its devices and nobody forces it. */
  async refusal(): Promise<string | null> {
    return this.isForced ? null : await whyInUse(this.attachments.list, this.frontends);
  }

  /** Detaches what can be detached, ends paths and sockets. Bounded in time whatever the servers do. */
  async stop(reason: string): Promise<void> {
    this.state = 'ending';
    this.attached.stop();
    this.watcher.stop();
    await this.frontends.close();
    const left = this.frontends.releaseLeft('rsiod ends', () => false);
    await Promise.all([this.attachments.stop(), left]);
    await this.frontends.stop();
    for (const namespace of this.namespaces) namespace.stop(STATUS.IO_ERROR, reason);
    await this.control?.close();
  }

  /** SIGHUP: opens the log anew, and reads the configuration; what comes of it is in the log and the events. */
  hangUp(): void {
    this.options.log.reopen();
    // What the daemon began with counts until it is running.
    if (this.state === 'starting') this.isReloadRequested = true;
    if (this.state !== 'running') return;
    try {
      this.reload();
    } catch (thrown) {
      const error = toRsError(thrown);
      // Everything else was said.
      if (error.kind === 'internal') this.options.log.error(`The configuration was not read anew: ${error.message}`, { error: thrown });
    }
  }

  private reload(): string[] {
    if (this.state !== 'running') throw new RsError('E_SHUTTING_DOWN', 'rsiod is just starting or ending: try again');
    const { paths, log } = this.options;
    return reloadConfig({
      file: paths.configFile,
      log,
      config: () => this.config,
      inUse: (namespace) => this.attachments.inUse(namespace),
      lostBy: (next) => {
        const setups = this.setupsOf(next, this.localsOf(next));
        return this.namespaces.flatMap((namespace) => {
          const setup = setups.find(({ config }) => isSameLogin(namespace.config, config));
          const lost = setup === undefined ? [] : namespace.lostBy(setup);
          return lost.map((server) => ({ namespace: namespace.config.name, server: server.name }));
        });
      },
      obstacles: (next) => [this.unkept(next).obstacle].filter((sentence) => sentence !== null),
      take: (next) => this.take(next),
      note: (...words) => this.notifications.add(...words),
    });
  }

  /** What goes on is changed in place, so that its paths, sessions and volumes live on. */
  private take(next: RscltConfig): void {
    const { identity, log } = this.options;
    const before = this.namespaces;
    this.config = next;
    this.configuredMs = this.options.clock.wallMs();
    this.attachments.logTotal.limitBytes = next.logTotalBytes;
    this.locals = this.localsOf(next);
    const setups = this.setupsOf(next, this.locals);
    const known = (setup: NamespaceSetup): Namespace | undefined => before.find(({ config }) => isSameLogin(config, setup.config));
    this.namespaces = setups.map((setup) => known(setup) ?? new Namespace(setup, identity, this.ports));
    for (const namespace of before) {
      if (!this.namespaces.includes(namespace)) namespace.stop(STATUS.IO_ERROR, 'The namespace is not in the configuration any more');
    }
    for (const [index, namespace] of this.namespaces.entries()) {
      if (before.includes(namespace)) namespace.change(setups[index]!);
      else namespace.start();
    }
    this.watcher.watch(this.locals.map(({ address }) => address));
    this.reportUnreached((sentence) => log.warn(sentence));
    const { warning } = this.unkept(next);
    if (warning !== null) log.warn(warning);
    this.attachments.configurationChanged();
    void this.attachments.attachWanted(true).then(() => this.attached.record());
  }

  /** What was attached before the start, as it was, and what the configuration wants. */
  private async attachAgain(says = false): Promise<void> {
    await this.attached.restore();
    await this.attachments.attachWanted(says);
    await this.attached.record();
  }

  /** Devices of volumes that were just being attached, or detached, when the process before ended. */
  private async releaseUnknown(): Promise<void> {
    const isAwaited = (volume: VolumeIdentity): boolean =>
      this.attached.awaited.some((one) => labelOf(one) === labelOf(volume) && one.id === volume.id);
    await this.frontends.releaseLeft('its volume was not attached', isAwaited);
  }

  private reportLoss(volume: Pick<FrontendVolume, 'namespace' | 'name' | 'universe'> | null, sentence: string): void {
    this.options.warn(sentence);
    if (volume !== null) this.notifications.add(`volume ${labelOf(volume)}`, 'attached before', CUT_STATE, sentence);
  }

  private pathProbes(): PathProbes {
    const { clock } = this.options;
    return new PathProbes({
      namespaces: () => this.namespaces,
      probePorts: (namespacekey) => ({
        connector: tcpConnector,
        clock,
        random: randomBytes,
        sockets: udpSockets,
        namespacekey,
        machine: machineInterfaces(systemFacts),
        counters: () => allCounters(systemFacts),
      }),
    });
  }

  private unkept(config: RscltConfig): WithoutKeeper {
    const { keeper, keeperLack, paths } = this.options;
    return keeper === null ? withoutKeeper(config, deviceFacts(paths.root), keeperLack) : { obstacle: null, warning: null };
  }

  /** Sections that no path leads to: nobody could say why they stay silent. */
  private reportUnreached(say: (sentence: string) => void): void {
    for (const { leftOut } of this.namespaces) {
      for (const { name, address, position, reason } of leftOut)
        if (position !== null) say(`Server section ${name} (${address}): ${reason}`);
    }
  }

  private localsOf(config: RscltConfig): LocalInterface[] {
    return localInterfaces(config.interfaces, machineInterfaces(systemFacts), this.locals);
  }

  private setupsOf(whole: RscltConfig, locals: readonly LocalInterface[]): NamespaceSetup[] {
    return whole.namespaces.map((config) => ({ whole, config, locals }));
  }

  /** The only place that knows the frontends by name. The first one names a volume's device. */
  private makeFrontends(): Frontends {
    const { config, paths, clock, log, keeper } = this.options;
    const settingsOf = (volume: Pick<FrontendVolume, 'namespace' | 'name'>): EffectiveVolume => effectiveVolumeOf(this.config, volume);
    const devices = new DeviceFrontend({
      clock,
      log,
      ...paths,
      kept: new KeptDevices(keeper?.link ?? null, keeper?.inheritance ?? null, log),
      facts: () => deviceFacts(paths.root),
      settingsOf,
      label: labelOf,
      events: { dataLost: (volume, message) => this.reportLoss(volume, message) },
    });
    const nbd = new NbdFrontend({
      socketPath: paths.nbdSocket,
      group: config.nbdGroup,
      attached: () => this.attachments.list,
      // A volume that got its devices before the configuration said `none` is exported as long as it has them.
      mayExport: (volume) => settingsOf(volume).device !== 'none' || devices.shownAs(volume) !== null,
      log,
      clock,
    });
    return new Frontends([devices, nbd]);
  }

  /** Until every candidate has come to something, and every server met has shown its list, or time is up. */
  private async firstContact(): Promise<void> {
    const { clock } = this.options;
    const endMs = clock.monotonicMs() + FIRST_CONTACT_WAIT_MS;
    while (clock.monotonicMs() < endMs && !this.namespaces.every((namespace) => namespace.isSettled)) {
      await new Promise<void>((resolve) => clock.after(FIRST_CONTACT_POLL_MS, resolve));
    }
  }

  private interfaceChanged(event: InterfaceEvent): void {
    this.notifications.interfaceChanged(event);
    // An address that has come may be on another subnet than was known.
    const locals = this.localsOf(this.config);
    if (!isDeepStrictEqual(locals, this.locals)) {
      this.locals = locals;
      for (const [index, setup] of this.setupsOf(this.config, locals).entries()) this.namespaces[index]?.change(setup);
    }
    for (const namespace of this.namespaces) namespace.interfaceChanged(event);
  }

  private namespacePorts(): NamespacePorts {
    const { clock, log } = this.options;
    const { notifications: notices } = this;
    return {
      clock,
      log,
      connector: tcpConnector,
      random: randomBytes,
      pools: { bodies: new BufferPool(WINDOW_BYTES), outputs: new OutputPool() },
      serverCount: () => this.namespaces.reduce((sum, { provedServers }) => sum + provedServers, 0),
      pathChanged: (...change) => notices.pathChanged(...change),
      events: {
        sessionBegan: (server, again) => {
          notices.sessionBegan(server, again);
          void server.refresh(LIST_WAIT_MS).then(() => this.attachAgain());
        },
        opened: (server, attachment, again, newLife) => {
          this.attachments.opened(attachment);
          notices.opened(server, attachment, again, newLife);
          for (const volume of newLife ? this.attachments.list : [])
            if (volume.attachment === attachment) this.frontends.incarnationChanged(volume);
        },
        openFailed: (server, attachment, status, sentence) => {
          notices.openFailed(server, attachment, sentence);
          this.attachments.failed(attachment, status, sentence);
          void this.attached.record();
        },
        openWaits: (...words) => notices.openWaits(...words),
        grown: (server, attachment, fromBytes) => {
          notices.grown(server, attachment, fromBytes);
          for (const volume of this.attachments.list) if (volume.attachment === attachment) void this.frontends.grown(volume);
        },
      },
    };
  }

  private handlers(): ControlHandlers {
    const { clock, beganMs } = this.options;
    const { attachments, attached, notifications: notices, probes } = this;
    return controlHandlers({
      clock,
      beganMs,
      attachments,
      attached,
      notifications: notices,
      probes,
      config: () => this.config,
      configuredMs: () => this.configuredMs,
      namespaces: () => this.namespaces,
      frontends: this.frontends,
      reload: () => this.reload(),
      restart: () => this.restart(),
      end: (isForced) => this.end(isForced),
    });
  }

  /** Behind the answer to who asked for it. Throws why not. */
  private restart(): void {
    // Who comes next reads program and configuration later than this: one restart serves all who ask for it.
    if (this.state === 'begins anew') return;
    if (this.state !== 'running') throw new RsError('E_SHUTTING_DOWN', 'rsiod is just starting or ending: try again');
    if (this.options.keeper === null)
      throw new RsError('E_SYSTEM', 'This rsiod has no keeper, which would go on with its devices: stop it and start it anew');
    this.state = 'begins anew';
    this.options.clock.after(RESTART_ANSWER_MS, () => void this.options.restart());
  }

  /** Behind the answer to who asked for it. Throws E_IN_USE. */
  private async end(isForced: boolean): Promise<void> {
    this.isForced ||= isForced;
    const refusal = await this.refusal();
    if (refusal !== null) throw new RsError('E_IN_USE', refusal);
    this.options.clock.after(RESTART_ANSWER_MS, () => this.options.stop());
  }

  private serverOf({ trunk }: Volume): Server | null {
    return this.namespaces.flatMap(({ servers }) => [...servers.values()]).find((server) => server.trunk === trunk) ?? null;
  }
}
