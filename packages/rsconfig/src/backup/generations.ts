// Decides what a run of `backup-run` does: a full backup or an increment, which chains and snapshots are removed afterwards, and which
// leftovers of interrupted runs. A chain is a full backup and all increments on it. Pure. Invariants: only backups of runs, of one volume,
// are ever chosen for removal, and only in favour of chains whose files were compared with their checksums. A chain is chosen as a whole,
// newest increment first, so that the rest can be restored after each step. The chain of the newest backup, and a chain on which another
// file stands, are never chosen. A snapshot is chosen by name and id together.

import { plural } from '@rsio/base/lib/units';
import { CHAIN_FILES_MAX, FULL_EARLY_SHARE } from '../limits.ts';
import type { RunMark } from './backup-record.ts';

/** A backup that a run has made or begun, as its description and its folder say. */
export interface RunBackup extends RunMark {
  /** Name of the file in the folder. */
  readonly name: string;
  readonly snapshot: string;
  readonly snapshotId: string;
  readonly base: string | null;
  readonly isThere: boolean;
  /** True if an unfinished file of this backup exists. */
  readonly hasPart: boolean;
  /** Why the chain of this backup cannot be restored; null if it can. */
  readonly problem: string | null;
}

/** A file that no run of this volume has made, and the file on which it stands. */
export interface OtherFile {
  readonly name: string;
  readonly base: string | null;
}

export interface SeenSnapshot {
  readonly snapshot: string;
  readonly id: string;
}

interface Chain {
  /** The backups of the chain; each stands on an earlier one of the list. */
  readonly backups: readonly RunBackup[];
  readonly number: number;
  /** Why the chain cannot be restored; null if it can. */
  readonly problem: string | null;
}

/** What a run makes: an increment on `base`, or a full backup. `why`: the reason for a full backup. */
export type Kind = { readonly base: RunBackup; readonly why: null } | { readonly base: null; readonly why: string };

export interface Removals {
  /** Backups to remove, in this order. */
  readonly backups: readonly RunBackup[];
  readonly snapshots: readonly SeenSnapshot[];
  /** What stays although it is old, and why. */
  readonly notes: readonly string[];
  /** Chains that stay and cannot be restored, and why. */
  readonly damage: readonly string[];
}

/** True for a backup that an interrupted run has begun to make or to remove. The next run removes its files and its snapshot. */
export function isLeftover({ state, isThere, hasPart }: RunBackup): boolean {
  return state !== 'made' || (!isThere && hasPart);
}

export function nextNumber(backups: readonly RunBackup[]): number {
  return Math.max(0, ...backups.map(({ number }) => number)) + 1;
}

/** Returns `base`, or `base-2` and so on: the first name that is not taken. Two runs may begin in one second, or a clock may be set back. */
export function freeName(base: string, isTaken: (name: string) => boolean): string {
  for (let count = 1; ; count++) {
    const name = count === 1 ? base : `${base}-${count}`;
    if (!isTaken(name)) return name;
  }
}

/** `snapshots`: those of the volume at the server. */
export function decideKind(
  backups: readonly RunBackup[],
  given: { readonly volumeId: string; readonly nowMs: number; readonly fullEveryMs: number; readonly snapshots: readonly SeenSnapshot[] },
): Kind {
  const { volumeId, nowMs, fullEveryMs, snapshots } = given;
  const all = backups.filter((one) => !isLeftover(one)).toSorted((a, b) => b.number - a.number);
  const [newest] = all.filter((one) => one.volumeId === volumeId);
  if (newest === undefined) return full(all.length === 0 ? 'there is none yet' : 'the backups here are of an earlier volume of this name');
  if (newest.problem !== null) return full(`the newest backup cannot be restored: ${newest.problem}`);
  const chain = chainOf(newest, all);
  const first = chain.at(-1)!;
  const ageMs = nowMs - first.madeMs;
  if (ageMs < 0 || nowMs < newest.madeMs) return full('the clock says that an earlier backup was made later than now');
  if (ageMs >= fullEveryMs - fullEveryMs / FULL_EARLY_SHARE) return full(`the newest full backup is ${ageText(ageMs)} old`);
  if (chain.length >= CHAIN_FILES_MAX) return full(`its chain has ${plural(chain.length, 'file')}, and no more are read`);
  const seen = snapshots.find(({ snapshot }) => snapshot === newest.snapshot);
  if (seen === undefined) return full(`snapshot ${newest.snapshot} of the newest backup is gone from the server`);
  if (seen.id !== newest.snapshotId)
    return full(`snapshot ${newest.snapshot} of the newest backup was replaced by another one of that name`);
  return { base: newest, why: null };
}

