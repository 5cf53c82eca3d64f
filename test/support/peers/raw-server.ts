// A server that follows the test's instructions. By default, it is a correct server with a volume `tvol` in memory, one session and any
// number of paths; a test can make it misbehave at any step. The tests judge the results. The server uses none of rssrv's code except the
// handshake and the codecs.

import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { buildWelcome, type Proven, refuseFrame, ServerHandshake } from '@rsio/protocol/auth/handshake-server';
import type { ErrorCode } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { SLOTS } from '@rsio/protocol/wire/limits';
import { FEATURE, PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { encodeListAnswers, Ping, OpenAnswer, type ServerInterface, type Welcome } from '@rsio/protocol/wire/messages';
import { asBytes, RawConnection, type RawFrame } from './raw-peer.ts';

export const RAW_VOLUME = 'tvol';
const RAW_VOLUME_SECTORS = 2048;

/**
 * The next step of the server, named after the frame that caused it. The step `welcomed` comes after WELCOME, without a frame of the
 * client.
 */
export type Step = 'hello' | 'proof' | 'welcomed' | 'request';

/** Called before each step. Returns true if the function has done something in place of the correct step. */
export type Meddle = (step: Step, link: RawServerLink, frame: RawFrame | null) => boolean;

export interface RawServerOptions {
  readonly address: string;
  readonly port: number;
  readonly namespaceid: number;
  readonly nodekey: string;
  readonly meddle: Meddle;
  /** Further addresses on which the server listens, at the same port. */
  readonly furtherAddresses?: readonly string[];
  readonly features?: readonly string[];
  /** Name of the server; default raw-1. The default serverid is 7. */
  readonly server?: string;
  readonly serverid?: number;
}

export class RawServerLink extends RawConnection {
  readonly server: RawServer;
  readonly handshake: ServerHandshake;
  path = -1;
  /**
   * Whether the client has accepted WELCOME. The server learns of the acceptance only when a later frame of the client arrives. A
   * connection that the client has closed before its first frame after WELCOME was never a path.
   */
  isPath = false;

  constructor(server: RawServer, socket: net.Socket) {
    super(socket);
    this.server = server;
    this.handshake = new ServerHandshake(
      {
        namespaceid: server.options.namespaceid,
        server: server.options.server ?? 'raw-1',
        serverid: server.options.serverid ?? 7,
        instance: server.instance,
        serverkey: null,
        versions: PROTOCOL_VERSIONS,
        features: server.options.features ?? [],
      },
      randomBytes,
    );
  }

  /** Makes the correct WELCOME for a proof, with these fields changed. */
  welcome(proven: Proven, changes: Partial<Welcome> = {}): Buffer {
    this.path = this.server.nextPath++;
    return buildWelcome(proven.welcomeKey, proven.transcript, {
      session: this.server.session,
      path: this.path,
      slots: SLOTS,
      windowBytes: WINDOW_BYTES,
      interfaces: this.server.interfaces,
      generation: this.server.generation,
      ...changes,
    });
  }

  /** Checks a PROOF. If the PROOF is wrong or names an unknown session, sends REFUSE and throws. */
  proven(frame: RawFrame): Proven {
    const proven = this.handshake.onProof(asBytes(frame), () => this.server.secret, null);
    if (proven.kind === 'refuse') {
      this.send(refuseFrame(proven));
      throw new Error(`The client's proof is refused: ${proven.logReason}`);
    }
    if (proven.kind === 'new') this.server.begin(proven.sessionSecret);
    return proven;
  }

  refuse(code: ErrorCode, sentence: string): void {
    this.send(refuseFrame({ code, sentence }));
    this.socket.end();
  }

  /** Serves the connection correctly until it ends. */
  async serve(): Promise<void> {
    const { meddle } = this.server.options;
    const hello = await this.next();
    if (meddle('hello', this, hello)) return;
    const challenged = this.handshake.onHello(asBytes(hello), () => this.server.options.nodekey);
    if (challenged.kind === 'refuse') throw new Error(`The client's HELLO is wrong: ${challenged.logReason}`);
    this.send(challenged.frame);
    const proof = await this.next();
    if (meddle('proof', this, proof)) return;
    const proven = this.proven(proof);
    this.send(this.welcome(proven));
    if (proven.features.includes(FEATURE.DIGEST)) this.startDigests();
    if (meddle('welcomed', this, null)) return;
    await this.serveOn();
  }

  /** Answers the frames after WELCOME. */
  async serveOn(): Promise<void> {
    const { meddle } = this.server.options;
    for (;;) {
      const frame = await this.next(() => true);
      this.isPath = true;
      if (!meddle('request', this, frame)) this.answerFrame(frame);
    }
  }

  private answerFrame(frame: RawFrame): void {
    const { op, slot, seq, count } = frame;
    const tag = { op: op | ANSWER, slot, seq };
    switch (op) {
      case OP.PING:
        this.request({
          op: OP.PONG,
          body: Ping.encode({ ...Ping.decode(frame.body, 0, frame.body.length), generation: this.server.generation }),
        });
        return;
      case OP.FENCE:
        this.request({ op: OP.FENCED, aux: frame.aux });
        return;
      case OP.LIST:
        this.request({ ...tag, body: this.server.list });
        return;
      case OP.OPEN:
        this.request({ ...tag, body: this.server.opened });
        return;
      case OP.READ:
        this.request({ ...tag, lba: frame.lba, count, body: Buffer.alloc(count * SECTOR_BYTES, 0x5a) });
        return;
      case OP.PONG:
        return;
      default:
        this.request({ ...tag, lba: frame.lba, count });
    }
  }
}

export class RawServer {
  readonly options: RawServerOptions;
  instance = randomBytes(16).toString('hex');
  session: Buffer = randomBytes(16);
  /** Generation of the server's list of interfaces. */
  generation = 1;
  readonly links: RawServerLink[] = [];
  secret: Buffer | null = null;
  nextPath = 0;
  private readonly listeners: net.Server[] = [];

  private constructor(options: RawServerOptions) {
    this.options = options;
  }

  static async listen(options: RawServerOptions): Promise<RawServer> {
    const server = new RawServer(options);
    for (const address of server.addresses) await server.listenAt(address);
    return server;
  }

  get addresses(): readonly string[] {
    return [this.options.address, ...(this.options.furtherAddresses ?? [])];
  }

  get interfaces(): ServerInterface[] {
    return this.addresses.map((address, index) => ({ name: `if${index + 1}`, address, port: this.options.port }));
  }

  private listenAt(address: string): Promise<void> {
    const listener = net.createServer((socket) => {
      const link = new RawServerLink(this, socket);
      this.links.push(link);
      // `serve` rejects when the connection ends. The socket is then closed.
      link.serve().catch(() => link.socket.destroySoon());
    });
    this.listeners.push(listener);
    return new Promise((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(this.options.port, address, resolve);
    });
  }

  /** Puts the server in the state after a restart: it has no sessions and another instance. */
  startAnew(): void {
    this.instance = randomBytes(16).toString('hex');
    this.session = randomBytes(16);
    this.secret = null;
    for (const link of this.links) link.reset();
  }

  begin(secret: Buffer): void {
    this.secret = Buffer.from(secret);
    this.nextPath = 0;
  }

  get list(): Buffer {
    const volume = { name: RAW_VOLUME, id: 'raw-volume', universe: 0, ...this.volume, holders: [], waitsForSpace: false };
    return encodeListAnswers({ generation: this.generation, interfaces: this.interfaces, volumes: [volume] })[0]!;
  }

  get opened(): Buffer {
    return OpenAnswer.encode({ handle: 1, id: 'raw-volume', ...this.volume, canDiscard: false, identity: 'raw.1', life: 'raw' });
  }

  close(): void {
    for (const listener of this.listeners) listener.close();
    for (const link of this.links) link.reset();
  }

  private get volume(): { sizeBytes: number; blockSizeBytes: number; readonly: boolean; shared: boolean } {
    return { sizeBytes: RAW_VOLUME_SECTORS * SECTOR_BYTES, blockSizeBytes: 512, readonly: false, shared: false };
  }
}
