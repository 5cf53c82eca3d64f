// The followers of this server, and the methods about them. followers.ts carries the replications out, and promotion.ts the promotions.
// Invariant: no step of a replication runs while its followers are promoted.

import { randomUUID } from 'node:crypto';
import type { HandlersOf } from '@rsio/common/control/control-server';
import { COPYING_METHODS, type FOLLOWER_METHODS } from '@rsio/api/rssrv/replication-methods';
import type { ManagedVolumeView } from '@rsio/api/views/views';
import { peerClientOf } from '@rsio/common/config/schema/peer-section';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { isName, NAME_ALLOWED, quoteText } from '@rsio/base/lib/units';
import type { Asker } from '../../pools/asker.ts';
import type { WishMark } from '../../pools/disk/manifest.ts';
import { checkOneFile, following } from '../../pools/follower-rules.ts';
import { findToChange, type Found, unknownVolume, type VolumeName, volumeText } from '../../pools/catalogue.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import type { Changes } from '../../pools/requests/requests.ts';
import { madeMs } from '../../pools/snapshots/snapshot-record.ts';
import type { SnapshotVerbs } from '../../snapshots/snapshot-verbs.ts';
import { HAND_OVER_CHECK_MS, REPLICATION_CALL_MS } from '../limits.ts';
import { checkedAnswer } from './follower-lane.ts';
import { FollowerVerbs } from './follower-verbs.ts';
import { Demotion, type DemotionPorts } from './demotion.ts';
import { Followers, type FollowersPorts } from './followers.ts';
import { earlierRelease, noAnswer, noSource } from './no-source.ts';
import { patiently } from './patiently.ts';
import { Promotion } from './promotion.ts';
import { TakeOver } from './take-over.ts';

export interface FollowerServicePorts
  extends Omit<FollowersPorts, 'verbs' | 'marked' | 'snapshots' | 'takeOver'>,
    Pick<DemotionPorts, 'differences'> {
  readonly verbs: PoolVerbs;
  readonly snapshots: SnapshotVerbs;
  /** Returns true if this server has a client with this name. */
  isClient(name: string): boolean;
}

/** The queue of changes, and the log of changes. */
type NotedChanges = Changes & { readonly by: string; note(verb: string, found: Found): void };

export class FollowerService {
  readonly followers: Followers;
  private readonly verbs: FollowerVerbs;
  private readonly promotion: Promotion;
  private readonly demotion: Demotion;
  private readonly ports: FollowerServicePorts;

  constructor(ports: FollowerServicePorts) {
    const { verbs, snapshots } = ports;
    this.ports = ports;
    this.promotion = new Promotion(verbs, snapshots);
    const marked = (): readonly Found[] =>
      verbs.pools.states.flatMap((pool) =>
        [...pool.volumes.values()].flatMap((manifest) => (manifest.follower === undefined ? [] : { pool, manifest })),
      );
    this.verbs = new FollowerVerbs(verbs);
    const takeOver = new TakeOver(verbs, this.verbs, this.promotion);
    this.followers = new Followers({
      ...ports,
      verbs: this.verbs,
      snapshots,
      marked,
      takeOver: (order, handOver) => takeOver.run(order, handOver),
    });
    this.demotion = new Demotion({ ...ports, ordersOf: (peer) => this.followers.ordersOf(peer) });
  }

