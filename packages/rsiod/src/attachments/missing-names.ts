// Names that the configuration wants attached, which mean a volume in universe 0, while only other universes have a volume of that name.
// Invariant: each such name is logged once, until the volume is offered; as many are remembered at most as the configuration has.

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

/** Labels of volumes in universe 0 that no server offers, each with its namesakes. */
function missingOf(config: ClientNamespaceConfig, offers: readonly Offer[]): (readonly [string, string])[] {
  return namesToAttach(config).flatMap((name) => {
    const named = offers.filter((offer) => offer.namespace === config.name && offer.name === name);
    const isMissing = named.length > 0 && named.every(({ universe }) => universe !== 0);
    return isMissing ? [[labelOf({ namespace: config.name, name, universe: 0 }), listOf(distinctVolumes(named))] as const] : [];
  });
}
