// The replications of this server in both directions: its orders to clients that copy, and its followers of volumes of peers. Invariant: the
// methods of both directions see the same volumes and the same configuration in force.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { HandlersOf } from '@rsio/common/control/control-server';
import type { PEER_METHODS } from '@rsio/api/rssrv/peer-methods';
import type { COPYING_METHODS, FOLLOWER_METHODS, SOURCE_METHODS } from '@rsio/api/rssrv/replication-methods';
import type { ManagedVolumeView, ReplicationView } from '@rsio/api/views/views';
import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import type { Triggers } from '@rsio/common/triggers/triggers';
import type { Asker } from '../pools/asker.ts';
import type { Found, PoolState } from '../pools/catalogue.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import type { Changes } from '../pools/requests/requests.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import type { ServedSnapshots } from '../snapshots/reads/served-snapshots.ts';
import type { SnapshotAnswers } from '../snapshots/reads/snapshot-answers.ts';
import type { SnapshotVerbs } from '../snapshots/snapshot-verbs.ts';
import { FollowerService } from './followers/follower-service.ts';
import type { Followers } from './followers/followers.ts';
import { peerHandlers } from './peer-handlers.ts';
import type { Peers } from './peers/peers.ts';
import { peersHere } from './peers/peers-here.ts';
import { copyingHandlers, replicationHandlers, type ReplicationPorts, replicationViews } from './replication-handlers.ts';
import { HandOver } from './sources/hand-over.ts';
import { SourceVerbs } from './sources/source-verbs.ts';
import { SourceReports } from './sources/source-views.ts';

/** What the server has for replications. */
export interface ReplicatingServer {
  readonly clock: Clock;
  readonly log: Log;
  readonly peers: Peers;
  readonly readers: Pick<ServedSnapshots, 'readerCount'>;
  readonly changes: { runOwn<T>(work: () => Promise<T>, what: string): Promise<T> };
  readonly differences: Pick<SnapshotAnswers, 'difference'>;
  config(): Pick<RssrvConfig, 'clients' | 'peers'>;
}

/** The queue of changes, and the log of changes. */
type NotedChanges = Changes & { readonly by: string; note(verb: string, found: Found): void };
type Methods = typeof SOURCE_METHODS & typeof COPYING_METHODS & typeof FOLLOWER_METHODS & typeof PEER_METHODS;

export class Replications {
  private readonly server: ReplicatingServer;
  private readonly service: FollowerService;
  private readonly ports: ReplicationPorts;

  constructor(server: ReplicatingServer, verbs: PoolVerbs, snapshots: SnapshotVerbs, triggers: Pick<Triggers, 'around'>) {
    const { clock, log, peers, readers, changes } = server;
    this.server = server;
    const isClient = (name: string): boolean => server.config().clients.some((client) => client.name === name);
    this.service = new FollowerService({
      clock,
      log,
      peers,
      verbs,
      snapshots,
      isClient,
      differences: server.differences,
      configured: () => peersHere(server.config().peers, verbs.pools.states),
      isRead: (id) => readers.readerCount(id) > 0,
      change: (work, what) => changes.runOwn(work, what),
    });
    const handOver = new HandOver({ verbs, peers: () => server.config().peers, peerState: (name) => peers.state(name) });
    this.ports = {
      clock,
      isClient,
      triggers,
      handOver,
      followers: this.followers,
      reports: new SourceReports(clock),
      catalogue: () => verbs.catalogue,
      sources: new SourceVerbs({ verbs, snapshots, log, isClient, opened: (members) => handOver.cancel(members) }),
    };
  }

  get followers(): Followers {
    return this.service.followers;
  }

  views(): readonly ReplicationView[] {
    return replicationViews(this.ports);
  }

  /** `viewOf`: returns the view of a volume. */
  handlers(
    changes: NotedChanges,
    viewOf: (pool: PoolState, manifest: Manifest) => Promise<ManagedVolumeView>,
    asker: Asker,
  ): HandlersOf<Methods> {
    const { peers } = this.server;
    return {
      ...replicationHandlers(this.ports, changes, asker),
      ...copyingHandlers(this.ports, changes, asker),
      ...this.service.handlers(changes, ({ pool, manifest }) => viewOf(pool, manifest), asker),
      ...peerHandlers(peers, this.server.config().peers, this.ports.catalogue().pools),
    };
  }
}
