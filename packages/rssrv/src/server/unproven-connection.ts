// A connection during the handshake (HELLO, CHALLENGE and PROOF), before the client has proved its identity. A proven connection is handed
// over as a paused socket; any other connection is refused or dropped. Invariant: if bytes arrive after PROOF but before the handover, the
// connection is closed, so that the handover cannot lose bytes.

import type { Socket } from 'node:net';
import { wholeFrame } from '@rsio/protocol/auth/handshake-frames';
import {
  type NodeLookup,
  type ProofLimit,
  type Proven,
  type Refusal,
  type RefusalText,
  refuseFrame,
  type SecretLookup,
  ServerHandshake,
} from '@rsio/protocol/auth/handshake-server';
import type { BufferPool } from '@rsio/base/structures/buffer-pool';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { HANDSHAKE_MESSAGE_MAX_BYTES, PROOF_TIMEOUT_MS } from '@rsio/protocol/auth/limits';
import { LAST_WORDS_TIMEOUT_MS } from '@rsio/protocol/link/limits';
import { stopReading } from '@rsio/protocol/link/tcp-transport';
import { Decoder } from '@rsio/protocol/wire/decoder';
import type { Header } from '@rsio/protocol/wire/header';
import type { Hello } from '@rsio/protocol/wire/messages';

export interface UnprovenConnectionPorts {
  readonly clock: Clock;
  readonly pool: BufferPool;
  readonly lookup: NodeLookup;
  readonly secretOf: SecretLookup;
  /** Runs work for this connection in a later turn of the event loop, fairly between sources (source-turns.ts). */
  turn(work: () => void): void;
  /** Returns the delay that earlier wrong proofs impose on the client's proof; null if there is no delay. */
  limitOf(hello: Hello): ProofLimit | null;
  /** Called for a proven connection. The socket is paused and has no listeners. The callee becomes the owner of the socket. */
  proven(socket: Socket, proven: Proven): void;
  /** `hello` is null if no HELLO was received. */
  refused(socket: Socket, refusal: Refusal, hello: Hello | null): void;
  /** Called when the connection has ended without a proof or a refusal. */
  dropped(socket: Socket, reason: string): void;
}

const TOO_MANY = {
  code: 'E_LIMIT',
  sentence: 'Too many unproven connections: try again later',
} as const satisfies Pick<Refusal, 'code' | 'sentence'>;

export class UnprovenConnection {
  private readonly socket: Socket;
  private readonly ports: UnprovenConnectionPorts;
  private readonly handshake: ServerHandshake;
  private readonly decoder: Decoder;
  private readonly timer: Timer;
  private isGreeted = false;
  private hello: Hello | null = null;
  private outcome: Proven | null = null;
  private isOver = false;

  constructor(socket: Socket, handshake: ServerHandshake, ports: UnprovenConnectionPorts) {
    this.socket = socket;
    this.handshake = handshake;
    this.ports = ports;
    this.decoder = new Decoder(
      {
        bodyBegins: () => undefined,
        frame: (header, body, offset) => this.frame(header, body, offset),
        malformed: (reason) => this.drop(reason),
      },
      ports.pool,
    );
    this.decoder.messageMaxBytes = HANDSHAKE_MESSAGE_MAX_BYTES;
    this.decoder.ioMaxBytes = 0;
    this.timer = ports.clock.after(PROOF_TIMEOUT_MS, () => this.drop(`It did not prove itself within ${PROOF_TIMEOUT_MS} ms`));
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.data(chunk));
    socket.on('error', (error) => this.drop(error.message));
    socket.on('close', () => this.drop('The client closed the connection before it was proven'));
  }

  /** Refuses the connection without waiting for the handshake, because the server is stopping. */
  refuseNow(refusal: Pick<Refusal, 'code' | 'sentence'>): void {
    this.refuse({ kind: 'refuse', mac: null, ...refusal, logReason: refusal.sentence, isFailedProof: false });
  }

  /** Closes this connection to make room for a newer one. */
  evict(): void {
    if (this.isOver) return;
    this.detach();
    sendRefusal(this.socket, TOO_MANY);
    this.ports.dropped(this.socket, 'Evicted in favour of newer connections');
  }

  private data(chunk: Buffer): void {
    if (this.isOver) return;
    if (this.outcome !== null) {
      this.drop('It sent a byte before it was welcomed');
      return;
    }
    this.decoder.push(chunk, 0, chunk.length);
    const { outcome } = this;
    if (outcome === null || this.isOver) return;
    if (!this.decoder.isBetweenFrames || !stopReading(this.socket)) {
      this.drop('It sent a byte before it was welcomed');
      return;
    }
    this.detach();
    // Ignore a connection reset that arrives before the worker has the socket. The worker's first write then reports the reset.
    this.socket.on('error', () => undefined);
    this.ports.proven(this.socket, outcome);
  }

  private frame(header: Header, body: Buffer, offset: number): void {
    if (this.outcome !== null) {
      this.drop('It sent a frame before it was welcomed');
      return;
    }
    const { hello } = this;
    this.orDrop(() => {
      if (this.isGreeted && hello === null) throw new RsError('E_PROTOCOL', 'It sent a frame before it was challenged');
      const frame = wholeFrame(header, body, offset);
      if (hello !== null) {
        this.onProof(frame, hello);
        return;
      }
      // The answer to a HELLO costs a key pair and several macs, and any peer can ask for it.
      this.isGreeted = true;
      this.ports.turn(() => {
        if (!this.isOver) this.orDrop(() => this.onHello(frame));
      });
    });
  }

  private orDrop(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.drop(toRsError(error).message);
    }
  }

  private onHello(frame: Buffer): void {
    const answer = this.handshake.onHello(frame, this.ports.lookup);
    if (answer.kind === 'refuse') {
      this.refuse(answer);
      return;
    }
    this.hello = answer.hello;
    this.socket.write(answer.frame);
  }

  private onProof(frame: Buffer, hello: Hello): void {
    const answer = this.handshake.onProof(frame, this.ports.secretOf, this.ports.limitOf(hello));
    if (answer.kind === 'refuse') this.refuse(answer);
    else this.outcome = answer;
  }

  private refuse(refusal: Refusal): void {
    if (this.isOver) return;
    this.detach();
    sendRefusal(this.socket, refusal);
    this.ports.refused(this.socket, refusal, this.hello);
  }

  private drop(reason: string): void {
    if (this.isOver) return;
    this.detach();
    this.socket.on('error', () => undefined);
    this.socket.destroy();
    this.ports.dropped(this.socket, reason);
  }

  private detach(): void {
    this.isOver = true;
    this.decoder.stop();
    this.timer.cancel();
    this.socket.removeAllListeners();
  }
}

/** Sends REFUSE and closes the socket, which may be proven or unproven. */
export function sendRefusal(socket: Socket, refusal: RefusalText): void {
  socket.on('error', () => undefined);
  socket.setTimeout(LAST_WORDS_TIMEOUT_MS, () => socket.destroy());
  socket.end(refuseFrame(refusal), () => socket.destroy());
}
