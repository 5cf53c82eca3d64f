// The connection of one probe: TCP from the candidate's address, the handshake with the feature `probe`, and PINGs. Invariant: unless the
// server agrees to the feature `probe`, the link sends no PROOF, so that a probe never becomes a path or a session. Every wait is bounded.
// Closing the link makes a pending wait fail.

import { ClientHandshake } from '../auth/handshake-client.ts';
import { wholeFrame } from '../auth/handshake-frames.ts';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { BODY_MAX_BYTES } from '@rsio/base/lib/limits';
import { HANDSHAKE_MESSAGE_MAX_BYTES } from '../auth/limits.ts';
import { PROBE_ANSWER_TIMEOUT_MS, PROBE_TIME_MAX_MS, PROBE_WINDOW_BYTES } from './limits.ts';
import { Connection, type ConnectionEvents } from '../link/connection.ts';
import type { PathTransport, TlsKey } from '../link/path-transport.ts';
import { OutputPool } from '../wire/encoder.ts';
import { FEATURE, PROTOCOL_VERSIONS } from '../wire/features.ts';
import { OP } from '../wire/frames.ts';
import { bodyLengthBytes, type Header } from '../wire/header.ts';
import { type Challenge, Farewell, Ping, type Welcome } from '../wire/messages.ts';
import type { ProbeCandidate, ProbeLogin, ProbePorts } from './probe-report.ts';

/** Receives the frames that arrive during a wait. An exception from the receiver ends the wait. */
export interface FrameReceiver {
  frame(header: Header, body: Buffer, offset: number): void;
  received(): void;
}

interface Waiting {
  readonly receiver: FrameReceiver;
  readonly fail: (error: RsError) => void;
}

/** Number of random bytes in the node name of a probe without login data. A server sends CHALLENGE even if it does not know the name. */
const ANONYMOUS_NAME_BYTES = 6;
const ANONYMOUS = { nodekey: '', serverkey: null };

export class ProbeLink implements ConnectionEvents {
  readonly connection: Connection;
  private readonly clock: Clock;
  /** Time limit for the whole probe. Each single wait is bounded, but many waits could prolong the probe. */
  private readonly deadline: Timer;
  private waiting: Waiting | null = null;
  private closedBy: RsError | null = null;
  private handshake: ClientHandshake | null = null;
  private pings = 0;

  private constructor(transport: PathTransport, clock: Clock) {
    this.clock = clock;
    this.deadline = clock.after(PROBE_TIME_MAX_MS, () => {
      this.closedBy ??= new RsError('E_TIMEOUT', `The probe did not end within ${PROBE_TIME_MAX_MS} ms: the server answers too slowly`);
      this.connection.close('The probe takes too long', true);
    });
    const pools = { bodies: new BufferPool(PROBE_WINDOW_BYTES), outputs: new OutputPool() };
    this.connection = new Connection(transport, pools, this);
    this.connection.decoder.messageMaxBytes = HANDSHAKE_MESSAGE_MAX_BYTES;
    this.connection.decoder.ioMaxBytes = 0;
  }

  /** Connects. Rejects with E_UNREACHABLE. */
  static open({ local, remote }: ProbeCandidate, { connector, clock }: ProbePorts): Promise<ProbeLink> {
    return new Promise((resolve, reject) => {
      const failed = (reason: string): void => {
        timer.cancel();
        reject(new RsError('E_UNREACHABLE', `No connection: ${reason}`));
      };
      const opened = (transport: PathTransport): void => {
        timer.cancel();
        resolve(new ProbeLink(transport, clock));
      };
      const connecting = connector.connect(local.address, remote.address, remote.port, opened, failed);
      const timer = clock.after(PROBE_ANSWER_TIMEOUT_MS, () => {
        connecting.cancel();
        failed(`ETIMEDOUT: no answer within ${PROBE_ANSWER_TIMEOUT_MS} ms`);
      });
    });
  }

  /**
   * Performs the handshake from HELLO to CHALLENGE. If `login` is null, the client uses a random node name. Rejects with the code of a
   * REFUSE, or with E_TIMEOUT, E_RESET, E_PROTOCOL or E_VERSION.
   */
  async greet(login: ProbeLogin | null, namespaceid: number, interfaceName: string, ports: ProbePorts): Promise<Challenge> {
    const { nodekey, serverkey } = login ?? ANONYMOUS;
    const isEncrypted = login === null || login.tls === true;
    const node = login?.nodename ?? `probe-${ports.random(ANONYMOUS_NAME_BYTES).toString('hex')}`;
    const features = [FEATURE.PROBE, ...(isEncrypted ? [FEATURE.TLS] : [])];
    // A server tells sessions apart by instance, machine, boot and process. A probe never has a session, so it sends constants.
    const origin = { instance: 0, machine: 'probe', boot: 'probe', process: null, interface: interfaceName };
    const hello = { versions: PROTOCOL_VERSIONS, features, namespaceid, node, ...origin };
    const handshake = new ClientHandshake({ nodekey, serverkey, hello, acceptsPlain: login === null }, ports.random);
    const challenge = await this.exchange(handshake.start(), (frame) => handshake.onChallenge(frame));
    if (challenge.features.includes(FEATURE.PROBE)) this.handshake = handshake;
    return challenge;
  }

  /** Cipher suite of TLS; null before `prove`, and if the connection is plain. */
  get cipher(): string | null {
    return this.connection.transport.cipher;
  }

  /** True if the server agreed to the feature `probe`; if false, `prove` must not be called. */
  get canProve(): boolean {
    return this.handshake !== null;
  }

