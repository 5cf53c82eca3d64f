// The commands that change the replicas and voters of an attached mirror, under I/O: add, detach, replace and witness. The mirror's own
// decider sends the configurations. This file creates the new volumes and records on servers before the change, and removes the old ones
// after the change. Then replication-orders.ts gives a new server its orders. Invariants: a mirror has one change at a time. If a step
// fails, the error names the step, and the results of the step are removed or named. A configuration that was sent counts as possibly in
// force.

import type { ChangedMirror } from '@rsio/api/views/mirror-views';
import type { ControlMethods } from '@rsio/api/rsiod/methods';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import {
  type ChangedAttachment,
  changeOf,
  grant,
  type HeldMirror,
  isVoter,
  memberAt,
  type MirrorChange,
  nameOf,
  serveridOf,
  votersFor,
  witnessesOf,
} from './change.ts';
import { type Cleared, clearRemains, clearServer } from './clearing.ts';
import { type ConversionPorts, convertVolume } from './conversion.ts';
import { MIRROR_REPLICAS_MAX } from '../limits.ts';
import type { MirrorManagement } from './management.ts';
import { type MirrorNamespace, serverNamed } from './namespaces.ts';
import { NewServer, type NewVolume } from './new-server.ts';
import { leftoverText, type Remains, remainsAt } from './remains.ts';
import { orderAt } from './replication-orders.ts';
import { runSteps, type Step } from './steps.ts';
import { findMirrors, type NamedMirror, unknownMirror } from './survey.ts';

type Methods = Pick<ControlMethods, 'mirror-add' | 'mirror-detach' | 'mirror-replace' | 'mirror-witness'>;

export interface MirrorChangesPorts extends ConversionPorts {
  readonly clock: Pick<Clock, 'after'>;
  readonly management: MirrorManagement;
  /** Returns null if the mirror is not attached on this machine. */
  mirrorAt(label: string): ChangedAttachment | null;
}

type Outcome = Omit<ChangedMirror, 'mirror'>;

export class MirrorChanges {
  private readonly ports: MirrorChangesPorts;

  constructor(ports: MirrorChangesPorts) {
    this.ports = ports;
  }

  async add(params: Methods['mirror-add']['params']): Promise<ChangedMirror> {
    const { management, newId } = this.ports;
    const isMirror = (await findMirrors(management.chosen(params.namespace), params)).length > 0;
    if (!isMirror) return await convertVolume(this.ports, params);
    const volume = { pool: params.pool, request: params.request ?? newId() };
    return await this.change(params, (change) => this.addReplica(change, params.server, volume));
  }

  async detach(params: Methods['mirror-detach']['params']): Promise<ChangedMirror> {
    return await this.change(params, (change) => this.removeReplica(change, params.server, params.volume));
  }

  /** `mayGo`: throws if the old replica must not be removed after all. It is called when the new server is ready. */
  async replace(params: Methods['mirror-replace']['params'], mayGo: () => void = () => undefined): Promise<ChangedMirror> {
    const volume = { pool: params.pool, request: params.request ?? this.ports.newId() };
    return await this.change(params, (change) => this.replaceServer(change, params.server, { name: params.with, volume, mayGo }));
  }

  async witness(params: Methods['mirror-witness']['params']): Promise<ChangedMirror> {
    return await this.change(params, (change) => this.changeWitness(change, params.witness));
  }

  private async change(
    named: NamedMirror & { readonly namespace: string | null },
    work: (change: MirrorChange) => Promise<Outcome>,
  ): Promise<ChangedMirror> {
    const { management, log } = this.ports;
    const find = async (): Promise<MirrorChange> => {
      const namespaces = management.chosen(named.namespace);
      const found = await findMirrors(namespaces, named);
      if (found.length === 0) throw noMirror(named, namespaces);
      return changeOf(found, (label) => this.ports.mirrorAt(label));
    };
    const { label } = await find();
    return await management.change(label, async () => {
      // Another command may have changed the mirror since the first `find`.
      const change = await find();
      const { warnings, left } = await work(change);
      for (const sentence of left) log.warn(`Mirror ${label} was changed, and left behind: ${sentence}`);
      const { mirrors } = await management.list({ namespace: change.namespace.name });
      const mirror = mirrors.find((one) => one.mirror === change.held.mirror);
      if (mirror === undefined) throw new RsError('E_NO_PATH', `Mirror ${label} was changed, and its servers do not answer now`);
      return { mirror, warnings, left };
    });
  }

