// The page of mirrors: each mirror with its replicas, its witness and its holder, the choices that Enter offers, and the form of a new
// mirror. Pure. Invariant: the page marks each silent server, and each replica that lacks writes, with `!` and describes the fault in
// words.

import type { AttachedMirrorView, MirrorSummary } from '@rsio/api/views/mirror-views';
import { printDuration, shownSize } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { name, size, type ValueType } from '@rsio/common/config/schema/value-types';
import { SECTOR_BYTES, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { entryOf, type FieldSpec, type Form, formOf, type Offer } from '../../machine/form.ts';
import { textsOf } from '../../machine/form-page.ts';
import { ask, pageOf, popped, step } from '../../machine/machine.ts';
import { columnsOf, commandRow, EMPTY_ROW, problemRow, textRow } from '../../machine/rows.ts';
import { PAIRED_SERVERS_MAX } from '../../widgets/limits.ts';
import { KEYS_HELP, MIRRORS_HELP } from '../model/help-text.ts';
import {
  type ClientCommand,
  type ClientContent,
  type ClientRow,
  type ClientState,
  type ClientStep,
  configOf,
  type MirrorsSample,
} from '../model/state.ts';
import { openClientForm } from '../work/client-form.ts';
import { askDetach, askDissolve, attach, createMirror, MIRRORS, openMirrors } from '../work/rsiod.ts';
import { failureRows, HELP } from './status-page.ts';

export const OPEN_MIRRORS = openMirrors(pageOf(MIRRORS, content));

function content(state: ClientState): ClientContent {
  return {
    title: 'Mirrors',
    rows: rowsOf(state),
    actions: [{ label: 'Create mirror', command: openMirrorForm }, HELP],
    hint: state.mirrors.now === null ? 'Esc goes back' : 'Enter on a mirror lists what can be done, F7 creates one, Esc goes back',
    help: { title: 'Mirrors', text: MIRRORS_HELP },
  };
}

function rowsOf(state: ClientState): ClientRow[] {
  const { now, failure } = state.mirrors;
  if (failure !== null) return failureRows(state, failure);
  if (now === null) return [textRow('Asking the servers ...')];
  const gaps = now.gaps.map((sentence) => problemRow(`! ${sentence}`));
  if (now.mirrors.length === 0) return [textRow('No mirror: F7 creates one'), ...gaps];
  const heads = columnsOf(
    now.mirrors.map((mirror) => [volumeLabel(mirror), shownSize(mirror.sizeBytes), heldBy(mirror, attachedOf(now, mirror))]),
    [14, 8],
  );
  const rows = now.mirrors.map((mirror, index) =>
    commandRow(chooseFor(volumeLabel(mirror)), heads[index] ?? '', ...partsOf(mirror, attachedOf(now, mirror))),
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

/** Returns a text such as `copying, 8.0G left, 2m`. */
function copyText({ state, leftBytes, etaMs }: AttachedMirrorView['replicas'][number]): string {
  if (state !== 'copying' || leftBytes === null) return state;
  return `copying, ${shownSize(leftBytes)} left${etaMs === null ? '' : `, ${printDuration(Math.max(1_000, Math.round(etaMs / 1_000) * 1_000))}`}`;
}

/** Returns a command that asks the user what to do with a mirror. */
function chooseFor(volume: string): ClientCommand {
  return (state) => {
    const { now } = state.mirrors;
    if (now === null) return step(state);
    const isAttached = now.attached.some((each) => each.volume === volume);
    const answers = isAttached
      ? ([[`Detach ${volume}`, askDetach(volume)]] as const)
      : ([
          [`Attach ${volume}`, attach(volume)],
          ['Dissolve it: its replicas become volumes', askDissolve(volume)],
        ] as const);
    return step(ask(state, volume, '', [...answers, ['Close', null]]));
  };
}

function openMirrorForm(state: ClientState): ClientStep {
  const take = (now: ClientState, filled: Form): ClientStep => createMirror(popped(now), textsOf(filled));
  const form = formOf('New mirror', mirrorFields(state));
  return openClientForm(state, { form, take, applyLabel: 'Create mirror', help: `${MIRRORS_HELP}\n\n${KEYS_HELP}`, isKept: false });
}

function mirrorFields(state: ClientState): readonly FieldSpec[] {
  const namespaces = configOf(state).namespaces.map((each) => each.name);
  const servers = state.mirrors.now?.servers ?? [];
  const offered = (texts: readonly string[]): readonly Offer[] => texts.map((text) => ({ text, detail: '' }));
  return [
    { key: 'name', entry: entryOf(name, 'Name of the mirror, and of its volume on each server', true) },
    { key: 'size', entry: entryOf(size(SECTOR_BYTES, VOLUME_MAX_BYTES), 'Size of the mirror, such as 20g', true) },
    {
      key: 'servers',
      entry: entryOf(serverNames, 'Two or three servers that get a replica each', true),
      offers: offered(pairsOf(servers.slice(0, PAIRED_SERVERS_MAX))),
    },
    {
      key: 'witness',
      entry: entryOf(name, 'Server that votes and has no replica. Two replicas without a witness stop if either server fails'),
      offers: offered(servers),
    },
    {
      key: 'namespace',
      entry: entryOf(name, 'Namespace of the servers'),
      offers: offered(namespaces),
      ...(namespaces.length === 1 ? { text: namespaces[0] ?? '' } : {}),
    },
    { key: 'pool', entry: entryOf(name, 'Pool of the replicas. Default: each server chooses'), isMore: true },
  ];
}

/** Returns all pairs of the servers, for example `a,b`, `a,c` and `b,c`. */
function pairsOf(servers: readonly string[]): string[] {
  return servers.flatMap((one, index) => servers.slice(index + 1).map((other) => `${one},${other}`));
}

const serverNames: ValueType<readonly string[]> = {
  kind: name.kind,
  isSecret: false,
  allowed: 'names of two or three servers, with commas',
  parse: (text) => text.split(',').map((one) => name.parse(one.trim())),
};
