// Replaces TLS on in-memory connections: the two ends exchange three messages that prove the key, as in TLS 1.3, and then transmit
// everything unchanged. Invariants: bytes keep their order, and an end becomes secure only after it has received a proof of the same key.

import { createHmac } from 'node:crypto';
import type { TlsKey } from '../link/path-transport.ts';

const MESSAGE_BYTES = 32;
/** The messages in order; the client sends the first message. */
const MESSAGES = ['hello of the client', 'hello of the server', 'proof of the client'] as const;
export const STAND_IN_CIPHER = 'STAND_IN';

export interface StandInPorts {
  send(message: Buffer): void;
  /** Called once, possibly within `begin` or `take`. */
  secured(): void;
  /** Called instead of `secured` if the peer has another key. */
  failed(reason: string): void;
}

export class StandInTls {
  private readonly key: TlsKey;
  private readonly ports: StandInPorts;
  /** Number of messages that were sent or received. */
  private step = 0;
  private received = Buffer.alloc(0);
  private isOver = false;

  constructor(key: TlsKey, ports: StandInPorts) {
    this.key = key;
    this.ports = ports;
  }

  begin(): void {
    if (this.key.side === 'client') this.say();
  }

  /** Takes received bytes, and returns how many of these bytes belong to the messages. The remaining bytes are for the owner. */
  take(bytes: Buffer, offset: number, lengthBytes: number): number {
    let taken = 0;
    while (!this.isOver && taken < lengthBytes) {
      const part = Math.min(MESSAGE_BYTES - this.received.length, lengthBytes - taken);
      this.received = Buffer.concat([this.received, bytes.subarray(offset + taken, offset + taken + part)]);
      taken += part;
      if (this.received.length === MESSAGE_BYTES) this.hear();
    }
    return taken;
  }

  private hear(): void {
    const isRight = this.received.equals(this.message(this.step));
    this.received = Buffer.alloc(0);
    this.step++;
    if (!isRight) {
      this.isOver = true;
      this.ports.failed('TLS: the peer does not have the key of this connection');
      return;
    }
    if (this.step < MESSAGES.length) this.say();
    else this.finish();
  }

  private say(): void {
    this.ports.send(this.message(this.step));
    this.step++;
    if (this.step === MESSAGES.length) this.finish();
  }

  private finish(): void {
    this.isOver = true;
    this.ports.secured();
  }

  private message(step: number): Buffer {
    return createHmac('sha256', this.key.psk).update(MESSAGES[step]!).update(this.key.identity).digest();
  }
}
