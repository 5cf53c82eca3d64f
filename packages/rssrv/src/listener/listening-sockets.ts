// The listening sockets of the server, one for each interface of its configuration. What comes in is the listener's. An address that this
// machine does not have is waited for: one good path is enough to serve. Invariants: `open` takes all that it is given or nothing, and at
// least one of it is listened on; after `closeAll` nothing is opened any more.

import net from 'node:net';
import type { ServerInterfaceConfig } from '@rsio/common/config/schema/types';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { MISSING_ADDRESS_RETRY_MS } from './limits.ts';
import type { Log } from '@rsio/common/log/log';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import { DescriptorWatch } from './descriptor-watch.ts';
import { endpointKey } from '../reload/reload-plan.ts';

export interface ListeningSocket {
  /** As the configuration calls it now. */
  readonly config: ServerInterfaceConfig;
  /** Its interface was taken out of the configuration: who is on the way in is sent away. */
  readonly isClosed: boolean;
}

class InterfaceSocket implements ListeningSocket {
  config: ServerInterfaceConfig;
  isClosed = false;
  /** Null: the machine does not have its address, or did not when that was tried last. */
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

  /** Null, or why it cannot be listened on. */
  async listen(): Promise<RsError | null> {
    const { address, port } = this.config;
    const server = net.createServer({ noDelay: true }, (socket) => this.connected(socket, this));
    const problem = await new Promise<RsError | null>((resolve) => {
      const fail = (error: Error): void => resolve(listenError(error, this.config));
      server.once('error', fail);
      server.listen({ host: address, port, ipv6Only: true }, () => {
        server.off('error', fail);
        server.on('error', (error) => this.log.error(`Interface ${this.config.name}: ${error.message}`));
        resolve(null);
      });
    });
    if (problem !== null) return problem;
    // It was taken away while this was under way.
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
  /** An interface whose address was missing is listened on now. */
  readonly addressCame: () => void;
}

export class ListeningSockets {
  private readonly ports: ListeningSocketPorts;
  private readonly byEndpoint = new Map<string, InterfaceSocket>();
  private readonly descriptors: DescriptorWatch;
  private retry: Timer | null = null;
  /** What the last tries of interfaces that are waited for came to, by endpoint: said when it is another. */
  private readonly reported = new Map<string, string>();
  private isOver = false;

  constructor(ports: ListeningSocketPorts) {
    this.ports = ports;
    this.descriptors = new DescriptorWatch(ports.clock, ports.log);
  }

  /** Of these, in their order, those that are listened on. */
  listening(configs: readonly ServerInterfaceConfig[]): ServerInterfaceConfig[] {
    return configs.filter((config) => this.byEndpoint.get(endpointKey(config))?.isListening === true);
  }

  /**
   * Listens on every one of these interfaces besides those it has already. Gives why of those whose address is missing, which are waited for.
   * Throws E_ADDRESS_IN_USE, E_RIGHTS or E_SYSTEM naming the first that cannot be had, or E_ADDRESS_MISSING when it would listen on none of
   * `configs`: none of them is open then that was not before.
   */
  async open(configs: readonly ServerInterfaceConfig[]): Promise<RsError[]> {
    const { log, connected } = this.ports;
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
    for (const listeningSocket of opened) this.byEndpoint.set(endpointKey(listeningSocket.config), listeningSocket);
    for (const listeningSocket of opened)
      if (!listeningSocket.isListening) this.reported.set(endpointKey(listeningSocket.config), 'E_ADDRESS_MISSING');
    this.descriptors.watch();
    this.awaitMissing();
    return missing;
  }

  /** Closes what is open and not among `configs`; what is, has their names from now on. */
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
      log.info(`Interface ${name}: its address has come, and the server listens on ${address} port ${port}`);
      addressCame();
    } else if (this.reported.get(key) !== problem.code) {
      this.reported.set(key, problem.code);
      log.warn(addressMissingText(problem));
    }
  }
}

/** Of an interface that the server goes on without. */
export function addressMissingText({ message, code }: RsError): string {
  return `${message}; until then the server serves on its other interfaces [${code}]`;
}

/** The same for a start and for `--check`. */
export function listenError(error: Error, config: ServerInterfaceConfig): RsError {
  const place = `${config.address} port ${config.port} (interface ${config.name})`;
  switch (errnoName(error)) {
    case 'EADDRINUSE':
      return new RsError(
        'E_ADDRESS_IN_USE',
        `Cannot listen on ${place}: another program does: find it with ss -ltnp, stop it, or set another port`,
        {},
        error,
      );
    case 'EADDRNOTAVAIL':
      return new RsError(
        'E_ADDRESS_MISSING',
        `Cannot listen on ${place}: this machine does not have the address: correct it, or bring the interface up`,
        {},
        error,
      );
    case 'EACCES':
      return new RsError(
        'E_RIGHTS',
        `Cannot listen on ${place}: no right to use this port: run as root, or set a port from 1024 on`,
        {},
        error,
      );
    default:
      return new RsError('E_SYSTEM', `Cannot listen on ${place}: ${error.message}`, {}, error);
  }
}

/** As clients are told of it. */
export function toInterface({ name, address, port }: ServerInterface): ServerInterface {
  return { name, address, port };
}
