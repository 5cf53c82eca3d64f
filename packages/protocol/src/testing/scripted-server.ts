// The server's end of connections, scripted by a test. The handshake is automatic. After the handshake, the server records every frame, and
// the test decides every answer.

import { handshakeFrame, wholeFrame } from '../auth/handshake-frames.ts';
import { buildWelcome, type Proven, provedRefusal, refuseFrame, ServerHandshake } from '../auth/handshake-server.ts';
import type { ErrorCode } from '@rsio/base/lib/errors';
import { Connection } from '../link/connection.ts';
import { FEATURE } from '../wire/features.ts';
import { ANSWER, OP } from '../wire/frames.ts';
import { bodyLengthBytes, type Header } from '../wire/header.ts';
import { Ping, type ServerInterface } from '../wire/messages.ts';
import { CountingBufferPool, CountingOutputPool } from './counting-pools.ts';
import type { MemoryEnd } from './memory-transport.ts';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';

export interface HeardFrame {
  readonly header: Header;
  readonly body: Buffer;
}

/** One connection of the scripted server. */
export class ScriptedPath {
  readonly connection: Connection;
  readonly heard: HeardFrame[] = [];
  proven: Proven | null = null;
  closedReason: string | null = null;
  private readonly handshake: ServerHandshake;
  private isChallenged = false;

  constructor(end: MemoryEnd, handshake: ServerHandshake, server: ScriptedServer) {
    this.handshake = handshake;
    this.connection = new Connection(end, server.pools, {
      bodyBegins: () => {},
      frame: (header, body, offset) => {
        if (this.proven === null) {
          this.prove(wholeFrame(header, body, offset), server);
          return;
        }
        this.heard.push({ header: { ...header }, body: Buffer.from(body.subarray(offset, offset + bodyLengthBytes(header))) });
        if (server.answersPings && header.op === OP.PING) this.pong();
      },
      received: () => {},
      drained: () => {},
      closed: (reason) => {
        this.closedReason = reason;
      },
    });
  }

  requests(op: number): HeardFrame[] {
    return this.heard.filter(({ header }) => header.op === op);
  }

  answerIo({ header }: HeardFrame, status: number, body: Buffer = Buffer.alloc(0)): void {
    const { encoder } = this.connection;
    const at = encoder.beginIo(body.length);
    body.copy(encoder.buffer, at);
    encoder.endIo(header.op | ANSWER, 0, status, header.slot, header.seq, header.lba, header.count, body.length);
    encoder.flush();
  }

  answerMessage({ header }: HeardFrame, status: number, body: Buffer, flags = 0): void {
    this.connection.encoder.message(header.op | ANSWER, flags, status, header.slot, header.seq, 0, body);
    this.connection.encoder.flush();
  }

  say(op: number, aux: number, body: Buffer = Buffer.alloc(0)): void {
    this.connection.encoder.message(op, 0, 0, 0, 0, aux, body);
    this.connection.encoder.flush();
  }

  /** Answers the last received PING, even if it has already been answered. */
  pong(): void {
    const ping = this.requests(OP.PING).at(-1);
    const heard = this.requests(OP.PING).length;
    const { number, clockMs } = ping === undefined ? { number: 0, clockMs: 0 } : Ping.decode(ping.body, 0, ping.body.length);
    this.say(OP.PONG, 0, Ping.encode({ number, clockMs, heard, oldestMs: 0, generation: 0 }));
  }

  private prove(frame: Buffer, server: ScriptedServer): void {
    const outcome = this.isChallenged
      ? this.handshake.onProof(frame, () => server.secret, null)
      : this.handshake.onHello(frame, () => server.nodekey);
    this.isChallenged = true;
    if (outcome.kind === 'challenge') this.raw(outcome.frame);
    else if (outcome.kind === 'refuse') this.raw(refuseFrame(outcome));
    else {
      this.proven = outcome;
      if (outcome.tlsPsk === null) server.proven(this, outcome);
      else if (server.startsTls) this.startTls(outcome.tlsPsk, () => server.proven(this, outcome), server.behindStartTls);
    }
  }

