// Takes rights away from a server process, before it gets data of a client: changes its user, forbids new privileges and core dumps, and
// filters system calls. Invariant: a process that should run as another user never serves as the listener's user.

import { readdirSync, readlinkSync } from 'node:fs';
import { toRsError } from '@rsio/common/lib/errors';
import { callFilter } from './call-filter.ts';
import type { SystemCalls } from './system-calls.ts';
import type { WorkerUser } from './worker-user.ts';

/** Argument with which a confined server process is started. */
export interface Confinement {
  readonly user: WorkerUser | null;
}

/**
 * The descriptors that a confined server process inherits: sockets for messages and for descriptors (descriptor-passing.ts), and the pipe
 * of its log. A process that is not confined has only the pipe.
 */
export const PASSED_CHANNEL = 3;
export const PASSED_SOCKET = 4;
export const PASSED_LOG = 5;

/**
 * Confines this process. Throws if it cannot become the given user. Returns sentences about other protection that this machine does not
 * offer.
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
  // The filter does not see operations of an io_uring. The systemd unit forbids io_uring, and libuv then works without it.
  if (usesRing) troubles.push(`without a filter of io_uring, which Node ${process.version} uses: start rssrv by its systemd unit`);
  return troubles;
}

/** True if libuv of this Node has set up an io_uring for its event loop. Node 20 sets up none. */
function hasRing(): boolean {
  return readdirSync('/proc/self/fd').some((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`) === 'anon_inode:[io_uring]';
    } catch {
      // This was the descriptor for reading the directory itself.
      return false;
    }
  });
}

/** Changes the user of all threads. The capabilities of the process go with the user. */
function become({ name, uid, gid }: WorkerUser, calls: SystemCalls): void {
  calls.becomeUser(uid, gid);
  const is = [process.getuid?.(), process.geteuid?.(), process.getgid?.(), process.getegid?.()];
  if (is.join() !== [uid, uid, gid, gid].join()) throw new Error(`The process did not become user ${name}`);
}
