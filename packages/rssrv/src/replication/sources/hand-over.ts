// Exchanges the roles of two servers at the source: closes the volumes for clients, makes a last moment, and makes the volumes followers when
// the other server has promoted its own. Invariants: the last moment is made only when no client can write to any member. The volumes become
// followers only when the other server has taken them over. Until then, they stay closed, after a restart as well. Rules: T9.

import type { PeerConfig } from '@rsio/common/config/schema/types';
import type { ReversedVolume } from '@rsio/common/control/server/replication-methods';
import { RsError } from '@rsio/common/lib/errors';
import type { Asker } from '../../pools/asker.ts';
import { type Found, volumeText } from '../../pools/catalogue.ts';
import { isUuid } from '../../pools/disk/ids.ts';
import type { HandOverMark, Manifest } from '../../pools/disk/manifest.ts';
import { checkNoReplica } from '../../pools/replica-rules.ts';
import { POOL_CHANGE_MS } from '../../pools/limits.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import { handOverOf, type Replication } from '../../pools/source-marks.ts';
import { momentsOf } from '../../pools/source-moments.ts';
import type { PeerState } from '../peers/peers.ts';
import { replicationTo } from './source-orders.ts';

export interface HandOverPorts {
  readonly verbs: PoolVerbs;
  /** The peers of the configuration in force. */
  peers(): readonly PeerConfig[];
  peerState(name: string): PeerState | null;
}

export class HandOver {
  private readonly ports: HandOverPorts;

  constructor(ports: HandOverPorts) {
    this.ports = ports;
  }

  /** Returns the name of this server as a client of the other one. Throws if the roles cannot be exchanged now. */
  check(id: string, server: string, asker: Asker): string {
    const replication = replicationTo(this.ports.verbs.catalogue, id, asker);
    const peer = this.ports.peers().find(({ name }) => name === server);
    const remedy = `the server with the source needs a section [peer ${server}]: rsadm peer add ${server} there`;
    if (peer === undefined) throw new RsError('E_USAGE', `The roles cannot be exchanged, because ${remedy}`);
    if (this.ports.peerState(server)?.isConnected !== true)
      throw new RsError(
        'E_UNREACHABLE',
        `The roles cannot be exchanged, because the server with the source is not connected to ${server}: see rsadm peer list there`,
      );
    this.checkMembers(replication);
    return peer.nodename;
  }

  /** Closes all members for clients. Throws E_HELD, naming the clients, if a client has one of them. */
  async close(id: string, server: string, reverse: string, asker: Asker): Promise<void> {
    const node = this.check(id, server, asker);
    if (!isUuid(reverse)) throw new RsError('E_USAGE', 'The id of the replication in the other direction is a UUID');
    const replication = replicationTo(this.ports.verbs.catalogue, id, asker);
    const known = replication.home.manifest.replication?.handOver;
    // A repeated request continues what the first one began, with the id of that one.
    const handOver: HandOverMark = known ?? { replication: reverse, server, node, group: null };
    const closed: Found[] = [];
    try {
      for (const member of replication.members) {
        if (member.manifest.replication?.handOver !== undefined) continue;
        closed.push(member);
        await this.mark(member, handOver);
      }
    } catch (thrown) {
      for (const member of closed) await this.mark(member, null).catch(() => undefined);
      throw thrown;
    }
  }

  /**
   * Records the last moment. `group`: a moment that was made after `close`. The copying server asks for moments meanwhile, and copies only
   * the newest one, which has the same content.
   */
  async last(id: string, group: string, asker: Asker): Promise<void> {
    const replication = replicationTo(this.ports.verbs.catalogue, id, asker);
    const { home } = replication;
    const handOver = home.manifest.replication?.handOver;
    if (handOver === undefined || handOver.group === group) return;
    const moments = momentsOf(replication);
    if (!moments.some((one) => one.group === group)) throw new RsError('E_UNKNOWN_SNAPSHOT', 'The last moment was removed');
    await this.write(home, withHandOver(home.manifest, { ...handOver, group: moments.at(-1)?.group ?? group }));
  }

