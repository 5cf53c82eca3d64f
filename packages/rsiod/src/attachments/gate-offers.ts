// Lists the volumes that gates may take over: those that have one holder at a time and whose servers keep a gate record. Invariant: every
// question and every order is bound to the id of the volume, not to its name.

import { effectiveVolume } from '@rsio/common/config/effective-volume';
import { LIST_WAIT_MS } from '@rsio/common/control/limits';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { Signal } from '@rsio/base/lib/signal';
import { TAKE, type Take } from '@rsio/protocol/wire/messages';
import type { Server } from '../network/server.ts';
import type { OfferedVolume, StandbyServers } from '../frontends/gate-frontends.ts';
import { labelOf, type OfferList, type ServerOffer } from './offers.ts';

export class GateOffers implements StandbyServers {
  /** Attaches the volume with this id for a gate. */
  readonly taken = new Signal<[label: string, id: string, take: Take], Promise<AttachOutcome>>('a gate takes a volume');
  private readonly offers: Pick<OfferList, 'list'>;
  private seen: readonly ServerOffer[] = [];
  private volumes: readonly OfferedVolume[] = [];

  constructor(offers: Pick<OfferList, 'list'>) {
    this.offers = offers;
  }

  /** Returns the same list until an offer changes. */
  offered(): readonly OfferedVolume[] {
    const { list: offers } = this.offers;
    if (offers !== this.seen) {
      this.seen = offers;
      this.volumes = [...new Map(offers.flatMap((offer) => offeredVolume(offer) ?? []).map((one) => [one.id, one])).values()];
    }
    return this.volumes;
  }

  /**
   * Asks the servers that offer the volume, beginning with the latest claim to its pool. If all fail, throws the error of the last server.
   */
  async readRecord({ id }: OfferedVolume): Promise<Buffer | null> {
    let failed: unknown = new RsError('E_NO_PATH', 'no server that offers it is connected');
    for (const from of this.serversOf(id)) {
      try {
        return await from.readRecord(id);
      } catch (thrown) {
        failed = thrown;
      }
    }
    throw toRsError(failed);
  }

  /** Does not take the volume from a client that is not a gate of the volume, because only an administrator may do that. */
  async take(volume: OfferedVolume, from: string | null): Promise<string | null> {
    if (from !== null) {
      // Servers do not send a new list for each new holder. Ask twice, because the first list may have been sent earlier.
      for (let time = 0; time < 2; time++) await Promise.all(this.serversOf(volume.id).map((server) => server.refresh(LIST_WAIT_MS)));
      const offers = this.offers.list.filter(({ id, isConnected }) => isConnected && id === volume.id);
      const other = offers.flatMap(({ holders, config }) => holders.filter(({ node }) => node !== from && node !== config.nodename))[0];
      if (other !== undefined) return `Client ${other.node} at ${other.address} has it, which is no gate of it: detach it there`;
    }
    return (await this.taken.send(labelOf(volume), volume.id, from === null ? TAKE.NO : TAKE.OVER)).error?.message ?? null;
  }

  private serversOf(id: string): Server[] {
    const offers = this.offers.list.filter((offer) => offer.id === id && offer.isConnected);
    return offers.toSorted((one, other) => (other.poolGeneration ?? 0) - (one.poolGeneration ?? 0)).map(({ from }) => from);
  }
}

function offeredVolume(offer: ServerOffer): OfferedVolume | null {
  const { namespace, name, universe, id, readonly, mirror, from } = offer;
  const listed = from.volumes.find((one) => one.id === id && one.name === name && one.universe === universe);
  // A volume that this client attaches read-only is excluded, too, because it would be taken from the gate that writes it, and then not be
  // shown.
  const isReadonly = readonly || effectiveVolume(offer.config, name).readonly;
  if (listed === undefined || listed.shared || isReadonly || mirror !== null) return null;
  return { namespace, name, universe, id, sizeBytes: listed.sizeBytes, blockSizeBytes: listed.blockSizeBytes };
}
