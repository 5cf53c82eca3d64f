// Plans how a mirror is rebuilt by force after most of its voters are gone: which servers vote, which replicas it has and which data may be
// lost. Throws an error if force is not needed. Pure. Invariant: the plan promises no loss only if every possible majority contains a voter
// that has answered. Rules: M21.

import { majorityOf } from '@rsio/protocol/mirror/membership/quorums';
import { RsError } from '@rsio/base/lib/errors';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { MirrorConfig, MirrorMember, MirrorVoter, StoredConfig } from '@rsio/protocol/wire/mirror-messages';
import { MIRROR_REPLICAS_MAX } from '../limits.ts';
import type { MirrorServer } from './mirror-server.ts';
import type { SurveyedMirror } from './survey.ts';
import { holderOf } from '../votes/verdicts.ts';
import { serverOf } from './views.ts';

export interface ForcedReplica {
  readonly server: MirrorServer;
  readonly volume: string;
  readonly universe: number;
  readonly sizeBytes: number;
  /** True if the replica counts as in sync in the new mirror. */
  readonly inSync: boolean;
}

export interface ForcePlan {
  readonly survey: SurveyedMirror;
  readonly label: string;
  readonly voters: readonly MirrorServer[];
  readonly replicas: readonly ForcedReplica[];
  readonly sizeBytes: number;
  readonly clients: readonly string[] | null;
  readonly note: string | undefined;
  /** Names of the servers of the old mirror that the new mirror does not use. */
  readonly missing: readonly string[];
  /** Sentences for the administrator: which data may be lost, and which servers must stay off. */
  readonly lost: readonly string[];
  /** A text that identifies the state of the old mirror; any change of the mirror changes the text. */
  readonly seen: string;
}

/** `named`: the servers in the order of the command. Throws E_USAGE, E_VOLUME, or the error of a server that cannot be used. */
export function forcePlan(survey: SurveyedMirror, named: readonly MirrorServer[], isStale: boolean): ForcePlan {
  const label = volumeLabel(survey);
  const { stored } = survey;
  if (stored === null)
    throw new RsError(
      'E_VOLUME',
      `No server that answers knows how mirror ${label} was made: rsconfig mirror remove ${label} --force makes its replicas plain volumes`,
    );
  checkNamed(named, label);
  refuseNeedless(survey, stored.config, label);
  const members = named.flatMap((server) => memberAt(survey, stored.config, server, label));
  if (members.length === 0)
    throw new RsError(
      'E_USAGE',
      `None of the servers ${namesOf(named)} has a replica of mirror ${label}: ${whereOf(survey, stored.config)}`,
    );
  const known = members.filter(({ member }) => stored.config.inSync.includes(member.identity));
  if (known.length === 0 && !isStale)
    throw new RsError(
      'E_VOLUME',
      `No replica of mirror ${label} on ${namesOf(named)} is in sync: ${whereOf(survey, stored.config)}; --stale uses that on ${members[0]?.server.name ?? ''} all the same, and what it lacks is lost`,
    );
  const inSync = known.length > 0 ? known : members.slice(0, 1);
  const replicas = members.map((one) => {
    const { server, member, sizeBytes } = one;
    return { server, volume: member.volume, universe: member.universe, sizeBytes, inSync: inSync.includes(one) };
  });
  // The stored size may be older than the last growth of the mirror, so the size comes from the replicas; data beyond the stored size must
  // stay.
  const sizeBytes = Math.max(...inSync.map((one) => one.sizeBytes));
  return {
    survey,
    label,
    voters: named,
    replicas,
    clients: stored.config.clients,
    note: stored.config.note,
    sizeBytes,
    missing: missingOf(survey, stored.config, named),
    lost: [
      ...lossOf(
        survey,
        stored,
        known.length > 0,
        inSync.map(({ server }) => server),
      ),
      ...(sizeBytes < stored.config.sizeBytes
        ? [`The volume gets ${sizeBytes} bytes, not ${stored.config.sizeBytes}: what is beyond is lost`]
        : []),
      ...dangers(survey, stored, named),
    ],
    seen: JSON.stringify([survey.mirror, survey.promise, stored.term, stored.config.k]),
  };
}

function checkNamed(named: readonly MirrorServer[], label: string): void {
  if (named.length === 0 || named.length > MIRROR_REPLICAS_MAX)
    throw new RsError('E_USAGE', `Mirror ${label} can have 1 to ${MIRROR_REPLICAS_MAX} servers, not ${named.length}`);
  const twice = named.find((one, index) => named.indexOf(one) !== index);
  if (twice !== undefined) throw new RsError('E_USAGE', `Server ${twice.name} is named twice`);
  for (const { trouble } of named) if (trouble !== null) throw trouble;
}

