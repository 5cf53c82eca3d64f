// Builds the page of mirrors: each mirror with its replicas, its witness and its holder, and what Enter offers for one. Pure. Invariant: a
// server that is silent, and a replica that lacks writes, is marked `!` and described in words.

import type { AttachedMirrorView } from '@rsio/common/control/methods';
import type { MirrorSummary } from '@rsio/common/control/mirror-methods';
import { printDuration } from '@rsio/common/lib/units';
import { volumeLabel } from '@rsio/common/lib/volume-name';
import { shownSize } from '@rsio/common/manage/server-tables';
import type { Choice, MirrorsSample, MirrorsScreen, State } from '../model/state.ts';
import { MIRRORS_HELP } from './help-text.ts';
import { columnsOf, commandRow, EMPTY_ROW, type Page, problemRow, type Row, textRow } from './page.ts';
import { failureRows } from './status-page.ts';

export function mirrorsPage(state: State, screen: MirrorsScreen): Page {
  return {
    title: 'Mirrors',
    rows: rowsOf(state, screen),
    actions: [
      { label: 'Create mirror', command: { do: 'edit', purpose: { kind: 'mirror' } } },
      { label: 'Help', command: { do: 'help' } },
    ],
    hint: screen.now === null ? 'Esc goes back' : 'Enter on a mirror lists what can be done, F7 creates one, Esc goes back',
    help: { title: 'Mirrors', text: MIRRORS_HELP },
  };
}

function rowsOf(state: State, { now, failure }: MirrorsScreen): Row[] {
  if (failure !== null) return failureRows(state, failure);
  if (now === null) return [textRow('Asking the servers ...')];
  const gaps = now.gaps.map((sentence) => problemRow(`! ${sentence}`));
  if (now.mirrors.length === 0) return [textRow('No mirror: F7 creates one'), ...gaps];
  const heads = columnsOf(
    now.mirrors.map((mirror) => [volumeLabel(mirror), shownSize(mirror.sizeBytes), heldBy(mirror, attachedOf(now, mirror))]),
    [14, 8],
  );
  const rows = now.mirrors.map((mirror, index) =>
    commandRow({ do: 'mirror-choices', volume: volumeLabel(mirror) }, heads[index] ?? '', ...partsOf(mirror, attachedOf(now, mirror))),
  );
  return gaps.length === 0 ? rows : [...rows, EMPTY_ROW, ...gaps];
}

function attachedOf({ attached }: MirrorsSample, mirror: MirrorSummary): AttachedMirrorView | null {
  return attached.find(({ volume }) => volume === volumeLabel(mirror)) ?? null;
}

function heldBy({ state, holder }: MirrorSummary, attached: AttachedMirrorView | null): string {
  if (attached !== null) return 'attached here';
  if (state === 'unfinished') return 'not made or removed to the end';
  if (state === 'unknown') return 'no voter answers';
  return holder === null ? 'not attached' : `held by ${holder}`;
}

function partsOf(mirror: MirrorSummary, attached: AttachedMirrorView | null): string[] {
  const names = [...mirror.replicas, ...mirror.voters].map(({ server }) => server.length);
  const width = Math.max(0, ...names);
  const line = ({ isWell, server, text }: Part): string => `    ${isWell ? '+' : '!'} ${server.padEnd(width)}  ${text}`;
  const witnesses = mirror.voters.filter(({ serverid }) => !mirror.replicas.some((replica) => replica.serverid === serverid));
  const waits = attached?.waitsFor ?? null;
  return [
    ...mirror.replicas.map((replica) => line(replicaPart(mirror, replica, attached))),
    ...witnesses.map(({ server, trouble }) =>
      line({ isWell: trouble === null, server, text: `witness${trouble === null ? '' : `: ${trouble}`}` }),
    ),
    ...(waits === null ? [] : [`    ! waits: ${waits}`]),
  ];
}

interface Part {
  readonly isWell: boolean;
  readonly server: string;
  readonly text: string;
}

function replicaPart(
  mirror: MirrorSummary,
  { server, serverid, inSync, isReachable }: MirrorSummary['replicas'][number],
  attached: AttachedMirrorView | null,
): Part {
  const seen = attached?.replicas.find((one) => one.server === server);
  if (seen !== undefined && seen.state !== 'in sync') return { isWell: false, server, text: copyText(seen) };
  if (!inSync && mirror.state === 'known') return { isWell: false, server, text: 'lacks writes' };
  if (mirror.state !== 'known') return { isWell: false, server, text: 'has a replica' };
  const trouble = mirror.voters.find((voter) => voter.serverid === serverid)?.trouble ?? null;
  if (trouble !== null) return { isWell: false, server, text: `in sync: ${trouble}` };
  return { isWell: isReachable, server, text: isReachable ? 'in sync' : 'in sync: its replica cannot be used now' };
}

/** `copying, 8.0G left, 2m` */
function copyText({ state, leftBytes, etaMs }: AttachedMirrorView['replicas'][number]): string {
  if (state !== 'copying' || leftBytes === null) return state;
  return `copying, ${shownSize(leftBytes)} left${etaMs === null ? '' : `, ${printDuration(Math.max(1_000, Math.round(etaMs / 1_000) * 1_000))}`}`;
}

/** What can be done with a mirror. */
export function mirrorChoices(now: MirrorsSample, volume: string): readonly Choice[] {
  const isAttached = now.attached.some((each) => each.volume === volume);
  return [
    isAttached
      ? { label: `Detach ${volume}`, command: { do: 'detach', volume } }
      : { label: `Attach ${volume}`, command: { do: 'attach', volume } },
    ...(isAttached ? [] : [{ label: 'Dissolve it: its replicas become volumes', command: { do: 'remove-mirror', volume } } as const]),
    { label: 'Close', command: { do: 'close-popup' } },
  ];
}
