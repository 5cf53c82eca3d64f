// The followers of this server, and the methods about them. followers.ts carries the replications out, and promotion.ts the promotions.
// Invariant: no step of a replication runs while its followers are promoted.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { FOLLOWER_METHODS } from '@rsio/common/control/server/replication-methods';
import type { ManagedVolumeView } from '@rsio/common/control/server/views';
import { RsError } from '@rsio/common/lib/errors';
import { isName, NAME_ALLOWED, quoteText } from '@rsio/common/lib/units';
import type { Asker } from '../../pools/asker.ts';
import { type Found, volumeText } from '../../pools/catalogue.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import type { Changes } from '../../pools/requests/requests.ts';
import type { SnapshotVerbs } from '../../snapshots/snapshot-verbs.ts';
import { FollowerVerbs } from './follower-verbs.ts';
import { Followers, type FollowersPorts } from './followers.ts';
import { Promotion } from './promotion.ts';

export interface FollowerServicePorts extends Omit<FollowersPorts, 'verbs' | 'marked' | 'snapshots'> {
  readonly verbs: PoolVerbs;
  readonly snapshots: SnapshotVerbs;
}

/** The queue of changes, and the log of changes. */
type NotedChanges = Changes & { readonly by: string; note(verb: string, found: Found): void };

export class FollowerService {
  readonly followers: Followers;
  private readonly promotion: Promotion;
  private readonly ports: FollowerServicePorts;

  constructor(ports: FollowerServicePorts) {
    const { verbs, snapshots } = ports;
    this.ports = ports;
    this.promotion = new Promotion(verbs, snapshots);
    const marked = (): readonly Found[] =>
      verbs.pools.states.flatMap((pool) =>
        [...pool.volumes.values()].flatMap((manifest) => (manifest.follower === undefined ? [] : { pool, manifest })),
      );
    this.followers = new Followers({ ...ports, verbs: new FollowerVerbs(verbs), snapshots, marked });
  }

  handlers(changes: NotedChanges, viewOf: (found: Found) => Promise<ManagedVolumeView>, asker: Asker): HandlersOf<typeof FOLLOWER_METHODS> {
    const { promotion, followers } = this;
    const noted = async (verb: string, found: readonly Found[]): Promise<ManagedVolumeView[]> => {
      const views: ManagedVolumeView[] = [];
      for (const one of found) {
        changes.note(verb, one);
        views.push(await viewOf(one));
      }
      return views;
    };
    return {
      'volume-promote': async ({ volumes, request }) => {
        const replication = promotion.replicationOf(volumes, asker);
        const what = `volumes ${volumes.map(volumeText).join(', ')}, which are being promoted by ${changes.by}`;
        // A step of the replication may wait for its turn in the queue of changes. The replication is therefore stopped before.
        const made = await followers.whileQuiet(replication, () => changes.run(() => promotion.promote(volumes, asker, request), what));
        const ageMs = Math.max(0, this.ports.clock.wallMs() - made.momentMs);
        return { volumes: await noted('promoted', made.volumes), momentMs: made.momentMs, ageMs };
      },
      'volume-drill': async ({ volumes, suffix, request }) => {
        if (!isName(`x${suffix}`)) throw new RsError('E_USAGE', `Wrong suffix ${quoteText(suffix)}: in a name, allowed is ${NAME_ALLOWED}`);
        const what = `clones of ${volumes.map(volumeText).join(', ')} for a drill, which are being made by ${changes.by}`;
        const made = await changes.run((turn) => promotion.drill(volumes, suffix, asker, request, turn), what);
        return { volumes: await noted('cloned for a drill', made.volumes), momentMs: made.momentMs };
      },
    };
  }
}
