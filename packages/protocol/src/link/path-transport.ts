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

/** Key with which TLS begins on a connection. Both sides have derived this key in the handshake. */
export interface TlsKey {
  readonly side: 'client' | 'server';
  /** Name of the node under which the client offers the key. The server accepts the key under no other name. */
  readonly identity: string;
  readonly psk: Buffer;
}

export interface PathTransport extends BatchSender {
  /** The owner sets `events` in the same event-loop turn in which the transport is created. */
  events: TransportEvents | null;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Cipher suite of TLS; null while the connection is not encrypted. */
  readonly cipher: string | null;
  /**
   * Begins TLS. From this call on, the transport neither passes on nor sends unencrypted data. Calls `secured` once the peer has proved
   * that it has the key; until then, the caller must not send. If TLS cannot begin, the transport fails, and reports `onClosed` instead.
   * Before the call, `done` must have been called for each earlier `send`.
   */
  startTls(key: TlsKey, secured: () => void): void;
  /** Closes at once. If `reset` is true, unsent bytes are dropped and the peer sees a reset. */
  destroy(reset: boolean): void;
  end(): void;
}

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