  /** Returns the group of the last moment; null if it is not made yet. */
  lastOf(id: string, asker: Asker): string | null {
    return handOverOf(replicationTo(this.ports.verbs.catalogue, id, asker))?.group ?? null;
  }

  /**
   * Makes the members followers of the volumes of the other server. The home, whose manifest has the order, changes last, so that a repeated
   * request goes on after an interruption.
   */
  async done(id: string, volumes: readonly ReversedVolume[], asker: Asker): Promise<void> {
    const replication = replicationTo(this.ports.verbs.catalogue, id, asker);
    const handOver = handOverOf(replication);
    if (handOver === null || handOver.group === null)
      throw new RsError('E_USAGE', 'The volumes are not being handed over: volume reverse begins that');
    if (this.missingMembers(replication, handOver).length > 0) throw poolAway();
    const [home, ...others] = replication.members;
    const members = volumes.map((one) => one.id);
    for (const member of [...others, home!]) {
      const { manifest } = member;
      const source = volumes.find(({ sourceId }) => sourceId === manifest.id);
      if (source === undefined || !isUuid(source.id))
        throw new RsError('E_USAGE', `The answer lacks the volume that volume ${volumeText(manifest)} is to follow`);
      const { replication: _order, ...own } = manifest;
      const place = { sourceId: source.id, sourceName: source.name, sourceUniverse: source.universe };
      const follower = {
        replication: handOver.replication,
        peer: handOver.server,
        ...place,
        members,
        base: handOver.group,
        promoted: null,
      };
      await this.write(member, { ...own, follower });
    }
  }

  /** Opens the members for clients again. */
  async cancel(members: readonly Found[]): Promise<void> {
    for (const member of members) await this.mark(member, null);
  }

  /** Returns the ids of the members that are neither in open pools nor followers already. */
  private missingMembers({ members, memberIds }: Replication, handOver: HandOverMark): readonly string[] {
    const there = new Set<string>(members.map(({ manifest }) => manifest.id));
    for (const { volumes } of this.ports.verbs.pools.states)
      for (const { id, follower } of volumes.values()) if (follower?.replication === handOver.replication) there.add(id);
    return memberIds.filter((id) => !there.has(id));
  }

  private checkMembers({ members, memberIds }: Replication): void {
    if (members.length < memberIds.length) throw poolAway();
    for (const member of members) {
      checkNoReplica(member.manifest, 'be handed over');
      this.ports.verbs.checkUnheld(member);
    }
  }

  private async mark(member: Found, handOver: HandOverMark | null): Promise<void> {
    const now = this.ports.verbs.pools.states.find(({ name }) => name === member.pool.name)?.volumes.get(member.manifest.id);
    if (now === undefined) return;
    await this.ports.verbs.whileUnserved({ pool: member.pool, manifest: now }, () => this.store(member, withHandOver(now, handOver)));
  }

  /** Writes the manifest of a volume that no client has open, and serves it. */
  private async write(member: Found, manifest: Manifest): Promise<void> {
    await this.ports.verbs.whileUnserved(member, () => this.store(member, manifest));
  }

  private async store({ pool }: Found, manifest: Manifest): Promise<void> {
    await this.ports.verbs.onDisk(pool, POOL_CHANGE_MS, (files) => files.replaceManifest(manifest));
    this.ports.verbs.pools.put(pool.name, manifest);
  }
}

function poolAway(): RsError {
  return new RsError('E_BUSY', 'A pool with a volume of the replication is not open at its source');
}

function withHandOver(manifest: Manifest, handOver: HandOverMark | null): Manifest {
  const { replication } = manifest;
  if (replication === undefined) return manifest;
  const { handOver: _before, ...mark } = replication;
  return { ...manifest, replication: handOver === null ? mark : { ...mark, handOver } };
}
