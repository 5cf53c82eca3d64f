// Checks whether each mirror works now, and finds the servers whose failure would stop it. The file reach.ts reports unreachable servers.
// Pure. Invariant: a mirror is `ok` only if it survives the failure of any one of its servers.

import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { staleRemedy, staleText } from '@rsio/api/views/mirror-texts';
import type { DoctorFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';

const LIST = ['rsconfig mirror list'];

export function checkMirrors({ mirrors }: DoctorFacts): Finding[] {
  const findings = new FindingList('mirrors');
  for (const mirror of mirrors ?? []) judge(findings, mirror);
  return findings.list;
}

function judge(findings: FindingList, mirror: MirrorSummary): void {
  const { state, replicas } = mirror;
  const label = volumeLabel(mirror);
  const object = `mirror ${label}`;
  const reasons = shortcomings(mirror);
  for (const one of mirror.stale ?? []) findings.warning(object, `Its ${staleText(one)}`, null, staleRemedy(label, one), LIST);
  if (state === 'unfinished') {
    const what = 'It was not made or removed to the end, so that it cannot be attached';
    findings.warning(object, what, null, 'remove what there is', [`rsconfig mirror remove ${label}`]);
  } else if (!works(mirror, null)) {
    const what = `It cannot be used: ${reasons.join(', ')}`;
    findings.error(object, what, null, 'bring the servers back that do not answer; the mirror then goes on by itself', LIST);
  } else {
    const stopping = serversOf(mirror).filter((server) => !works(mirror, server));
    const names = replicas.map(({ server }) => server).join(' and ');
    if (stopping.length > 0) {
      const none = replicas.length === 1 ? 'no replica would be left' : 'too few voters would be left';
      const why = reasons.length === 0 ? none : reasons.join(', ');
      findings.warning(object, `If ${stopping.join(' or ')} fails now, ${label} stops: ${why}`, null, remedyOf(mirror), LIST);
    } else if (reasons.length > 0) findings.warning(object, `It has lost redundancy: ${reasons.join(', ')}`, null, remedyOf(mirror), LIST);
    else findings.ok(object, `In sync on ${names}; any one of its servers may fail`);
  }
}

/**
 * True if a majority of the voters and a reachable replica in sync remain without the server `failed`. `failed` is null if no server fails.
 */
function works({ voters, majority, replicas }: MirrorSummary, failed: string | null): boolean {
  const voting = voters.filter(({ answers, server }) => answers && server !== failed);
  return voting.length >= majority && replicas.some(({ inSync, isReachable, server }) => inSync && isReachable && server !== failed);
}

function serversOf({ voters, replicas }: MirrorSummary): string[] {
  return [...new Set([...replicas, ...voters].map(({ server }) => server))];
}

/** Returns the faults of the mirror's servers, such as `big-9 is not in sync`. */
function shortcomings({ voters, replicas, state }: MirrorSummary): string[] {
  if (state === 'unknown') return ['none of its voters answers'];
  const mute = voters.filter(({ answers }) => !answers);
  const missing = unusable({ voters, replicas });
  const behind = replicas.filter(({ inSync }) => !inSync);
  return [
    ...mute.map(({ server, isSilent }) => (isSilent ? `${server} does not answer` : `${server} does not vote`)),
    ...missing.map(({ server }) => `the replica of ${server} cannot be used`),
    ...behind.map(({ server }) => `${server} is not in sync`),
  ];
}

/** The replicas that their servers do not serve, although the servers answer. */
function unusable({ voters, replicas }: Pick<MirrorSummary, 'voters' | 'replicas'>): MirrorSummary['replicas'] {
  const mute = voters.filter(({ answers }) => !answers);
  return replicas.filter(({ isReachable, server }) => !isReachable && !mute.some((voter) => voter.server === server));
}

function remedyOf(mirror: MirrorSummary): string {
  const [refused] = unusable(mirror);
  if (refused !== undefined) {
    const [label, { server, volume }] = [volumeLabel(mirror), refused];
    return (
      `on ${server}, rsadm volume show ${volume} says why it does not serve the replica; if the content there is lost or old: ` +
      `rsconfig mirror detach ${label} --server ${server}, then on ${server} rsadm volume split ${volume} and ` +
      `rsadm volume remove ${volume}, then rsconfig mirror add ${label} --server ${server} copies it anew`
    );
  }
  if (shortcomings(mirror).length === 0)
    return 'a mirror with a third server survives this: rsconfig mirror witness or add, on the client that has it attached, adds one';
  const remedies = votersWithoutVote(mirror);
  return remedies.length > 0
    ? `on the client that has it attached: ${remedies.join('; ')}`
    : 'wait until the client that has it attached has copied the replicas; its rsconfig -m status -v says what they wait for';
}

/** Returns what to do about each server that does not vote. A server that answers has lost its record, for example with its disks. */
function votersWithoutVote(mirror: MirrorSummary): string[] {
  const label = volumeLabel(mirror);
  const mute = mirror.voters.filter(({ answers }) => !answers);
  return mute.map(({ server, isSilent }) => {
    if (mirror.replicas.some((one) => one.server === server)) {
      const replace = `rsconfig mirror replace ${label} --server ${server} --with`;
      return isSilent
        ? `bring back ${server}, so that it is copied, or if it is gone, ${replace} OTHER puts another server in its place`
        : `${server} answers, and has lost its record of the mirror: ${replace} ${server} makes its replica again`;
    }
    const witness = `rsconfig mirror witness ${label} --server`;
    return isSilent
      ? `bring back ${server}, or if it is gone, ${witness} OTHER lets another server vote`
      : `${server} answers, and has lost its record of the mirror: ${witness} ${server} lets it vote again`;
  });
}
