// Creates a daemon's Unix sockets: checks the length of the path, removes a stale socket, and sets mode 0600. Invariant: a socket is
// removed only if no process is listening on it.

import { lstatSync, mkdirSync, type Stats, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { UNIX_PATH_MAX_BYTES } from './limits.ts';
import { errnoName, RsError } from '../lib/errors.ts';

const OWNER_ONLY = 0o600;

/** Throws E_SOCKET_PATH if the path is too long. Without this check, Node would silently truncate the path. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > UNIX_PATH_MAX_BYTES) {
    const sentence = `Socket path ${path} has ${bytes} bytes, more than the ${UNIX_PATH_MAX_BYTES} the system takes: choose a shorter --root`;
    throw new RsError('E_SOCKET_PATH', sentence, { path, bytes });
  }
}

/**
 * Listens on a socket at `path`; only the owner can open the socket. Creates the folder and removes a stale socket. Throws E_SOCKET_PATH,
 * E_RIGHTS, E_SYSTEM, or E_ALREADY_RUNNING if another process is already listening on the socket.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  checkSocketPath(path);
  try {
    mkdirSync(dirname(path), { recursive: true });
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined) await removeStale(path, found);
    await listen(server, path);
  } catch (error) {
    const errno = errnoName(error);
    if (errno === 'EADDRINUSE') throw alreadyRunning(path);
    if (errno === 'EACCES' || errno === 'EPERM')
      throw new RsError('E_RIGHTS', `May not create socket ${path}: run as root, or choose another --root`, { path });
    if (errno === undefined) throw error;
    throw new RsError('E_SYSTEM', `Cannot create socket ${path} (${errno}): check its folder`, { path }, error);
  }
}

async function removeStale(path: string, found: Stats): Promise<void> {
  if (!found.isSocket()) throw new RsError('E_SYSTEM', `${path} exists and is not a socket: remove it`, { path });
  if (await somebodyListens(path)) throw alreadyRunning(path);
  // Another daemon may have created its own socket at the same path during the check.
  const now = lstatSync(path, { throwIfNoEntry: false });
  if (now === undefined) return;
  if (now.ino !== found.ino || now.ctimeMs !== found.ctimeMs) throw alreadyRunning(path);
  unlinkSync(path);
}

function alreadyRunning(path: string): RsError {
  return new RsError('E_ALREADY_RUNNING', `Another daemon listens on ${path}: stop it first, or choose another --root`, { path });
}

function somebodyListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // Only a refused connection or a missing file proves that no process is listening. Other errors, such as EAGAIN (the queue is full) or
    // EACCES, can occur while a process is listening.
    probe.once('error', (error) => resolve(errnoName(error) !== 'ECONNREFUSED' && errnoName(error) !== 'ENOENT'));
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Set the umask before listen() creates the socket file, so that no other user can ever open the socket.
    const before = process.umask(0o777 & ~OWNER_ONLY);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}
