// Hands the volumes of a source over: closes them for clients, and makes a last moment; opens them again when the other server will not take
// over. Invariants: the source closes only for the server that its own order names, and the last moment is made only when no client can write
// to any member. It stays closed, also over restarts, until it follows (followers/follower-verbs.ts), or the other server has given just this
// hand-over up, or an administrator decides. Rules: T9.

import type { PeerConfig } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { isPassing } from '../../volumes/volume-plan.ts';
import { printDuration } from '@rsio/base/lib/units';
import type { Asker } from '../../pools/asker.ts';
import { type Found, volumeText } from '../../pools/catalogue.ts';
import type { HandOverMark, Manifest } from '../../pools/disk/manifest.ts';
import { checkOneFile } from '../../pools/follower-rules.ts';
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
  check(id: string, asker: Asker): string {
    return this.peerOf(replicationTo(this.ports.verbs.catalogue, id, asker)).nodename;
  }

  private peerOf(replication: Replication): PeerConfig {
    const { order, members } = replication;
    const names = members.map(({ manifest }) => volumeText(manifest)).join(' ');
    if (order.reversible === undefined)
      throw new RsError(
        'E_RIGHTS',
        `The source does not allow that another server takes ${names} over: rsadm volume replicate ${names} --to ${order.to} --every ${printDuration(order.everyMs)} --keep ${order.keep} --reversible PEER there allows it`,
      );
    const peer = this.ports.peers().find(({ name }) => name === order.reversible);
    if (peer === undefined)
      throw new RsError(
        'E_USAGE',
        `The roles cannot be exchanged, because the server with the source needs a section [peer ${order.reversible}]: rsadm peer add ${order.reversible} there`,
      );
    if (this.ports.peerState(peer.name)?.isConnected !== true)
      throw new RsError(
        'E_UNREACHABLE',
        `The roles cannot be exchanged, because the server with the source is not connected to ${peer.name}: see rsadm peer list there`,
      );
    this.checkMembers(replication);
    return peer;
  }

  /**
   * Closes all members for clients. Throws E_HELD, naming the clients, if a client has one of them, and E_BUSY if they are closed for another
   * hand-over. A repeated request goes on with what the first one began.
   */
  async close(id: string, wanted: string, asker: Asker): Promise<void> {
    const replication = replicationTo(this.ports.verbs.catalogue, id, asker);
    const known = replication.members.flatMap(({ manifest }) => manifest.replication?.handOver ?? [])[0];
    if (known !== undefined && known.replication !== wanted)
      throw new RsError('E_USAGE', 'The source is closed for another hand-over, which its server gives up first');
    const { name, nodename } = this.peerOf(replication);
    const handOver: HandOverMark = known ?? { replication: wanted, server: name, node: nodename, group: null };
    const closed: Found[] = [];
    try {
      for (const member of replication.members) {
        if (member.manifest.replication?.handOver !== undefined) continue;
        closed.push(member);
        await this.mark(member, { ...handOver, group: null });
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
  async last(id: string, wanted: string, group: string, asker: Asker): Promise<void> {
    const replication = replicationTo(this.ports.verbs.catalogue, id, asker);
    const { home } = replication;
    const handOver = handOverOf(replication);
    // The hand-over may have been called off meanwhile, so that clients have written since the moment.
    if (handOver === null || handOver.replication !== wanted)
      throw new RsError('E_USAGE', 'The source is not closed for this hand-over any more');
    if (handOver.group !== null) return;
    const moments = momentsOf(replication);
    if (!moments.some((one) => one.group === group)) throw new RsError('E_UNKNOWN_SNAPSHOT', 'The last moment was removed');
    await this.write(home, withHandOver(home.manifest, { ...handOver, group: moments.at(-1)?.group ?? group }));
  }

  /** T9: opens the members again, because the copying server will never take over with this hand-over. Any other one stays as it is. */
  async release(id: string, granted: string, asker: Asker): Promise<void> {
    const { home, members } = replicationTo(this.ports.verbs.catalogue, id, asker);
    const closed = members.filter(({ manifest }) => manifest.replication?.handOver?.replication === granted);
    const isHome = ({ manifest }: Found): boolean => manifest.id === home.manifest.id;
    // The home is last, so that an interrupted request is repeated.
    await this.cancel([...closed.filter((one) => !isHome(one)), ...closed.filter(isHome)]);
  }

  /** Returns the group of the last moment; null if it is not made yet. */
  lastOf(id: string, asker: Asker): string | null {
    return handOverOf(replicationTo(this.ports.verbs.catalogue, id, asker))?.group ?? null;
  }

  /** Opens the members for clients again. */
  async cancel(members: readonly Found[]): Promise<void> {
    for (const member of members) await this.mark(member, null);
  }

  private checkMembers({ members, memberIds }: Replication): void {
    if (members.length < memberIds.length) throw poolAway();
    for (const member of members) {
      checkNoReplica(member.manifest, 'be handed over');
      checkOneFile(member.manifest, 'be handed over');
      this.checkUnheld(member);
    }
  }

  /** A moment that is being copied is no reason to refuse: the hand-over waits for it. */
  private checkUnheld(member: Found): void {
    try {
      this.ports.verbs.checkUnheld(member);
    } catch (thrown) {
      if (!isPassing(toRsError(thrown))) throw thrown;
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
