// Moves attached volumes to the servers that own their pools (docs/PROTOCOL.md F9). pool-owner.ts decides, and the opener makes each move in
// one event-loop turn. Invariants: a volume moves only while it is in the list of attached volumes, so that a detach ends at the server at
// which it has begun. The replicas of a mirror never move.

import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import type { Attachment, Ownership } from '@rsio/protocol/client/attachment';
import { SingleTarget } from '@rsio/protocol/client/single-target';
import type { Server } from '../network/server.ts';
import type { Volume } from '../volumes/volume.ts';
import type { AttachedRecord } from './attached-record.ts';
import { labelOf, type ServerOffer } from './offers.ts';
import { claimKey, nextOwner, noteRefusals, ownerKey, ownersOf } from './pool-owner.ts';
import type { Reports } from './reports.ts';

export interface FarmMovesPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly reports: Pick<Reports, 'add'>;
  /** Saved after volumes went to other servers, or a mirror to another client. */
  readonly record: Pick<AttachedRecord<Volume>, 'save'>;
}

interface AttachedVolumes {
  /** The same list until an offer changes. */
  readonly offers: readonly ServerOffer[];
  readonly list: readonly Volume[];
  serverOf(volume: Volume): Server | undefined;
}

export class FarmMoves {
  private readonly ports: FarmMovesPorts;
  private readonly attached: AttachedVolumes;
  private readonly offeredId: (volume: Volume) => string;
  private isLooking = false;
  private seen: readonly ServerOffer[] = [];
  private owners: ReadonlyMap<string, readonly ServerOffer[]> = new Map();
  /** The claim of its own server that each attachment has taken from a list. An OPEN that was granted later counts more. */
  private readonly listed = new WeakMap<Attachment, string>();
  /** The claims of each attachment whose servers have refused OPEN since the last grant. */
  private readonly refused = new WeakMap<Attachment, Set<string>>();

  /** `offeredId`: returns the id of a volume in the offers; for a snapshot, the id of its volume. */
  constructor(ports: FarmMovesPorts, attached: AttachedVolumes, offeredId: (volume: Volume) => string) {
    this.ports = ports;
    this.attached = attached;
    this.offeredId = offeredId;
  }

  /** Called when an offer, a path or an attached volume has changed. The decision follows as soon as the current event has been handled. */
  look(): void {
    if (this.isLooking) return;
    this.isLooking = true;
    this.ports.clock.soon(() => {
      this.isLooking = false;
      this.decide();
    });
  }

  private decide(): void {
    const { offers } = this.attached;
    if (offers !== this.seen) {
      this.seen = offers;
      this.owners = ownersOf(offers);
    }
    if (this.owners.size === 0) return;
    let hasMoved = false;
    for (const volume of this.attached.list) hasMoved = this.follow(volume) || hasMoved;
    if (hasMoved) void this.ports.record.save();
  }

  private follow(volume: Volume): boolean {
    const { target } = volume;
    const owners = this.owners.get(ownerKey(volume.namespace, this.offeredId(volume)));
    if (owners === undefined || !(target instanceof SingleTarget)) return false;
    const server = this.attached.serverOf(volume);
    const [attachment] = target.attachments;
    if (server === undefined || attachment.ownership === null) return false;
    attachment.whenMisplaced = () => this.look();
    const mine = owners.find(({ from }) => from === server);
    const refused = this.refused.get(attachment) ?? new Set();
    this.refused.set(attachment, refused);
    noteRefusals(refused, attachment, mine);
    // If this server is out of reach later, no server with a lower generation gets the volume. A job may have moved it to another pool.
    if (mine !== undefined && !attachment.isGuess && attachment.refusals === 0) this.sees(attachment, mine);
    const { ownership, isGuess } = attachment;
    const owner = nextOwner({ serverid: server.serverid, ownership, isGuess, refused }, owners);
    if (owner === null) return false;
    const claim = ownershipOf(owner);
    const { generation } = claim;
    const what = `moved from server ${server.name} to ${owner.server} (generation ${generation})`;
    if (!server.opener.moveTo(owner.from.opener, attachment, claim, `Its pool ${what}`)) return false;
    target.moveTo(owner.from.trunk);
    const label = labelOf(volume);
    this.ports.log.info(`${label}: ${what}`);
    this.ports.reports.add(`volume ${label}`, `server ${server.name}`, `server ${owner.server}`, `Its pool ${what}`);
    return true;
  }

  private sees(attachment: Attachment, mine: ServerOffer): void {
    const claim = claimKey(mine);
    if (this.listed.get(attachment) !== claim) attachment.sees(ownershipOf(mine));
    this.listed.set(attachment, claim);
  }
}

function ownershipOf({ poolId, poolGeneration }: ServerOffer): Ownership {
  return { poolId, generation: poolGeneration ?? 0 };
}
