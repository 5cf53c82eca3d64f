// What changed [volume] sections ask of a running server: what is opened, closed, served on in another way, or every reason why nothing
// is. Pure; storage and ids are volume-change.ts's. Invariants: what somebody holds is never taken from him, nor made smaller, nor put
// on another content; a hold ends by what docs/PROTOCOL.md H1 says and by no file.

import { isDeepStrictEqual } from 'node:util';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { formatTime } from '@rsio/common/log/log-line';
import type { Holder } from '@rsio/protocol/wire/messages';
import { volumeKey } from './volume-ids.ts';

/** How a configured volume stands now. */
export interface VolumeStanding {
  /** What is served of it; null: it could not be opened. */
  readonly sizeBytes: number | null;
  /** Who holds it or has it open. */
  readonly users: readonly Holder[];
}

export interface VolumePlan {
  /** To be opened; one that cannot be refuses the file. */
  readonly added: readonly ServerVolumeConfig[];
  /** Could not be opened before, and say what they said: one that still cannot be hinders nothing. */
  readonly retried: readonly ServerVolumeConfig[];
  /** Served on from the same storage, as these sections say. */
  readonly kept: readonly ServerVolumeConfig[];
  /** As they were: their storage is given up. Nobody uses them. One that is served from elsewhere is in `added` too. */
  readonly removed: readonly ServerVolumeConfig[];
}

export interface VolumeChanges {
  readonly plan: VolumePlan;
  /** For the log. */
  readonly changes: readonly string[];
  /** Anything here: nothing may be applied. */
  readonly refusals: readonly string[];
}

type Field = Exclude<keyof ServerVolumeConfig, 'name' | 'universe' | 'line'>;

/** Keys of `[volume]` as the file calls them, by their field. */
const KEYS: Readonly<Record<Field, string>> = {
  type: 'type',
  path: 'path',
  sizeBytes: 'size',
  blockSizeBytes: 'blocksize',
  readonly: 'readonly',
  clients: 'clients',
  shared: 'shared',
  unlocked: 'unlocked',
  id: 'id',
  sameContent: 'same-content',
  takeOver: 'take-over',
  takeOverForce: 'take-over-force',
  test: 'test-...',
};
const FIELDS = Object.keys(KEYS) as Field[];

/** What is looked at by itself, or changes nothing for who holds it. */
const ALWAYS_CHANGED: ReadonlySet<Field> = new Set(['sizeBytes', 'clients', 'unlocked', 'sameContent', 'takeOver', 'takeOverForce']);

/** `standingOf` is asked about volumes of `old` only. */
export function volumeChanges(
  old: readonly ServerVolumeConfig[],
  next: readonly ServerVolumeConfig[],
  standingOf: (volume: ServerVolumeConfig) => VolumeStanding,
): VolumeChanges {
  const before = new Map(old.map((volume) => [volumeKey(volume), volume]));
  const after = new Set(next.map(volumeKey));
  const decisions = next.map((volume) => {
    const was = before.get(volumeKey(volume));
    return was === undefined ? opened(volume) : decide(was, volume, standingOf(was));
  });
  for (const volume of old) if (!after.has(volumeKey(volume))) decisions.push(gone(volume, standingOf(volume)));
  const all = <T>(part: (decision: Decision) => readonly T[] | undefined): T[] => decisions.flatMap((decision) => part(decision) ?? []);
  return {
    plan: {
      added: all(({ added }) => added),
      retried: all(({ retried }) => retried),
      kept: all(({ kept }) => kept),
      removed: all(({ removed }) => removed),
    },
    changes: all(({ changes }) => changes),
    refusals: all(({ refusals }) => refusals),
  };
}

type Decision = { readonly [Part in keyof VolumePlan]?: VolumePlan[Part] } & {
  readonly changes?: readonly string[];
  readonly refusals?: readonly string[];
};

function opened(volume: ServerVolumeConfig): Decision {
  return { added: [volume], changes: [`${label(volume)} is served`] };
}

