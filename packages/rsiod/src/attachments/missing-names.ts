// Logs names that the configuration wants attached but that no server offers in universe 0, although another universe has a volume with
// that name. A name without a universe means universe 0. Invariant: each such name is logged once until the volume is offered. No more
// names are remembered than the configuration contains.

import { namesToAttach } from '@rsio/common/config/effective-volume';
import type { ClientNamespaceConfig } from '@rsio/common/config/schema/types';
import type { Log } from '@rsio/common/log/log';
import { distinctVolumes, labelOf, listOf, type Offer } from './offers.ts';

export class MissingNames {
  private readonly log: Pick<Log, 'warn'>;
  private logged: ReadonlySet<string> = new Set();

  constructor(log: Pick<Log, 'warn'>) {
    this.log = log;
  }

  look(namespaces: readonly ClientNamespaceConfig[], offers: readonly Offer[]): void {
    const missing = new Map(namespaces.flatMap((config) => missingOf(config, offers)));
    for (const [label, others] of missing) {
      if (this.logged.has(label)) continue;
      const remedy = `rsconfig -a ${label} says why; ${others} is another volume, which attach = NAME@UNIVERSE means`;
      this.log.warn(`${label} is not attached although the configuration says so, because no server offers it: ${remedy}`);
    }
    this.logged = new Set(missing.keys());
  }
}

/** Returns pairs: the label of a volume in universe 0 that no server offers, and the volumes with the same name in other universes. */
function missingOf(config: ClientNamespaceConfig, offers: readonly Offer[]): (readonly [string, string])[] {
  return namesToAttach(config).flatMap((name) => {
    const named = offers.filter((offer) => offer.namespace === config.name && offer.name === name);
    const isMissing = named.length > 0 && named.every(({ universe }) => universe !== 0);
    return isMissing ? [[labelOf({ namespace: config.name, name, universe: 0 }), listOf(distinctVolumes(named))] as const] : [];
  });
}
