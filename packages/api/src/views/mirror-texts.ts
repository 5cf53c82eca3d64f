// Makes the output of the mirror commands: the table of mirrors, the faults of a mirror, and the remains of a removed mirror. Pure.
// Invariant: a server that does not answer is never shown as one that answers.

import { alignColumns, toText } from '@rsio/common/cli/table';
import type { MirrorSummary, RemovedMirror } from './mirror-views.ts';
import { printDuration, shownSize } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';

const HEADINGS = ['MIRROR', '>SIZE', 'IN SYNC', 'OTHER', 'WITNESS', 'HELD BY'];

export function mirrorTable(mirrors: readonly MirrorSummary[]): string {
  const rows = mirrors.map((mirror) => {
    const { replicas, sizeBytes } = mirror;
    const inSync = replicas.filter((one) => one.inSync).map((one) => shown(one, one.isReachable));
    const others = replicas
      .filter((one) => !one.inSync)
      .map((one) => `${shown(one, one.isReachable || mirror.state !== 'known')}${copied(one.copy, sizeBytes)}`);
    const witnesses = witnessesOf(mirror).map((one) => shown(one, one.answers));
    return [volumeLabel(mirror), shownSize(sizeBytes), listed(inSync), listed(others), listed(witnesses), heldBy(mirror)];
  });
  return toText(alignColumns(HEADINGS, rows));
}

/** Returns a text such as ` resync 41% 2m`, with the copied share of the replica and the remaining time. */
function copied(copy: MirrorSummary['replicas'][number]['copy'], sizeBytes: number | null): string {
  if (copy === null || copy.state !== 'copying') return '';
  const { leftBytes, etaMs } = copy;
  const percent = leftBytes === null || sizeBytes === null ? '' : ` ${Math.max(0, Math.floor(100 * (1 - leftBytes / sizeBytes)))}%`;
  return ` resync${percent}${etaMs === null ? '' : ` ${printDuration(roughly(etaMs))}`}`;
}

/** Returns a duration as a text, rounded to whole seconds, minutes or hours. */
function roughly(ms: number): number {
  const unitMs = ms < 120_000 ? 1_000 : ms < 7_200_000 ? 60_000 : 3_600_000;
  return Math.max(1, Math.round(ms / unitMs)) * unitMs;
}

/**
 * Returns the server's name with a remark: `silent` if the server does not answer, `unusable` if it answers but its replica or record
 * cannot be used.
 */
function shown({ server, isSilent }: { readonly server: string; readonly isSilent: boolean }, isUsable: boolean): string {
  return isUsable ? server : `${server}(${isSilent ? 'silent' : 'unusable'})`;
}

function listed(names: readonly string[]): string {
  return names.join(' ') || '-';
}

function heldBy({ state, holder }: MirrorSummary): string {
  return state === 'known' ? (holder ?? '-') : state;
}

export function witnessesOf({ voters, replicas }: MirrorSummary): MirrorSummary['voters'] {
  return voters.filter(({ serverid }) => !replicas.some((replica) => replica.serverid === serverid));
}

/** Returns a sentence for each fault of a mirror. */
export function mirrorTroubles(mirror: MirrorSummary): string[] {
  const label = volumeLabel(mirror);
  if (mirror.state === 'unfinished')
    return [`Mirror ${label} was not made or removed to the end: rsconfig mirror remove ${label} removes what there is`];
  const mute = mirror.voters.flatMap(({ server, trouble }) =>
    trouble === null ? [] : [`Mirror ${label}: ${server} does not vote: ${trouble}`],
  );
  return [...mute, ...(mirror.stale ?? []).map((one) => `Mirror ${label}: ${staleText(one)}: ${staleRemedy(label, one)}`)];
}

type StaleReplica = NonNullable<MirrorSummary['stale']>[number];

export function staleText({ server, volume, universe }: Pick<StaleReplica, 'server' | 'volume' | 'universe'>): string {
  return `volume ${volume}@${universe} on ${server} is no replica any more, and lacks writes: ${server} was away while it was replaced`;
}

export function staleRemedy(label: string, { server }: Pick<StaleReplica, 'server'>): string {
  return `rsconfig mirror detach ${label} --server ${server} --volume removes it, on the client that has the mirror attached`;
}

/**
 * Returns a sentence for each name that two mirrors have. After a mirror was made by force, the old and the new mirror have the same name
 * if lost servers of the old mirror return.
 */
export function twins(mirrors: readonly MirrorSummary[]): string[] {
  const labels = mirrors.map((mirror) => volumeLabel(mirror));
  const twice = new Set(labels.filter((label, index) => labels.indexOf(label) !== index));
  return [...twice].map((label) => {
    const each = mirrors.filter((mirror) => volumeLabel(mirror) === label).map((mirror) => `${mirror.mirror} on ${serversOf(mirror)}`);
    return `${each.length} mirrors are called ${label}: ${each.join(', and ')}: rsconfig mirror remove ${label} --id ID --volumes --force removes the one that is not wanted, with its data`;
  });
}

function serversOf({ replicas, state }: MirrorSummary): string {
  const there = replicas.filter(({ isReachable }) => isReachable || state !== 'known').map(({ server }) => server);
  return there.join(' and ') || 'no server that answers';
}

export function createdText(mirror: MirrorSummary): string {
  const servers = mirror.replicas.map(({ server }) => server).join(' and ');
  const witness = witnessesOf(mirror).map(({ server }) => `, witness ${server}`);
  return toText([`${volumeLabel(mirror)} created on ${servers}${witness.join('')}, ${shownSize(mirror.sizeBytes)}`]);
}

/** Describes the mirror after a change: replicas in sync, replicas to be copied, and the witness. */
export function changedText(mirror: MirrorSummary): string {
  const servers = (inSync: boolean): string => mirror.replicas.flatMap((one) => (one.inSync === inSync ? [one.server] : [])).join(' and ');
  const others = servers(false) === '' ? '' : `, to be copied on ${servers(false)}`;
  const witnesses = witnessesOf(mirror).map(({ server }) => server);
  const votes = witnesses.length === 0 ? '' : `, witness ${witnesses.join(' and ')}`;
  return toText([`${volumeLabel(mirror)} is in sync on ${servers(true) || 'no server'}${others}${votes}`]);
}

export function removedText(removed: RemovedMirror): string {
  const label = volumeLabel(removed);
  const lines = removed.volumes.map(({ server, volume, universe, inSync, isRemoved }) => {
    const name = volumeLabel({ namespace: removed.namespace, name: volume, universe });
    if (isRemoved) return `    ${server}: volume ${name} was removed`;
    return `    ${server}: volume ${name} is a plain volume, ${inSync ? 'with all that was written' : 'and lacks writes'}`;
  });
  return toText([`${label} is no mirror any more`, ...lines]);
}
