// The data path of a mirror in worlds that chance moves: replicas crash, lose sessions, refuse, are removed and return, and another client
// takes the mirror over. Every answer is judged (testing/mirror-world.ts). Each planted fault must be found by the same worlds.

import { afterEach, describe, expect, test } from 'vitest';
import { violationOf } from '../../testing/mirror-world.ts';
import { Confirmations } from './confirmations.ts';
import { DataPath } from './data-path.ts';
import { Member, Members } from './members.ts';
import type { Operation } from './operation.ts';
import { Replica } from './replica.ts';
import { type LockEntry, SectorLock } from './sector-lock.ts';

const WORLDS = 1200;

/** Returns the first world that finds something, or whose assertions fail; null if there is none. */
async function firstViolation(): Promise<string | null> {
  for (let seed = 1; seed <= WORLDS; seed++) {
    try {
      const found = await violationOf(seed);
      if (found !== null) return found;
    } catch (error) {
      return `seed ${seed}: ${String(error)}`;
    }
  }
  return null;
}

test(`no world of ${WORLDS} finds anything`, async () => {
  expect(await firstViolation()).toBeNull();
}, 60_000);

type Method = (this: never, ...given: never[]) => unknown;

const originals: (() => void)[] = [];

/** Replaces a method or getter, private ones included, until the end of the test. */
function plant(
  owner: { readonly prototype: object },
  name: string,
  make: (original: Method) => Method,
  kind: 'value' | 'get' = 'value',
): void {
  const { prototype } = owner;
  const before = Object.getOwnPropertyDescriptor(prototype, name)!;
  originals.push(() => Object.defineProperty(prototype, name, before));
  Object.defineProperty(prototype, name, { ...before, [kind]: make(before[kind] as Method) });
}

afterEach(() => {
  for (const restore of originals.splice(0)) restore();
});

interface Insides {
  hold(entry: LockEntry): void;
  finish(operation: Operation, status: number): void;
}

const FAULTS: Record<string, () => void> = {
  'ack-early: the first answer acknowledges': () =>
    plant(
      DataPath,
      'judge',
      () =>
        function (this: Insides, operation: Operation) {
          if (operation.phase === 'running' && operation.okMask !== 0) this.finish(operation, 0);
        } as Method,
    ),
  'shrink-early: a replica that was given up does not count': () =>
    plant(
      Members,
      'missing',
      () =>
        function (this: Members, okMask: number) {
          return this.countsMask & this.presentMask & ~(okMask & this.recoveredMask);
        } as Method,
    ),
  'no-void: an answer outlives the incarnation that gave it': () =>
    plant(
      Replica,
      'hasRecovered',
      () =>
        function (this: Replica) {
          return this.isAnswering;
        } as Method,
      'get',
    ),
  'o1: nothing waits for the lock': () =>
    plant(
      SectorLock,
      'enter',
      () =>
        function (this: Insides, entry: LockEntry) {
          this.hold(entry);
          return true;
        } as Method,
    ),
  'lock-one-way: reads do not wait for changes': () =>
    plant(
      SectorLock,
      'enter',
      (enter) =>
        function (this: Insides, entry: LockEntry) {
          if (entry.isExclusive) return enter.call(this as never, entry as never);
          this.hold(entry);
          return true;
        } as Method,
    ),
  'read-unconfirmed: READs leave at once': () => plant(Confirmations, 'isConfirmed', () => () => true),
  'round-started-before: an older request of a replica confirms': () =>
    plant(
      Member,
      'confirm',
      (confirm) =>
        function (this: Member, startSequence: number) {
          confirm.call(this as never, (startSequence + 3) as never);
        } as Method,
    ),
  'read-from-returning: any replica executes READs': () =>
    plant(
      Members,
      'reader',
      () =>
        function (this: Members, triedMask: number) {
          return this.all.findLast(({ isReady, bit }) => isReady && (triedMask & bit) === 0) ?? null;
        } as Method,
    ),
  'read-unsettled: READs do not wait until a region is settled': () => plant(DataPath, 'isParked', () => () => false),
  'refusal-counts: a refusal acknowledges': () =>
    plant(DataPath, 'refused', () => (operation: Operation) => {
      operation.okMask |= operation.refusedMask;
    }),
  'refused-settled: replicas that refused or abandoned a change count as equal': () => plant(DataPath, 'unsettle', () => () => false),
  'returning-unwritten: changes go only to replicas that count': () =>
    plant(
      DataPath,
      'sendAll',
      (sendAll) =>
        function (this: DataPath, operation: Operation) {
          const { all } = this.members;
          this.members.all = all.filter(({ counts }) => counts);
          sendAll.call(this as never, operation as never);
          this.members.all = all;
        } as Method,
    ),
  'lost-forgotten: READs go to a replica that has lost a change': () => plant(DataPath, 'loseAll', () => () => {}),
};

describe('is found:', () => {
  test.each(Object.keys(FAULTS))(
    '%s',
    async (name) => {
      FAULTS[name]!();
      const found = await firstViolation();
      expect(found).not.toBeNull();
    },
    60_000,
  );
});
