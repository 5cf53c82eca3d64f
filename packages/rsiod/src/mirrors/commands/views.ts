// Converts a surveyed mirror to the view that the control methods return. Pure. Invariant: an answer counts as the answer of a voter only
// if it has the voter's id from the configuration. A record that a server has lost and created again is therefore shown as lost.

import { majorityOf } from '@rsio/protocol/mirror/membership/quorums';
import type { AttachedMirrorView, MirrorSummary } from '@rsio/api/views/mirror-views';
import { VOTED } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';
import { records, type SurveyedMirror } from './survey.ts';
import { holderOf } from '../votes/verdicts.ts';

/** `attached`: the view of the attached mirror; null if this client has not attached it. */
export function mirrorView(survey: SurveyedMirror, attached: AttachedMirrorView | null = null): MirrorSummary {
  const { namespace, mirror, name, universe, stored, promise } = survey;
  const config = stored?.config ?? null;
  return {
    namespace,
    name,
    universe,
    mirror,
    state: config !== null ? 'known' : records(survey.said).length > 0 ? 'unfinished' : 'unknown',
    sizeBytes: config?.sizeBytes ?? null,
    replicas: config === null ? listedReplicas(survey) : memberReplicas(survey, config, attached),
    stale: config === null ? [] : staleReplicas(survey, config),
    voters: (config?.voters ?? []).map(({ voter, serverid }) => ({
      ...serverOf(survey, serverid),
      ...voterState(survey, serverid, voter),
      isSilent: isSilent(survey, serverid),
    })),
    majority: majorityOf(config?.voters.length ?? 0),
    holder: holderOf(stored, promise)?.node ?? null,
    isOnlyClaimed: stored !== null && promise !== null && compareTerms(stored.term, promise) !== 0,
  };
}

type Config = NonNullable<SurveyedMirror['stored']>['config'];

function memberReplicas(
  survey: SurveyedMirror,
  { members, inSync }: Config,
  attached: AttachedMirrorView | null,
): MirrorSummary['replicas'] {
  return members.map(({ identity, serverid, volume, universe }) => {
    const { server } = serverOf(survey, serverid);
    const isInSync = inSync.includes(identity);
    return {
      server,
      serverid,
      volume,
      universe,
      inSync: isInSync,
      isReachable: survey.said.get(serverid)?.answer?.replica?.identity === identity,
      isSilent: isSilent(survey, serverid),
      copy: isInSync ? null : copyOf(attached, server),
    };
  });
}

function copyOf(attached: AttachedMirrorView | null, server: string): MirrorSummary['replicas'][number]['copy'] {
  const replica = attached?.replicas.find((one) => one.server === server);
  if (replica === undefined || replica.state === 'in sync') return null;
  const { state, leftBytes, bytesPerSecond, etaMs } = replica;
  return { state, leftBytes, bytesPerSecond, etaMs };
}

/**
 * A replica whose server still knows it from a configuration before the last one was replaced or detached meanwhile. A volume that no
 * configuration names yet may be the next replica.
 */
function staleReplicas({ listed, said }: SurveyedMirror, { members }: Config): NonNullable<MirrorSummary['stale']> {
  return listed.flatMap(({ server: { name: server, serverid }, volume: { name: volume, universe } }) => {
    const was = said.get(serverid)?.answer?.stored?.config.members.find((one) => one.serverid === serverid);
    const isStale = was !== undefined && !members.some(({ identity }) => identity === was.identity);
    return isStale ? [{ server, serverid, volume, universe }] : [];
  });
}

function listedReplicas({ listed }: SurveyedMirror): MirrorSummary['replicas'] {
  return listed.map(({ server: { name: server, serverid }, volume: { name: volume, universe } }) => ({
    server,
    serverid,
    volume,
    universe,
    inSync: false,
    isReachable: false,
    isSilent: false,
    copy: null,
  }));
}

function isSilent({ said }: SurveyedMirror, serverid: number): boolean {
  return (said.get(serverid)?.answer ?? null) === null;
}

/** The name of a server that this client has never reached is unknown, so the server is shown as `server N`. */
export function serverOf({ servers }: Pick<SurveyedMirror, 'servers'>, serverid: number): { server: string; serverid: number } {
  return { server: servers.get(serverid)?.name ?? `server ${serverid}`, serverid };
}

function voterState({ said }: SurveyedMirror, serverid: number, voter: string): { answers: boolean; trouble: string | null } {
  const one = said.get(serverid);
  if (one === undefined) return { answers: false, trouble: 'This client never reached the server' };
  const { answer, trouble } = one;
  if (trouble !== null) return { answers: false, trouble: trouble.message };
  if (answer?.voted !== VOTED.DONE) return { answers: false, trouble: answer?.sentence ?? 'No answer' };
  if (answer.voter !== voter) return { answers: false, trouble: 'The server has lost its record of the mirror' };
  return { answers: true, trouble: null };
}
