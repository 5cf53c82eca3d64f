// What the servers offer, and what a name given by a person means. Pure. Two offers are one volume only if their ids are equal.
// Invariant: a name that fits two volumes is refused with both, never guessed.

import { RsError } from '@rsio/protocol/lib/errors';

/** One volume as one server offers it. */
export interface Offer {
  readonly namespace: string;
  readonly server: string;
  readonly isConnected: boolean;
  readonly name: string;
  readonly universe: number;
  readonly id: string;
}

/** One volume, with every server that offers it, in order of the configuration. */
export interface Choice<O extends Offer> {
  readonly label: string;
  readonly offers: readonly O[];
}

/** `osl:oracle@0`. */
export function labelOf(volume: Pick<Offer, 'namespace' | 'name' | 'universe'>): string {
  return `${volume.namespace}:${volume.name}@${volume.universe}`;
}

/** All volumes, each once. */
export function distinctVolumes<O extends Offer>(offers: readonly O[]): Choice<O>[] {
  const byKey = new Map<string, O[]>();
  for (const offer of offers) {
    const key = `${labelOf(offer)} ${offer.id}`;
    byKey.set(key, [...(byKey.get(key) ?? []), offer]);
  }
  return [...byKey.values()].map((group) => ({ label: labelOf(group[0]!), offers: group }));
}

const NAME_FORM = /^(?:([^:@]+):)?([^:@]+)(?:@([0-3]))?$/;

/**
 * The volume that `oracle`, `osl:oracle` or `osl:oracle@0` means, among those of `server` if one is named. Throws E_USAGE for another
 * form, E_UNKNOWN_VOLUME, and E_AMBIGUOUS naming the candidates.
 */
export function chooseVolume<O extends Offer>(offers: readonly O[], name: string, server: string | null): Choice<O> {
  const [, namespace, volume, universe] = NAME_FORM.exec(name) ?? [];
  if (volume === undefined)
    throw new RsError('E_USAGE', `${name} is no name of a volume: say NAME, NAMESPACE:NAME or NAMESPACE:NAME@UNIVERSE (0 to 3)`);
  const named = offers.filter(
    (offer) =>
      offer.name === volume &&
      (namespace === undefined || offer.namespace === namespace) &&
      (universe === undefined || offer.universe === Number(universe)) &&
      (server === null || offer.server === server),
  );
  const found = distinctVolumes(named);
  const [only] = found;
  if (only === undefined) {
    const what = server === null ? `No server in reach offers a volume ${name}` : `Server ${server} offers no volume ${name}`;
    throw new RsError('E_UNKNOWN_VOLUME', `${what}: rsconfig -q shows what there is`);
  }
  if (found.length === 1) return only;
  const candidates = found.map((choice) => `${choice.label} (server ${choice.offers.map((offer) => offer.server).join(', ')})`).join(', ');
  throw new RsError('E_AMBIGUOUS', `${name} means more than one volume: ${candidates}: name one of them, or choose with --server`);
}
