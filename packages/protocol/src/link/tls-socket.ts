// Puts TLS 1.3 onto a connected TCP handle. Both sides use a pre-shared key and X25519, so that a recorded connection cannot be decrypted
// later, and no certificates. Invariants: a TLS socket becomes secure only if the peer has proved that it has the key; a certificate never
// counts. Received data arrives in one static buffer, as on a plain socket.

import { constants } from 'node:crypto';
import type net from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { TlsKey } from './path-transport.ts';

/** Callback option `onread` of net.Socket. */
export interface ReadInto {
  readonly buffer: Buffer;
  readonly callback: (lengthBytes: number, buffer: Buffer) => boolean;
}

/** TCP handle of a socket: Node has no types for it. */
export interface TcpHandle {
  reading?: boolean;
  readStop?: () => void;
  reset(done: () => void): number;
}

/** A suite with SHA-256, because Node's callbacks for pre-shared keys allow no other hash. */
const SUITE = 'TLS_AES_128_GCM_SHA256';
const CURVES = 'X25519';

let sharedContext: SecureContext | null = null;

/** One context for all connections: it contains no secret. */
function context(): SecureContext {
  sharedContext ??= createSecureContext({
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: SUITE,
    ecdhCurve: CURVES,
    // A ticket would open every connection of this process, also those of other clients.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  return sharedContext;
}

/** Members of TLSSocket and its handle that Node's types do not declare. */
interface Internals {
  _wrapHandle(wrap: unknown, handle: unknown, isActive: boolean): { reset?: (done: () => void) => number };
  _start(): void;
  _releaseControl(): boolean;
  connecting: boolean;
  resetAndClosing: boolean;
}

const Base = TLSSocket as unknown as new (socket: undefined, options: object) => TLSSocket & Internals;

/**
 * A TLS socket over a bare handle. TLSSocket takes `onread` only if it makes the handle itself, so this class gives it the handle at that
 * moment.
 */
class HandleTlsSocket extends Base {
  override _wrapHandle(wrap: unknown, made: unknown, isActive: boolean): { reset?: (done: () => void) => number } {
    const { handle } = (this as unknown as { _tlsOptions: { handle: TcpHandle } })._tlsOptions;
    const wrapped = super._wrapHandle(wrap, made ?? handle, isActive);
    wrapped.reset = (done) => handle.reset(done);
    return wrapped;
  }
}

export interface TlsSocket {
  readonly socket: net.Socket;
  /** Destroys the socket; unsent bytes are dropped and the peer sees a reset. */
  reset(): void;
}

/**
 * Takes over a connected TCP handle from which nothing is being read. `ended` is called once: with the cipher suite when the connection is
 * secure, or with null if the peer has used something else than the key. Other failures are errors of the socket.
 */
export function tlsSocketOver(handle: TcpHandle, key: TlsKey, onread: ReadInto, ended: (cipher: string | null) => void): TlsSocket {
  const isServer = key.side === 'server';
  // A server that took a ticket would not have asked for the key of this connection.
  let isKeyUsed = !isServer;
  const give = (identity: string): Buffer | null => {
    isKeyUsed = identity === key.identity;
    return isKeyUsed ? key.psk : null;
  };
  const options: TLSSocketOptions & { handle: TcpHandle; onread: ReadInto; pskCallback: unknown } = {
    handle,
    isServer,
    onread,
    secureContext: context(),
    pskCallback: isServer ? (_socket: unknown, identity: string) => give(identity) : () => ({ psk: key.psk, identity: key.identity }),
  };
  const socket = new HandleTlsSocket(undefined, options);
  // Node would copy all waiting writes into a new buffer, only to encrypt them from there.
  (socket as unknown as { _writev: null })._writev = null;
  // The handle is connected, which Node does not notice.
  socket.connecting = false;
  socket.once('secure', () => {
    // Until this call, Node keeps the errors of TLS to itself.
    socket._releaseControl();
    // TLS counts a connection with a pre-shared key as resumed. A peer without the key could offer a certificate instead.
    ended(isKeyUsed && socket.isSessionReused() && socket.getProtocol() === 'TLSv1.3' ? socket.getCipher().name : null);
  });
  if (!isServer) socket._start();
  return {
    socket,
    reset: () => {
      socket.resetAndClosing = true;
      socket.destroy();
    },
  };
}
