// Decides how a running server applies changed [volume] sections. The result lists the volumes to open, close and keep. If the sections
// may not be applied, the result lists every reason. Pure: volume-change.ts handles storage and ids. Invariants: a held volume is never
// removed, shrunk or moved to other content. Editing the configuration never releases a hold (docs/PROTOCOL.md H1 lists the events that
// do). Rules: C3, N2.

import type { RsError } from '@rsio/base/lib/errors';
import { isDeepStrictEqual } from 'node:util';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { formatTime } from '@rsio/base/log/log-line';
import type { Holder } from '@rsio/protocol/wire/messages';
import { volumeKey } from './volume-ids.ts';

export interface VolumeStanding {
  /** Served size in bytes; null if the volume could not be opened. */
  readonly sizeBytes: number | null;
  /** Clients that hold the volume or have it open. */
  readonly users: readonly Holder[];
  /**
   * Clients that have a snapshot of the volume attached. A change that would make the snapshot unavailable to one of these clients is
   * refused.
   */
  readonly readers?: readonly SnapshotReader[];
}

/** A client that has a snapshot attached. */
export interface SnapshotReader extends Holder {
  /** Name of the snapshot in texts, such as `oracle@monday`. */
  readonly snapshot: string;
  /** True for a server that copies the snapshot: it closes the snapshot by itself when it has the content. */
  readonly isCopying: boolean;
}

export interface VolumePlan {
  /** Volumes to open. If a volume in this list cannot be opened, the whole configuration file is refused. */
  readonly added: readonly ServerVolumeConfig[];
  /** Unchanged volumes that could not be opened before. If a retried volume fails again, the rest of the plan is still applied. */
  readonly retried: readonly ServerVolumeConfig[];
  readonly kept: readonly ServerVolumeConfig[];
  /**
   * Volumes that are no longer served and that no client uses, with their old settings. A volume that moves to other storage is also in
   * `added`.
   */
  readonly removed: readonly ServerVolumeConfig[];
  /**
   * True if the plan lists only some volumes; all other volumes stay unchanged and are not checked. If `isPartial` is undefined, every
   * configured volume is in one of the lists.
   */
  readonly isPartial?: true;
}

export interface VolumeChanges {
  readonly plan: VolumePlan;
  readonly changes: readonly string[];
  /** The reasons why the plan is refused. If the list is not empty, no change is applied. */
  readonly refusals: readonly string[];
  /** True if all refusals end by themselves: servers are copying snapshots. */
  readonly isPassing: boolean;
}

type Field = Exclude<keyof ServerVolumeConfig, 'name' | 'universe' | 'line' | 'pool'>;

/** For each field, the name of its key in the `[volume]` section. */
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
  limits: 'limits',
  layout: 'its files',
};
const FIELDS = Object.keys(KEYS) as Field[];

/** Fields that may change while the volume is held. The change is checked separately, or does not affect the holder. */
const ALWAYS_CHANGED: ReadonlySet<Field> = new Set([
  'sizeBytes',
  'clients',
  'unlocked',
  'sameContent',
  'takeOver',
  'takeOverForce',
  'limits',
]);

/** Compares the volumes in `old` and `next`. `standingOf` is called only for volumes in `old`. */
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
    isPassing: decisions.every(({ refusals, isPassing }) => refusals === undefined || isPassing === true),
  };
}

/** True for a refusal that ends by itself: servers are copying snapshots of the volume. `error`: of a change in force. */
export function isPassing({ code, context }: RsError): boolean {
  return code === 'E_HELD' && context['isPassing'] === true;
}

type Decision = { readonly [Part in keyof VolumePlan]?: VolumePlan[Part] } & {
  readonly changes?: readonly string[];
  readonly refusals?: readonly string[];
  readonly isPassing?: boolean;
};

function opened(volume: ServerVolumeConfig): Decision {
  const changes = [`${label(volume)} is served`];
  // A section configures a pool as a whole. One volume that cannot be opened must not prevent the other changes of the file.
  return volume.pool === undefined ? { added: [volume], changes } : { retried: [volume], changes };
}

function gone(volume: ServerVolumeConfig, { sizeBytes, users, readers = [] }: VolumeStanding): Decision {
  if (users.length > 0) {
    const what = volume.pool === undefined ? 'was removed, but' : 'is in use:';
    return { refusals: [`${section(volume)} ${what} ${heldBy(users)}: ${detachFirst(volume)}`] };
  }
  if (readers.length > 0)
    return { refusals: [readersRefusal(section(volume), readers)], isPassing: readers.every(({ isCopying }) => isCopying) };
  return { removed: sizeBytes === null ? [] : [volume], changes: [`${label(volume)} is no longer served`] };
}

/**
 * Returns the text that refuses a change because clients have snapshots of the volume attached. `what`: the subject of the text, such as
 * `Volume oracle of pool fast`.
 */
export function readersRefusal(what: string, readers: readonly SnapshotReader[]): string {
  const [{ snapshot } = { snapshot: '' }] = readers;
  const own = readers.filter((reader) => reader.snapshot === snapshot);
  const others = new Set(readers.map((reader) => reader.snapshot)).size - 1;
  const more = others === 0 ? '' : `; so are ${others} other snapshots`;
  const remedy = `detach it there first (rsconfig -d ${snapshot}), or wait if a replication copies it`;
  return `${what} is in use: snapshot ${snapshot} is attached, and ${heldBy(own)}${more}: ${remedy}`;
}

