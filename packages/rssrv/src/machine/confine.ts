// Takes rights away from a worker before the process gets data of a client: changes its user, forbids new privileges and core dumps, and
// filters its system calls. The user is changed by calls of libc, because Node refuses process.setuid if its libuv could use an io_uring.
// Invariant: a worker that should run as another user serves no client before the change to that user.

import { readdirSync, readlinkSync } from 'node:fs';
import { toRsError } from '@rsio/base/lib/errors';
import { callFilter } from './call-filter.ts';
import type { SystemCalls } from './system-calls.ts';
import type { WorkerUser } from './worker-user.ts';

/** Environment variable with the release of the listener. A worker of another release may not understand the listener's messages. */
export const LISTENER_VERSION = 'RSIO_LISTENER_VERSION';

/** Argument with which a confined worker is started. */
export interface Confinement {
  readonly user: WorkerUser | null;
}

/**
 * The descriptors that a confined worker inherits: sockets for messages and for descriptors (descriptor-passing.ts), and the pipe of its
 * log. A process that is not confined has only the pipe.
 */
export const PASSED_CHANNEL = 3;
export const PASSED_SOCKET = 4;
export const PASSED_LOG = 5;

/**
 * Confines this process. Throws if this process cannot become the given user. Returns sentences about other protection that this machine
 * does not offer.
 */
export function confine({ user }: Confinement, calls: SystemCalls): string[] {
  const troubles: string[] = [];
  const attempt = (what: string, work: () => void): void => {
    try {
      work();
    } catch (thrown) {
      troubles.push(`${what} (${toRsError(thrown).message})`);
    }
  };
  if (user !== null) become(user, calls);
  attempt('without protection from core dumps and new privileges', () => calls.giveUpRights());
  const usesRing = hasRing();
  const program = callFilter(process.arch, usesRing);
  attempt('without a filter of system calls', () => {
    if (program !== null) calls.filterCalls(program);
  });
  // The filter does not see the operations that an io_uring executes. The systemd unit of rssrv forbids io_uring, and libuv then works
  // without io_uring.
  if (usesRing) troubles.push(`without a filter of io_uring, which Node ${process.version} uses: start rssrv by its systemd unit`);
  return troubles;
}

/** Returns true if libuv has set up an io_uring for the event loop of this process. In Node.js 20, libuv sets up no io_uring. */
function hasRing(): boolean {
  return readdirSync('/proc/self/fd').some((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`) === 'anon_inode:[io_uring]';
    } catch {
      // readdirSync has opened and closed this descriptor to read the directory.
      return false;
    }
  });
}

/** Changes the user of all threads. The process thereby loses its capabilities. */
function become({ name, uid, gid }: WorkerUser, calls: SystemCalls): void {
  calls.becomeUser(uid, gid);
  const is = [process.getuid?.(), process.geteuid?.(), process.getgid?.(), process.getegid?.()];
  if (is.join() !== [uid, uid, gid, gid].join()) throw new Error(`The process did not become user ${name}`);
}