  private async addReplica(change: MirrorChange, name: string, volume: NewVolume): Promise<Outcome> {
    const { label, config } = change;
    const server = serverNamed(change.namespace, name);
    const { serverid } = server;
    if (memberAt(change, serverid) !== null) throw new RsError('E_EXISTS', `Server ${name} has a replica of mirror ${label} already`);
    if (config.members.length >= MIRROR_REPLICAS_MAX)
      throw new RsError('E_LIMIT', `Mirror ${label} has ${config.members.length} replicas, the most that commands give it`);
    const replicas = [...config.members.map((one) => one.serverid), serverid];
    const voters = votersFor(replicas, witnessesOf(change));
    const joins = new NewServer(change, server, this.ports);
    const failed = `No replica on server ${name} was added to mirror ${label}`;
    await this.join(joins, [
      ...joins.steps(failed, volume),
      { name: failed, do: () => this.vote(change, voters), undo: () => joins.unvote() },
      { name: failed, do: () => this.wish(change, { kind: 'add', server: serverid, ...joins.volume }) },
    ]);
    this.ports.log.info(`Mirror ${label} has a replica on server ${name}, which is being copied`);
    const ordered = await orderAt(joins, this.ports.newId);
    return merged(ordered, await this.dismissOthers(change, voters), warningsOf(change, voters));
  }

  private async removeReplica(change: MirrorChange, name: string, removesVolume: boolean): Promise<Outcome> {
    const { label, config, held } = change;
    const serverid = serveridOf(change, name);
    const member = memberAt(change, serverid);
    const volumeBecomes = removesVolume ? 'removed' : 'aside';
    if (member === null) return await this.removeRemains(change, serverid, volumeBecomes);
    checkLast(change, member.identity, name);
    const left = config.members.filter((one) => one !== member).map((one) => one.serverid);
    const voters = votersFor(left, [...witnessesOf(change), serverid]);
    await runSteps([
      {
        name: `The replica on server ${name} was not removed from mirror ${label}`,
        do: () => this.wish(change, { kind: 'remove', identity: member.identity }),
      },
      {
        name: `Mirror ${label} has no replica on server ${name} any more, and its voters were not changed`,
        do: () => this.vote(change, voters),
      },
    ]);
    this.ports.log.info(`Mirror ${label} (${held.mirror}) has no replica on server ${name} any more`);
    const volume = { name: member.volume, universe: member.universe };
    const cleared = await clearServer(change, serverid, { record: !voters.includes(serverid), volume, volumeBecomes }, this.ports.newId);
    return merged(cleared, stillVotes(change, serverid, voters), warningsOf(change, voters));
  }

  /** Removes the record and the former volume that an interrupted command has left on a server without a replica. */
  private async removeRemains(change: MirrorChange, serverid: number, volumeBecomes: 'aside' | 'removed'): Promise<Outcome> {
    const { label, config } = change;
    const name = nameOf(change, serverid);
    const remains = await remainsAt(change, serverid);
    if (remains.silence !== null)
      throw new RsError(
        'E_NO_PATH',
        `Server ${name} does not answer (${remains.silence.message}), so that it is unknown what it has of mirror ${label}: repeat the command when it answers`,
      );
    const voters = votersAfter(change, serverid);
    const losesVote = voters.length !== config.voters.length;
    if (!losesVote) checkRemains(change, serverid, remains);
    else await this.changeVoters(change, voters);
    const wanted = { record: !voters.includes(serverid), volumeBecomes } as const;
    const cleared = await clearRemains(change, serverid, remains, wanted, this.ports.newId);
    this.ports.log.info(`What was left of mirror ${label} on server ${name} was removed, or is named`);
    return merged(cleared, stillVotes(change, serverid, voters), warningsOf(change, voters));
  }

