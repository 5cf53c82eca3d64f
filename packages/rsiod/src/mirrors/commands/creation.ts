// Creates a mirror in steps: a record at each voter, a volume on each server, a claim, the marks of the replicas, and the first
// configuration at all voters. Every step may be repeated, so a repeated command continues where the first one stopped. If an existing
// volume becomes a replica, only this replica is in sync. If a step fails, the results are removed from each server. Invariants: once a
// voter has a configuration, nothing is marked again or removed, because a client may have written to the mirror. Nothing is removed if
// another client has claimed the mirror. On each server, the mark is removed before the record and the volume.

import { isDeepStrictEqual } from 'node:util';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { Log } from '@rsio/base/log/log';
import { type MirrorConfig, type MirrorMember, type StoredConfig, type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { VOTE_CHANGE_MS } from '../limits.ts';
import { atAll, type MirrorServer, refusal, vote } from './mirror-server.ts';
import { done, highestConfig, highestPromise, holderOf, nextNumber } from '../votes/verdicts.ts';
import { type MadeVolumes, makeVolume, removeVolume } from './volumes.ts';

export interface MirrorPlan {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly mirror: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  /** Name of the pool for the volumes; null if each server chooses a pool itself. */
  readonly pool: string | null;
  /** Key: name of a server. Value: the pool that this server uses instead of `pool`. */
  readonly pools: ReadonlyMap<string, string>;
  readonly request: string;
  readonly replicas: readonly MirrorServer[];
  /** The server whose existing volume becomes a replica and has the data; null if all replicas are new and therefore equal. */
  readonly kept: MirrorServer | null;
  readonly voters: readonly MirrorServer[];
  /** Name of this client on the servers. */
  readonly nodename: string;
}

/** The objects that a command has created or may have created. Each object is noted before the request that creates it is sent. */
export class Made {
  readonly volumes: MadeVolumes = new Map();
  readonly records = new Set<MirrorServer>();
  /** Servers on which the volume may be marked as a replica. */
  readonly marks = new Set<MirrorServer>();
  number = 1;
  /** True if a voter has stored a configuration, so that clients may use the mirror. */
  isUsable = false;
}

type FoundMirror = Pick<MirrorPlan, 'mirror' | 'name' | 'universe'>;

/**
 * State of a server's record. `ours`: claimed by this command. `none`: the server has no record. `other`: claimed by another client.
 * `unknown`: the reason why the state is not known.
 */
type Claim = 'ours' | 'none' | 'other' | { readonly unknown: string };

/** Creates the mirror. Throws the error of the failed step; the message names objects that could not be removed. */
export async function createMirror(plan: MirrorPlan, newId: () => string, log: Pick<Log, 'info' | 'warn'>): Promise<MirrorConfig> {
  const made = new Made();
  const label = volumeLabel(plan);
  try {
    const config = await makeMirror(plan, made);
    log.info(`Mirror ${label} (${plan.mirror}) was made on ${plan.replicas.map(({ name }) => name).join(' and ')}`);
    return config;
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    if (made.isUsable)
      throw new RsError(code, `Mirror ${label} was not made to the end: ${message}; rsconfig mirror remove ${label} removes it`);
    const left = await takeBack(plan, made, newId);
    for (const sentence of left) log.warn(`Left behind of mirror ${label}: ${sentence}`);
    const none = plan.kept === null ? 'nothing of it is left' : `the volume on server ${plan.kept.name} is as it was`;
    const rest = left.length === 0 ? none : `left behind: ${left.join('; ')}`;
    throw new RsError(code, `Mirror ${label} was not made: ${message}; ${rest}`);
  }
}

async function makeMirror(plan: MirrorPlan, made: Made): Promise<MirrorConfig> {
  const { replicas, voters, kept } = plan;
  // Records come first, so that a server that refuses to vote does so before any volume exists.
  const records = await atEach(voters, (server) => found(plan, server, made));
  const stored = highestConfig(records);
  if (stored !== null) return await finish(plan, made, stored, records);
  const like = kept === null ? null : { server: kept, volume: { name: plan.name, universe: plan.universe } };
  await atEach(
    replicas.filter((server) => server !== kept),
    (server) => makeVolume({ ...plan, pool: plan.pools.get(server.name) ?? plan.pool }, server, made.volumes, like),
  );
  const number = nextNumber(records);
  made.number = number;
  await claimAll(plan, number);
  const members = await atEach(replicas, (server) => place(plan, server, number, made));
  const config: MirrorConfig = {
    k: 1,
    inSync: members.filter(({ serverid }) => kept === null || serverid === kept.serverid).map(({ identity }) => identity),
    clean: true,
    members,
    voters: voters.map(({ serverid }, index) => ({ voter: records[index]?.voter ?? '', serverid })),
    nextVoters: null,
    sizeBytes: plan.sizeBytes,
    clients: null,
  };
  await storeAtAll(plan, number, config);
  return config;
}

/**
 * Calls `work` for all servers at once. For a server that cannot be asked, the call fails with the error `trouble` of the server. Throws
 * the first error.
 */
async function atEach<R>(servers: readonly MirrorServer[], work: (server: MirrorServer) => Promise<R>): Promise<R[]> {
  return await atAll(servers, async (server) => {
    if (server.trouble !== null) throw server.trouble;
    return await work(server);
  });
}

/**
 * Creates the record at a voter. If an earlier attempt of this command has already created the record, returns that record, which may
 * already have promised a term.
 */
export async function found({ mirror, name, universe }: FoundMirror, server: MirrorServer, made: Made): Promise<VoteAnswer> {
  made.records.add(server);
  const first = await server.vote({ kind: 'found', mirror, name, universe }, VOTE_CHANGE_MS);
  const answer = first.voted === VOTED.DIFFERENT ? await server.vote({ kind: 'record', mirror }, VOTE_CHANGE_MS) : first;
  if (answer.voted === VOTED.REFUSED) made.records.delete(server);
  if (answer.stored !== null) made.isUsable = true;
  return done(answer, server.name);
}

async function claimAll({ mirror, voters }: MirrorPlan, number: number): Promise<void> {
  await atEach(voters, (server) => vote(server, { kind: 'claim', mirror, number, takesOver: false }));
}

async function place(plan: MirrorPlan, server: MirrorServer, number: number, made: Made): Promise<MirrorMember> {
  const { mirror, name: volume, universe, sizeBytes } = plan;
  made.marks.add(server);
  const { replica } = await vote(server, { kind: 'place', mirror, number, volume, universe });
  if (replica === null) throw new RsError('E_PROTOCOL', `Server ${server.name}: the answer names no replica`);
  if (replica.sizeBytes < sizeBytes)
    throw new RsError('E_VOLUME', `Server ${server.name}: the volume has ${replica.sizeBytes} bytes, not ${sizeBytes}`);
  return { identity: replica.identity, serverid: server.serverid, volume, universe };
}

async function storeAtAll({ mirror, voters }: MirrorPlan, number: number, config: MirrorConfig): Promise<void> {
  await atEach(voters, (server) => vote(server, { kind: 'config', mirror, number, config }));
}

/** Completes a repeated command whose first execution has stored the configuration at one voter or more. */
async function finish(plan: MirrorPlan, made: Made, stored: StoredConfig, records: readonly VoteAnswer[]): Promise<MirrorConfig> {
  const holder = holderOf(stored, highestPromise(records));
  if (!stored.config.clean || (holder !== null && holder.node !== plan.nodename))
    throw new RsError('E_EXISTS', `client ${holder?.node ?? stored.term.node} has it already`);
  if (records.every((record) => isDeepStrictEqual(record.stored, stored)) && holder === null) return stored.config;
  const number = nextNumber(records);
  made.number = number;
  await claimAll(plan, number);
  const config = { ...stored.config, k: 1 };
  await storeAtAll(plan, number, config);
  return config;
}

/**
 * Removes what was created, at all servers at once. If one server reports that another client has claimed the mirror, the function removes
 * nothing at any server. The `undo` of a `Step` could check only one server. Returns a sentence for each object that is left. Never throws.
 */
async function takeBack(plan: MirrorPlan, made: Made, newId: () => string): Promise<string[]> {
  const servers = plan.voters.filter((server) => made.volumes.has(server) || made.records.has(server));
  const claims = await atAll(servers, (server) => claimAgain(plan, made, server));
  if (claims.includes('other'))
    return [`another client has claimed the mirror meanwhile: rsconfig mirror remove ${volumeLabel(plan)} removes it when nobody has it`];
  const left = await atAll([...servers.entries()], ([index, server]) => takeBackAt(plan, made, server, claims[index] ?? 'none', newId));
  return left.flat();
}

/** Repeats the claim with the same term. The answer tells whether another client has claimed the mirror since the first claim. */
async function claimAgain({ mirror }: MirrorPlan, made: Made, server: MirrorServer): Promise<Claim> {
  if (!made.records.has(server)) return 'none';
  try {
    if (server.trouble !== null) throw server.trouble;
    const { voted, sentence } = await server.vote({ kind: 'claim', mirror, number: made.number, takesOver: false }, VOTE_CHANGE_MS);
    if (voted === VOTED.DONE) return 'ours';
    if (voted === VOTED.UNKNOWN) return 'none';
    return voted === VOTED.SUPERSEDED || voted === VOTED.HELD ? 'other' : { unknown: sentence };
  } catch (thrown) {
    return { unknown: toRsError(thrown).message };
  }
}

async function takeBackAt(plan: MirrorPlan, made: Made, server: MirrorServer, claim: Claim, newId: () => string): Promise<string[]> {
  const { name } = server;
  const label = volumeLabel(plan);
  const why = claim === 'ours' ? await dismissed(plan, made, server) : typeof claim === 'object' ? claim.unknown : null;
  if (why !== null && made.marks.has(server) && server === plan.kept)
    return [
      `server ${name} may still have a replica (${why}), which has the data of the volume: rsconfig mirror remove ${label} --force makes it a plain volume; if that finds no mirror, rsadm volume split does, on the server`,
    ];
  if (why !== null && made.marks.has(server))
    return [
      `server ${name} may still have a replica (${why}): rsconfig mirror remove ${label} --volumes --force removes it; if that finds no mirror, rsconfig volume remove ${label} --server ${name} removes the volume`,
    ];
  const left =
    why === null ? [] : [`server ${name} may have a record of the mirror (${why}): on it, rsadm witness remove ${plan.mirror} removes it`];
  const volume = made.volumes.get(server);
  if (volume === 'unsure')
    left.push(`server ${name} may have created volume ${label}: rsconfig volume remove ${label} --server ${name} removes it`);
  if (volume !== 'made') return left;
  const kept = await removeVolume(server, plan, 'deleted', newId);
  return [...left, ...(kept.left === null ? [] : [kept.left])];
}

/**
 * Removes the mark and then the record from a server. Returns the reason why the server may still have the mark or the record; otherwise
 * null.
 */
async function dismissed({ mirror }: MirrorPlan, { number, marks }: Made, server: MirrorServer): Promise<string | null> {
  const marked = marks.has(server) ? await refusal(server, { kind: 'unplace', mirror, number }) : null;
  return marked ?? (await refusal(server, { kind: 'dismiss', mirror, number }));
}