function decide(was: ServerVolumeConfig, now: ServerVolumeConfig, { sizeBytes, users, readers = [] }: VolumeStanding): Decision {
  const changed = FIELDS.filter((field) => !isSame(field, was, now));
  if (sizeBytes === null) return changed.length === 0 ? { retried: [now] } : opened(now);
  if (changed.length === 0) return { kept: [now] };
  const refusals = [
    ...sizeRefusals(now, sizeBytes),
    ...rightsRefusals(now, users),
    ...readerRefusals(now, readers),
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

function isSame(field: Field, was: ServerVolumeConfig, now: ServerVolumeConfig): boolean {
  return field === 'layout' ? isDeepStrictEqual(placesOf(was), placesOf(now)) : isDeepStrictEqual(was[field], now[field]);
}

function sizeRefusals(now: ServerVolumeConfig, sizeBytes: number): string[] {
  if (now.sizeBytes === null || now.sizeBytes >= sizeBytes) return [];
  return [
    `${section(now)} has a smaller size, ${now.sizeBytes} instead of ${sizeBytes} bytes: ` +
      'a volume cannot be made smaller: take the change back',
  ];
}

/**
 * Refuses a change that removes a client from the key `clients` while that client is using the volume. Without the refusal, applications on
 * the client would get unexplained I/O errors.
 */
function rightsRefusals(now: ServerVolumeConfig, users: readonly Holder[]): string[] {
  const { clients } = now;
  if (clients === null) return [];
  const losers = users.filter(({ node }) => !clients.includes(node));
  return losers.length === 0 ? [] : [`${section(now)} no longer lists a client in use: ${heldBy(losers)}: ${detachFirst(now)}`];
}

function readerRefusals(now: ServerVolumeConfig, readers: readonly SnapshotReader[]): string[] {
  const { clients } = now;
  const losers = clients === null ? [] : readers.filter(({ node }) => !clients.includes(node));
  return losers.length === 0 ? [] : [readersRefusal(`${section(now)} no longer lists a client, and`, losers)];
}

function useRefusals(now: ServerVolumeConfig, changed: readonly Field[], users: readonly Holder[]): string[] {
  if (changed.length === 0 || users.length === 0) return [];
  return [`${section(now)} changes ${keysOf(changed)}, but ${heldBy(users)}: ${detachFirst(now)}`];
}

/** Returns true if a change to the field needs other storage, or needs the current storage to be reopened. */
function isElsewhere(field: Field, was: ServerVolumeConfig): boolean {
  if (field === 'type' || field === 'layout') return true;
  // The file of a memory volume is named after the volume's id. For any other changed field, keep the memory file open, because reopening
  // would create an empty file.
  if (was.type === 'memory') return field === 'id';
  return was.type !== 'null' && (field === 'path' || field === 'readonly');
}

function changeText(now: ServerVolumeConfig, changed: readonly Field[], sizeBytes: number): string {
  const others = changed.filter((field) => field !== 'sizeBytes');
  const parts: string[] = [];
  if (others.length > 0) parts.push(`changes ${keysOf(others)}`);
  if (now.sizeBytes !== null && now.sizeBytes > sizeBytes) parts.push(`grows from ${sizeBytes} to ${now.sizeBytes} bytes`);
  else if (others.length < changed.length) parts.push(now.sizeBytes === null ? 'is as large as its storage' : 'has a fixed size');
  return `${label(now)} ${parts.join(' and ')}`;
}

export function heldBy(users: readonly Holder[]): string {
  const texts = users.map(({ node, address, sinceMs }) => `node ${node} at ${address} has held it since ${formatTime(sinceMs)}`);
  const [first = '', ...more] = texts;
  return more.length === 0 ? first : `${first} (and ${more.length} more)`;
}

function detachFirst({ name, universe, pool }: ServerVolumeConfig): string {
  const text = volumeText({ name, universe });
  if (pool !== undefined) return `detach it there first (rsconfig -d ${text})`;
  return `detach it there first (rsconfig -d ${text}) and reload again, or take the change back`;
}

function keysOf(fields: readonly Field[]): string {
  return fields.map((field) => KEYS[field]).join(', ');
}

function section({ name, universe, pool }: ServerVolumeConfig): string {
  return pool !== undefined ? `Volume ${volumeText({ name, universe })} of pool ${pool.name}` : `Section [volume ${name}]`;
}

function label(volume: ServerVolumeConfig): string {
  return `volume ${volumeText(volume)}`;
}

function volumeText({ name, universe }: Pick<ServerVolumeConfig, 'name' | 'universe'>): string {
  return universe === 0 ? name : `${name}@${universe}`;
}

/**
 * For a volume of several files: returns where each file is. Leaves out the names of pools and the sizes, because these may change
 * while the volume is in use.
 */
function placesOf({ layout }: ServerVolumeConfig): unknown {
  return layout === undefined ? null : [layout.chunkBytes, layout.parts.map(({ path }) => path)];
}

/**
 * Returns true if the stamp of one of the volume's files has changed. The stamp changes when the administrator confirms that another
 * file has the content of the volume.
 */
export function hasOtherFiles(before: ServerVolumeConfig, now: ServerVolumeConfig): boolean {
  if (before.pool?.stamp !== now.pool?.stamp) return true;
  return (now.layout?.parts ?? []).some(({ stamp }, index) => {
    const was = before.layout?.parts[index];
    return was !== undefined && was.stamp !== stamp;
  });
}