/** Throws E_USAGE if a client can attach the mirror without force. */
function refuseNeedless(survey: SurveyedMirror, config: MirrorConfig, label: string): void {
  const answers = setsOf(config).every((voters) => answering(survey, voters).length >= majorityOf(voters.length));
  const source = config.members.find((member) => config.inSync.includes(member.identity) && hasData(survey, member));
  if (!answers || source === undefined) return;
  const { server } = serverOf(survey, source.serverid);
  throw new RsError(
    'E_USAGE',
    `Mirror ${label} needs no force: a majority of its voters answers, and the replica on ${server} is in sync: rsconfig -a ${label} attaches it (with --take-over if its client is gone)`,
  );
}

function setsOf({ voters, nextVoters }: MirrorConfig): readonly (readonly MirrorVoter[])[] {
  return nextVoters === null ? [voters] : [voters, nextVoters];
}

function answering({ said }: SurveyedMirror, voters: readonly MirrorVoter[]): readonly MirrorVoter[] {
  return voters.filter(({ voter, serverid }) => said.get(serverid)?.answer?.voter === voter);
}

function hasData({ said }: SurveyedMirror, { identity, serverid }: MirrorMember): boolean {
  return said.get(serverid)?.answer?.replica?.identity === identity;
}

interface NamedMember {
  readonly server: MirrorServer;
  readonly member: MirrorMember;
  readonly sizeBytes: number;
}

/** Returns the replica of a named server, or an empty list if the server only votes. Throws E_VOLUME if the replica cannot be used. */
function memberAt(survey: SurveyedMirror, { members }: MirrorConfig, server: MirrorServer, label: string): NamedMember[] {
  const { name, serverid } = server;
  const said = survey.said.get(serverid);
  const replica = said?.answer?.replica ?? null;
  const member = members.find((one) => one.serverid === serverid && one.identity === replica?.identity);
  if (member !== undefined && replica !== null) return [{ server, member, sizeBytes: replica.sizeBytes }];
  const isListed = survey.listed.some((one) => one.server === server);
  const wasMember = members.some((one) => one.serverid === serverid);
  if (!isListed && !wasMember && replica === null) return [];
  const why =
    replica !== null
      ? 'its data is not that which the mirror knows there'
      : (said?.trouble?.message ?? said?.answer?.sentence ?? '') || 'the server does not show it';
  throw new RsError('E_VOLUME', `The replica of mirror ${label} on server ${name} cannot be used: ${why}`);
}

function whereOf(survey: SurveyedMirror, { members, inSync }: MirrorConfig): string {
  const at = (list: readonly MirrorMember[]): string =>
    list.map(({ serverid }) => serverOf(survey, serverid).server).join(' and ') || 'none';
  return `as far as is known, replicas are on ${at(members)}, in sync on ${at(members.filter(({ identity }) => inSync.includes(identity)))}`;
}

function missingOf(survey: SurveyedMirror, config: MirrorConfig, named: readonly MirrorServer[]): string[] {
  const former = [...config.members, ...setsOf(config).flat()].map(({ serverid }) => serverid);
  const left = [...new Set(former)].filter((serverid) => !named.some((server) => server.serverid === serverid));
  return left.map((serverid) => serverOf(survey, serverid).server);
}

/** Describes the writes that the chosen replicas may lack. */
function lossOf(survey: SurveyedMirror, { config }: StoredConfig, isKnown: boolean, taken: readonly MirrorServer[]): string[] {
  const names = namesOf(taken);
  if (!isKnown)
    return [
      `The replica on ${names} is not in sync: all that was written since the mirror went on without it is lost, and its content may never have existed at one moment`,
    ];
  const decided = setsOf(config).flatMap((voters) => {
    const there = answering(survey, voters);
    const missing = voters.filter((one) => !there.includes(one));
    return missing.length < majorityOf(voters.length) ? [] : [missing];
  });
  if (decided.length === 0) return [`${names} has every write that was acknowledged, because the mirror could not go on without it`];
  const gone = [...new Set(decided.flat().map(({ serverid }) => serverOf(survey, serverid).server))];
  return [
    `${gone.join(' and ')} ${gone.length === 1 ? 'is' : 'are'} a majority of the voters and may have let the mirror go on without ${names}: all that was written after that is lost`,
  ];
}

function dangers(survey: SurveyedMirror, { config }: StoredConfig, named: readonly MirrorServer[]): string[] {
  const holder = holderOf(survey.stored, survey.promise);
  const missing = missingOf(survey, config, named);
  return [
    ...(holder === null
      ? []
      : [`Client ${holder.node} has not detached the mirror: its I/O fails, and what it has not flushed may be lost`]),
    ...(missing.length === 0
      ? []
      : [
          `${missing.join(' and ')} must be off for good: a client that reaches only ${missing.length === 1 ? 'it' : 'them'} may still use the old mirror there, and neither mirror has what is written to the other`,
        ]),
  ];
}

function namesOf(servers: readonly MirrorServer[]): string {
  return servers.map(({ name }) => name).join(' and ');
}
