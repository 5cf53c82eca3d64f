// Receives bytes of connections without a copy, and moves connections to another socket or process. Node has no functions for this, so
// this file uses undocumented properties of sockets. Invariants: each use is checked, or tested with real processes. No byte is lost when a
// connection moves to another socket.

import type { ChildProcess, Serializable } from 'node:child_process';
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { sendAtOnce } from '@rsio/protocol/link/send-at-once';
import type { StreamTransport } from './transport.ts';

const NO_BYTES = Buffer.alloc(0);

type Receive = (bytes: Buffer, end: number) => void;

/**
 * Returns the accepted connection as a socket that receives into `buffer`. Node offers a receive buffer for outgoing connections only, so
 * the handle is moved to a new socket. Moving the handle works on Node 20, 22 and 24 but is undocumented, so every step is checked.
 * Receiving into `buffer` saves an allocation and a copy for each read from the socket, which makes WRITEs faster. Returns undefined if the
 * handle cannot be moved with this version of Node; `accepted` is then unchanged.
 */
export function withReceiveBuffer(accepted: Socket, buffer: Buffer, receive: Receive): Socket | undefined {
  const handle: unknown = Reflect.get(accepted, '_handle');
  if (typeof handle !== 'object' || handle === null || typeof Reflect.get(handle, 'useUserBuffer') !== 'function') return undefined;
  const callback = (bytes: number): boolean => {
    receive(buffer, bytes);
    return true;
  };
  const options = { handle, allowHalfOpen: true, manualStart: true, onread: { buffer, callback } };
  const moved = new Socket(options);
  if (Reflect.get(moved, '_handle') !== handle) return undefined;
  // The accepted socket is destroyed only so that the server no longer counts the socket. The handle stays open.
  Reflect.set(accepted, '_handle', null);
  accepted.destroy();
  return moved;
}

export function withDataEvents(accepted: Socket, receive: Receive): Socket {
  accepted.on('data', (bytes: Buffer) => receive(bytes, bytes.length));
  return accepted;
}

/**
 * Moves a connection to a new socket that does not read yet, and destroys the old one. Returns the bytes that Node has read for the old
 * socket but not emitted. The caller must have nothing left to write. Throws if the connection is closed.
 */
export function detach(socket: Socket): { readonly socket: Socket; readonly unread: Buffer } {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null || !('readStop' in handle) || typeof handle.readStop !== 'function')
    throw new Error('An NBD connection cannot be moved: it has no handle');
  socket.removeAllListeners('data');
  socket.pause();
  const unread: unknown = socket.readableLength > 0 ? socket.read() : null;
  // `socket.read` has made the handle read again, but no event has occurred since, so no data has been received.
  Reflect.set(handle, 'reading', false);
  handle.readStop();
  Reflect.set(socket, '_handle', null);
  socket.destroy();
  return {
    socket: new Socket({ handle, allowHalfOpen: true, manualStart: true } as object),
    unread: unread instanceof Buffer ? unread : NO_BYTES,
  };
}

/**
 * Sends a message with a connection to a child process, and closes the connection in this process. If the child has ended, the client sees
 * the end of the connection. Without `keepOpen`, Node would keep this process's descriptor until the child confirms that it has received
 * the connection.
 */
export function sendConnection(child: ChildProcess, message: Serializable, socket: Socket): void {
  child.send(message, socket, { keepOpen: true }, () => socket.destroy());
}

export function transportOf(socket: Socket): StreamTransport {
  return {
    write: (bytes, start, lengthBytes, sent) => sendAtOnce(socket, bytes, start, lengthBytes, sent),
    cork: () => socket.cork(),
    uncork: () => socket.uncork(),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    // Closes both directions. If only one direction were closed, a client could keep the connection open.
    end: () => void socket.end(() => socket.destroy()),
    destroy: () => void socket.destroy(),
    isPeerGone: () => isPeerGone(socket),
  };
}

/**
 * Writes zero bytes to the socket, which fails if the other end of a Unix socket has been closed. Node itself reports the end of a
 * connection only after it has read all data before the end. Node does not document the property `fd`. A socket without this property
 * counts as closed.
 */
function isPeerGone(socket: Socket): boolean {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : null;
  if (typeof fd !== 'number' || fd < 0) return true;
  try {
    writeSync(fd, NO_BYTES, 0, 0);
    return false;
  } catch (thrown) {
    return !(thrown instanceof Error && 'code' in thrown && thrown.code === 'EAGAIN');
  }
}
