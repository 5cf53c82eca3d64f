// Dissolves a mirror: claims it, makes its replicas plain volumes or removes them, and removes the records. Every step may be repeated.
// Invariants: without force, nothing is claimed if a client may have attached the mirror or if no majority of the voters answers. The mark
// of a server's replica is removed before the server's record, so that a repeated command still finds the replica.

import { majorityOf } from '@rsio/protocol/mirror/membership/quorums';
import type { RemovedMirror } from '@rsio/api/views/mirror-views';
import { RsError } from '@rsio/base/lib/errors';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { Log } from '@rsio/base/log/log';
import { type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { VOTE_CHANGE_MS } from '../limits.ts';
import { type MirrorServer, refusal, vote } from './mirror-server.ts';
import { records, type SurveyedMirror } from './survey.ts';
import { done, holderOf, nextNumber } from '../votes/verdicts.ts';
import { serverOf } from './views.ts';
import { removeVolume, setAside } from './volumes.ts';

export interface Removal {
  readonly survey: SurveyedMirror;
  /** True if the volumes are removed; otherwise they become plain volumes. */
  readonly volumes: boolean;
  readonly force: boolean;
  /** Name of this client on the servers. */
  readonly nodename: string;
}

type Replica = RemovedMirror['volumes'][number];

/** Throws E_HELD or E_NO_PATH before anything is changed, or the error of a server that refuses the claim. */
export async function removeMirror(removal: Removal, newId: () => string, log: Pick<Log, 'info'>): Promise<RemovedMirror> {
  const { survey } = removal;
  const { namespace, mirror, name, universe } = survey;
  if (!removal.force) check(removal);
  const number = nextNumber(records(survey.said));
  const asked = [...survey.said].flatMap(([serverid, { answer }]) => {
    const server = survey.servers.get(serverid);
    return server === undefined || answer === null ? [] : [server];
  });
  // The mirror is claimed at the servers with a replica before the witnesses, because only servers with a replica check which client may
  // take the mirror over. If a witness promised a term that a server with a replica refuses, the holder would later lose the mirror.
  const isFirst = (server: MirrorServer): boolean => replicaAt(survey, server) !== null;
  for (const isTurn of [isFirst, (server: MirrorServer): boolean => !isFirst(server)])
    await Promise.all(asked.filter(isTurn).map((server) => claim(removal, server, number)));
  const results = await Promise.all(asked.map((server) => removeAt(removal, server, number, newId)));
  const silent = [...survey.said].flatMap(([serverid, { trouble }]) =>
    trouble === null ? [] : [leftAtSilent(removal, serverid, trouble)],
  );
  log.info(`Mirror ${volumeLabel(survey)} (${mirror}) was removed on ${asked.map((server) => server.name).join(', ')}`);
  return {
    namespace,
    name,
    universe,
    mirror,
    volumes: results.flatMap((result) => result.volumes),
    left: [...results.flatMap((result) => result.left), ...silent],
  };
}

function check({ survey, nodename }: Removal): void {
  const { stored, promise } = survey;
  if (stored === null) return;
  const label = volumeLabel(survey);
  const holder = holderOf(stored, promise);
  const forced = '--force removes it, and the client loses it';
  if (holder !== null && holder.node !== nodename)
    throw new RsError(
      'E_HELD',
      `Client ${holder.node} has mirror ${label} attached: detach it there (rsconfig -d ${label}). If it has, without the servers having stored that, take it over here (rsconfig -a --take-over ${label}) and detach it; ${forced}`,
    );
  // This client is the holder. If the last configuration is clean, this client has served no I/O, so the mirror may be removed.
  if (holder !== null && !stored.config.clean)
    throw new RsError(
      'E_IN_USE',
      `This client has not detached mirror ${label}, so that its replicas may differ: attach and detach it first (rsconfig -a ${label}); --force removes it all the same`,
    );
  const { voters } = stored.config;
  const answering = voters.filter(({ voter, serverid }) => survey.said.get(serverid)?.answer?.voter === voter);
  if (answering.length >= majorityOf(voters.length)) return;
  const missing = voters.filter((one) => !answering.includes(one)).map(({ serverid }) => serverOf(survey, serverid).server);
  throw new RsError(
    'E_NO_PATH',
    `Too few voters of mirror ${label} answer: ${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing, so that another client may have it; --force removes it all the same`,
  );
}

/**
 * Claims the mirror at one server. If a server lists a replica but has lost its record, force creates the record, because removing the mark
 * needs a claim.
 */
async function claim({ survey, force }: Removal, server: MirrorServer, number: number): Promise<void> {
  const { mirror, name, universe } = survey;
  const request = { kind: 'claim', mirror, number, takesOver: force } as const;
  let answer: VoteAnswer = await server.vote(request, VOTE_CHANGE_MS);
  if (answer.voted === VOTED.UNKNOWN && !isListed(survey, server)) return;
  if (answer.voted === VOTED.UNKNOWN && force) {
    await vote(server, { kind: 'found', mirror, name, universe });
    answer = await server.vote(request, VOTE_CHANGE_MS);
  }
  done(answer, server.name);
}

function isListed({ listed }: SurveyedMirror, server: MirrorServer): boolean {
  return listed.some((one) => one.server === server);
}

interface RemovedAt {
  readonly volumes: readonly Replica[];
  readonly left: readonly string[];
}

async function removeAt(removal: Removal, server: MirrorServer, number: number, newId: () => string): Promise<RemovedAt> {
  const { survey } = removal;
  const replica = replicaAt(survey, server);
  const marked = replica === null ? null : await refusal(server, { kind: 'unplace', mirror: survey.mirror, number });
  if (marked !== null) return { volumes: [], left: [leftReplica(removal, server, marked)] };
  const record = await refusal(server, { kind: 'dismiss', mirror: survey.mirror, number });
  const { volumes, left } = replica === null ? { volumes: [], left: [] } : await endVolume(removal, server, replica, newId);
  if (record === null) return { volumes, left };
  return {
    volumes,
    left: [`server ${server.name} may keep its record (${record}): on it, rsadm witness remove ${survey.mirror} removes it`, ...left],
  };
}

/**
 * Returns a sentence about a volume that may still be a replica. If only the answer of the server was lost, the volume is already a plain
 * volume.
 */
function leftReplica({ survey, volumes }: Removal, { name }: MirrorServer, why: string): string {
  const label = volumeLabel(survey);
  const plain = volumes ? `; if that finds no mirror, rsconfig volume remove ${label} --server ${name} removes the volume` : '';
  return `server ${name} may still have its replica (${why}): rsconfig mirror remove ${label}${volumes ? ' --volumes' : ''} --force goes on${plain}`;
}

/**
 * Finds the replica of a server in the server's answer and in its list. Returns null if neither the answer nor the list names a replica.
 */
function replicaAt({ listed, said, stored }: SurveyedMirror, server: MirrorServer): Replica | null {
  const answered = said.get(server.serverid)?.answer?.replica ?? null;
  const shown = listed.find((one) => one.server === server)?.volume ?? null;
  const volume = answered?.volume ?? shown?.name;
  if (volume === undefined) return null;
  const universe = answered?.universe ?? shown?.universe ?? 0;
  const inSync = answered !== null && stored?.config.inSync.includes(answered.identity) === true;
  return { server: server.name, volume, universe, inSync, isRemoved: false };
}

async function endVolume(
  { survey: { namespace, stored }, volumes: isRemoved }: Removal,
  server: MirrorServer,
  replica: Replica,
  newId: () => string,
): Promise<RemovedAt> {
  const { volume: name, universe } = replica;
  const volume = { namespace, name, universe };
  if (isRemoved) {
    const { left } = await removeVolume(server, volume, 'removed', newId);
    return { volumes: [{ ...replica, isRemoved: left === null }], left: left === null ? [] : [left] };
  }
  // A replica in sync has all data, so its volume keeps its name.
  if (replica.inSync || stored === null) return { volumes: [replica], left: [] };
  const { said, isSetAside, newName } = await setAside(server, volume, newId);
  return { volumes: [{ ...replica, volume: newName }], left: isSetAside ? [] : [said] };
}

function leftAtSilent({ survey, volumes }: Removal, serverid: number, trouble: RsError): string {
  const label = volumeLabel(survey);
  const again = `when it answers, rsconfig mirror remove ${label}${volumes ? ' --volumes' : ''} --force removes what it has`;
  return `${serverOf(survey, serverid).server} was not asked (${trouble.message}): ${again}`;
}
