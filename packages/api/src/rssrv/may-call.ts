// Who may call which method of rssrv. Derived from the entry of the method alone. Pure. Invariant: each role of clients and of persons on the
// server is decided here, so that both control sockets and ADMIN agree with the programs that show what a visitor may do.

import { includesRight } from '@rsio/common/config/client-rights';
import type { LocalRole } from '@rsio/common/config/schema/local-roles';
import type { ClientRole } from '@rsio/common/config/schema/types';
import type { ServerMethod } from './server-method.ts';

/** Returns true if a client or a person on the server with this role may call the method of the entry. */
export function mayCall(role: ClientRole | LocalRole, { right, repeats }: Pick<ServerMethod, 'right' | 'repeats'>): boolean {
  const reads = repeats === null;
  switch (role) {
    case 'copy':
    case 'use':
    case 'manage':
    case 'admin':
      return right !== null && includesRight(role, right);
    case 'view':
      return right !== null && reads;
    case 'reader':
      return reads;
    case 'operator':
      return reads || (right !== null && includesRight('manage', right));
    case 'administrator':
      return true;
  }
}