  handlers(changes: NotedChanges, viewOf: (found: Found) => Promise<ManagedVolumeView>, asker: Asker): HandlersOf<typeof FOLLOWER_METHODS> {
    const { promotion, followers } = this;
    const noted = async (verb: string | null, found: readonly Found[]): Promise<ManagedVolumeView[]> => {
      const views: ManagedVolumeView[] = [];
      for (const one of found) {
        if (verb !== null) changes.note(verb, one);
        views.push(await viewOf(one));
      }
      return views;
    };
    return {
      'volume-promote': async ({ volumes, from, request }) => {
        const { replication } = promotion.wholeGroup(volumes, asker);
        const what = `volumes ${volumes.map(volumeText).join(', ')}, which are being promoted by ${changes.by}`;
        // A step of the replication may wait for its turn in the queue of changes. The replication is therefore stopped before.
        const made = await followers.whileQuiet(replication, () =>
          changes.run(() => promotion.promote(volumes, asker, request, undefined, from), what),
        );
        // A moment of a clock that was ahead has no age that is known.
        const ageMs = Math.max(0, this.ports.clock.wallMs() - made.momentMs);
        return { volumes: await noted('promoted', made.volumes), momentMs: made.momentMs, ageMs };
      },
      'volume-reverse': async ({ volumes, client, reversible, cancel }) => ({
        replication: cancel
          ? await this.cancel(volumes, changes, asker)
          : await this.reverse(volumes, { client, reversible }, changes, asker),
      }),
      'volume-demote': async ({ volumes, peer, checkOnly }) => {
        const { demotion } = this;
        // A volume must not follow an order that the peer has ended since the last poll.
        await followers.refresh(peer);
        const planned = demotion.plan(volumes, peer, asker);
        const lostBytes = await demotion.lostBytes(planned);
        const base = planned.pairs.find((one) => one.base !== null)?.base ?? null;
        const momentMs = base === null ? null : madeMs(base);
        if (checkOnly)
          return {
            volumes: await noted(
              null,
              planned.pairs.map(({ found }) => found),
            ),
            kept: null,
            lostBytes,
            momentMs,
          };
        const what = `volumes ${volumes.map(volumeText).join(', ')}, which are being demoted by ${changes.by}`;
        // The peer may have asked for a last moment before it was promoted, which is being made now.
        const kept = await patiently(this.ports.clock, () => changes.run(() => demotion.demote(volumes, peer, asker), what));
        followers.soon();
        const now = planned.pairs.map(({ found }) => this.now(found));
        return { volumes: await noted(`demoted; its content before is ${kept}`, now), kept, lostBytes, momentMs };
      },
      'volume-seed': async ({ volume, from }) => {
        const find = (name: VolumeName): Found => findToChange(this.ports.verbs.catalogue, name, asker, 'seed followers');
        const [found, seed] = [find(volume), find(from)];
        // A command that is refused does not interrupt the replication.
        this.verbs.checkSeed(found, seed);
        const replication = found.manifest.follower?.replication ?? '';
        const what = `volume ${volumeText(volume)}, which gets the content of ${volumeText(from)} by ${changes.by}`;
        const seeded = (): Promise<void> => changes.run(() => this.verbs.seed(this.still(found), this.still(seed)), what);
        await followers.whileQuiet(replication, seeded);
        followers.soon();
        return { volume: (await noted(`seeded with ${volumeText(from)}`, [this.now(found)]))[0]! };
      },
      'volume-drill': async ({ volumes, suffix, request }) => {
        if (!isName(`x${suffix}`)) throw new RsError('E_USAGE', `Wrong suffix ${quoteText(suffix)}: in a name, allowed is ${NAME_ALLOWED}`);
        const what = `clones of ${volumes.map(volumeText).join(', ')} for a drill, which are being made by ${changes.by}`;
        const made = await changes.run((turn) => promotion.drill(volumes, suffix, asker, request, turn), what);
        return { volumes: await noted('cloned for a drill', made.volumes), momentMs: made.momentMs };
      },
    };
  }

