// A peer of the protocol that follows the test's instructions. The peer makes a whole handshake or any part of one, and then sends any
// bytes, right or wrong. The peer uses the product's codecs. `RawClient` is a client that logs in to a server; raw-server.ts makes a server
// from `RawConnection`. The tests judge the results. Invariant: every wait ends with the awaited frame, with the end of the connection, or
// at a deadline.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { crc32 } from 'node:zlib';
import { ClientHandshake, type SessionToJoin } from '@rsio/protocol/auth/handshake-client';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { RsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SEQ_MODULUS } from '@rsio/protocol/link/limits';
import type { TlsKey } from '@rsio/protocol/link/path-transport';
import { DIGEST_BYTES, HEADER_BYTES } from '@rsio/protocol/wire/limits';
import { Decoder } from '@rsio/protocol/wire/decoder';
import { FEATURE, PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import { ANSWER, frameEntry, frameName, OP } from '@rsio/protocol/wire/frames';
import { bodyLengthBytes, type Header, writeIoHeader, writeMessageHeader } from '@rsio/protocol/wire/header';
import { type Challenge, FailureAnswer, Farewell, type Hello, OpenAnswer, OpenRequest, type Welcome } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { waitFor } from '../programs/wait-for.ts';

/** A received frame; `handle` is the status of an answer. */
export interface RawFrame extends Header {
  readonly body: Buffer;
}

/** A frame to send, right or wrong. A missing field is sent as zero, but a missing `length` as the length of the body. */
export interface RawRequest extends Partial<Header> {
  readonly op: number;
  readonly body?: Buffer;
}

export type Ending = 'closed' | 'reset';

const ANSWER_DEADLINE_MS = 30_000;
/** Longest time until the old session of a node has ended. */
const DRAINING_DEADLINE_MS = 10_000;
const EMPTY = Buffer.alloc(0);
export const RAW_TLS_SUITE = 'TLS_AES_128_GCM_SHA256';

/** Encodes a frame. With `digest`, the frame gets CRC-32s, as the feature `digest` demands. */
export function frameBytes(request: RawRequest, digest = false): Buffer {
  const { op, flags = 0, handle = 0, slot = 0, seq = 0, lba = 0, count = 0, aux = 0, body = EMPTY } = request;
  const header = Buffer.alloc(HEADER_BYTES);
  if (frameEntry(op)?.shape === 'io') writeIoHeader(header, 0, op, flags, handle, slot, seq, lba, count);
  else writeMessageHeader(header, 0, op, flags, handle, slot, seq, request.length ?? body.length, aux);
  if (!digest) return Buffer.concat([header, body]);
  return Buffer.concat([header, crcOf(header), body, body.length > 0 ? crcOf(body) : EMPTY]);
}

function crcOf(bytes: Buffer): Buffer {
  const crc = Buffer.alloc(DIGEST_BYTES);
  crc.writeUInt32BE(crc32(bytes));
  return crc;
}

function isHeartbeat({ op }: RawFrame): boolean {
  return op === OP.PING || op === OP.PONG || op === OP.NOTIFY;
}

export class RawConnection {
  /** Received frames that no caller has taken yet, heartbeats included. */
  readonly frames: RawFrame[] = [];
  /** Socket of the connection. Once TLS has begun, this is the socket of TLS. */
  socket: net.Socket;
  ending: Ending | null = null;
  /** Whether frames after WELCOME have CRC-32s in both directions. */
  digest = false;
  private readonly watchers = new Set<() => void>();
  private failure: string | null = null;
  private readonly decoder: Decoder;

  constructor(socket: net.Socket) {
    this.socket = socket;
    const decoder = new Decoder(
      {
        bodyBegins: () => undefined,
        frame: (header, body, offset) => {
          this.frames.push({ ...header, body: Buffer.from(body.subarray(offset, offset + bodyLengthBytes(header))) });
          if (header.op === OP.WELCOME) decoder.digest = this.digest;
        },
        malformed: (reason) => {
          this.failure = reason;
        },
      },
      new BufferPool(0),
    );
    this.decoder = decoder;
    socket.setNoDelay(true);
    this.listen();
  }

  /** Begins TLS as the client. Rejects if the server does not have the key. `options` may differ from the options that rsiod uses. */
  async secure({ identity, psk }: Pick<TlsKey, 'identity' | 'psk'>, options: tls.ConnectionOptions = {}): Promise<void> {
    const outer = this.detach();
    const inner = tls.connect({
      socket: outer,
      minVersion: 'TLSv1.3',
      ciphers: RAW_TLS_SUITE,
      pskCallback: () => ({ identity, psk }),
      checkServerIdentity: () => undefined,
      ...options,
    });
    await once(inner, 'secureConnect');
    this.socket = inner;
    this.listen();
  }

  /** Stops reading from the socket and returns it, so that the caller can read from it. */
  detach(): net.Socket {
    for (const event of ['data', 'error', 'end', 'close']) this.socket.removeAllListeners(event);
    return this.socket;
  }

  private listen(): void {
    const { socket, decoder } = this;
    socket.on('data', (chunk: Buffer) => {
      decoder.push(chunk, 0, chunk.length);
      this.changed();
    });
    socket.on('error', () => this.end('reset'));
    socket.on('end', () => this.end('closed'));
    socket.on('close', () => this.end('closed'));
  }

  /** Makes this end expect CRC-32s in received frames, and send requests with CRC-32s. */
  startDigests(): void {
    this.digest = true;
    this.decoder.digest = true;
  }

  send(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  request(...requests: readonly RawRequest[]): void {
    this.send(...requests.map((request) => frameBytes(request, this.digest)));
  }

  /**
   * Takes the next frame that `pick` accepts; by default, each frame except heartbeats. Other frames stay. Rejects if the connection ends
   * first.
   */
  next(pick: (frame: RawFrame) => boolean = (frame) => !isHeartbeat(frame), deadlineMs = ANSWER_DEADLINE_MS): Promise<RawFrame> {
    const look = (): RawFrame | undefined => {
      const at = this.frames.findIndex(pick);
      if (at >= 0) return this.frames.splice(at, 1)[0];
      if (this.failure !== null) throw new Error(`The peer sent what is no frame: ${this.failure}`);
      if (this.ending !== null) throw new Error(`The peer has ${this.ending} the connection`);
      return undefined;
    };
    return this.until('a frame', look, deadlineMs);
  }

  /** Takes the answer to the request in `slot`. If the answer has several parts, takes the last part. */
  answer(slot: number): Promise<RawFrame> {
    return this.next((frame) => (frame.op & ANSWER) !== 0 && frame.slot === slot);
  }

  ended(deadlineMs = ANSWER_DEADLINE_MS): Promise<Ending> {
    return this.until('the end of the connection', () => this.ending ?? undefined, deadlineMs);
  }

  /** Takes the REFUSE or BYE with which the server ends the connection. */
  async farewell(): Promise<Farewell> {
    const frame = await this.next((one) => !isHeartbeat(one));
    if (frame.op !== OP.REFUSE && frame.op !== OP.BYE) throw new Error(`${frameName(frame.op)} came where REFUSE was expected`);
    return Farewell.decode(frame.body, 0, frame.body.length);
  }

  /** Closes the connection and drops unsent bytes. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  close(): void {
    this.socket.destroy();
  }

  /** Calls `look` at every event of the connection, until `look` returns a value. */
  private until<T>(what: string, look: () => T | undefined, deadlineMs = ANSWER_DEADLINE_MS): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const leave = (): void => {
        this.watchers.delete(watch);
        clearTimeout(timer);
      };
      const watch = (): void => {
        try {
          const found = look();
          if (found === undefined) return;
          leave();
          resolve(found);
        } catch (error) {
          leave();
          reject(error as Error);
        }
      };
      const timer = setTimeout(() => {
        leave();
        reject(new Error(`Waited ${deadlineMs} ms for ${what}`));
      }, deadlineMs);
      this.watchers.add(watch);
      watch();
    });
  }

  private end(how: Ending): void {
    this.ending ??= how;
    this.changed();
  }

  private changed(): void {
    for (const watch of [...this.watchers]) watch();
  }
}

