// One NBD connection from greeting to close: decides which decoder gets the bytes, when the socket is read, and when the connection ends.
// Sans-I/O. The file nbd-handshake.ts handles options, and nbd-transmission.ts handles requests. Invariant: an exception that a bug causes
// on one connection ends only that connection, because one process serves all volumes of the machine. A failed assertion ends the process:
// a volume in a wrong state could lose acknowledged writes.
//
//   haggling --GO, EXPORT_NAME--> serving --DISC, end of input, drain()--> draining --all answered--> closed --volume done--> finished
//      `---ABORT, end, bad bytes---------------------------------------------------------------------'

import { AssertionError } from '@rsio/base/lib/assert';
import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import { NbdRequestDecoder } from './wire/nbd-codec.ts';
import { type Agreement, type HandshakeStep, isOfThisProcess, NbdHandshake, type NbdVolumes, type Transmission } from './nbd-handshake.ts';
import { NbdOptionDecoder, type OptionSink } from './wire/nbd-option-decoder.ts';
import { greeting } from './wire/nbd-option-replies.ts';
import { type NbdPools, NbdTransmission, type TransmissionEvents } from './nbd-transmission.ts';
import type { StreamTransport } from '../streams/transport.ts';

export interface ConnectionEvents {
  serving(volume: FrontendVolume): void;
  /**
   * Called once, in place of `finished`, if the client has chosen an export of another process. The transport is paused. `reply` is the
   * unsent answer to the client, and `rest` has the bytes that were received after the option.
   */
  elsewhere(agreed: Agreement, reply: Buffer, rest: Buffer): void;
  /** Called when the connection is closed because the client has violated the protocol. */
  broken(reason: string): void;
  /** Called once, when the connection is closed because of a bug in rsiod. */
  failed(thrown: unknown): void;
  /** Called once, when the connection is closed and neither the volume nor the socket still uses its requests and buffers. */
  finished(): void;
}

const NO_BYTES = Buffer.alloc(0);

/** `gone`: the connection is passed to another process, and begins there in the phase `serving`. */
type Phase = 'haggling' | 'serving' | 'draining' | 'closed' | 'finished' | 'gone';

interface Serving {
  readonly decoder: NbdRequestDecoder;
  readonly transmission: NbdTransmission;
}

export class NbdConnection implements OptionSink, TransmissionEvents {
  private readonly transport: StreamTransport;
  private readonly pools: NbdPools;
  private readonly events: ConnectionEvents;
  private readonly handshake: NbdHandshake;
  private readonly options = new NbdOptionDecoder(this);
  private phase: Phase = 'haggling';
  private running: Serving | null = null;
  /** Bytes that have been received but not decoded yet. While `rest` is not null, the transport is paused. */
  private rest: Buffer | null = null;
  private restAt = 0;
  /** Set when an option chooses an export of another process; null again at the end of the event that contained the option. */
  private leaving: { readonly agreed: Agreement; readonly reply: Buffer } | null = null;
  private isEnded = false;
  private hasFailed = false;
  /**
   * True while an answer of the handshake is being sent. The connection takes no option while `isAnswering` is true, so that answers cannot
   * pile up.
   */
  private isAnswering = false;

  constructor(transport: StreamTransport, volumes: NbdVolumes, pools: NbdPools, events: ConnectionEvents) {
    this.transport = transport;
    this.pools = pools;
    this.events = events;
    this.handshake = new NbdHandshake(volumes);
  }

  start(): void {
    this.answer(greeting());
  }

