// Tests the decisions of a run: full or increment, which chains and snapshots are removed, and what an interrupted run has left. A random
// test removes one file after the other and stops anywhere. Rules: G29, G49.

import { describe, expect, test } from 'vitest';
import {
  decideCompared,
  decideKind,
  decideRemovals,
  freeName,
  isLeftover,
  nextNumber,
  type OtherFile,
  type RunBackup,
} from './generations.ts';
import { CHAIN_FILES_MAX } from '../limits.ts';

const DAY_MS = 86_400_000;
const VOLUME = 'volume-1';

/** A backup of the run with this number, one run a day. `base`: number of the backup on which it stands; null for a full backup. */
function backup(number: number, base: number | null, given: Partial<RunBackup> = {}): RunBackup {
  const [snapshot, below] = [`b${number}`, base === null ? null : `db@b${base}.qcow2`];
  const made = { volumeId: VOLUME, number, madeMs: number * DAY_MS, request: `r${number}`, state: 'made' } as const;
  return {
    name: `db@${snapshot}.qcow2`,
    snapshot,
    snapshotId: `id-${number}`,
    base: below,
    ...made,
    isThere: true,
    hasPart: false,
    problem: null,
    ...given,
  };
}

/** Chains of three backups each: 1, 2 and 3, then 4, 5 and 6, and so on. */
function chains(count: number): RunBackup[] {
  return Array.from({ length: 3 * count }, (_, index) => backup(index + 1, index % 3 === 0 ? null : index));
}

const seen = (...numbers: readonly number[]) => numbers.map((number) => ({ snapshot: `b${number}`, id: `id-${number}` }));
const numbersOf = (backups: readonly RunBackup[]): number[] => backups.map(({ number }) => number);

type Case = readonly [what: string, backups: readonly RunBackup[], why: string, nowMs?: number, snapshots?: ReturnType<typeof seen>];
const NOW_MS = 3.5 * DAY_MS;

describe('a run makes', () => {
  const kind = (backups: readonly RunBackup[], nowMs = NOW_MS, snapshots = seen(3), fullEveryMs = 7 * DAY_MS) => {
    const { base, why } = decideKind(backups, { volumeId: VOLUME, nowMs, fullEveryMs, snapshots });
    return base === null ? why : base.number;
  };
  const three = chains(1);

  test('an increment on the newest backup', () => expect(kind(three)).toBe(3));
  test('an increment until the full backup is due', () => expect(kind(three, 7.7 * DAY_MS)).toBe(3));
  test('an increment by the number, whatever the order of the folder', () => expect(kind(three.toReversed())).toBe(3));
  const cases: readonly Case[] = [
    ['there is none', [], 'there is none yet'],
    ['there is only an interrupted one', [backup(1, null, { state: 'making' })], 'there is none yet'],
    ['all are of an earlier volume', chains(1).map((one) => ({ ...one, volumeId: 'former' })), 'the backups here are of an earlier volume'],
    ['the newest one is old', three, 'the newest full backup is 7 days old', 8 * DAY_MS],
    ['it is due in a few minutes', three, 'the newest full backup is 6 days old', 8 * DAY_MS - 600_000],
    ['the snapshot is gone', three, 'snapshot b3 of the newest backup is gone from the server', NOW_MS, seen(1, 2)],
    ['the snapshot is another one', three, 'b3 of the newest backup was replaced', NOW_MS, [{ snapshot: 'b3', id: 'other' }]],
    ['the clock was set back', three, 'the clock says that an earlier backup was made later', 2 * DAY_MS],
    ['the chain is damaged', [...three.slice(0, 2), backup(3, 2, { problem: 'db@b2.qcow2 is damaged' })], 'db@b2.qcow2 is damaged'],
    ['the newest file is missing', [...three.slice(0, 2), backup(3, 2, { isThere: false, problem: 'b3 is missing' })], 'b3 is missing'],
  ];
  for (const [what, backups, why, nowMs, snapshots] of cases)
    test(`a full backup if ${what}`, () => expect(kind(backups, nowMs, snapshots)).toContain(why));

  test('a full backup if the chain has as many files as are read', () => {
    const long = Array.from({ length: CHAIN_FILES_MAX }, (_, index) => backup(index + 1, index === 0 ? null : index, { madeMs: 0 }));
    expect(kind(long, 1, seen(CHAIN_FILES_MAX))).toContain(`its chain has ${CHAIN_FILES_MAX} files`);
    expect(kind(long.slice(0, -1), 1, seen(CHAIN_FILES_MAX - 1))).toBe(CHAIN_FILES_MAX - 1);
  });

  test('a new full backup after one with the wrong time, and then increments', () => {
    const wrong = backup(1, null, { madeMs: 99 * DAY_MS });
    expect(kind([wrong], 2 * DAY_MS, seen(1))).toContain('the clock');
    expect(kind([wrong, backup(2, null)], 3 * DAY_MS, seen(2))).toBe(2);
  });

  test('its number after all others, also those of an earlier volume', () => {
    expect(nextNumber([])).toBe(1);
    expect(nextNumber([backup(4, null, { volumeId: 'former' }), backup(2, null)])).toBe(5);
  });

  test('its snapshot with a name that is free', () => {
    const taken = ['backup-1', 'backup-1-2'];
    expect(freeName('backup-1', (name) => taken.includes(name))).toBe('backup-1-3');
    expect(freeName('backup-2', (name) => taken.includes(name))).toBe('backup-2');
  });
});

