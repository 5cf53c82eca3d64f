// Executes the methods about replications from this server, and lists the replications in both directions. Invariants: a client polls,
// makes and confirms moments only for replications to itself. A client with the right manage sees only replications all of whose volumes it
// may attach. The programs of triggers start only for a moment that may be made and that was not made before.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { COPYING_METHODS, REPLICATION_ORDER, SOURCE_METHODS } from '@rsio/api/rssrv/replication-methods';
import type { ReplicationView } from '@rsio/api/views/views';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { Of } from '@rsio/base/lib/shape';
import type { Triggers } from '@rsio/common/triggers/triggers';
import type { Asker } from '../pools/asker.ts';
import { type Catalogue, type Found, volumeText } from '../pools/catalogue.ts';
import type { Changes } from '../pools/requests/requests.ts';
import { type Replication, replicationsIn } from '../pools/source-marks.ts';
import type { Moment } from '../pools/source-moments.ts';
import { POLL_SNAPSHOTS_MAX } from './limits.ts';
import { patiently } from './followers/patiently.ts';
import { type IsClient, momentView, orderOf, problemOf, replicationsTo } from './sources/source-orders.ts';
import type { HandOver } from './sources/hand-over.ts';
import type { SourceVerbs } from './sources/source-verbs.ts';
import type { SourceReports } from './sources/source-views.ts';

/** The volumes of replications to this server. */
export interface FollowerViews {
  views(): readonly ReplicationView[];
}

export interface ReplicationPorts {
  readonly clock: Clock;
  readonly catalogue: () => Catalogue;
  readonly isClient: IsClient;
  readonly sources: SourceVerbs;
  readonly handOver: HandOver;
  readonly reports: SourceReports;
  readonly followers: FollowerViews;
  readonly triggers: Pick<Triggers, 'around'>;
}

/** The queue of changes, and the log of changes. */
type NotedChanges = Changes & { readonly by: string; note(verb: string, found: Found): void };

/** Returns all replications that this server knows, those from it first. */
export function replicationViews({
  catalogue,
  isClient,
  reports,
  followers,
}: Omit<ReplicationPorts, 'sources' | 'handOver'>): readonly ReplicationView[] {
  const all = replicationsIn(catalogue().pools);
  reports.follow(new Set(all.map(({ id }) => id)));
  return [...all.map((one) => reports.view(one, problemOf(one, isClient))), ...followers.views()];
}

export function replicationHandlers(ports: ReplicationPorts, changes: NotedChanges, asker: Asker): HandlersOf<typeof SOURCE_METHODS> {
  const { catalogue, isClient, sources, reports } = ports;
  const view = (replication: Replication): ReplicationView => {
    reports.follow(new Set(replicationsIn(catalogue().pools).map(({ id }) => id)));
    return reports.view(replication, problemOf(replication, isClient));
  };
  const noted = (verb: string, { members }: Replication): void => {
    for (const one of members) changes.note(verb, one);
  };
  return {
    'volume-replicate': async ({ request, ...wanted }) => {
      const what = `volumes ${wanted.volumes.map(volumeText).join(', ')}, which are being replicated by ${changes.by}`;
      const replication = await changes.run(() => sources.replicate(wanted, asker, request), what);
      noted(`replicated to client ${wanted.to}`, replication);
      return { replication: view(replication) };
    },
    'volume-replicate-end': async ({ volumes, force, request }) => {
      const what = `the replication of ${volumes.map(volumeText).join(', ')}, which is being ended by ${changes.by}`;
      const ended = await changes.run(() => sources.end(volumes, asker, request, force), what);
      if (ended === null) return { replication: null };
      noted(`no longer replicated to client ${ended.order.to}`, ended);
      const text = 'The server that copies keeps its followers, and this server keeps the moments as snapshots';
      return { replication: { ...view(ended), state: 'ended', text, nextMs: null } };
    },
    'replication-list': () => ({ replications: visibleTo(replicationViews(ports), catalogue(), asker) }),
  };
}