/** Decides what is removed after a run has made the backup `newest`. `keep`: number of chains that are kept. */
export function decideRemovals(
  backups: readonly RunBackup[],
  others: readonly OtherFile[],
  { newest, keep, snapshots }: { readonly newest: RunBackup; readonly keep: number; readonly snapshots: readonly SeenSnapshot[] },
): Removals {
  const own = backups.filter((one) => one.volumeId === newest.volumeId && !isLeftover(one));
  const chains = chainsOf(own).toSorted((a, b) => b.number - a.number);
  // A chain that cannot be restored counts for nothing, so that it does not push out a good one.
  const oldest = chains.filter(({ problem }) => problem === null)[keep - 1];
  const damage = chains
    .filter(({ problem, number }) => problem !== null && (oldest === undefined || number > oldest.number))
    .map(({ backups: [first], problem }) => `The chain of ${first!.name} cannot be restored, and stays: ${problem}`);
  const notes: string[] = [];
  const removed: RunBackup[] = [];
  for (const chain of oldest === undefined ? [] : chains.toReversed().filter(({ number }) => number < oldest.number)) {
    const names = chain.backups.map(({ name }) => name);
    if (names.includes(newest.name)) continue;
    const above = others.find(({ base }) => base !== null && names.includes(base));
    if (above === undefined) removed.push(...chain.backups.toReversed());
    else notes.push(`The chain of ${names[0]} stays, because ${above.name} stands on it, which no run has made`);
  }
  const foreign = backups.filter((one) => one.volumeId !== newest.volumeId).length;
  if (foreign > 0)
    notes.push(`${plural(foreign, 'backup')} here ${foreign === 1 ? 'is' : 'are'} of an earlier volume of this name: no run removes them`);
  const unneeded = own.filter(({ name, snapshotId }) => name !== newest.name && snapshotId !== newest.snapshotId);
  return { backups: removed, snapshots: snapshots.filter((seen) => unneeded.some((one) => isSnapshotOf(one, seen))), notes, damage };
}

/**
 * Decides as `decideRemovals`, and counts a chain only after its files were compared: `problemOf` reads a file, and returns what is wrong
 * with it, or null. If nothing would be removed, no file is read.
 */
export async function decideCompared(
  backups: readonly RunBackup[],
  others: readonly OtherFile[],
  given: Parameters<typeof decideRemovals>[2],
  problemOf: (backup: RunBackup) => Promise<string | null>,
): Promise<Removals> {
  const found = new Map<string, string | null>([[given.newest.name, given.newest.problem]]);
  for (;;) {
    const now = backups.map((one) => ({ ...one, problem: one.problem ?? found.get(one.name) ?? null }));
    const removals = decideRemovals(now, others, given);
    const removed = new Set(removals.backups.map(({ name }) => name));
    // After a damaged chain was found, an older one counts in its place, and has to be compared, too.
    const unread = now.filter((one) => {
      return (
        one.volumeId === given.newest.volumeId && !isLeftover(one) && one.problem === null && !removed.has(one.name) && !found.has(one.name)
      );
    });
    if (removed.size === 0 || unread.length === 0) return removals;
    for (const one of unread) found.set(one.name, await problemOf(one));
  }
}

export function isSnapshotOf(backup: RunBackup, { snapshot, id }: SeenSnapshot): boolean {
  return backup.snapshot === snapshot && backup.snapshotId === id;
}

/** Returns the age in days or hours, or in seconds if it is less than an hour. */
function ageText(ageMs: number): string {
  const hours = Math.floor(ageMs / 3_600_000);
  if (hours >= 48) return plural(Math.floor(hours / 24), 'day');
  return hours > 0 ? plural(hours, 'hour') : plural(Math.floor(ageMs / 1_000), 'second');
}

function full(why: string): Kind {
  return { base: null, why };
}

/** Returns the backup, its base, the base of the base, and so on. A missing base ends the list. */
function chainOf(backup: RunBackup, all: readonly RunBackup[]): readonly RunBackup[] {
  const chain = [backup];
  for (let base = backup.base; base !== null && chain.length <= all.length; base = chain.at(-1)!.base) {
    const below = all.find(({ name }) => name === base);
    if (below === undefined) break;
    chain.push(below);
  }
  return chain;
}

/** Groups the backups by the lowest backup that is known of each. If that one is no full backup, its base is missing. */
function chainsOf(all: readonly RunBackup[]): Chain[] {
  const groups = new Map<string, RunBackup[]>();
  for (const one of all) {
    const first = chainOf(one, all).at(-1)!.name;
    groups.set(first, [...(groups.get(first) ?? []), one]);
  }
  return [...groups.values()].map((group) => {
    const backups = group.toSorted((a, b) => chainOf(a, all).length - chainOf(b, all).length || a.number - b.number);
    const [first] = backups;
    const damaged = backups.find((one) => one.problem !== null);
    const problem = damaged?.problem ?? (first!.base === null ? null : `file ${first!.base} is missing`);
    return { backups, number: Math.max(...backups.map(({ number }) => number)), problem };
  });
}
