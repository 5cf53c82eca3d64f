// What a change makes on a server that joins a mirror, before the mirror knows of it: a volume and a record. Invariants: each step may be
// repeated; what was made is taken back only while no configuration may name it as a member.

import type { Clock } from '@rsio/common/lib/clock';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import type { VolumeEntry } from '@rsio/protocol/wire/messages';
import { found, makeVolume } from '../management/creation.ts';
import type { MirrorServer } from '../management/mirror-server.ts';
import { Made } from '../management/plan.ts';
import { isVoter, memberAt, type MirrorChange } from './change.ts';
import { clearServer } from './clearing.ts';
import { grant, mayBeMember } from './held-mirror.ts';

export interface NewVolume {
  /** Null: the server chooses. */
  readonly pool: string | null;
  /** Id of the request that makes the volume. */
  readonly request: string;
}

export class NewServer {
  readonly server: MirrorServer;
  private readonly change: MirrorChange;
  private readonly made = new Made();
  /** A volume that was a replica of this mirror before. It gets a new identity, and all data. */
  private readonly former: VolumeEntry | null;

  constructor(change: MirrorChange, server: MirrorServer) {
    this.change = change;
    this.server = server;
    this.former = server.volumes.find((one) => one.mirror === change.held.mirror) ?? null;
  }

  /** Name and universe of the replica's volume. */
  get volume(): { readonly volume: string; readonly universe: number } {
    const { name, universe } = this.former ?? this.change.survey;
    return { volume: name, universe };
  }

  async makeVolume({ pool, request }: NewVolume): Promise<void> {
    if (this.former !== null) return;
    const { survey, config, held } = this.change;
    const { name, universe } = survey;
    const { blockSizeBytes } = held;
    try {
      await makeVolume({ name, universe, sizeBytes: config.sizeBytes, blockSizeBytes, pool, request }, this.server, this.made);
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      if (code !== 'E_EXISTS') throw thrown;
      const remedy = `rsconfig volume remove ${this.change.label} --server ${this.server.name}`;
      throw new RsError(code, `${message} (${remedy} removes it, if a change of this mirror that was interrupted has made it)`);
    }
  }

  /** Makes the record of a voter. The mirror claims it when a configuration names it. */
  async found(): Promise<void> {
    const { change, server } = this;
    const { promise } = await found(change.survey, server, this.made);
    if (promise === null || promise.number <= change.term) return;
    throw new RsError(
      'E_HELD',
      `Server ${server.name}: client ${promise.node} has claimed the mirror there with the higher term ${promise.number}: on the server, rsadm witness remove ${change.survey.mirror} removes that record`,
    );
  }

  /** Removes what was made. Returns a sentence for each thing that is left. `staysVoter`: the former voters are not wished again. */
  async takeBack(staysVoter: boolean, clock: Pick<Clock, 'after'>, newId: () => string): Promise<string[]> {
    const { change, server, made } = this;
    const { name } = server;
    if (memberAt(change, server.serverid) !== null && !change.held.hasEnded && made.volumes.size === 0) return [];
    if (mayBeMember(change.held, server.serverid))
      return [
        `server ${name} may have become a member: rsconfig mirror list shows the members, and rsconfig mirror detach ${change.label} --server ${name} --volume removes it`,
      ];
    const unvoted = staysVoter ? null : await this.unvote(clock);
    if (unvoted !== null) return [`server ${name} may vote for the mirror now (${unvoted}): rsconfig mirror witness changes that`];
    // A former replica keeps what it had, so that the same command finds it again.
    if (this.former !== null) return [];
    const volume = made.volumes.get(server);
    const { volume: volumeName, universe } = this.volume;
    const record = made.records.has(server) && !isVoter(change, server.serverid) && !this.votesNow;
    const { warnings, left } = await clearServer(
      change,
      server.serverid,
      { record, volume: volume === 'made' ? { name: volumeName, universe } : null, volumeBecomes: 'deleted' },
      newId,
    );
    const unsure = `server ${name} may have created volume ${change.label}: rsconfig volume remove ${change.label} --server ${name} removes it`;
    const votes = this.votesNow && !isVoter(change, server.serverid) ? [`server ${name} votes for the mirror now`] : [];
    return [...warnings, ...left, ...(volume === 'unsure' ? [unsure] : []), ...votes];
  }

  private get votesNow(): boolean {
    const { change, server } = this;
    return change.held.view?.voterSets.some((set) => set.some(({ serverid }) => serverid === server.serverid)) ?? false;
  }

  /** Lets the former voters vote again. Returns why they may not. */
  private async unvote(clock: Pick<Clock, 'after'>): Promise<string | null> {
    const { change, server } = this;
    const { held } = change;
    if (!this.votesNow || isVoter(change, server.serverid)) return null;
    try {
      await grant(held, clock, { kind: 'voters', servers: change.config.voters.map(({ serverid }) => serverid) });
      return null;
    } catch (thrown) {
      return toRsError(thrown).message;
    }
  }
}