  /** `behind`: unencrypted bytes that follow START_TLS. */
  startTls(psk: string, secured: () => void, behind: Buffer = Buffer.alloc(0)): void {
    this.raw(Buffer.concat([handshakeFrame(OP.START_TLS), behind]));
    const { node } = this.proven!.hello;
    this.connection.startTls({ side: 'server', identity: node, psk: Buffer.from(psk, 'hex') }, secured);
  }

  raw(frame: Buffer): void {
    this.connection.encoder.raw(frame);
    this.connection.encoder.flush();
  }

  welcome(session: Buffer, number: number, slots: number, interfaces: readonly ServerInterface[] = [], generation = 1): void {
    const welcome = { session, path: number, slots, windowBytes: 32 * 1024 * 1024, interfaces, generation };
    const { welcomeKey, transcript, features } = this.proven!;
    this.connection.encoder.raw(buildWelcome(welcomeKey, transcript, welcome));
    const isDigest = features.includes(FEATURE.DIGEST);
    this.connection.encoder.flush();
    this.connection.encoder.digest = isDigest;
    this.connection.decoder.digest = isDigest;
  }

  refuse(code: ErrorCode, sentence: string): void {
    this.raw(refuseFrame(provedRefusal(this.proven!, code, sentence)));
    this.connection.finish(sentence);
  }

  /** Sends a REFUSE without proof, as any machine on the network path could. */
  refuseUnproved(code: ErrorCode, sentence: string): void {
    this.raw(refuseFrame({ code, sentence }));
    this.connection.finish(sentence);
  }
}

export class ScriptedServer {
  readonly nodekey = '0123456789abcdef';
  readonly pools = { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() };
  readonly connections: ScriptedPath[] = [];
  /** The connections that got a WELCOME. The index of a connection in this list is its path number. */
  readonly paths: ScriptedPath[] = [];
  secret: Buffer | null = null;
  session = Buffer.alloc(16, 1);
  slots = 256;
  digest = true;
  /** True if the server supports REVOKE. The test decides when the server answers with REVOKED. */
  revokes = false;
  /** True if the server supports ADMIN. The test sends the answers. */
  administers = false;
  /** `tls`: the server supports TLS. `startsTls`: the server begins TLS after a valid PROOF. */
  tls = false;
  startsTls = true;
  /** Unencrypted bytes that follow START_TLS. */
  behindStartTls: Buffer = Buffer.alloc(0);
  requiresTls = false;
  interfaces: readonly ServerInterface[] = [];
  generation = 1;
  /** True if every PING is answered at once; otherwise, the test calls `pong`. */
  answersPings = false;
  instance = 'a'.repeat(32);
  serverid = 1;
  name = 'server';
  /** Decides how to answer a connection that has sent a valid PROOF. By default, the connection gets a WELCOME at once. */
  decide: (path: ScriptedPath, proven: Proven) => void = (path) => this.welcome(path);
  private readonly random: SeededRandom;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  accept(end: MemoryEnd): void {
    const features = [
      ...(this.digest ? [FEATURE.DIGEST] : []),
      ...(this.revokes ? [FEATURE.REVOKE] : []),
      ...(this.administers ? [FEATURE.ADMIN] : []),
      ...(this.tls ? [FEATURE.TLS] : []),
    ];
    const identity = {
      namespaceid: 1,
      server: this.name,
      serverid: this.serverid,
      instance: this.instance,
      serverkey: null,
      versions: [1],
      features,
      requiresTls: this.requiresTls,
    };
    this.connections.push(new ScriptedPath(end, new ServerHandshake(identity, this.random.bytes), this));
  }

  proven(path: ScriptedPath, proven: Proven): void {
    if (proven.kind === 'new') this.secret = proven.sessionSecret;
    this.decide(path, proven);
  }

  welcome(path: ScriptedPath): void {
    path.welcome(this.session, this.paths.length, this.slots, this.interfaces, this.generation);
    this.paths.push(path);
  }

  /** Simulates the death of the server process: its paths are reset, and the next handshake begins a new session. */
  loseSession(): void {
    this.secret = null;
    this.session = Buffer.alloc(16, this.session[0]! + 1);
    for (const path of this.paths.splice(0)) path.connection.close('The session is lost', true);
  }
}
