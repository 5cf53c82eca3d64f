// Makes a mirror, step by step: a record at each voter, a volume on each server, a claim, the marks of the replicas, and the first
// configuration at all voters. Every step may be repeated, so a command that was sent again goes on where the first one ended. If a step
// fails, take-back.ts removes what was made. A volume that was there before is marked like a new one and has all of the data: it alone is in
// sync. Invariant: a mirror that has a configuration anywhere is never marked again or taken back, because a client may have written to it.

import { isDeepStrictEqual } from 'node:util';
import type { ManagedVolumeView } from '@rsio/common/control/server/views';
import { volumeLabel } from '@rsio/common/lib/volume-name';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { outcomesAtOnce } from '@rsio/common/structures/concurrency';

import { type MirrorConfig, type MirrorMember, type StoredConfig, VOTED, type VoteAnswer } from '@rsio/protocol/wire/mirror/messages';
import { REPLICA_VOLUME_MS, VOTE_CHANGE_MS } from './limits.ts';
import type { MirrorServer } from './mirror-server.ts';
import { Made, type MirrorPlan } from './plan.ts';
import { takeBack } from './take-back.ts';
import { done, highestConfig, holderOf, highestPromise, nextNumber } from './verdicts.ts';

type ReplicaVolume = Pick<MirrorPlan, 'name' | 'universe' | 'sizeBytes' | 'blockSizeBytes' | 'pool' | 'request'>;
type FoundMirror = Pick<MirrorPlan, 'mirror' | 'name' | 'universe'>;

/** Makes the mirror. Throws the error of the step that failed, with what could not be taken back. */
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
  // A server that refuses to vote refuses before any has a volume.
  const records = await atAll(voters, (server) => found(plan, server, made));
  const stored = highestConfig(records);
  if (stored !== null) return await finish(plan, made, stored, records);
  await atAll(
    replicas.filter((server) => server !== kept),
    (server) => makeVolume({ ...plan, pool: plan.pools.get(server.name) ?? plan.pool }, server, made),
  );
  const number = nextNumber(records);
  made.number = number;
  await claimAll(plan, number);
  const members = await atAll(replicas, (server) => place(plan, server, number, made));
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

/** Works at all servers, also if one of them fails, so that it is known what each has. Throws the first error. */
async function atAll<R>(servers: readonly MirrorServer[], work: (server: MirrorServer) => Promise<R>): Promise<R[]> {
  const outcomes = await outcomesAtOnce(servers, Math.max(1, servers.length), async (server) => {
    if (server.trouble !== null) throw server.trouble;
    return await work(server);
  });
  return outcomes.map(({ value, thrown }) => {
    if (thrown !== null) throw toRsError(thrown);
    return value;
  });
}

/** Makes the volume of a replica. Throws the error of the server. */
export async function makeVolume(plan: ReplicaVolume, server: MirrorServer, made: Made): Promise<void> {
  const { name, universe, sizeBytes, blockSizeBytes, pool, request } = plan;
  const settings = { thick: false, readonly: false, shared: false, clients: null, takeOver: null, takeOverForce: false };
  const params = { name, universe, sizeBytes, blockSizeBytes, pool, ...settings, request };
  made.volumes.set(server, 'unsure');
  try {
    const { volume } = (await server.callAdmin('volume-create', params, REPLICA_VOLUME_MS)) as {
      readonly volume?: Partial<ManagedVolumeView>;
    };
    made.volumes.set(server, 'made');
    if (volume?.state === 'unavailable') throw new RsError('E_VOLUME', `the volume is not served: ${volume.reason ?? 'see the log'}`);
  } catch (thrown) {
    const { code, message, context } = toRsError(thrown);
    const isUnsure = context['isOutcomeUnknown'] === true;
    if (!isUnsure && made.volumes.get(server) === 'unsure') made.volumes.delete(server);
    throw new RsError(code, `Server ${server.name}: ${message}`);
  }
}

/** A record that was founded before for this command has an id, and perhaps a promise, already. */
export async function found({ mirror, name, universe }: FoundMirror, server: MirrorServer, made: Made): Promise<VoteAnswer> {
  made.records.add(server);
  const first = await server.vote({ kind: 'found', mirror, name, universe }, VOTE_CHANGE_MS);
  const answer = first.voted === VOTED.DIFFERENT ? await server.vote({ kind: 'record', mirror }, VOTE_CHANGE_MS) : first;
  if (answer.voted === VOTED.REFUSED) made.records.delete(server);
  if (answer.stored !== null) made.isUsable = true;
  return done(answer, server.name);
}

async function claimAll({ mirror, voters }: MirrorPlan, number: number): Promise<void> {
  await atAll(voters, async (server) =>
    done(await server.vote({ kind: 'claim', mirror, number, takesOver: false }, VOTE_CHANGE_MS), server.name),
  );
}

async function place(plan: MirrorPlan, server: MirrorServer, number: number, made: Made): Promise<MirrorMember> {
  const { mirror, name: volume, universe, sizeBytes } = plan;
  made.marks.add(server);
  const answer = await server.vote({ kind: 'place', mirror, number, volume, universe }, VOTE_CHANGE_MS);
  const { replica } = done(answer, server.name);
  if (replica === null) throw new RsError('E_PROTOCOL', `Server ${server.name}: the answer names no replica`);
  if (replica.sizeBytes < sizeBytes)
    throw new RsError('E_VOLUME', `Server ${server.name}: the volume has ${replica.sizeBytes} bytes, not ${sizeBytes}`);
  return { identity: replica.identity, serverid: server.serverid, volume, universe };
}

async function storeAtAll({ mirror, voters }: MirrorPlan, number: number, config: MirrorConfig): Promise<void> {
  await atAll(voters, async (server) => done(await server.vote({ kind: 'config', mirror, number, config }, VOTE_CHANGE_MS), server.name));
}

/** The command was sent again, and its first execution has stored the configuration at one voter at least. */
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
