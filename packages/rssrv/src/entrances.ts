// The listening sockets of the server, one for each interface of its configuration. What comes in is the listener's.
// Invariant: `open` opens all that it is given or nothing; after `closeAll` nothing is opened any more.

import net from 'node:net';
import type { ServerInterfaceConfig } from '@rsio/protocol/config/types';
import { errnoName, RsError } from '@rsio/protocol/lib/errors';
import type { Clock } from '@rsio/protocol/lib/clock';
import type { Log } from '@rsio/protocol/lib/log';
import { FreeFiles } from './free-files.ts';
import { endpointKey } from './reload-plan.ts';

export interface Entrance {
  /** As the configuration calls it now. */
  readonly config: ServerInterfaceConfig;
  /** Its interface was taken out of the configuration: who is on the way in is sent away. */
  readonly isClosed: boolean;
}

class ListeningEntrance implements Entrance {
  config: ServerInterfaceConfig;
  isClosed = false;
  private readonly log: Log;
  private readonly server: net.Server;

  constructor(config: ServerInterfaceConfig, log: Log, connected: (socket: net.Socket, entrance: Entrance) => void) {
    this.config = config;
    this.log = log;
    this.server = net.createServer({ noDelay: true }, (socket) => connected(socket, this));
  }

  async listen(): Promise<void> {
    const { address, port } = this.config;
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error): void => reject(listenError(error, this.config));
      this.server.once('error', fail);
      this.server.listen({ host: address, port, ipv6Only: true }, () => {
        this.server.off('error', fail);
        this.server.on('error', (error) => this.log.error(`Interface ${this.config.name}: ${error.message}`));
        resolve();
      });
    });
  }

  close(): void {
    this.isClosed = true;
    this.server.close();
  }
}

export class Entrances {
  private readonly log: Log;
  private readonly connected: (socket: net.Socket, entrance: Entrance) => void;
  private readonly byEndpoint = new Map<string, ListeningEntrance>();
  private readonly freeFiles: FreeFiles;
  private isOver = false;

  constructor(clock: Clock, log: Log, connected: (socket: net.Socket, entrance: Entrance) => void) {
    this.log = log;
    this.connected = connected;
    this.freeFiles = new FreeFiles(clock, log);
  }

  /**
   * Listens on every one of these interfaces besides those it listens on already. Throws E_ADDRESS_IN_USE, E_ADDRESS_MISSING, E_RIGHTS
   * or E_SYSTEM naming the first that cannot be had, and none of them is open then.
   */
  async open(configs: readonly ServerInterfaceConfig[]): Promise<void> {
    const opened: ListeningEntrance[] = [];
    try {
      for (const config of configs) {
        const entrance = new ListeningEntrance(config, this.log, this.connected);
        opened.push(entrance);
        await entrance.listen();
        if (this.isOver) throw new RsError('E_SHUTTING_DOWN', 'The server is shutting down');
      }
    } catch (error) {
      for (const entrance of opened) entrance.close();
      throw error;
    }
    for (const entrance of opened) this.byEndpoint.set(endpointKey(entrance.config), entrance);
    this.freeFiles.watch();
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
    }
  }

  closeAll(): void {
    this.isOver = true;
    this.freeFiles.close();
    this.keep([]);
  }
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