export interface RawIdentity {
  readonly node: string;
  readonly nodekey: string;
  readonly namespaceid: number;
  readonly serverkey?: string | null;
  /** Fields of HELLO that replace the ordinary fields. */
  readonly hello?: Partial<Hello>;
}

export interface RawAddress {
  readonly address: string;
  readonly port: number;
  /** The source address of the connection: any address of 127/8. */
  readonly from?: string;
}

/** A connected client. The test makes the steps of the handshake one by one with `greet` and `prove`, or all of them with `login`. */
export class RawClient extends RawConnection {
  readonly identity: RawIdentity;
  readonly handshake: ClientHandshake;
  /** Slot of requests for which the test gives no slot. */
  homeSlot = 0;
  private welcomed: { welcome: Welcome; secret: Buffer } | null = null;
  private readonly seqs = new Map<number, number>();

  private constructor(socket: net.Socket, identity: RawIdentity) {
    super(socket);
    this.identity = identity;
    const { node, nodekey, namespaceid, serverkey = null } = identity;
    const hello = {
      versions: PROTOCOL_VERSIONS,
      features: [],
      namespaceid,
      node,
      instance: 1,
      machine: `machine-of-${node}`,
      boot: 'boot-1',
      process: null,
      interface: 'if0',
      ...identity.hello,
    };
    this.handshake = new ClientHandshake({ nodekey, serverkey, hello }, randomBytes);
  }

