// Executes the methods that take a volume away from a client, or let a client attach it. revocations.ts ends the holds, and PoolVerbs
// changes the list of clients. Invariant: the wait for the requests of the client does not occupy the queue of changes, so that other
// changes continue.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { ACCESS_METHODS } from '@rsio/api/rssrv/volume-methods';
import type { Asker } from '../pools/asker.ts';
import { volumeText, type WantedVolume } from '../pools/catalogue.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import type { Fences } from '../volumes/fences.ts';
import type { Revocations } from '../volumes/holds/revocations.ts';
import type { LoggedChanges } from './logged-changes.ts';

export function accessHandlers(
  changes: LoggedChanges,
  verbs: Pick<PoolVerbs, 'toRevoke' | 'setAccess'>,
  { revocations, fences }: { readonly revocations: Pick<Revocations, 'take'>; readonly fences: Pick<Fences, 'order'> },
  asker: Asker,
): HandlersOf<typeof ACCESS_METHODS> {
  return {
    'volume-revoke': async ({ name, universe, client, request }) => {
      changes.checkWanted();
      const named = { name, universe };
      const found = verbs.toRevoke(named, client, asker, request);
      const unlist = (of: WantedVolume) =>
        changes.change(`taken away from client ${client}`, named, () => verbs.setAccess(of, client, false, asker, request));
      if (found === null) return { ...(await unlist(named)), client, wasHeld: false };
      const { id } = found.manifest;
      const volume = { id, name: volumeText(named) };
      // If the asker is fenced during the wait, the fence is answered only when this order has ended.
      const { wasHeld, left } = await fences.order(asker.node, () => revocations.take(volume, client, () => unlist({ id })));
      return { ...left, client, wasHeld };
    },
    'volume-allow': async ({ name, universe, client, request }) => {
      const named = { name, universe };
      const allow = () => verbs.setAccess(named, client, true, asker, request);
      return { ...(await changes.change(`given to client ${client}`, named, allow)), client };
    },
  };
}
