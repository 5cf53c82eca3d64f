// The server's listening sockets, one for each configured interface. The server starts if at least one interface works, and retries the
// interfaces whose addresses are missing. Invariants: `open` listens on every interface whose address exists, or fails and opens no socket.
// After `open` has succeeded, the server listens on at least one interface. No socket is opened after `closeAll`.

import { listenError } from '@rsio/base/lib/listen-error';
import net from 'node:net';
import type { ServerInterfaceConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { MISSING_ADDRESS_RETRY_MS } from './limits.ts';
import type { Log } from '@rsio/base/log/log';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import { DescriptorWatch } from '../machine/descriptor-watch.ts';
import { endpointKey } from './reload-plan.ts';

export interface ListeningSocket {
  /** The current configuration of the interface. */
  readonly config: ServerInterfaceConfig;
  /** True once the interface has been removed from the configuration; its unproven connections are then refused. */
  readonly isClosed: boolean;
}

class InterfaceSocket implements ListeningSocket {
  config: ServerInterfaceConfig;
  isClosed = false;
  /** Null while the server does not listen on the interface. */
  private server: net.Server | null = null;
  private readonly log: Log;
  private readonly connected: (socket: net.Socket, listeningSocket: ListeningSocket) => void;

  constructor(config: ServerInterfaceConfig, log: Log, connected: (socket: net.Socket, listeningSocket: ListeningSocket) => void) {
    this.config = config;
    this.log = log;
    this.connected = connected;
  }

  get isListening(): boolean {
    return this.server !== null;
  }

  /** Starts to listen. Resolves with the error, or null on success. */
  async listen(): Promise<RsError | null> {
    const { address, port } = this.config;
    const server = net.createServer({ noDelay: true }, (socket) => this.connected(socket, this));
    const problem = await new Promise<RsError | null>((resolve) => {
      const fail = (error: Error): void => resolve(interfaceError(error, this.config));
      server.once('error', fail);
      server.listen({ host: address, port, ipv6Only: true }, () => {
        server.off('error', fail);
        server.on('error', (error) => this.log.error(`Interface ${this.config.name}: ${error.message}`));
        resolve(null);
      });
    });
    if (problem !== null) return problem;
    // The interface may have been closed while the socket was being opened.
    if (this.isClosed) server.close();
    else this.server = server;
    return null;
  }

  close(): void {
    this.isClosed = true;
    this.server?.close();
    this.server = null;
  }
}

export interface ListeningSocketPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly connected: (socket: net.Socket, listeningSocket: ListeningSocket) => void;
  /** Called when the server begins to listen on an interface whose address was missing. */
  readonly addressCame: () => void;
}

export class ListeningSockets {
  private readonly ports: ListeningSocketPorts;
  private readonly byEndpoint = new Map<string, InterfaceSocket>();
  private readonly descriptors: DescriptorWatch;
  private retry: Timer | null = null;
  /**
   * Maps each end point whose address is missing to the error code that was logged last. An error is logged only if its code differs from
   * the last logged code.
   */
  private readonly reported = new Map<string, string>();
  private isOver = false;

  constructor(ports: ListeningSocketPorts) {
    this.ports = ports;
    this.descriptors = new DescriptorWatch(ports.clock, ports.log);
  }

  listening(configs: readonly ServerInterfaceConfig[]): ServerInterfaceConfig[] {
    return configs.filter((config) => this.byEndpoint.get(endpointKey(config))?.isListening === true);
  }

  /**
   * Listens on every interface in `configs` that is not open yet. Returns an error for each interface whose address is missing, and tries
   * these interfaces again later. Throws E_ADDRESS_MISSING if every address is missing. Throws E_ADDRESS_IN_USE, E_RIGHTS or E_SYSTEM for
   * any other failure. If this method throws, it leaves no new socket open.
   */
  async open(configs: readonly ServerInterfaceConfig[]): Promise<RsError[]> {
    const { opened, missing } = await this.openNew(configs, this.ports.connected);
    for (const listeningSocket of opened) this.byEndpoint.set(endpointKey(listeningSocket.config), listeningSocket);
    for (const listeningSocket of opened)
      if (!listeningSocket.isListening) this.reported.set(endpointKey(listeningSocket.config), 'E_ADDRESS_MISSING');
    this.descriptors.watch();
    this.awaitMissing();
    return missing;
  }

