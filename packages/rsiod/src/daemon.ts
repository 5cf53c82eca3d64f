// The client daemon: namespaces over the network on one side, attached volumes and their doors on the other, and the control socket that
// shows and changes both. Wiring only: what each part does is its own.

import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { RsiodPaths } from '@rsio/protocol/config/root-paths';
import type { RscltConfig } from '@rsio/protocol/config/types';
import { type ControlHandlers, type ControlServer, startControlServer } from '@rsio/protocol/control/control-server';
import { udpSockets } from '@rsio/protocol/explorer/datagram-sockets';
import { allCounters, machineInterfaces, systemFacts } from '@rsio/protocol/explorer/interfaces';
import { BufferPool } from '@rsio/protocol/lib/buffer-pool';
import type { Clock } from '@rsio/protocol/lib/clock';
import { RsError, toRsError } from '@rsio/protocol/lib/errors';
import type { DaemonLog } from '@rsio/protocol/lib/log';
import { programVersion } from '@rsio/protocol/lib/version';
import { FIRST_CONTACT_POLL_MS, FIRST_CONTACT_WAIT_MS, LIST_WAIT_MS, WINDOW_BYTES } from '@rsio/protocol/limits';
import { tcpConnector } from '@rsio/protocol/trunk/tcp-transport';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { STATUS } from '@rsio/protocol/wire/status';
import { Attachments } from './attachments.ts';
import { isSameLogin } from './config-changes.ts';
import { NbdDoor } from './doors/nbd/nbd-door.ts';
import type { Identity } from './identity.ts';
import { localInterfaces } from './local-interfaces.ts';
import { Namespace, type NamespacePorts, type NamespaceSetup } from './namespace.ts';
import { Notices } from './notices.ts';
import { PathProbes } from './path-probes.ts';
import { reloadConfig } from './reloader.ts';
import type { LocalInterface } from './route-plan.ts';
import type { InterfaceEvent } from './sys/interface-table.ts';
import { InterfaceWatcher } from './sys/interface-watcher.ts';
import { machineInterfaces as interfaceSource } from './sys/machine-interfaces.ts';
import { attachmentView, namespaceView, statsView, statusView } from './views.ts';
import type { Volume } from './volume.ts';

export interface ClientDaemonOptions {
  readonly config: RscltConfig;
  readonly paths: RsiodPaths;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly log: DaemonLog;
  /** A sentence for whoever started the daemon. */
  readonly warn: (sentence: string) => void;
}

export class ClientDaemon {
  private readonly options: ClientDaemonOptions;
  private config: RscltConfig;
  private locals: readonly LocalInterface[] = [];
  private namespaces: readonly Namespace[];
  private readonly attachments: Attachments;
  private readonly door: NbdDoor;
  private readonly notices: Notices;
  private readonly ports: NamespacePorts;
  private readonly watcher: InterfaceWatcher;
  private readonly probes: PathProbes;
  private readonly startedMs: number;
  private configuredMs: number;
  private control: ControlServer | null = null;
  private state: 'starting' | 'running' | 'ending' = 'starting';
  private reloadAsked = false;

  constructor(options: ClientDaemonOptions) {
    const { config, paths, identity, clock, log } = options;
    this.options = options;
    this.startedMs = clock.wallMs();
    this.configuredMs = this.startedMs;
    this.notices = new Notices(log, clock);
    this.config = config;
    this.locals = this.localsOf(config);
    this.attachments = new Attachments({
      clock,
      log,
      namespaces: () => this.namespaces,
      doors: () => [this.door],
      deviceOf: (volume) => this.deviceOf(volume),
      stalled: (volume, word) => this.notices.stalled(volume, word),
    });
    this.door = new NbdDoor({
      socketPath: paths.nbdSocket,
      group: config.nbdGroup,
      volumes: { list: () => this.attachments.shown },
      log,
      clock,
    });
    this.watcher = new InterfaceWatcher(
      this.locals.map(({ address }) => address),
      { clock, log, source: interfaceSource, changed: (event) => this.interfaceChanged(event) },
    );
    this.probes = new PathProbes({
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
    this.ports = this.namespacePorts();
    this.namespaces = this.setupsOf(config, this.locals).map((setup) => new Namespace(setup, identity, this.ports));
  }

  /** Resolves when paths were tried, what is wanted is attached and the sockets are there. Throws what stands in the way of those. */
  async start(): Promise<void> {
    const { paths, log, warn } = this.options;
    await this.door.start();
    try {
      this.control = await startControlServer(paths.controlSocket, this.handlers(), log);
    } catch (error) {
      await this.door.stop();
      throw error;
    }
    this.watcher.start();
    for (const namespace of this.namespaces) namespace.start();
    this.state = 'running';
    if (this.reloadAsked) this.hangUp();
    this.sayUnreached(warn);
    await this.firstContact();
    await this.attachments.attachWanted();
    for (const namespace of this.namespaces) {
      if (![...namespace.servers.values()].some((server) => server.isConnected)) {
        warn(`No server of namespace ${namespace.config.name} is in reach: trying on; rsconfig -m status -v says why`);
      }
    }
  }

  /** Detaches what can be detached, ends paths and sockets. Bounded in time whatever the servers do. */
  async stop(reason: string): Promise<void> {
    this.state = 'ending';
    this.watcher.stop();
    await this.door.stop();
    await this.attachments.stop();
    for (const namespace of this.namespaces) namespace.stop(STATUS.IO_ERROR, reason);
    await this.control?.close();
  }

  /** SIGHUP: opens the log anew, and reads the configuration; what comes of it is in the log and the events. */
  hangUp(): void {
    this.options.log.reopen();
    // What the daemon began with counts until it is running.
    if (this.state === 'starting') this.reloadAsked = true;
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
      take: (next) => this.take(next),
      note: (...words) => this.notices.add(...words),
    });
  }