describe('a run removes', () => {
  const removals = (backups: readonly RunBackup[], keep: number, others: readonly OtherFile[] = [], there = numbersOf(backups)) => {
    const decided = decideRemovals(backups, others, { newest: backups.at(-1)!, keep, snapshots: seen(...there) });
    return { ...decided, numbers: numbersOf(decided.backups) };
  };

  test('whole chains, the oldest first, and in each the newest increment first', () => {
    expect(removals(chains(4), 2).numbers).toEqual([3, 2, 1, 6, 5, 4]);
    expect(removals(chains(4), 4).numbers).toEqual([]);
    expect(removals(chains(1), 1).numbers).toEqual([]);
  });

  test('all snapshots but that of the newest backup, and only by their ids', () => {
    expect(removals(chains(2), 9).snapshots).toEqual(seen(1, 2, 3, 4, 5));
    const snapshots = [{ snapshot: 'b1', id: 'other' }, { snapshot: 'monday', id: 'id-2' }, ...seen(3, 6)];
    expect(decideRemovals(chains(2), [], { newest: chains(2).at(-1)!, keep: 9, snapshots }).snapshots).toEqual(seen(3));
  });

  test('never the snapshot of the newest backup, even if an older description names it', () => {
    const backups = [backup(1, null, { snapshot: 'b2', snapshotId: 'id-2' }), backup(2, null)];
    expect(removals(backups, 9, [], [2]).snapshots).toEqual([]);
  });

  test('no chain on which a backup by hand stands, and says why', () => {
    const { numbers, notes } = removals(chains(3), 1, [{ name: 'db@hand.qcow2', base: 'db@b2.qcow2' }]);
    expect(numbers).toEqual([6, 5, 4]);
    expect(notes).toEqual(['The chain of db@b1.qcow2 stays, because db@hand.qcow2 stands on it, which no run has made']);
    expect(removals(chains(3), 1, [{ name: 'x.qcow2', base: null }]).numbers).toEqual([3, 2, 1, 6, 5, 4]);
  });

  test('nothing of an earlier volume of that name, and says that it is there', () => {
    const former = chains(2).map((one) => ({ ...one, volumeId: 'former' }));
    const { numbers, snapshots, notes } = removals([...former, backup(7, null)], 1);
    expect([numbers, snapshots]).toEqual([[], []]);
    expect(notes).toEqual(['6 backups here are of an earlier volume of this name: no run removes them']);
  });

  test('no good chain in favour of a damaged one, and the damaged one when it is old', () => {
    const damaged = chains(3).map((one) => (one.number === 5 ? { ...one, problem: 'db@b5.qcow2 is damaged' } : one));
    const { numbers, damage } = removals(damaged, 2);
    expect(numbers).toEqual([]);
    expect(damage).toEqual(['The chain of db@b4.qcow2 cannot be restored, and stays: db@b5.qcow2 is damaged']);
    expect(removals(damaged, 1).numbers).toEqual([3, 2, 1, 6, 5, 4]);
  });

  test('a chain without its full backup when it is old, and counts it for nothing before', () => {
    const cut = chains(3).filter(({ number }) => number !== 4);
    const why = 'The chain of db@b5.qcow2 cannot be restored, and stays: file db@b4.qcow2 is missing';
    expect(removals(cut, 2)).toMatchObject({ numbers: [], notes: [], damage: [why] });
    expect(removals(cut, 1).numbers).toEqual([3, 2, 1, 6, 5]);
  });

  test('nothing that it does not name: an interrupted backup has its own way', () => {
    const others = chains(2).map((one) => ({ ...one, name: `new-${one.name}`, base: null }));
    const backups = [backup(1, null, { state: 'making', isThere: false }), ...others];
    expect(removals(backups, 1).backups.map(({ name }) => name)).not.toContain('db@b1.qcow2');
  });

  test('by numbers and not by times, if the clock was set back', () => {
    const backups = [backup(1, null, { madeMs: 9 * DAY_MS }), backup(2, null, { madeMs: DAY_MS })];
    expect(removals(backups, 1).numbers).toEqual([1]);
  });

  test.each([
    ['nothing is damaged', [], 2, [3, 2, 1, 6, 5, 4], [7, 8, 9, 10, 11]],
    ['a chain that would stay is damaged', [8], 2, [3, 2, 1], [7, 8, 9, 10, 11, 4, 5, 6]],
    ['each chain that would stay is damaged', [5, 8], 2, [], [7, 8, 9, 10, 11, 4, 5, 6]],
    ['the chain of the newest backup is damaged', [10], 1, [6, 5, 4, 3, 2, 1], [10, 11, 7, 8, 9]],
    ['nothing would be removed', [8], 4, [], []],
  ])('only what chains that were compared replace: %s', async (_, damaged, keep, expected, expectedRead) => {
    const backups = chains(4);
    const read: number[] = [];
    const problemOf = async ({ number }: RunBackup): Promise<string | null> => {
      read.push(number);
      return damaged.includes(number) ? 'has another content' : null;
    };
    const removed = await decideCompared(backups, [], { newest: backups.at(-1)!, keep, snapshots: [] }, problemOf);
    expect([new Set(numbersOf(removed.backups)), new Set(read)]).toEqual([new Set(expected), new Set(expectedRead)]);
  });

  // A mutant that counts a chain without reading it, or that does not read the older chain that counts in place of a damaged one, is red here.
  test('never one of the last good chains, whichever files a disk damages between the runs', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      let state = seed;
      const random = (below: number): number => {
        state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
        return Math.floor((state / 2 ** 31) * below);
      };
      const keep = 1 + (seed % 3);
      const damaged = new Set<string>();
      let backups: RunBackup[] = [];
      const stand = (one: RunBackup): readonly RunBackup[] => {
        const base = backups.find(({ name }) => name === one.base);
        return base === undefined ? [one] : [one, ...stand(base)];
      };
      const good = (): number => {
        const fulls = backups.filter(({ base }) => base === null);
        return fulls.filter((first) => backups.every((one) => stand(one).at(-1) !== first || !damaged.has(one.name))).length;
      };
      for (let number = 1; number <= 30; number++) {
        if (backups.length > 0 && random(4) === 0) damaged.add(backups[random(backups.length)]!.name);
        const below = number === 1 || random(3) === 0 ? null : number - 1;
        backups.push(backup(number, below));
        const before = good();
        const given = { newest: backups.at(-1)!, keep, snapshots: [] };
        const problemOf = async (one: RunBackup): Promise<string | null> =>
          stand(one).some(({ name }) => damaged.has(name)) ? 'has another content' : null;
        const removed = new Set((await decideCompared(backups, [], given, problemOf)).backups);
        backups = backups.filter((one) => !removed.has(one));
        expect(good(), `seed ${seed}, run ${number}`).toBeGreaterThanOrEqual(Math.min(keep, before));
      }
    }
  });

  test('in an order after each step of which all that is left of a chain can be restored', () => {
    for (let seed = 1; seed <= 200; seed++) {
      // Each backup is full, or stands on any earlier one: increments by hand may make trees.
      const backups: RunBackup[] = [];
      for (let number = 1; number <= 12; number++) {
        const below = (seed * 7_919 + number * 104_729 + seed * number * 31) % (number + 2);
        backups.push(backup(number, below === 0 || below >= number ? null : below));
      }
      const keep = 1 + (seed % 4);
      const removed = decideRemovals(backups, [], { newest: backups.at(-1)!, keep, snapshots: [] }).backups;
      let left = backups;
      for (const one of removed) {
        left = left.filter((other) => other !== one);
        for (const { base } of left) expect(base === null || left.some(({ name }) => name === base), `seed ${seed}`).toBe(true);
      }
      const fulls = (all: readonly RunBackup[]): number => all.filter(({ base }) => base === null).length;
      expect(fulls(left)).toBeGreaterThanOrEqual(Math.min(keep, fulls(backups)));
      expect(left).toContain(backups.at(-1));
    }
  });
});

test.each([
  ['a run that was cut before its snapshot was made', { state: 'asking', isThere: false }, true],
  ['a run that was cut before the file', { state: 'making', isThere: false }, true],
  ['a run that was cut before the last rename', { isThere: false, hasPart: true }, true],
  ['a removal that was cut', { state: 'removing' }, true],
  ['a finished backup', {}, false],
  ['a finished backup whose file was taken away', { isThere: false }, false],
  ['a finished backup beside a part by hand', { hasPart: true }, false],
] as const)('%s is a leftover: %s', (_, given, expected) => expect(isLeftover(backup(1, null, given))).toBe(expected));