  /**
   * Performs the handshake from PROOF to WELCOME. May be called only after `greet` with login data. Rejects with the codes of `greet`, or
   * with E_AUTH.
   */
  async prove(): Promise<Welcome> {
    const handshake = this.handshake;
    if (handshake === null) throw new RsError('E_PROTOCOL', 'The server does not support probes: update it');
    const proof = handshake.proof(null, []);
    const welcome = await (handshake.awaitsTls
      ? this.secure(await this.exchange(proof, (frame) => handshake.onStartTls(frame)), handshake)
      : this.exchange(proof, (frame) => handshake.onWelcome(frame)));
    this.connection.decoder.ioMaxBytes = BODY_MAX_BYTES;
    return welcome;
  }

  /** Returns the time from one PING to its PONG, in ms. */
  async ping(): Promise<number> {
    const { encoder } = this.connection;
    const number = ++this.pings;
    const sentMs = this.clock.monotonicMs();
    encoder.message(OP.PING, 0, 0, 0, 0, 0, Ping.encode({ number, clockMs: sentMs, heard: 0, oldestMs: 0, generation: 0 }));
    encoder.flush();
    return this.wait<number>(`No answer to a PING within ${PROBE_ANSWER_TIMEOUT_MS} ms: check the server's log`, (resolve) => ({
      frame: (header, body, offset) => {
        if (header.op !== OP.PONG) throw unexpected(header);
        if (Ping.decode(body, offset, header.length).number === number) resolve(this.clock.monotonicMs() - sentMs);
      },
      received: () => undefined,
    }));
  }

  /**
   * Calls `takerFor` to create a receiver, and passes frames to this receiver until the receiver calls `resolve`. Rejects if the receiver
   * throws or the connection ends. Rejects with E_TIMEOUT and the message `silence` if no frame arrives for PROBE_ANSWER_TIMEOUT_MS.
   */
  async wait<T>(silence: string, takerFor: (resolve: (value: T) => void) => FrameReceiver): Promise<T> {
    if (this.closedBy !== null) throw this.closedBy;
    const deadline: { timer: Timer | null } = { timer: null };
    try {
      return await new Promise<T>((resolve, reject) => {
        const taker = takerFor(resolve);
        const restart = (): void => {
          deadline.timer?.cancel();
          deadline.timer = this.clock.after(PROBE_ANSWER_TIMEOUT_MS, () => reject(new RsError('E_TIMEOUT', silence)));
        };
        const frame: FrameReceiver['frame'] = (header, body, offset) => {
          restart();
          taker.frame(header, body, offset);
        };
        restart();
        this.waiting = { receiver: { frame, received: () => taker.received() }, fail: reject };
      });
    } finally {
      deadline.timer?.cancel();
      this.waiting = null;
    }
  }

  /** Closes the connection; if the handshake was completed, sends BYE first. */
  close(): void {
    if (this.connection.isClosed) return;
    if (this.connection.decoder.ioMaxBytes > 0) {
      const farewell = Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'The probe is over' });
      this.connection.encoder.message(OP.BYE, 0, 0, 0, 0, 0, farewell);
    }
    this.connection.finish('The probe is over');
  }

  /** Begins TLS, and waits for the encrypted WELCOME. */
  private async secure(key: TlsKey, handshake: ClientHandshake): Promise<Welcome> {
    const refuse = (header: Header): void => {
      throw unexpected(header);
    };
    await this.wait<void>(`TLS did not begin within ${PROBE_ANSWER_TIMEOUT_MS} ms`, (resolve) => {
      this.connection.startTls(key, resolve);
      return { frame: refuse, received: () => undefined };
    });
    return this.answer((frame) => handshake.onWelcome(frame));
  }

  private exchange<T>(frame: Buffer, answered: (frame: Buffer) => T): Promise<T> {
    if (!this.connection.isClosed) {
      this.connection.encoder.raw(frame);
      this.connection.encoder.flush();
    }
    return this.answer(answered);
  }

  private answer<T>(answered: (frame: Buffer) => T): Promise<T> {
    return this.wait<T>(`No answer within ${PROBE_ANSWER_TIMEOUT_MS} ms: the peer is not rssrv, or it hangs`, (resolve) => ({
      frame: (header, body, offset) => resolve(answered(wholeFrame(header, body, offset))),
      received: () => undefined,
    }));
  }

  // --- ConnectionEvents

  bodyBegins(): void {}

  frame(header: Header, body: Buffer, offset: number): void {
    const { waiting } = this;
    try {
      if (header.op === OP.BYE) throw farewell(body, offset, bodyLengthBytes(header));
      waiting?.receiver.frame(header, body, offset);
    } catch (error) {
      if (!(error instanceof RsError)) throw error;
      this.closedBy ??= error;
      waiting?.fail(error);
    }
  }

  received(): void {
    this.waiting?.receiver.received();
  }

  drained(): void {}

  closed(reason: string): void {
    this.deadline.cancel();
    this.closedBy ??= new RsError('E_RESET', `The connection ended: ${reason}`);
    this.waiting?.fail(this.closedBy);
  }
}

export function unexpected({ op }: Header): RsError {
  return new RsError('E_PROTOCOL', `The server sent an unrequested frame (op 0x${op.toString(16)})`);
}

function farewell(body: Buffer, offset: number, lengthBytes: number): RsError {
  return new RsError('E_RESET', `The server ended the probe: ${Farewell.decode(body, offset, lengthBytes).sentence}`);
}