  /** What goes on is changed in place, so that its paths, sessions and volumes live on. */
  private take(next: RscltConfig): void {
    const { identity, log } = this.options;
    const before = this.namespaces;
    const oldConfigs = this.config.namespaces;
    this.config = next;
    this.configuredMs = this.options.clock.wallMs();
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
    this.sayUnreached((sentence) => log.warn(sentence));
    this.attachments.configurationChanged();
    void this.attachments.attachWanted(oldConfigs);
  }

  /** Sections that no path leads to: nobody could say why they stay silent. */
  private sayUnreached(say: (sentence: string) => void): void {
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

  private deviceOf(volume: Volume): string | null {
    const namespace = this.config.namespaces.find((one) => one.name === volume.namespace);
    const choice = namespace?.volumes.find((one) => one.name === volume.name)?.device ?? namespace?.device ?? 'auto';
    if (choice === 'none') return null;
    const universe = volume.universe === 0 ? '' : `@${volume.universe}`;
    return `nbd+unix:///${volume.namespace}/${volume.name}${universe}?socket=${this.options.paths.nbdSocket}`;
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
    this.notices.interfaceChanged(event);
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
    const { notices } = this;
    return {
      clock,
      log,
      connector: tcpConnector,
      random: randomBytes,
      pools: { bodies: new BufferPool(WINDOW_BYTES), outputs: new OutputPool() },
      pathChanged: (...change) => notices.pathChanged(...change),
      events: {
        sessionBegan: (server, again) => {
          notices.sessionBegan(server, again);
          void server.refresh(LIST_WAIT_MS).then(() => this.attachments.attachWanted());
        },
        opened: (server, attachment, again, newLife) => {
          this.attachments.opened(attachment);
          notices.opened(server, attachment, again, newLife);
        },
        openFailed: (server, attachment, status, sentence) => {
          notices.openFailed(server, attachment, sentence);
          this.attachments.failed(attachment, status, sentence);
        },
        openWaits: (...words) => notices.openWaits(...words),
        grown: (...words) => notices.grown(...words),
      },
    };
  }

  private handlers(): ControlHandlers {
    const { clock } = this.options;
    const lists = (): Promise<unknown> =>
      Promise.all(this.namespaces.flatMap((namespace) => [...namespace.servers.values()].map((server) => server.refresh(LIST_WAIT_MS))));
    return {
      daemon: () => ({
        program: 'rsiod',
        version: programVersion(),
        pid: process.pid,
        nodename: this.config.namespaces[0]?.nodename ?? '',
        startedMs: this.startedMs,
        configuredMs: this.configuredMs,
      }),
      query: async ({ refresh }) => {
        if (refresh) await lists();
        return { namespaces: this.namespaces.map((namespace, position) => namespaceView(namespace, position)) };
      },
      local: () => ({
        attachments: this.attachments.list.map((volume) => attachmentView(volume, this.deviceOf(volume), this.serversOf(volume))),
      }),
      attach: async ({ names, readOnly, server }) => {
        await lists();
        return { outcomes: await this.attachments.attach(names, readOnly, server) };
      },
      detach: async ({ names, force }) => ({ outcomes: await this.attachments.detach(names, force) }),
      status: () => statusView(this.config, this.namespaces, this.attachments.list, clock),
      stats: () => statsView(this.namespaces, this.attachments.list),
      events: ({ count }) => ({ events: this.notices.last(count) }),
      reload: () => ({ applied: this.reload() }),
      probe: (asked) => this.probes.measure(asked),
    };
  }

  private serversOf(volume: Volume): number {
    return this.attachments.offers.filter((offer) => offer.namespace === volume.namespace && offer.id === volume.id).length;
  }
}