  /**
   * Records that the followers are to become the source, and asks the source to close. The lane of the replication does the rest, and asks
   * again if no answer came. Returns the id of the replication.
   */
  private async reverse(
    volumes: readonly VolumeName[],
    { client, reversible }: { readonly client: string | null; readonly reversible: string | null },
    changes: NotedChanges,
    asker: Asker,
  ): Promise<string> {
    const { promotion, followers, ports } = this;
    asker.needs('manage', 'exchange the roles of servers');
    const { all, replication, isIncomplete } = promotion.wholeGroup(volumes, asker);
    const manifests = all.map(({ manifest }) => manifest);
    for (const manifest of manifests) checkOneFile(manifest, 'become the source');
    const peer = followers.peerOf(replication);
    if (peer === null || ports.peers.state(peer)?.isConnected !== true || manifests.some((one) => following(one) === null))
      throw noSource(manifests, peer, (name) => ports.peers.state(name)?.isConnected === true);
    if (isIncomplete)
      throw new RsError('E_BUSY', 'The source has more volumes than there are followers: wait for the others (volume replications)');
    if (reversible !== null && reversible !== peer)
      throw new RsError(
        'E_USAGE',
        `The source is at server ${peer}, and not at ${reversible}: --reversible ${peer} lets it take the volumes back`,
      );
    const ofPeer = peerClientOf(peer);
    // The source says below as which client it connects.
    const node = client ?? (!ports.isClient(peer) && ports.isClient(ofPeer) ? ofPeer : peer);
    if (!ports.isClient(node))
      throw new RsError(
        'E_USAGE',
        `Server ${peer} would have no followers, because this server has no client ${node}: rsadm client add ${node} adds it, or --client names it`,
      );
    const known = manifests[0]?.follower?.wanted?.replication;
    // The lane may have given up what only some followers want, and such an id is never used again.
    const isKnown = manifests.every(({ follower }) => follower?.wanted?.replication === known);
    const wanted = (isKnown ? known : undefined) ?? randomUUID({ disableEntropyCache: true });
    const grant = async (checkOnly: boolean): Promise<string> => {
      const withinMs = checkOnly ? HAND_OVER_CHECK_MS : REPLICATION_CALL_MS;
      const answer = await ports.peers
        .call(peer, 'replication-grant', { replication, wanted, checkOnly }, withinMs)
        .catch((thrown: unknown) => {
          throw noAnswer(manifests, peer, checkOnly, earlierRelease(peer, thrown));
        });
      return checkedAnswer(peer, 'replication-grant', COPYING_METHODS['replication-grant'].result, answer).node;
    };
    const itself = await grant(true);
    if (itself !== node)
      throw new RsError(
        'E_USAGE',
        `Server ${peer} connects to this server as client ${itself}, and not as ${node}: give --client ${itself} if it is to get the volumes`,
      );
    const what = `volumes ${volumes.map(volumeText).join(', ')}, which are to become the source by ${changes.by}`;
    const want = (wish: WishMark | null): Promise<void> => changes.run(() => this.verbs.want(replication, wish), what);
    let isRecorded = false;
    try {
      await want({ replication: wanted, node, reversible: reversible !== null });
      isRecorded = true;
      await grant(false);
    } catch (thrown) {
      // A source that has refused has not closed. Without an answer, it may have, and the lane asks again. A wish of some followers alone
      // is none.
      if (!isRecorded || toRsError(thrown).context['isOutcomeUnknown'] !== true) await want(null).catch(() => undefined);
      throw thrown;
    }
    followers.soon();
    return replication;
  }

  /** Gives a hand-over up. The lane then lets the source open again. */
  private async cancel(volumes: readonly VolumeName[], changes: NotedChanges, asker: Asker): Promise<string> {
    asker.needs('manage', 'exchange the roles of servers');
    const { all, replication } = this.promotion.wholeGroup(volumes, asker);
    const promoted = all.find(({ manifest }) => following(manifest) === null);
    if (promoted !== undefined)
      throw new RsError('E_USAGE', `Volume ${volumeText(promoted.manifest)} is the source already: volume replications shows both servers`);
    if (all.every(({ manifest }) => manifest.follower?.wanted === undefined))
      throw new RsError('E_USAGE', `No hand-over of ${all.map(({ manifest }) => volumeText(manifest)).join(', ')} is wanted`);
    await changes.run(() => this.verbs.want(replication, null), `a hand-over that ${changes.by} gives up`);
    this.followers.soon();
    return replication;
  }

  /** As `now`. Throws E_UNKNOWN_VOLUME if the volume was removed, or has left its pool. */
  private still(found: Found): Found {
    const now = this.now(found);
    if (now.pool.volumes.has(found.manifest.id)) return now;
    throw unknownVolume(found.manifest);
  }

  private now(found: Found): Found {
    const pool = this.ports.verbs.pools.states.find(({ name }) => name === found.pool.name) ?? found.pool;
    return { pool, manifest: pool.volumes.get(found.manifest.id) ?? found.manifest };
  }
}