/** The methods that the client which copies calls. */
export function copyingHandlers(ports: ReplicationPorts, changes: Changes, asker: Asker): HandlersOf<typeof COPYING_METHODS> {
  const { clock, catalogue, isClient, sources, handOver, reports, triggers } = ports;
  const moment = async (id: string, request: string | null): Promise<Moment> => {
    const next = sources.next(id, asker, request);
    if (next.made !== null) return next.made;
    const snapshot = next.wanted[0]?.snapshot ?? '';
    const what = `moment ${snapshot} of a replication to ${asker.by}`;
    const make = (): Promise<Moment> => changes.run((turn) => sources.moment(id, snapshot, asker, request, turn), what);
    const facts = { snapshots: next.wanted, by: asker.node, isScheduled: true };
    return triggers.around(facts, () => changes.checkWanted(), make);
  };
  return {
    'replication-poll': ({ reports: told }) => {
      const all = replicationsIn(catalogue().pools);
      const mine = replicationsTo(catalogue(), asker.node);
      reports.follow(new Set(all.map(({ id }) => id)));
      reports.polled(
        mine.map(({ id }) => id),
        told,
      );
      return { nowMs: clock.wallMs(), orders: ordersOf(mine, isClient) };
    },
    'replication-moment': async ({ replication, request }) => ({
      moment: momentView(await moment(replication, request)),
      nowMs: clock.wallMs(),
    }),
    'replication-confirm': async ({ replication, group }) => {
      const confirm = (): Promise<number> => sources.confirm(replication, group, asker);
      return { removed: await changes.run(confirm, `a moment of a replication that ${asker.by} confirms`) };
    },
    'replication-hand-over': () => {
      throw new RsError('E_USAGE', 'This server runs a later release of RSIO, with which yours exchanges no roles: update yours first');
    },
    'replication-grant': async ({ replication, wanted, checkOnly, request }) => {
      const node = handOver.check(replication, asker);
      if (checkOnly) return { node };
      const what = `volumes that are being handed over to ${asker.by}`;
      // A moment that the client has asked for before may still be in the making.
      await patiently(clock, () => changes.run(() => handOver.close(replication, wanted, asker), what));
      if (handOver.lastOf(replication, asker) === null) {
        const { group } = await patiently(clock, () => moment(replication, request));
        // The copying server may ask for another moment now.
        await patiently(clock, () => changes.run(() => handOver.last(replication, wanted, group, asker), what));
      }
      return { node };
    },
    'replication-release': async ({ replication, granted }) => {
      await changes.run(() => handOver.release(replication, granted, asker), `volumes that ${asker.by} does not take over`);
      return {};
    },
  };
}

/** All orders together list at most about POLL_SNAPSHOTS_MAX snapshots. */
function ordersOf(mine: readonly Replication[], isClient: IsClient): readonly Of<typeof REPLICATION_ORDER>[] {
  return mine.map((one) => {
    const shareMax = Math.floor(POLL_SNAPSHOTS_MAX / mine.length / one.memberIds.length);
    return orderOf(one, isClient, Math.max(1, shareMax));
  });
}

/** Returns the replications that the asker may see: those all of whose volumes it may attach. */
function visibleTo(views: readonly ReplicationView[], { pools }: Catalogue, asker: Asker): readonly ReplicationView[] {
  if (asker.seesAll) return views;
  const volumes = pools.flatMap((pool) => [...pool.volumes.values()]);
  const isVisible = (wanted: ReplicationView['volumes'][number]): boolean => {
    const found = volumes.filter(({ name, universe }) => name === wanted.name && universe === wanted.universe);
    return found.length > 0 && found.every(({ clients }) => asker.mayAttach(clients));
  };
  return views.filter((one) => one.volumes.length > 0 && one.volumes.every(isVisible));
}
