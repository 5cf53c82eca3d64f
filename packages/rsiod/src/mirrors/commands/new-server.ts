// Prepares a server that is about to join a mirror: creates a record and, for a replica, a volume. Invariants: each step may be repeated. A
// failed command removes the volume and the record only if no configuration that was sent names the server as a member.

import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { VolumeEntry } from '@rsio/protocol/wire/messages';
import { grant, isVoter, mayBeMember, memberAt, type MirrorChange } from './change.ts';
import { clearServer } from './clearing.ts';
import { found, Made } from './creation.ts';
import type { MirrorServer } from './mirror-server.ts';
import type { Step } from './steps.ts';
import { makeVolume, type Replica, type ReplicaVolume } from './volumes.ts';

export type NewVolume = Pick<ReplicaVolume, 'pool' | 'request'>;

interface NewServerPorts {
  readonly clock: Pick<Clock, 'after'>;
  readonly newId: () => string;
}

export class NewServer {
  readonly server: MirrorServer;
  readonly change: MirrorChange;
  private readonly ports: NewServerPorts;
  private readonly made = new Made();
  /**
   * A volume of the server that is still marked as a replica of this mirror; null if the server has no such volume. The volume becomes a
   * replica again, with a new identity, and all data is copied to it.
   */
  private readonly former: VolumeEntry | null;

  constructor(change: MirrorChange, server: MirrorServer, ports: NewServerPorts) {
    this.change = change;
    this.server = server;
    this.ports = ports;
    this.former = server.volumes.find((one) => one.mirror === change.held.mirror) ?? null;
  }

  get volume(): { readonly volume: string; readonly universe: number } {
    const { name, universe } = this.former ?? this.change.survey;
    return { volume: name, universe };
  }

  private async makeVolume({ pool, request }: NewVolume): Promise<void> {
    if (this.former !== null) return;
    const { survey, config, blockSizeBytes } = this.change;
    const { name, universe } = survey;
    try {
      const wanted = { name, universe, sizeBytes: config.sizeBytes, blockSizeBytes, pool, request };
      await makeVolume(wanted, this.server, this.made.volumes, this.replica());
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      if (code !== 'E_EXISTS') throw thrown;
      const remedy = `rsconfig volume remove ${this.change.label} --server ${this.server.name}`;
      throw new RsError(code, `${message} (${remedy} removes it, if a change of this mirror that was interrupted has made it)`);
    }
  }

  /** Returns a replica whose server can be asked; null if there is none. */
  private replica(): Replica | null {
    const { config, namespace } = this.change;
    for (const { serverid, volume, universe } of config.members) {
      const server = namespace.servers.find((one) => one.serverid === serverid && one !== this.server && one.trouble === null);
      if (server !== undefined) return { server, volume: { name: volume, universe } };
    }
    return null;
  }

  /**
   * Creates the record without claiming it. The holder of the mirror claims its term at this server when a configuration names the server
   * as a voter.
   */
  private async found(): Promise<void> {
    const { change, server } = this;
    const { promise } = await found(change.survey, server, this.made);
    if (promise === null || promise.number <= change.term) return;
    throw new RsError(
      'E_HELD',
      `Server ${server.name}: client ${promise.node} has claimed the mirror there with the higher term ${promise.number}: on the server, rsadm witness remove ${change.survey.mirror} removes that record`,
    );
  }

  /**
   * Returns the steps that prepare the server. A single `undo` removes the volume and then the record. `volume`: the volume to create; null
   * if the server only votes.
   */
  steps(name: string, volume: NewVolume | null): Step[] {
    return [
      // The record comes first, so that a server that refuses to vote does so before it has a volume.
      { name, do: () => this.found(), undo: () => this.clear() },
      ...(volume === null ? [] : [{ name, do: () => this.makeVolume(volume) }]),
    ];
  }

  /**
   * Makes the former voters the voters again, unless a configuration may already name this server as a member. Returns a sentence if the
   * server may still vote.
   */
  async unvote(): Promise<string[]> {
    const { change, server, ports } = this;
    if (!this.votesNow || isVoter(change, server.serverid) || mayBeMember(change.held, server.serverid)) return [];
    try {
      await grant(change.held, ports.clock, { kind: 'voters', servers: change.config.voters.map(({ serverid }) => serverid) });
      return [];
    } catch (thrown) {
      return [`server ${server.name} may vote for the mirror now (${toRsError(thrown).message}): rsconfig mirror witness changes that`];
    }
  }

  /** Removes the volume and the record. Returns a sentence for each object that is left. */
  private async clear(): Promise<string[]> {
    const { change, server, made, ports } = this;
    const { name } = server;
    if (memberAt(change, server.serverid) !== null && !change.held.hasEnded && made.volumes.size === 0) return [];
    if (mayBeMember(change.held, server.serverid))
      return [
        `server ${name} may have become a member: rsconfig mirror list shows the members, and rsconfig mirror detach ${change.label} --server ${name} --volume removes it`,
      ];
    // A former replica keeps its mark and its record, so that a repeated command finds them.
    if (this.former !== null) return [];
    const volume = made.volumes.get(server);
    const { volume: volumeName, universe } = this.volume;
    const record = made.records.has(server) && !isVoter(change, server.serverid) && !this.votesNow;
    const { warnings, left } = await clearServer(
      change,
      server.serverid,
      { record, volume: volume === 'made' ? { name: volumeName, universe } : null, volumeBecomes: 'deleted' },
      ports.newId,
    );
    const unsure = `server ${name} may have created volume ${change.label}: rsconfig volume remove ${change.label} --server ${name} removes it`;
    const votes = this.votesNow && !isVoter(change, server.serverid) ? [`server ${name} votes for the mirror now`] : [];
    return [...warnings, ...left, ...(volume === 'unsure' ? [unsure] : []), ...votes];
  }

  private get votesNow(): boolean {
    const { change, server } = this;
    return change.held.view?.voterSets.some((set) => set.some(({ serverid }) => serverid === server.serverid)) ?? false;
  }
}
