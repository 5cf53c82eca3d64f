// Makes a new mirror with a new id from the replicas that are left of a mirror whose voters are gone. Because of the new id, a returning
// server of the old mirror is neither a voter nor a replica of the new one, and a holder of the old mirror cannot claim the new one.
// Invariants: the old mirror is claimed at every named server before anything is changed, so that these servers execute no request of an
// older holder. No step changes data. A new mirror that has a configuration is not removed, because a client may have written to it.

import { RsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { type MirrorConfig, type MirrorMember, type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { VOTE_CHANGE_MS } from '../limits.ts';
import { atAll, type MirrorServer, refusal, vote } from './mirror-server.ts';
import { runSteps, type Step } from './steps.ts';
import { records as recordsOf } from './survey.ts';
import { done, nextNumber } from '../votes/verdicts.ts';
import type { ForcedReplica, ForcePlan } from './force-plan.ts';

export interface Forced {
  readonly mirror: string;
  /** Sentences about records of the old mirror that could not be removed, each with a remedy. */
  readonly left: readonly string[];
}

/** Number of the first term of the new mirror, in which the mirror is made. */
const FIRST_NUMBER = 1;

/** `mirror`: the new id. Throws the error of the failed step; the message describes the state that the step has left. */
export async function forceMirror(plan: ForcePlan, mirror: string, log: Pick<Log, 'info'>): Promise<Forced> {
  const { label, survey, replicas } = plan;
  const old = survey.mirror;
  const number = nextNumber(recordsOf(survey.said));
  const witnesses = plan.voters.filter((server) => !replicas.some((one) => one.server === server));
  let [records, members]: [readonly VoteAnswer[], readonly MirrorMember[]] = [[], []];
  // The `undo` of each step describes the state after the failure of that step. Because `undo` returns a text, earlier steps are not
  // undone.
  const steps: readonly Omit<Step, 'name'>[] = [
    {
      do: async () => {
        // Witnesses are claimed after the servers with replicas, as in an attach, because only servers with replicas check which client may
        // take the mirror over.
        await atAll(replicas, ({ server }) => claimOld(plan, server, number));
        await atAll(witnesses, (server) => claimOld(plan, server, number));
      },
      undo: () => Promise.resolve(['nothing was changed: try again']),
    },
    {
      do: async () => (records = await atAll(plan.voters, (server) => foundNew(plan, server, mirror))),
      undo: () => withdrawn(plan, mirror),
    },
    {
      do: async () => (members = await atAll(replicas, (replica) => moveReplica(plan, replica, mirror, number))),
      undo: () => madePlain(plan, mirror, number),
    },
    {
      do: async () => {
        const config = configOf(plan, records, members);
        await atAll(plan.voters, (server) => vote(server, { kind: 'config', mirror, number: FIRST_NUMBER, config }));
      },
      undo: () =>
        Promise.resolve([
          `rsconfig -a ${label} attaches it as soon as most of its servers have stored that; if it does not, rsconfig mirror remove ${label} --force makes its replicas plain volumes`,
        ]),
    },
  ];
  const name = `Mirror ${label} was not made to the end by force`;
  await runSteps(
    steps.map((step) => ({ name, ...step })),
    (told) => told.join('; '),
  );
  const left = await atAll(plan.voters, (server) => leftOfOld(plan, server, number));
  log.info(`Mirror ${label} (${mirror}) was made of mirror ${old} by force, on ${replicas.map(({ server }) => server.name).join(' and ')}`);
  return { mirror, left: left.flat() };
}

/**
 * Claims the old mirror, which ends the requests of its holder at this server. If a server with a replica has lost its record, the record
 * is created, because a change of the mark needs a claim.
 */
async function claimOld({ survey, replicas }: ForcePlan, server: MirrorServer, number: number): Promise<void> {
  const { mirror, name, universe } = survey;
  const order = { kind: 'claim', mirror, number, takesOver: true } as const;
  const answer = await server.vote(order, VOTE_CHANGE_MS);
  const hasReplica = replicas.some((one) => one.server === server);
  if (answer.voted === VOTED.UNKNOWN) {
    if (!hasReplica) return;
    await vote(server, { kind: 'found', mirror, name, universe });
    await vote(server, order);
    return;
  }
  const { replica, sentence } = done(answer, server.name);
  if (hasReplica && replica === null) throw new RsError('E_VOLUME', `Server ${server.name}: ${sentence}`);
}

async function foundNew({ survey: { name, universe } }: ForcePlan, server: MirrorServer, mirror: string): Promise<VoteAnswer> {
  const record = await vote(server, { kind: 'found', mirror, name, universe });
  await vote(server, { kind: 'claim', mirror, number: FIRST_NUMBER, takesOver: false });
  return record;
}

async function moveReplica(
  { survey }: ForcePlan,
  { server, volume, universe }: ForcedReplica,
  mirror: string,
  number: number,
): Promise<MirrorMember> {
  await vote(server, { kind: 'unplace', mirror: survey.mirror, number });
  const { replica } = await vote(server, { kind: 'place', mirror, number: FIRST_NUMBER, volume, universe });
  if (replica === null) throw new RsError('E_PROTOCOL', `Server ${server.name}: the answer names no replica`);
  return { identity: replica.identity, serverid: server.serverid, volume, universe };
}

/**
 * Returns the first configuration. If exactly one replica is in sync, the configuration says that the mirror was cleanly detached. If
 * several replicas are in sync, the configuration reports no clean detach, and the next holder therefore makes these replicas equal.
 */
function configOf(
  { replicas, voters, sizeBytes, clients, note }: ForcePlan,
  records: readonly VoteAnswer[],
  members: readonly MirrorMember[],
): MirrorConfig {
  const inSync = members.filter((_, index) => replicas[index]?.inSync === true).map(({ identity }) => identity);
  return {
    k: 1,
    inSync,
    clean: inSync.length === 1,
    members,
    sizeBytes,
    clients,
    nextVoters: null,
    ...(note === undefined ? {} : { note }),
    voters: voters.map(({ serverid }, index) => ({ voter: records[index]?.voter ?? '', serverid })),
  };
}

/** Removes the new records. The old mirror stays unchanged, except that its records promise the term of the claim. */
async function withdrawn({ voters }: ForcePlan, mirror: string): Promise<string[]> {
  const left = await atAll(voters, async (server) => {
    await refusal(server, { kind: 'claim', mirror, number: FIRST_NUMBER, takesOver: false });
    const why = await refusal(server, { kind: 'dismiss', mirror, number: FIRST_NUMBER });
    return why === null ? [] : [`on ${server.name} (${why}), rsadm witness remove ${mirror} removes a record that is not used`];
  });
  return ['the old mirror is as it was: try again', ...left.flat()];
}

/**
 * Makes all replicas plain volumes that keep their data. Some replicas may already have lost the mark of the old mirror, so the old mirror
 * cannot be restored.
 */
async function madePlain(plan: ForcePlan, mirror: string, number: number): Promise<string[]> {
  const { survey, label, replicas, voters } = plan;
  const told = await atAll(replicas, async ({ server, inSync }) => {
    const whys = [
      await refusal(server, { kind: 'unplace', mirror: survey.mirror, number }, true),
      await refusal(server, { kind: 'unplace', mirror, number: FIRST_NUMBER }, true),
    ].filter((why) => why !== null);
    const data = inSync ? 'with the data' : 'which lacks writes';
    return whys.length === 0
      ? `${server.name} has ${label} as a plain volume, ${data}`
      : `${server.name} may still have a replica (${whys.join(', ')}): on it, rsadm volume split ${survey.name} makes it a plain volume, ${data}`;
  });
  await atAll(voters, (server) => refusal(server, { kind: 'dismiss', mirror, number: FIRST_NUMBER }));
  await atAll(voters, (server) => refusal(server, { kind: 'dismiss', mirror: survey.mirror, number }));
  return [...told, `rsconfig mirror add ${label} --server NAME makes an attached volume a mirror`];
}

async function leftOfOld({ survey }: ForcePlan, server: MirrorServer, number: number): Promise<string[]> {
  const why = await refusal(server, { kind: 'dismiss', mirror: survey.mirror, number });
  return why === null
    ? []
    : [
        `server ${server.name} may keep its record of the old mirror (${why}): on it, rsadm witness remove ${survey.mirror} --force removes it`,
      ];
}
