// The port under a path: a reliable, ordered stream of bytes each way, and nothing else. TCP today; in tests and the simulator, memory.
// A transport calls its handler; the bytes given to `onBytes` are valid only during the call.

import type { BatchSender } from '../wire/encoder.ts';

export interface TransportEvents {
  onBytes(buffer: Buffer, offset: number, lengthBytes: number): void;
  /** The peer's end or an error: called at most once, never from within a call of the transport, never after `destroy` or `end`. */
  onClosed(reason: string): void;
}

export interface PathTransport extends BatchSender {
  /** Set before the event loop turns after the transport was made. */
  events: TransportEvents | null;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Closes at once. `reset`: unsent bytes are dropped and the peer sees a reset. */
  destroy(reset: boolean): void;
  /** Sends what was given, then closes. */
  end(): void;
}

/** Makes outgoing transports. */
export interface Connector {
  /**
   * Connects from `localAddress`. Calls exactly one of the two, later; `cancel` on what it returns calls none.
   * A reason is an errno name and a sentence for people.
   */
  connect(
    localAddress: string,
    address: string,
    port: number,
    opened: (transport: PathTransport) => void,
    failed: (reason: string) => void,
  ): { cancel(): void };
}
