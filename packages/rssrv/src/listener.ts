// The listener process: listens on every interface, proves each connection, and hands it to the process of its session. What the
// sessions share is here: volumes, ids, holders, lives. It reads and writes no data itself.
// Invariant: nothing is served before the processes of an earlier listener are gone (S10), and nothing after `stop` was asked for.

import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { ServerHandshake, type ServerIdentity } from '@rsio/protocol/auth/handshake-server';
import { AttemptLimit } from '@rsio/protocol/auth/attempt-limit';
import type { RssrvPaths } from '@rsio/protocol/config/root-paths';
import type { RssrvConfig, ServerInterfaceConfig } from '@rsio/protocol/config/types';
import { assert } from '@rsio/protocol/lib/assert';
import { BufferPool } from '@rsio/protocol/lib/buffer-pool';
import type { Clock } from '@rsio/protocol/lib/clock';
import { errnoName, RsError } from '@rsio/protocol/lib/errors';
import type { DaemonLog } from '@rsio/protocol/lib/log';
import { bootId } from '@rsio/protocol/lib/process-facts';
import { UNPROVEN_MAX, UNPROVEN_PER_ADDRESS_MAX, UNPROVEN_POOL_BYTES } from '@rsio/protocol/limits';
import { FEATURE, PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import type { ListAnswer, ServerInterface } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { Admissions, type ServedSession } from './admissions.ts';
import type { Asked, ClientIdentity } from './channel.ts';
import { Doorway, sayRefusal } from './doorway.ts';
import { Holders } from './holders.ts';
import { RunRecords } from './run-records.ts';
import type { ServedVolume } from './served-volume.ts';
import type { Grant } from './session-volumes.ts';
import { type PreparedVolumes, prepareVolumes } from './volumes.ts';
import { Worker, WorkerPool } from './workers.ts';

export interface ListenerOptions {
  readonly config: RssrvConfig;
  readonly paths: RssrvPaths;
  readonly clock: Clock;
  readonly log: DaemonLog;
  /** The processes log to stderr too. */
  readonly foreground: boolean;
  /** A sentence for whoever started the daemon. */
  readonly warn: (sentence: string) => void;
}

export class Listener {
  private readonly options: ListenerOptions;
  private readonly identity: ServerIdentity;
  private readonly interfaces: readonly ServerInterface[];
  private readonly holders: Holders;
  private readonly admissions: Admissions;
  private readonly pool: WorkerPool;
  private readonly attempts: AttemptLimit;
  private readonly bodies = new BufferPool(UNPROVEN_POOL_BYTES);
  private readonly unproven = new Map<string, number>();
  private unprovenCount = 0;
  private servers: net.Server[] = [];
  private records: RunRecords | null = null;
  private prepared: PreparedVolumes | null = null;
  private readonly generation = 1;

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
      features: [FEATURE.DIGEST],
    };
    this.interfaces = config.interfaces.map(({ name, address, port }) => ({ name, address, port }));
    this.holders = new Holders(paths.holdersFile, () => clock.wallMs());
    this.attempts = new AttemptLimit(clock);
    this.pool = new WorkerPool(() => this.startWorker());
    this.admissions = new Admissions({
      clock,
      log,
      holders: this.holders,
      takeWorker: () => this.pool.take(),
      beginMessage: (session, client) => this.beginMessage(session, client),
      answer: (session, asked) => this.answer(session, asked),
      sessionEnded: (session, isClean) => this.sessionEnded(session, isClean),
      refuse: (socket, error) => {
        log.warn(`Refused ${socket.remoteAddress ?? '?'}: ${error.message} [${error.code}]`);
        sayRefusal(socket, { code: error.code, sentence: error.message });
      },
    });
  }

  /** Resolves when it listens on every interface. Throws what stands in the way; nothing is left behind then. */
  async start(): Promise<void> {
    const { config, paths, clock, log, warn } = this.options;
    this.records = new RunRecords(paths.recordsFile, bootId());
    await this.records.takeOver(clock, log);
    await this.holders.load();
    this.prepared = await prepareVolumes(config, { idsFile: paths.volumesFile, memoryDirectory: paths.memoryDir }, log);
    for (const { name, error } of this.prepared.failures) {
      log.error(error.message, { volume: name });
      warn(`${error.message} [${error.code}]`);
    }
    try {
      for (const one of config.interfaces) this.servers.push(await this.listen(one));
    } catch (error) {
      await this.stop('The server could not start');
      throw error;
    }
    this.pool.fill();
    log.info(
      `Server ${config.server.name} serves ${this.prepared.volumes.length} volumes on ${config.interfaces.map((one) => `${one.address}/${one.port}`).join(', ')}`,
    );
  }

  /** Lets nobody in any more, answers what was begun, flushes, ends all processes. */
  async stop(sentence: string): Promise<void> {
    for (const server of this.servers) server.close();
    await this.admissions.close('E_SHUTTING_DOWN', sentence);
    await this.pool.stop();
    await this.prepared?.close();
    // Without processes left in the records, the next start knows that this end was clean.
    await this.records?.saved();
  }

  reload(): void {
    this.options.log.reopen();
    for (const session of this.admissions.sessions) session.worker.tell({ type: 'reopen-log' });
  }

  private async listen(config: ServerInterfaceConfig): Promise<net.Server> {
    const server = net.createServer({ noDelay: true }, (socket) => this.connected(socket, config.name));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenError(error, config)));
      server.listen({ host: config.address, port: config.port, ipv6Only: true }, resolve);
    });
    server.removeAllListeners('error');
    server.on('error', (error) => this.options.log.error(`Interface ${config.name}: ${error.message}`));
    return server;
  }

  private connected(socket: net.Socket, interfaceName: string): void {
    const address = socket.remoteAddress ?? '';
    const fromAddress = this.unproven.get(address) ?? 0;
    const { log } = this.options;
    if (this.unprovenCount >= UNPROVEN_MAX || fromAddress >= UNPROVEN_PER_ADDRESS_MAX || this.attempts.waitMs(address) > 0) {
      sayRefusal(socket, { code: 'E_LIMIT', sentence: 'Too many connections that did not prove themselves: try again later' });
      return;
    }
    this.unproven.set(address, fromAddress + 1);
    this.unprovenCount++;
    const leave = (): void => {
      this.unprovenCount--;
      const left = (this.unproven.get(address) ?? 1) - 1;
      if (left === 0) this.unproven.delete(address);
      else this.unproven.set(address, left);
    };
    new Doorway(socket, new ServerHandshake(this.identity, randomBytes), {
      clock: this.options.clock,
      pool: this.bodies,
      lookup: (node) => this.options.config.clients.find((client) => client.name === node)?.key ?? null,
      secretOf: (session, node) => this.admissions.secretOf(session, node),
      proven: (proved, proven) => {
        leave();
        this.admissions.admit(proved, proven, interfaceName);
      },
      refused: (_socket, refusal) => {
        leave();
        if (refusal.isFailedProof) this.attempts.failed(address);
        log.warn(`Refused ${address} on ${interfaceName}: ${refusal.logReason} [${refusal.code}]`);
      },
      broken: (_socket, reason) => {
        leave();
        log.debug(`Dropped ${address} on ${interfaceName}: ${reason}`);
      },
    });
  }

  private startWorker(): Worker {
    const { clock, log, foreground } = this.options;
    const { records } = this;
    assert(records !== null, 'A process is started before the records are there');
    const worker = new Worker(clock, log, foreground, (pid) => records.workerStarted(pid));
    void worker.ended.then(() => records.workerEnded(worker.pid, [])).catch((error: Error) => log.error(error.message));
    return worker;
  }

  private beginMessage(session: string, client: ClientIdentity): Parameters<Worker['tell']>[0] {
    const { config, paths, foreground } = this.options;
    return {
      type: 'begin',
      session,
      client,
      interfaces: this.interfaces,
      generation: this.generation,
      log: { file: paths.logFile, node: config.server.name, level: config.server.logLevel, copy: foreground },
    };
  }

  private async answer(session: ServedSession, asked: Asked): Promise<ListAnswer | Grant | null> {
    switch (asked.what) {
      case 'list':
        return this.list(session.client.node);
      case 'grant': {
        const volume = this.visible(session.client.node).find(
          (one) => one.name === asked.request.name && one.universe === asked.request.universe,
        );
        if (volume === undefined) return this.unknown(asked.request.name);
        const life = this.records?.lifeOf(volume.id) ?? '';
        const grant = await this.holders.grant(
          volume,
          session.client,
          asked.request,
          volume.type === 'memory' ? this.identity.instance : life,
        );
        if (grant.granted) session.volumeIds.add(volume.id);
        return grant;
      }
      case 'release':
        session.volumeIds.delete(asked.volumeId);
        await this.holders.release(asked.volumeId, session.client);
        return null;
    }
  }

  private list(node: string): ListAnswer {
    const volumes = this.visible(node).map((volume) => ({
      name: volume.name,
      id: volume.id,
      universe: volume.universe,
      sizeBytes: volume.sizeBytes,
      blockSizeBytes: volume.blockSizeBytes,
      readonly: volume.readonly,
      shared: volume.shared,
      holders: this.holders.of(volume.id),
    }));
    return { generation: this.generation, interfaces: this.interfaces, volumes };
  }

  private visible(node: string): ServedVolume[] {
    return (this.prepared?.volumes ?? []).filter((volume) => volume.clients === null || volume.clients.includes(node));
  }

  private unknown(name: string): Grant {
    const failure = this.prepared?.failures.find((one) => one.name === name);
    const sentence = failure === undefined ? `Server ${this.identity.server} has no volume ${name} for this client` : failure.error.message;
    return { granted: false, status: failure === undefined ? STATUS.UNKNOWN_VOLUME : STATUS.VOLUME_UNAVAILABLE, sentence, holders: [] };
  }

  private async sessionEnded(session: ServedSession, isClean: boolean): Promise<void> {
    if (!isClean) await this.records?.workerEnded(session.worker.pid, [...session.volumeIds]);
  }
}

function listenError(error: Error, config: ServerInterfaceConfig): RsError {
  const place = `${config.address} port ${config.port} (interface ${config.name})`;
  switch (errnoName(error)) {
    case 'EADDRINUSE':
      return new RsError('E_ADDRESS_IN_USE', `Cannot listen on ${place}: another program does: stop it, or set another port`, {}, error);
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