  /** Replaces `start` if another process has done the handshake: sends the last answer of the handshake, and takes the bytes `rest`. */
  adopt(agreed: Transmission, reply: Buffer, rest: Buffer): void {
    // If the client has disconnected, its requests in `rest` or in the kernel must not be executed; see roomAgain.
    if (this.transport.isPeerGone()) return this.abort();
    try {
      this.answer(reply);
      this.serve(agreed);
      this.receive(rest, 0, rest.length);
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  /** The caller may re-use `bytes` when `receive` returns. */
  receive(bytes: Buffer, start: number, end: number): void {
    try {
      const at = this.take(bytes, start, end);
      if (!this.isAccepting() || !(at < end || this.isBlocked())) return;
      this.rest = Buffer.from(bytes.subarray(at, end));
      this.restAt = 0;
      this.transport.pause();
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  /** Called when the client has closed its sending side. Requests that have begun are answered; requests that wait for room are dropped. */
  inputEnd(): void {
    try {
      this.drain();
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  /** Takes no more requests, answers the requests in flight, and closes the connection. */
  drain(): void {
    if (!this.isAccepting()) return;
    this.phase = 'draining';
    this.rest = null;
    this.running?.decoder.stop();
    this.running?.transmission.noMoreInput();
    this.settled();
  }

  abort(): void {
    this.transport.destroy();
  }

  closed(): void {
    if (this.phase === 'closed' || this.phase === 'finished' || this.phase === 'gone') return;
    this.phase = 'closed';
    this.rest = null;
    try {
      this.running?.decoder.stop();
      this.running?.transmission.die();
      this.settled();
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  /**
   * Ends the connection after an event handler has thrown an exception. Requests that have been passed to the volume still complete, but
   * only after `failed` has returned.
   */
  failed(thrown: unknown): void {
    if (thrown instanceof AssertionError) throw thrown;
    if (this.hasFailed || this.phase === 'finished') return;
    this.hasFailed = true;
    this.rest = null;
    this.running?.decoder.stop();
    this.events.failed(thrown);
    this.running?.transmission.fail();
    if (this.phase === 'closed') this.settled();
    else this.transport.destroy();
  }

  clientFlags(flags: number): void {
    this.step(this.handshake.clientFlags(flags));
  }

  option(option: number, data: Buffer | null): void {
    this.step(this.handshake.option(option, data));
  }

  badOption(): void {
    this.broken('the client sent an option that does not begin with IHAVEOPT');
  }

  badRequest(magic: number): void {
    this.broken(`the client sent a request that begins with 0x${magic.toString(16)}`);
  }

  peerGone(): void {
    this.abort();
  }

  disconnectRequested(): void {
    this.drain();
  }

  roomAgain(): void {
    if (this.rest === null || !this.isAccepting()) return;
    // While the socket is not read, Node does not report that the client has closed it. Requests of a client that has closed its socket
    // must not be executed, because they could overwrite newer data that was acknowledged to another client (docs/adr/0086).
    if (this.transport.isPeerGone()) {
      this.abort();
      return;
    }
    // The decoder already has all bytes of a held header, and offers the header again when fed an empty range.
    if (this.running?.decoder.isHolding === true) this.running.decoder.feed(this.rest, this.restAt, this.restAt);
    this.restAt = this.take(this.rest, this.restAt, this.rest.length);
    if (!this.isAccepting() || this.restAt < this.rest.length || this.isBlocked()) return;
    this.rest = null;
    this.transport.resume();
  }

  settled(): void {
    if (this.underWay() > 0) return;
    if (this.phase === 'draining' && !this.isEnded) {
      this.isEnded = true;
      this.transport.end();
    } else if (this.phase === 'closed') {
      this.phase = 'finished';
      this.events.finished();
    }
  }

  private underWay(): number {
    return this.running?.transmission.underWay ?? 0;
  }

  private isAccepting(): boolean {
    return !this.hasFailed && (this.phase === 'haggling' || this.phase === 'serving');
  }

  private isBlocked(): boolean {
    return this.running === null ? this.isAnswering : this.running.decoder.isHolding;
  }

  /**
   * Passes bytes to the decoder of the current phase, handshake or transmission. The phase may change during the call. Returns the position
   * after the last byte that a decoder has taken.
   */
  private take(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.isAccepting() && !this.isBlocked()) {
      at = this.running === null ? this.options.feed(bytes, at, end) : this.running.decoder.feed(bytes, at, end);
    }
    if (this.leaving !== null) this.leave(this.leaving, Buffer.from(bytes.subarray(at, end)));
    return at;
  }

  private step({ reply, next }: HandshakeStep): void {
    if (typeof next === 'object' && !isOfThisProcess(next)) {
      this.phase = 'gone';
      this.leaving = { agreed: next, reply: reply ?? NO_BYTES };
      return;
    }
    if (reply !== null) this.answer(reply);
    if (next === 'close') this.drain();
    else if (next !== 'option') this.serve(next);
  }

  private answer(bytes: Buffer): void {
    this.isAnswering = true;
    this.transport.write(bytes, 0, bytes.length, (failed) => {
      this.isAnswering = false;
      try {
        if (failed === undefined || failed === null) this.roomAgain();
      } catch (thrown) {
        this.failed(thrown);
      }
    });
  }

  /**
   * Passes the connection to another process, without losing or repeating a byte. This process has nothing left to write, because it takes
   * no option while it sends an answer. Only the other process answers this option, and only if it still has the export. After `pause`, all
   * bytes after `rest` are in the socket or the kernel.
   */
  private leave({ agreed, reply }: { readonly agreed: Agreement; readonly reply: Buffer }, rest: Buffer): void {
    this.transport.pause();
    this.rest = null;
    this.leaving = null;
    this.events.elsewhere(agreed, reply, rest);
  }

  private serve(agreed: Transmission): void {
    const transmission = new NbdTransmission(agreed, this.transport, this.pools, this);
    this.running = { transmission, decoder: new NbdRequestDecoder(transmission) };
    this.phase = 'serving';
    this.events.serving(agreed.volume);
  }

  private broken(reason: string): void {
    this.events.broken(reason);
    this.transport.destroy();
  }
}
