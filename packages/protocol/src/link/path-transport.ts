// Defines the transport of a path: a reliable, ordered stream of bytes in each direction. Production uses TCP; tests and the simulator use
// memory. A transport reports to its `events`; the bytes given to `onBytes` are valid only during the call.

import type { BatchSender } from '../wire/encoder.ts';

export interface TransportEvents {
  onBytes(buffer: Buffer, offset: number, lengthBytes: number): void;
  /**
   * Called when the peer has closed the stream, or when the stream has failed. Called at most once, never during a call to the transport,
   * and never after `destroy` or `end`.
   */
  onClosed(reason: string): void;
}

export interface PathTransport extends BatchSender {
  /** The owner sets `events` in the same event-loop turn in which the transport is created. */
  events: TransportEvents | null;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Closes at once. If `reset` is true, unsent bytes are dropped and the peer sees a reset. */
  destroy(reset: boolean): void;
  end(): void;
}

/** Creates outgoing transports. */
export interface Connector {
  /**
   * Connects from `localAddress`. Calls either `opened` or `failed`, exactly once and after `connect` has returned. After `cancel`, calls
   * neither. The reason for a failure consists of an errno name and a message for people.
   */
  connect(
    localAddress: string,
    address: string,
    port: number,
    opened: (transport: PathTransport) => void,
    failed: (reason: string) => void,
  ): { cancel(): void };
}
