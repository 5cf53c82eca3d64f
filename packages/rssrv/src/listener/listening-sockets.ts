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
import { FreeFiles } from './descriptor-watch.ts';
import { endpointKey } from '../reload/reload-plan.ts';

export interface Entrance {
  /** As the configuration calls it now. */
  readonly config: ServerInterfaceConfig;
  /** Its interface was taken out of the configuration: who is on the way in is sent away. */
  readonly isClosed: boolean;
}

class ListeningEntrance implements Entrance {
  config: ServerInterfaceConfig;
  isClosed = false;
  /** Null: the machine does not have its address, or did not when that was tried last. */
  private server: net.Server | null = null;
  private readonly log: Log;
  private readonly connected: (socket: net.Socket, entrance: Entrance) => void;

  constructor(config: ServerInterfaceConfig, log: Log, connected: (socket: net.Socket, entrance: Entrance) => void) {
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

export interface EntrancePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly connected: (socket: net.Socket, entrance: Entrance) => void;
  /** An interface whose address was missing is listened on now. */
  readonly came: () => void;
}

export class Entrances {
  private readonly ports: EntrancePorts;
  private readonly byEndpoint = new Map<string, ListeningEntrance>();
  private readonly freeFiles: FreeFiles;
  private retry: Timer | null = null;
  /** What the last tries of interfaces that are waited for came to, by endpoint: said when it is another. */
  private readonly said = new Map<string, string>();
  private isOver = false;

  constructor(ports: EntrancePorts) {
    this.ports = ports;
    this.freeFiles = new FreeFiles(ports.clock, ports.log);
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
    const opened: ListeningEntrance[] = [];
    const missing: RsError[] = [];
    try {
      for (const config of configs) {
        if (this.byEndpoint.has(endpointKey(config))) continue;
        const entrance = new ListeningEntrance(config, log, connected);
        opened.push(entrance);
        const problem = await entrance.listen();
        if (this.isOver) throw new RsError('E_SHUTTING_DOWN', 'The server is shutting down');
        if (problem === null) continue;
        if (problem.code !== 'E_ADDRESS_MISSING') throw problem;
        missing.push(problem);
      }
      const [first] = missing;
      if (first !== undefined && !opened.some(({ isListening }) => isListening) && this.listening(configs).length === 0) throw first;
    } catch (error) {
      for (const entrance of opened) entrance.close();
      throw error;
    }
    for (const entrance of opened) this.byEndpoint.set(endpointKey(entrance.config), entrance);
    for (const entrance of opened) if (!entrance.isListening) this.said.set(endpointKey(entrance.config), 'E_ADDRESS_MISSING');
    this.freeFiles.watch();
    this.awaitMissing();
    return missing;
  }

  /** Closes what is open and not among `configs`; what is, has their names from now on. */
  keep(configs: readonly ServerInterfaceConfig[]): void {
    const kept = new Map(configs.map((config) => [endpointKey(config), config]));
    for (const [key, entrance] of [...this.byEndpoint]) {
      const config = kept.get(key);
      if (config !== undefined) {
        entrance.config = config;
        continue;
      }
      entrance.close();
      this.byEndpoint.delete(key);
      this.said.delete(key);
    }
  }

  closeAll(): void {
    this.isOver = true;
    this.retry?.cancel();
    this.retry = null;
    this.freeFiles.close();
    this.keep([]);
  }

  private get missing(): ListeningEntrance[] {
    return [...this.byEndpoint.values()].filter(({ isListening }) => !isListening);
  }

  private awaitMissing(): void {
    if (this.isOver || this.missing.length === 0) return;
    this.retry ??= this.ports.clock.after(MISSING_ADDRESS_RETRY_MS, () => void this.tryMissing());
  }

  private async tryMissing(): Promise<void> {
    for (const entrance of this.missing) {
      const problem = await entrance.listen();
      if (!entrance.isClosed) this.tried(entrance, problem);
    }
    this.retry = null;
    this.awaitMissing();
  }

  private tried(entrance: ListeningEntrance, problem: RsError | null): void {
    const { log, came } = this.ports;
    const { name, address, port } = entrance.config;
    const key = endpointKey(entrance.config);
    if (problem === null) {
      this.said.delete(key);
      log.info(`Interface ${name}: its address has come, and the server listens on ${address} port ${port}`);
      came();
    } else if (this.said.get(key) !== problem.code) {
      this.said.set(key, problem.code);
      log.warn(missingSentence(problem));
    }
  }
}

/** Of an interface that the server goes on without. */
export function missingSentence({ message, code }: RsError): string {
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
