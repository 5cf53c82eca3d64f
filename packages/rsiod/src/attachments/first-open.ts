// Sends the first OPEN of a volume to the server that is chosen for it (offers.ts). Only an OPEN shows in which pool a volume lies. If
// servers offer the volume in several shared pools, the owner of each pool is therefore tried, at most MOVED_TRIES_MAX owners. Invariant:
// each try ends before the next one begins. Rules: F9.

import { effectiveVolume } from '@rsio/common/config/effective-volume';
import { type RsError, toRsError } from '@rsio/common/lib/errors';
import { Attachment } from '@rsio/protocol/client/attachment';
import type { ReplayLog } from '@rsio/protocol/client/replay/replay-log';
import { type AttachRequest, wantsReadonly } from './attach-request.ts';
import { claimsOf, mayBeElsewhere } from './choices.ts';
import { MOVED_TRIES_MAX } from './limits.ts';
import { type Choice, type ServerOffer, serverFor } from './offers.ts';
import type { Openings } from './openings.ts';

/** `all`: every offer, including those that are not in `choice`. Throws the errors of `serverFor`, `Openings.open` and `VolumeOrigins.check`. */
export async function openFirst(
  choice: Choice<ServerOffer>,
  all: readonly ServerOffer[],
  ask: AttachRequest,
  openings: Openings,
  replayLogOf: (sizeBytes: number) => ReplayLog | null,
): Promise<{ offer: ServerOffer; attachment: Attachment }> {
  const [first] = choice.offers;
  openings.origins.check(choice, all, ask.isPlaced === true, ask.by === 'before');
  // The whole list is searched once for each volume, because a start may open a thousand volumes.
  const same = all.filter(({ namespace, id }) => namespace === first?.namespace && id === first.id);
  const pools = claimsOf(same).size;
  let reason: RsError | null = null;
  for (let tries = 0; ; tries++) {
    try {
      const offer = serverFor(choice, same, first?.config.nodename ?? '', tries);
      const settings = effectiveVolume(offer.config, offer.name);
      const isReadonly = wantsReadonly(ask, settings.readonly);
      const replayLog = isReadonly ? null : replayLogOf(settings.logSizeBytes);
      const attachment = new Attachment(offer.name, offer.universe, isReadonly, ask.take, replayLog);
      await openings.open(offer.from, attachment, choice.label);
      await openings.origins.attached(offer);
      return { offer, attachment };
    } catch (thrown) {
      const error = toRsError(thrown);
      // Report the owner's reason, not the fact that another server is not the owner.
      if (reason === null || reason.code === 'E_MOVED' || reason.code === 'E_UNKNOWN_VOLUME') reason = error;
      if (tries + 1 >= Math.min(pools, MOVED_TRIES_MAX) || !mayBeElsewhere(error)) throw reason;
    }
  }
}