  static connect(to: RawAddress, identity: RawIdentity): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host: to.address, port: to.port, ...(to.from === undefined ? {} : { localAddress: to.from }) });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.removeListener('error', reject);
        resolve(new RawClient(socket, identity));
      });
    });
  }

  /** Connects and completes the handshake. Without `join`, the client begins a new session; with `join`, it adds a path to its session. */
  static async login(to: RawAddress, identity: RawIdentity, join?: RawClient, dead: readonly number[] = []): Promise<RawClient> {
    const client = await RawClient.connect(to, identity);
    await client.greet();
    client.prove(join?.session ?? null, dead);
    await client.welcomedBy(join?.session ?? null);
    return client;
  }

  /** Like `login` to a new session. While the previous session of the node is ending, retries as clients do. */
  static begin(to: RawAddress, identity: RawIdentity): Promise<RawClient> {
    const attempt = async (): Promise<RawClient | null> => {
      try {
        return await RawClient.login(to, identity);
      } catch (error) {
        if (error instanceof RsError && error.code === 'E_DRAINING') return null;
        throw error;
      }
    };
    return waitFor(attempt, DRAINING_DEADLINE_MS, `A session for ${identity.node}`);
  }

  /** What another connection needs to join the session of this client. */
  get session(): SessionToJoin {
    return { session: this.welcome.session, secret: this.welcomedOrThrow.secret };
  }

  get welcome(): Welcome {
    return this.welcomedOrThrow.welcome;
  }

  /** Sends HELLO and returns CHALLENGE; throws the text of a REFUSE. */
  async greet(): Promise<Challenge> {
    this.send(this.handshake.start());
    const challenge = this.handshake.onChallenge(asBytes(await this.next()));
    this.digest = challenge.features.includes(FEATURE.DIGEST);
    return challenge;
  }

  prove(join: SessionToJoin | null, dead: readonly number[] = []): Buffer {
    const proof = this.handshake.proof(join, dead);
    this.send(proof);
    return proof;
  }

  /** Sends START_TLS, if the handshake has agreed on TLS, and returns the key with which TLS begins. */
  async keyOfTls(): Promise<TlsKey | null> {
    return this.handshake.awaitsTls ? this.handshake.onStartTls(asBytes(await this.next())) : null;
  }

  async welcomedBy(join: SessionToJoin | null): Promise<void> {
    const key = await this.keyOfTls();
    if (key !== null) await this.secure(key);
    const welcome = this.handshake.onWelcome(asBytes(await this.next()));
    const secret = join === null ? this.handshake.sessionSecret : join.secret;
    this.welcomed = { welcome, secret: Buffer.from(secret) };
  }

  /** The seq that the next new request in `slot` must have. `call` uses the next seq and stores it as used. */
  nextSeq(slot: number): number {
    return ((this.seqs.get(slot) ?? 0) + 1) % SEQ_MODULUS;
  }

  /** Sends a request as a new request of its slot, and waits for the answer. */
  async call(request: RawRequest): Promise<RawFrame> {
    const slot = request.slot ?? this.homeSlot;
    const seq = this.nextSeq(slot);
    this.seqs.set(slot, seq);
    this.request({ ...request, slot, seq });
    const answer = await this.answer(slot);
    if (answer.seq !== seq || answer.op !== (request.op | ANSWER))
      throw new Error(`${frameName(answer.op)} seq ${answer.seq} answers seq ${seq}`);
    return answer;
  }

  async open(name: string, readonly = false): Promise<OpenAnswer> {
    const answer = await this.call({ op: OP.OPEN, body: OpenRequest.encode({ name, universe: 0, readonly }) });
    if (answer.handle !== STATUS.OK)
      throw new Error(`OPEN of ${name}: ${FailureAnswer.decode(answer.body, 0, answer.body.length).sentence}`);
    return OpenAnswer.decode(answer.body, 0, answer.body.length);
  }

  /** Writes `sectors` sectors of new content at `lba`, and reads them back. Throws if the data read differs. */
  async verify(handle: number, lba: number, sectors: number): Promise<void> {
    const data = randomBytes(sectors * SECTOR_BYTES);
    const wrote = await this.call({ op: OP.WRITE, handle, lba, count: sectors, body: data });
    const read = await this.call({ op: OP.READ, handle, lba, count: sectors });
    if (wrote.handle !== STATUS.OK || read.handle !== STATUS.OK) throw new Error(`Statuses ${wrote.handle} and ${read.handle}`);
    if (!read.body.equals(data)) throw new Error(`Sectors ${lba} + ${sectors} read back differently`);
  }

  private get welcomedOrThrow(): { welcome: Welcome; secret: Buffer } {
    if (this.welcomed === null) throw new Error('This client has not been welcomed');
    return this.welcomed;
  }
}

/** The original bytes of a received message frame. */
export function asBytes(frame: RawFrame): Buffer {
  return frameBytes({ ...frame });
}
