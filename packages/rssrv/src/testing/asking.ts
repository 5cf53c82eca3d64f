// The part of a configuration on which the rights of a client depend, for tests. pools/asker.ts decides with it.
// Invariant: without `tenants`, as in the files of earlier releases, no volume belongs to a client alone.

import type { ClientRights } from '@rsio/common/config/schema/types';
import type { AskingConfig } from '../pools/asker.ts';

export function asking(rights: readonly ClientRights[] = [], tenants = false): AskingConfig {
  return { rights, namespace: { tenants } };
}

/** A server with `tenants`, whose clients with these names have the right `manage`. */
export function tenantsOf(...names: readonly string[]): AskingConfig {
  return asking(
    names.map((name) => ({ name, role: 'manage', pools: null, limitBytes: null, line: 1 })),
    true,
  );
}
