// The client daemon: namespaces over the network on one side, attached volumes and their doors on the other, and the control socket that
// shows and changes both. Wiring only: what each part does is its own.

import { randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import type { RsiodPaths } from '@rsio/protocol/config/root-paths';
import type { RscltConfig } from '@rsio/protocol/config/types';
import { type ControlHandlers, type ControlServer, startControlServer } from '@rsio/protocol/control/control-server';
import { BufferPool } from '@rsio/protocol/lib/buffer-pool';
import type { Clock } from '@rsio/protocol/lib/clock';
import { RsError } from '@rsio/protocol/lib/errors';
import type { DaemonLog } from '@rsio/protocol/lib/log';
import { prefixLengthOf } from '@rsio/protocol/lib/subnet';
import { programVersion } from '@rsio/protocol/lib/version';
import { FIRST_CONTACT_POLL_MS, FIRST_CONTACT_WAIT_MS, LIST_WAIT_MS, WINDOW_BYTES } from '@rsio/protocol/limits';
import { tcpConnector } from '@rsio/protocol/trunk/tcp-transport';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { STATUS } from '@rsio/protocol/wire/status';
import { Attachments } from './attachments.ts';
import { NbdDoor } from './doors/nbd/nbd-door.ts';
import { EventList } from './events.ts';
import type { Identity } from './identity.ts';
import { Namespace, type NamespacePorts } from './namespace.ts';
import { labelOf } from './offers.ts';
import type { LocalInterface } from './route-plan.ts';
import type { StallWord } from './stall.ts';
import type { InterfaceEvent } from './sys/interface-table.ts';
import { InterfaceWatcher } from './sys/interface-watcher.ts';
import { machineInterfaces } from './sys/machine-interfaces.ts';
import { attachmentView, namespaceView, stallNotice, statsView, statusView } from './views.ts';
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
  private readonly locals: readonly LocalInterface[];
  private readonly namespaces: readonly Namespace[];
  private readonly attachments: Attachments;
  private readonly door: NbdDoor;
  private readonly events = new EventList();
  private readonly watcher: InterfaceWatcher;
  private readonly startedMs: number;
  private control: ControlServer | null = null;

  constructor(options: ClientDaemonOptions) {
    const { config, paths, identity, clock, log } = options;
    this.options = options;
    this.startedMs = clock.wallMs();
    this.locals = config.interfaces.map(({ name, address, prefixLength, portGiven }) => ({
      name,
      address,
      portGiven,
      prefixLength: prefixLengthOf(address, prefixLength, prefixOfMachine(address)),
    }));
    this.attachments = new Attachments({
      clock,
      log,
      namespaces: () => this.namespaces,
      doors: () => [this.door],
      deviceOf: (volume) => this.deviceOf(volume),
      stalled: (volume, word) => this.stalled(volume, word),
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
      { clock, log, source: machineInterfaces, changed: (event) => this.interfaceChanged(event) },
    );
    const ports = this.namespacePorts();
    this.namespaces = config.namespaces.map((one) => new Namespace({ whole: config, config: one, locals: this.locals }, identity, ports));
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
    for (const namespace of this.namespaces) {
      namespace.start();
      for (const { name, address, reason } of namespace.leftOut) warn(`Server section ${name} (${address}): ${reason}`);
    }
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
    this.watcher.stop();
    await this.door.stop();
    await this.attachments.stop();
    for (const namespace of this.namespaces) namespace.stop(STATUS.IO_ERROR, reason);
    await this.control?.close();
  }

  private deviceOf(volume: Volume): string | null {
    const namespace = this.options.config.namespaces.find((one) => one.name === volume.namespace);
    const choice = namespace?.volumes.find((one) => one.name === volume.name)?.device ?? namespace?.device ?? 'auto';
    if (choice === 'none') return null;
    const universe = volume.universe === 0 ? '' : `@${volume.universe}`;
    return `nbd+unix:///${volume.namespace}/${volume.name}${universe}?socket=${this.options.paths.nbdSocket}`;
  }

  /** Until every candidate has come to something, and every server met has shown its list, or time is up. */
  private async firstContact(): Promise<void> {
    const { clock } = this.options;
    const endMs = clock.monotonicMs() + FIRST_CONTACT_WAIT_MS;
    while (clock.monotonicMs() < endMs && !this.namespaces.every(isSettled)) {
      await new Promise<void>((resolve) => clock.after(FIRST_CONTACT_POLL_MS, resolve));
    }
  }

  /** Says aloud, once each time, that a volume's I/O waits, that it was given up, and that it goes on. */
  private stalled(volume: Volume, word: StallWord): void {
    const { clock, log } = this.options;
    const { from, to, sentence } = stallNotice(volume, word);
    this.events.add({ atMs: clock.wallMs(), object: `volume ${volume.name}`, from, to, reason: sentence });
    const line = `Volume ${labelOf(volume)}: ${sentence}`;
    if (word === 'gave-up') log.error(line);
    else if (word === 'waits') log.warn(line);
    else log.info(line);
  }

  private interfaceChanged(event: InterfaceEvent): void {
    const { clock, log } = this.options;
    const { address, change, sentence } = event;
    this.events.add({ atMs: clock.wallMs(), object: `interface ${address}`, from: '-', to: change, reason: sentence });
    log.warn(sentence);
    for (const namespace of this.namespaces) namespace.interfaceChanged(event);
  }

  private namespacePorts(): NamespacePorts {
    const { clock, log } = this.options;
    const note = (object: string, from: string, to: string, reason: string): void =>
      this.events.add({ atMs: clock.wallMs(), object, from, to, reason });
    return {
      clock,
      log,
      connector: tcpConnector,
      random: randomBytes,
      pools: { bodies: new BufferPool(WINDOW_BYTES), outputs: new OutputPool() },
      pathChanged: ({ local, remote, port, supervisor }, from, to, reason) => {
        note(`path ${local.name} ${remote.address}/${port}`, from, to, reason);
        if (to === 'up' && from === 'proving')
          log.child({ path: `${supervisor.lastNumber}-${local.name}-tx0` }).info(`started transmit for rep ${remote.address}/${port}`);
      },
      events: {
        sessionBegan: (server, again) => {
          note(`server ${server.name}`, again ? 'session' : '-', 'session', again ? 'The last one was lost' : '');
          log.info(`Server ${server.name}: ${again ? 'a new session replaces the one that was lost' : 'session begun'}`);
          void server.refresh(LIST_WAIT_MS).then(() => this.attachments.attachWanted());
        },
        opened: (server, attachment, again, newLife) => {
          this.attachments.opened(attachment);
          if (again) log.info(`Volume ${attachment.name} of server ${server.name} is open again`);
          if (newLife)
            log.warn(
              `Volume ${attachment.name}: its server cannot vouch for writes that were not flushed before ${server.name} lost the last session`,
            );
          if (!again || newLife)
            note(`volume ${attachment.name}`, again ? 'waiting' : '-', 'open', newLife ? 'The storage began a new life' : '');
        },
        openFailed: (server, attachment, status, sentence) => {
          note(`volume ${attachment.name}`, '-', 'failed', sentence);
          log.error(`Volume ${attachment.name} of server ${server.name}: ${sentence}`);
          this.attachments.failed(attachment, status, sentence);
        },
        openWaits: (server, attachment, sentence) => {
          note(`volume ${attachment.name}`, 'open', 'waiting', sentence);
          log.warn(`Volume ${attachment.name} of server ${server.name} waits: ${sentence}`);
        },
      },
    };
  }

  private handlers(): ControlHandlers {
    const { config, clock } = this.options;
    const lists = (): Promise<unknown> =>
      Promise.all(this.namespaces.flatMap((namespace) => [...namespace.servers.values()].map((server) => server.refresh(LIST_WAIT_MS))));
    return {
      daemon: () => ({
        program: 'rsiod',
        version: programVersion(),
        pid: process.pid,
        nodename: config.namespaces[0]?.nodename ?? '',
        startedMs: this.startedMs,
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
      status: () => statusView(config, this.namespaces, this.attachments.list, clock),
      stats: () => statsView(this.namespaces, this.attachments.list),
      events: ({ count }) => ({ events: this.events.last(count) }),
      reload: () => {
        throw new RsError('E_NOT_BUILT', 'The configuration cannot be read anew yet: restart rsiod');
      },
      probe: () => {
        throw new RsError('E_NOT_BUILT', 'Paths cannot be measured yet');
      },
    };
  }

  private serversOf(volume: Volume): number {
    return this.attachments.offers.filter((offer) => offer.namespace === volume.namespace && offer.id === volume.id).length;
  }
}

function isSettled({ routes, servers }: Namespace): boolean {
  const isTrying = routes.some(
    ({ supervisor }) => (supervisor.state === 'connecting' || supervisor.state === 'proving') && supervisor.retries === 0,
  );
  const isWaiting = routes.some(({ supervisor }) => supervisor.state === 'down' && supervisor.lastError === null);
  return !isTrying && !isWaiting && [...servers.values()].every((server) => server.isListed || !server.isConnected);
}

/** Prefix length of the machine's own interface with this address, or null. */
function prefixOfMachine(address: string): number | null {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const one of addresses ?? []) {
      if (one.address === address && one.cidr !== null) return Number(one.cidr.split('/')[1]);
    }
  }
  return null;
}
