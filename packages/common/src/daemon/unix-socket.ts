// Unix sockets that a daemon listens on: length of the path, a stale one, mode 0600. What is spoken on them is left to others.
// Invariant: a socket is removed only when nobody listens on it.

import { lstatSync, mkdirSync, type Stats, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { UNIX_PATH_MAX_BYTES } from './limits.ts';
import { errnoName, RsError } from '../lib/errors.ts';

const OWNER_ONLY = 0o600;

/** Throws E_SOCKET_PATH: Node would cut a longer path silently. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > UNIX_PATH_MAX_BYTES) {
    const sentence = `Socket path ${path} has ${bytes} bytes, more than the ${UNIX_PATH_MAX_BYTES} the system takes: choose a shorter --root`;
    throw new RsError('E_SOCKET_PATH', sentence, { path, bytes });
  }
}

/**
 * Listens on `path`, which only the owner may open; makes its folder and removes a stale socket. Throws E_SOCKET_PATH,
 * E_ALREADY_RUNNING when somebody listens there, E_RIGHTS, E_SYSTEM.
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
      throw new RsError('E_RIGHTS', `May not make socket ${path}: run as root, or choose another --root`, { path });
    if (errno === undefined) throw error;
    throw new RsError('E_SYSTEM', `Cannot make socket ${path}: ${errno}: see to the folder it is to be in`, { path }, error);
  }
}

async function removeStale(path: string, found: Stats): Promise<void> {
  if (!found.isSocket()) throw new RsError('E_SYSTEM', `${path} is in the way and is no socket: remove it`, { path });
  if (await somebodyListens(path)) throw alreadyRunning(path);
  // Another daemon may have been started in the meantime and have put its own socket there.
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
    // Only a refusal proves that nobody listens; a full queue (EAGAIN) or a lack of rights does not.
    probe.once('error', (error) => resolve(errnoName(error) !== 'ECONNREFUSED' && errnoName(error) !== 'ENOENT'));
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The socket file is made within this call, so that there is no moment at which others may open it.
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