  private async replaceServer(
    change: MirrorChange,
    old: string,
    { name, volume, mayGo }: { readonly name: string; readonly volume: NewVolume; readonly mayGo: () => void },
  ): Promise<Outcome> {
    const { label, config } = change;
    const oldId = serveridOf(change, old);
    const server = serverNamed(change.namespace, name);
    const { serverid } = server;
    const member = memberAt(change, oldId);
    if (member === null && !isVoter(change, oldId)) {
      const left = leftoverText(change, oldId, await remainsAt(change, oldId));
      const first = left === null ? '' : `${left}, which rsconfig mirror detach ${label} --server ${old} removes, and `;
      throw new RsError(
        'E_USAGE',
        `Server ${old} has no replica of mirror ${label}: ${first}rsconfig mirror add ${label} --server ${name} adds the other one`,
      );
    }
    if (serverid !== oldId && memberAt(change, serverid) !== null)
      throw new RsError('E_EXISTS', `Server ${name} has a replica of mirror ${label} already`);
    if (member === null && config.members.length >= MIRROR_REPLICAS_MAX)
      throw new RsError('E_LIMIT', `Mirror ${label} has ${config.members.length} replicas, the most that commands give it`);
    if (member !== null) checkLast(change, member.identity, old);
    const others = config.members.filter((one) => one !== member).map((one) => one.serverid);
    const voters = votersFor(
      [...others, serverid],
      witnessesOf(change).filter((one) => one !== oldId),
    );
    const joins = new NewServer(change, server, this.ports);
    const failed = `Server ${old} was not replaced by ${name} in mirror ${label}`;
    await this.join(joins, [
      ...joins.steps(failed, volume),
      {
        name: failed,
        do: async () => {
          mayGo();
          if (member !== null) await this.wish(change, { kind: 'remove', identity: member.identity });
        },
      },
      // This step has no `undo`, because the replaced server is not made a voter again.
      { name: `${failed}, which has no replica on ${old} any more; the same command goes on`, do: () => this.vote(change, voters) },
      {
        name: `${failed}, to which ${old} does not belong any more; rsconfig mirror add ${label} --server ${name} goes on`,
        do: () => this.wish(change, { kind: 'add', server: serverid, ...joins.volume }),
      },
    ]);
    this.ports.log.info(`Server ${name} has replaced ${old} in mirror ${label}, and its replica is being copied`);
    const ordered = await orderAt(joins, this.ports.newId);
    const dismissed = await this.dismissOthers(change, [...voters, oldId]);
    const cleared = serverid === oldId ? merged() : await this.clearReplaced(change, oldId);
    return merged(ordered, dismissed, cleared, warningsOf(change, voters));
  }

  private async clearReplaced(change: MirrorChange, serverid: number): Promise<Cleared> {
    const wanted = { record: true, volumeBecomes: 'aside' } as const;
    const member = memberAt(change, serverid);
    if (member === null) return await clearRemains(change, serverid, await remainsAt(change, serverid), wanted, this.ports.newId);
    const volume = { name: member.volume, universe: member.universe };
    return await clearServer(change, serverid, { ...wanted, volume }, this.ports.newId);
  }

  private async changeWitness(change: MirrorChange, witness: string | null): Promise<Outcome> {
    const { label, config } = change;
    const members = config.members.map((one) => one.serverid);
    if (witness === null) return await this.onlyVoters(change, members);
    const server = serverNamed(change.namespace, witness);
    if (members.includes(server.serverid))
      throw new RsError('E_USAGE', `Server ${witness} has a replica of mirror ${label}, so that it votes already: name another server`);
    if (members.length !== 2)
      throw new RsError(
        'E_USAGE',
        `Mirror ${label} has ${members.length} replica${members.length === 1 ? '' : 's'}: only a mirror with two of them needs a witness`,
      );
    const joins = new NewServer(change, server, this.ports);
    const voters = votersFor(members, [server.serverid]);
    const failed = `Server ${witness} does not vote for mirror ${label}`;
    await this.join(joins, [
      ...joins.steps(failed, null),
      { name: failed, do: () => this.vote(change, voters), undo: () => joins.unvote() },
    ]);
    return await this.dismissOthers(change, voters);
  }

  private async onlyVoters(change: MirrorChange, voters: readonly number[]): Promise<Outcome> {
    await this.changeVoters(change, voters);
    return merged(await this.dismissOthers(change, voters), warningsOf(change, voters));
  }

  private async wish({ held }: MirrorChange, wish: Parameters<HeldMirror['wish']>[0]): Promise<void> {
    await grant(held, this.ports.clock, wish);
  }

  /**
   * Changes the voters to the given servers. Setting the same servers again can be a change, because a server that has lost its record
   * becomes a new voter.
   */
  private async vote(change: MirrorChange, servers: readonly number[]): Promise<void> {
    await this.wish(change, { kind: 'voters', servers });
  }