function gone(volume: ServerVolumeConfig, { sizeBytes, users }: VolumeStanding): Decision {
  if (users.length > 0) return { refusals: [`${section(volume)} is gone, but ${heldBy(users)}: ${detachFirst(volume)}`] };
  return { removed: sizeBytes === null ? [] : [volume], changes: [`${label(volume)} is not served any more`] };
}

function decide(was: ServerVolumeConfig, now: ServerVolumeConfig, { sizeBytes, users }: VolumeStanding): Decision {
  const changed = FIELDS.filter((field) => !isDeepStrictEqual(was[field], now[field]));
  if (sizeBytes === null) return changed.length === 0 ? { retried: [now] } : opened(now);
  if (changed.length === 0) return { kept: [now] };
  const refusals = [
    ...sizeRefusals(now, sizeBytes),
    ...rightsRefusals(now, users),
    ...useRefusals(
      now,
      changed.filter((field) => !ALWAYS_CHANGED.has(field)),
      users,
    ),
  ];
  if (refusals.length > 0) return { refusals };
  const changes = [changeText(now, changed, sizeBytes)];
  return changed.some((field) => isElsewhere(field, was)) ? { removed: [was], added: [now], changes } : { kept: [now], changes };
}

function sizeRefusals(now: ServerVolumeConfig, sizeBytes: number): string[] {
  if (now.sizeBytes === null || now.sizeBytes >= sizeBytes) return [];
  return [
    `${section(now)} has a smaller size, ${now.sizeBytes} instead of ${sizeBytes} bytes: ` +
      'no volume is made smaller, and none is cut: take the change back',
  ];
}

/** Ending what somebody does because of a line in a file would be an I/O error for who knows nothing of that line. */
function rightsRefusals(now: ServerVolumeConfig, users: readonly Holder[]): string[] {
  const { clients } = now;
  if (clients === null) return [];
  const losers = users.filter(({ node }) => !clients.includes(node));
  return losers.length === 0 ? [] : [`${section(now)} has other clients, but ${heldBy(losers)} and is not among them: ${detachFirst(now)}`];
}

function useRefusals(now: ServerVolumeConfig, changed: readonly Field[], users: readonly Holder[]): string[] {
  if (changed.length === 0 || users.length === 0) return [];
  return [`${section(now)} has another ${keysOf(changed)}, but ${heldBy(users)}: ${detachFirst(now)}`];
}

/** Whether a change puts the volume on another storage, or opens its storage in another way. */
function isElsewhere(field: Field, was: ServerVolumeConfig): boolean {
  if (field === 'type') return true;
  // The file of a memory volume is named by its id; opened anew it would be empty.
  if (was.type === 'memory') return field === 'id';
  return was.type !== 'null' && (field === 'path' || field === 'readonly');
}

function changeText(now: ServerVolumeConfig, changed: readonly Field[], sizeBytes: number): string {
  const others = changed.filter((field) => field !== 'sizeBytes');
  const parts: string[] = [];
  if (others.length > 0) parts.push(`has another ${keysOf(others)}`);
  if (now.sizeBytes !== null && now.sizeBytes > sizeBytes) parts.push(`grows from ${sizeBytes} to ${now.sizeBytes} bytes`);
  else if (others.length < changed.length) parts.push(now.sizeBytes === null ? 'is as large as its storage' : 'has a fixed size');
  return `${label(now)} ${parts.join(' and ')}`;
}

export function heldBy(users: readonly Holder[]): string {
  const texts = users.map(({ node, address, sinceMs }) => `node ${node} at ${address} has held it since ${formatTime(sinceMs)}`);
  const [first = '', ...more] = texts;
  return more.length === 0 ? first : `${first} (and ${more.length} more)`;
}

function detachFirst({ name }: ServerVolumeConfig): string {
  return `detach it there first (rsconfig -d ${name}) and reload again, or take the change back`;
}

function keysOf(fields: readonly Field[]): string {
  return fields.map((field) => KEYS[field]).join(', ');
}

function section({ name }: ServerVolumeConfig): string {
  return `Section [volume ${name}]`;
}

function label({ name, universe }: ServerVolumeConfig): string {
  return universe === 0 ? `volume ${name}` : `volume ${name}@${universe}`;
}