  /**
   * Throws the errors that `open` would throw for these interfaces, and leaves no new socket open. A client that connects during this call
   * has to connect again.
   */
  async examine(configs: readonly ServerInterfaceConfig[]): Promise<void> {
    const { opened } = await this.openNew(configs, (socket) => socket.destroy());
    for (const listeningSocket of opened) listeningSocket.close();
  }

  private async openNew(
    configs: readonly ServerInterfaceConfig[],
    connected: ListeningSocketPorts['connected'],
  ): Promise<{ readonly opened: readonly InterfaceSocket[]; readonly missing: RsError[] }> {
    const { log } = this.ports;
    const opened: InterfaceSocket[] = [];
    const missing: RsError[] = [];
    try {
      for (const config of configs) {
        if (this.byEndpoint.has(endpointKey(config))) continue;
        const listeningSocket = new InterfaceSocket(config, log, connected);
        opened.push(listeningSocket);
        const problem = await listeningSocket.listen();
        if (this.isOver) throw new RsError('E_SHUTTING_DOWN', 'The server is shutting down');
        if (problem === null) continue;
        if (problem.code !== 'E_ADDRESS_MISSING') throw problem;
        missing.push(problem);
      }
      const [first] = missing;
      if (first !== undefined && !opened.some(({ isListening }) => isListening) && this.listening(configs).length === 0) throw first;
    } catch (error) {
      for (const listeningSocket of opened) listeningSocket.close();
      throw error;
    }
    return { opened, missing };
  }

  /** Closes the sockets of interfaces that are not in `configs`, and updates the settings of the other interfaces. */
  keep(configs: readonly ServerInterfaceConfig[]): void {
    const kept = new Map(configs.map((config) => [endpointKey(config), config]));
    for (const [key, listeningSocket] of [...this.byEndpoint]) {
      const config = kept.get(key);
      if (config !== undefined) {
        listeningSocket.config = config;
        continue;
      }
      listeningSocket.close();
      this.byEndpoint.delete(key);
      this.reported.delete(key);
    }
  }

  closeAll(): void {
    this.isOver = true;
    this.retry?.cancel();
    this.retry = null;
    this.descriptors.close();
    this.keep([]);
  }

  private get missing(): InterfaceSocket[] {
    return [...this.byEndpoint.values()].filter(({ isListening }) => !isListening);
  }

  private awaitMissing(): void {
    if (this.isOver || this.missing.length === 0) return;
    this.retry ??= this.ports.clock.after(MISSING_ADDRESS_RETRY_MS, () => void this.tryMissing());
  }

  private async tryMissing(): Promise<void> {
    for (const listeningSocket of this.missing) {
      const problem = await listeningSocket.listen();
      if (!listeningSocket.isClosed) this.tried(listeningSocket, problem);
    }
    this.retry = null;
    this.awaitMissing();
  }

  private tried(listeningSocket: InterfaceSocket, problem: RsError | null): void {
    const { log, addressCame } = this.ports;
    const { name, address, port } = listeningSocket.config;
    const key = endpointKey(listeningSocket.config);
    if (problem === null) {
      this.reported.delete(key);
      log.info(`Interface ${name}: its address is there now, and the server listens on ${address} port ${port}`);
      addressCame();
    } else if (this.reported.get(key) !== problem.code) {
      this.reported.set(key, problem.code);
      log.warn(addressMissingText(problem));
    }
  }
}

/** Returns the warning about an interface whose address is missing. */
export function addressMissingText({ message, code }: RsError): string {
  return `${message}; meanwhile the server serves on its other interfaces [${code}]`;
}

/** The error that rssrv reports if it cannot listen on an interface, with and without `--check`. */
export function interfaceError(error: Error, { name, address, port }: ServerInterfaceConfig): RsError {
  return listenError(error, `listen on ${address} port ${port} (interface ${name})`);
}

/** Returns the interface as clients see it. */
export function toInterface({ name, address, port }: ServerInterface): ServerInterface {
  return { name, address, port };
}