  private async dismissOthers(change: MirrorChange, voters: readonly number[]): Promise<Outcome> {
    const gone = change.config.voters.map(({ serverid }) => serverid).filter((one) => !voters.includes(one));
    const cleared: Cleared[] = [];
    for (const serverid of gone)
      cleared.push(await clearServer(change, serverid, { record: true, volume: null, volumeBecomes: 'aside' }, this.ports.newId));
    return merged(...cleared);
  }

  private async changeVoters(change: MirrorChange, voters: readonly number[]): Promise<void> {
    await runSteps([{ name: `The voters of mirror ${change.label} were not changed`, do: () => this.vote(change, voters) }]);
  }

  /** Executes the steps for a server that joins a mirror. If a step fails, the error names what is left on the server. */
  private async join({ server, change }: NewServer, steps: readonly Step[]): Promise<void> {
    await runSteps(steps, (left) => {
      for (const sentence of left) this.ports.log.warn(`Left behind of a change of mirror ${change.label}: ${sentence}`);
      return left.length === 0 ? `nothing is left on server ${server.name}` : `left behind: ${left.join('; ')}`;
    });
  }
}

function noMirror({ name, universe }: NamedMirror, namespaces: readonly MirrorNamespace[]): RsError {
  const plain = namespaces.find(({ servers }) =>
    servers.some(({ volumes }) => volumes.some((one) => one.name === name && one.universe === universe && one.mirror === undefined)),
  );
  if (plain === undefined) return unknownMirror({ name, universe });
  const label = volumeLabel({ namespace: plain.name, name, universe });
  return new RsError(
    'E_VOLUME',
    `Volume ${label} is no mirror: rsconfig mirror add ${label} --server S makes it one while no client has it`,
  );
}

/** Refuses to remove the last replica in sync, because no other replica has all its data. Throws E_VOLUME. */
function checkLast({ config, label }: MirrorChange, identity: string, server: string): void {
  if (config.members.length === 1)
    throw new RsError('E_VOLUME', `Server ${server} has the only replica of mirror ${label}: rsconfig mirror remove dissolves the mirror`);
  if (config.inSync.includes(identity) && config.inSync.length === 1)
    throw new RsError(
      'E_VOLUME',
      `The replica on server ${server} is the last one of mirror ${label} that is in sync: wait until another one is copied (rsconfig mirror list)`,
    );
}

/** Returns the voters that remain when a server without a replica is detached. The server loses its vote if it is one of two voters. */
function votersAfter(change: MirrorChange, serverid: number): number[] {
  const voters = change.config.voters.map((one) => one.serverid);
  if (!isVoter(change, serverid)) return voters;
  const others = witnessesOf(change).filter((one) => one !== serverid);
  const right = votersFor(
    change.config.members.map((one) => one.serverid),
    [...others, serverid],
  );
  return right.includes(serverid) ? voters : right;
}

/** Throws E_HELD if a client holds the former replica, and E_USAGE if the server has nothing that could be removed. */
function checkRemains(change: MirrorChange, serverid: number, remains: Remains): void {
  const { label, config } = change;
  const name = nameOf(change, serverid);
  if (remains.held !== null) throw new RsError('E_HELD', `Nothing was changed: ${remains.held}`);
  if (leftoverText(change, serverid, remains) !== null) return;
  if (isVoter(change, serverid))
    throw new RsError('E_USAGE', `Server ${name} has no replica of mirror ${label}, and only votes: rsconfig mirror witness changes that`);
  const names = config.members.map((one) => nameOf(change, one.serverid)).join(' and ');
  throw new RsError('E_USAGE', `Server ${quoteText(name)} has nothing of mirror ${label}, whose replicas are on ${names}`);
}

function stillVotes(change: MirrorChange, serverid: number, voters: readonly number[]): Outcome {
  const sentence = `Server ${nameOf(change, serverid)} still votes for mirror ${change.label}, as a witness`;
  return { warnings: voters.includes(serverid) ? [sentence] : [], left: [] };
}

function warningsOf(change: MirrorChange, voters: readonly number[]): Outcome {
  if (voters.length !== 2) return { warnings: [], left: [] };
  const names = voters.map((one) => nameOf(change, one)).join(' or ');
  const what = `if ${names} fails, the volume stops until that server returns`;
  return { warnings: [`Mirror ${change.label} has no witness: ${what}; rsconfig mirror witness adds a server that votes`], left: [] };
}

function merged(...outcomes: readonly (Cleared | Outcome)[]): Outcome {
  return { warnings: outcomes.flatMap(({ warnings }) => warnings), left: outcomes.flatMap(({ left }) => left) };
}
