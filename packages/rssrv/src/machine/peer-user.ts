// Finds the user of the program at the other end of a Unix socket (SO_PEERCRED, unix(7)). Invariant: the kernel says who has connected, and
// not the program.

import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { userOfId } from '@rsio/base/files/users';
import { callFailure, throughLibc } from './libc.ts';

const [SOL_SOCKET, SO_PEERCRED] = [1, 17];
/** struct ucred: pid, uid, gid. */
const CREDENTIALS_BYTES = 12;
const UID_AT = 4;
/** The login of a process that no person has begun. */
const NO_LOGIN = 0xffffffff;

const credentialsOf = throughLibc((libc) => {
  const getsockopt = libc.getsockopt();
  return (descriptor: number): Buffer => {
    const value = Buffer.alloc(CREDENTIALS_BYTES);
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, value, [CREDENTIALS_BYTES]) !== 0) throw callFailure('getsockopt', libc.errno());
    return value;
  };
});

/**
 * Returns the name of the user, or `user N` if the user file has no user with the number N; null if the kernel does not say. If the person
 * has logged in as another user, as with sudo, the text names this user, too.
 */
export function peerUser(socket: Socket): string | null {
  const { _handle: handle } = socket as unknown as { readonly _handle: { readonly fd?: number } | null };
  const descriptor = handle?.fd ?? -1;
  if (descriptor < 0) return null;
  try {
    const credentials = credentialsOf()(descriptor);
    const uid = credentials.readUInt32LE(UID_AT);
    const login = loginOf(credentials.readInt32LE(0));
    return login === null || login === uid ? nameOf(uid) : `${nameOf(uid)} (logged in as ${nameOf(login)})`;
  } catch {
    return null;
  }
}

function nameOf(uid: number): string {
  return userOfId(uid) ?? `user ${uid}`;
}

/** The user that has logged in, whose processes cannot change it; null if there is none, or the process has ended. */
function loginOf(pid: number): number | null {
  try {
    const login = Number(readFileSync(`/proc/${pid}/loginuid`, 'utf8'));
    return login === NO_LOGIN ? null : login;
  } catch {
    return null;
  }
}
