// Puts TLS 1.3 onto a connected TCP handle. Both sides use a pre-shared key and X25519, but no certificates. Because of X25519, a recorded
// connection cannot be decrypted later. Invariants: a TLS socket becomes secure only if the peer has proved that it has the key. A
// certificate never counts. Received data arrives in one static buffer, as on a plain socket. See docs/PROTOCOL.md, Encrypted paths.

import { constants } from 'node:crypto';
import type net from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { TlsKey } from './path-transport.ts';

/** Callback option `onread` of net.Socket. */
export interface ReadInto {
  readonly buffer: Buffer;
  readonly callback: (lengthBytes: number, buffer: Buffer) => boolean;
}

/** TCP handle of a socket, for which Node has no types. */
export interface TcpHandle {
  reading?: boolean;
  readStop?: () => void;
  reset(done: () => void): number;
}

/** A suite with SHA-256, because Node's callbacks for pre-shared keys allow no other hash. */
const SUITE = 'TLS_AES_128_GCM_SHA256';
const CURVES = 'X25519';

let sharedContext: SecureContext | null = null;

/** All connections share one context, because it contains no secret. */
function context(): SecureContext {
  sharedContext ??= createSecureContext({
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: SUITE,
    ecdhCurve: CURVES,
    // With a ticket of one connection, a client could open connections in the name of another client.
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
 * A TLS socket over a bare handle. TLSSocket accepts `onread` only if the caller passes no socket, so `_wrapHandle` supplies the handle.
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
 * secure, or with null if the peer has not used the key. Other failures are errors of the socket.
 */
export function tlsSocketOver(handle: TcpHandle, key: TlsKey, onread: ReadInto, ended: (cipher: string | null) => void): TlsSocket {
  const isServer = key.side === 'server';
  // If the server accepted a ticket, it would not ask for the key of this connection, and this flag would stay false.
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
  // With `_writev`, Node would copy all waiting writes into a new buffer before it encrypts them.
  (socket as unknown as { _writev: null })._writev = null;
  // Node does not notice that the handle is connected.
  socket.connecting = false;
  socket.once('secure', () => {
    // Before this call, Node does not report TLS errors.
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
