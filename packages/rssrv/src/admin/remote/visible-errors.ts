// Removes from an error what a client may not see. This module is pure. Invariants: only a client with the right `admin` or `view` sees file paths of
// the server, the reason why a pool cannot be used, and the requests of other askers. Every client sees the code of an error, and whether
// the outcome of its request is known.

import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import type { Asker } from '../../pools/asker.ts';
import { ADMINISTRATOR_SEES, clientText, hasPath } from '../../pools/requests/client-text.ts';

/** Facts that the client knows from its own request. Numbers and flags are also visible, because they concern the client's own volumes. */
const OWN_FACTS: ReadonlySet<string> = new Set(['volume', 'snapshot', 'job', 'method', 'parameter', 'unknown', 'role', 'needed', 'errno']);
const SENTENCES: { readonly [C in ErrorCode]?: string } = {
  E_UNKNOWN_POOL: 'There is no such pool for this client: pool list shows its pools',
  E_BUSY: 'The server has something else to do with this volume',
  E_VOLUME: 'The volume cannot be used now',
};
const OTHERWISE = 'The server could not do it';

/** Returns the error as this asker may see it. */
export function visibleError(error: RsError, asker: Asker): RsError {
  if (asker.seesAll) return error;
  const { code } = error;
  return new RsError(code, visibleText(error, asker), visibleFacts(error, asker));
}

function visibleText({ code, message, context }: RsError, asker: Asker): string {
  if (code === 'E_POOL') {
    const { pool } = context;
    const isKnown = typeof pool === 'string' && asker.role === 'manage' && asker.mayUsePool(pool);
    return `${isKnown ? `Pool ${quoteText(pool)}` : 'A pool of the server'} cannot be used now: ${ADMINISTRATOR_SEES}`;
  }
  if (code === 'E_UNKNOWN_POOL') return SENTENCES[code] ?? OTHERWISE;
  const { busyWith } = context;
  const text = typeof busyWith === 'string' ? message.replace(busyWith, 'other changes') : message;
  return clientText(text, SENTENCES[code] ?? OTHERWISE);
}

function visibleFacts({ code, context }: RsError, { node }: Asker): Readonly<Record<string, unknown>> {
  const isVisible = ([name, value]: [string, unknown]): boolean => {
    if (typeof value === 'number' || typeof value === 'boolean' || value === null) return true;
    // A client that may attach a volume may see its holders.
    if (code === 'E_HELD' && name === 'holders') return true;
    if (name === 'node') return value === node;
    return typeof value === 'string' && OWN_FACTS.has(name) && !hasPath(value);
  };
  return Object.fromEntries(Object.entries(context).filter(isVisible));
}
