// A server that does as it is told: by itself a plain one with a volume `tvol` in memory, one session and any number of paths; what a
// test meddles with, it answers wrongly. Leaves judging to the tests, and knows nothing of rssrv's code but the handshake and codecs.

import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { buildWelcome, type Proven, ServerHandshake } from '@rsio/protocol/auth/handshake-server';
import { SECTOR_BYTES, SLOTS, WINDOW_BYTES } from '@rsio/protocol/limits';
import { PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { decodeHeartbeat, encodeHeartbeat, encodeListAnswers, encodeOpenAnswer } from '@rsio/protocol/wire/message-codec';
import type { Welcome } from '@rsio/protocol/wire/messages';
import { asBytes, RawConnection, type RawFrame } from './raw-peer.ts';

export const RAW_VOLUME = 'tvol';
const RAW_VOLUME_SECTORS = 2048;

/** What the server is about to do, and the frame that made it so: `welcomed` comes behind WELCOME and has none. */
export type Step = 'hello' | 'proof' | 'welcomed' | 'request';

/** Called before each step; true: it has done what was to be done, or not to be done. */
export type Meddle = (step: Step, link: RawServerLink, frame: RawFrame | null) => boolean;

export interface RawServerOptions {
  readonly address: string;
  readonly port: number;
  readonly namespaceid: number;
  readonly nodekey: string;
  readonly meddle: Meddle;
}

/** One accepted connection. */
export class RawServerLink extends RawConnection {
  readonly server: RawServer;
  readonly handshake: ServerHandshake;
  path = -1;

  constructor(server: RawServer, socket: net.Socket) {
    super(socket);
    this.server = server;
    this.handshake = new ServerHandshake(
      {
        namespaceid: server.options.namespaceid,
        server: 'raw-1',
        serverid: 7,
        instance: server.instance,
        serverkey: null,
        versions: PROTOCOL_VERSIONS,
        features: [],
      },
      randomBytes,
    );
  }

  /** The WELCOME that a proof deserves, with some fields changed. */
  welcome(proven: Proven, changes: Partial<Welcome> = {}): Buffer {
    this.path = this.server.nextPath++;
    const { address, port } = this.server.options;
    return buildWelcome(proven.welcomeKey, proven.transcript, {
      session: this.server.session,
      path: this.path,
      slots: SLOTS,
      windowBytes: WINDOW_BYTES,
      interfaces: [{ name: 'if1', address, port }],
      generation: 1,
      ...changes,
    });
  }

  /** Takes a PROOF as it should be taken. Throws for one that is wrong. */
  proven(frame: RawFrame): Proven {
    const proven = this.handshake.onProof(asBytes(frame), () => this.server.secret);
    if (proven.kind === 'refuse') throw new Error(`The client's proof is wrong: ${proven.logReason}`);
    if (proven.kind === 'new') this.server.begin(proven.sessionSecret);
    return proven;
  }

  /** Answers requests as a server should, until the connection ends. */
  async serve(): Promise<void> {
    const { meddle } = this.server.options;
    const hello = await this.next();
    if (meddle('hello', this, hello)) return;
    const challenged = this.handshake.onHello(asBytes(hello), () => this.server.options.nodekey);
    if (challenged.kind === 'refuse') throw new Error(`The client's HELLO is wrong: ${challenged.logReason}`);
    this.send(challenged.frame);
    const proof = await this.next();
    if (meddle('proof', this, proof)) return;
    this.send(this.welcome(this.proven(proof)));
    if (meddle('welcomed', this, null)) return;
    for (;;) {
      const frame = await this.next(() => true);
      if (!meddle('request', this, frame)) this.answerFrame(frame);
    }
  }

  private answerFrame(frame: RawFrame): void {
    const { op, slot, seq, count } = frame;
    const tag = { op: op | ANSWER, slot, seq };
    switch (op) {
      case OP.PING:
        this.request({ op: OP.PONG, body: encodeHeartbeat({ ...decodeHeartbeat(frame.body, 0, frame.body.length), generation: 1 }) });
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
  readonly instance = randomBytes(16).toString('hex');
  readonly session: Buffer = randomBytes(16);
  /** Of all connections so far. */
  readonly links: RawServerLink[] = [];
  secret: Buffer | null = null;
  nextPath = 0;
  private readonly listener: net.Server;

  private constructor(options: RawServerOptions) {
    this.options = options;
    this.listener = net.createServer((socket) => {
      const link = new RawServerLink(this, socket);
      this.links.push(link);
      // The end of the connection ends serving it.
      link.serve().catch(() => link.close());
    });
  }

  static async listen(options: RawServerOptions): Promise<RawServer> {
    const server = new RawServer(options);
    await new Promise<void>((resolve, reject) => {
      server.listener.once('error', reject);
      server.listener.listen(options.port, options.address, resolve);
    });
    return server;
  }

  begin(secret: Buffer): void {
    this.secret = Buffer.from(secret);
    this.nextPath = 0;
  }

  get list(): Buffer {
    const volume = { name: RAW_VOLUME, id: 'raw-volume', universe: 0, ...this.volume, holders: [] };
    return encodeListAnswers({ generation: 1, interfaces: [], volumes: [volume] })[0]!;
  }

  get opened(): Buffer {
    return encodeOpenAnswer({ handle: 1, id: 'raw-volume', ...this.volume, canDiscard: false, identity: 'raw.1', life: 'raw' });
  }

  close(): void {
    this.listener.close();
    for (const link of this.links) link.reset();
  }

  private get volume(): { sizeBytes: number; blockSizeBytes: number; readonly: boolean; shared: boolean } {
    return { sizeBytes: RAW_VOLUME_SECTORS * SECTOR_BYTES, blockSizeBytes: 512, readonly: false, shared: false };
  }
}
