// The port under a path: a reliable, ordered stream of bytes in each direction. TCP in production; memory in tests and the simulator.
// A transport reports to its `events`; the bytes given to `onBytes` are valid only during the call.

import type { BatchSender } from '../wire/encoder.ts';

export interface TransportEvents {
  onBytes(buffer: Buffer, offset: number, lengthBytes: number): void;
  /**
   * The peer has closed the stream, or the stream has failed. Called at most once, never from within a call of the transport, never after
   * `destroy` or `end`.
   */
  onClosed(reason: string): void;
}

export interface PathTransport extends BatchSender {
  /** Set in the same event-loop turn in which the transport is created. */
  events: TransportEvents | null;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Closes at once. `reset`: unsent bytes are dropped and the peer sees a reset. */
  destroy(reset: boolean): void;
  /** Sends all output, then closes. */
  end(): void;
}

/** Creates outgoing transports. */
export interface Connector {
  /**
   * Connects from `localAddress`. Calls exactly one of the two callbacks, but never before `connect` returns, and neither after `cancel`. A
   * reason is an errno name and a sentence for people.
   */
  connect(
    localAddress: string,
    address: string,
    port: number,
    opened: (transport: PathTransport) => void,
    failed: (reason: string) => void,
  ): { cancel(): void };
}
