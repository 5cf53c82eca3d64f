// Tests where holds are durable: which volumes the holds file has, what a start reads from it, what is left of a pool that another server
// owns, and which ledgers are saved while a volume changes its pool. The test stands in for the ledgers; ledgers.test.ts has real ones.
// Rules: H1, H4.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BIG2, MARS, OPEN, QUIET, turns, VOLUME } from '../../testing/contenders.ts';
import { unhinderedPorts } from '../../testing/grant-ports.ts';
import type { VolumeHolds } from './hold-rules.ts';
import { Holds } from './holds.ts';

const { boot: _boot, ...HOLDER } = BIG2;
const HELD: VolumeHolds = { epoch: 9, holds: [{ ...HOLDER, sinceMs: 1, readonly: false, epoch: 9, life: 'life' }], taken: null };
const FREE: VolumeHolds = { epoch: 4, holds: [], taken: null };

let folder = '';
/** The pools whose ledgers were saved, and what else has happened. */
let steps: string[] = [];
let doubted: string[] = [];
let logged: string[] = [];
/** The pool whose ledger cannot be saved. */
let broken = '';
let holds: Holds;

function newHolds(): Holds {
  const save = async (poolId: string): Promise<void> => {
    steps.push(poolId);
    if (poolId === broken) throw new Error(`Pool ${poolId} is full`);
  };
  const log = { ...QUIET, error: (text: string) => void logged.push(text) };
  return new Holds(file(), () => 1, log, { save, isDirty: () => false, doubt: (poolId) => void doubted.push(poolId) });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-hold-store-'));
  [steps, doubted, logged, broken] = [[], [], [], ''];
  holds = newHolds();
});

afterEach(() => removeFolder(folder));

const file = (): string => join(folder, 'holders.json');
const inFile = (): string[] => Object.keys(JSON.parse(readFileSync(file(), 'utf8')).content.volumes);
const open = (id: string, pool: string | null, client = MARS) => {
  const volume = { ...VOLUME, id, ...(pool === null ? {} : { pool: { ids: [pool] as const, isThick: false } }) };
  return holds.grant(id, client, OPEN, unhinderedPorts(volume));
};
const adopt = (pool: string, volumes: Record<string, VolumeHolds>): void =>
  holds.adopt(pool, { volumes, nodes: {} }, new Set(Object.keys(volumes)), false);

describe('the holds file', () => {
  test('has the holds of a pool until the ledger of the pool is durable, and always those of volumes in no pool', async () => {
    adopt('p', { db: HELD });
    await open('plain', null);
    expect(inFile()).toEqual(['db', 'plain']);
    holds.keptBy('p');
    await open('plain2', null);
    expect(inFile()).toEqual(['plain', 'plain2']);
  });

  test('says whether clients have ever been fenced', async () => {
    await open('plain', null);
    const before = newHolds();
    await before.load();
    expect(before.hasHadFences).toBe(false);
    await holds.noteFences();
    const after = newHolds();
    await after.load();
    expect(after.hasHadFences).toBe(true);
  });

  test('keeps the epoch of a volume that nobody holds, and of a snapshot only its holds', async () => {
    const volumes = { free: FREE, read: { ...HELD, isSnapshot: true }, unread: { ...FREE, isSnapshot: true } };
    writeFileSync(file(), JSON.stringify({ version: 3, content: { volumes, nodes: {} } }));
    await holds.load();
    expect(holds.known(['free', 'read', 'unread'])).toEqual({ free: FREE, read: volumes.read });
  });
});

test('of a pool that another server owns, the epochs stay, and those of its ledger that are lower count for nothing', async () => {
  adopt('p', { db: HELD });
  adopt('q', { other: HELD });
  holds.keptBy('p');
  holds.forgetPool('p');
  expect([holds.holdersOf('db'), holds.holdersOf('other').length]).toEqual([[], 1]);
  adopt('p', { db: FREE });
  expect([holds.epochOf('db'), holds.holdersOf('db')]).toEqual([9, []]);
  // The ledger is not durable again yet.
  await open('plain', null);
  expect(inFile()).toContain('db');
});

describe('a volume that changes its pool', () => {
  const carry = (mayBeThere: boolean, commit: () => Promise<unknown> = async () => steps.push('commit')) =>
    holds.carry(['db', 'db@x'], 'q', commit, () => mayBeThere);
  /** Returns the pools in which the next hold is saved. */
  const savedIn = async (): Promise<string[]> => {
    steps = [];
    await open('db', 'p');
    return steps;
  };

  beforeEach(() => adopt('p', { db: FREE }));

  test('takes its holds along: they are in the new ledger before it is there, and leave the old one afterwards', async () => {
    await carry(true);
    await turns();
    expect(steps).toEqual(['q', 'commit', 'p']);
    expect([Object.keys(holds.inLedger('p').volumes), Object.keys(holds.inLedger('q').volumes)]).toEqual([[], ['db']]);
  });

  test('leaves the old ledger only once the new one has the snapshots that were opened meanwhile', async () => {
    await carry(true, async () => {
      steps = [];
      await open('db@x', 'p');
    });
    await turns();
    expect(steps).toEqual(['p', 'q', 'p']);
    expect(Object.keys(holds.inLedger('q').volumes)).toEqual(['db', 'db@x']);
  });

  test('says so if the old ledger cannot be saved afterwards', async () => {
    broken = 'p';
    await carry(true);
    await turns();
    expect(logged).toEqual(['Pool p is full']);
  });

  test('does not move if the new ledger cannot be saved', async () => {
    broken = 'q';
    await expect(carry(true)).rejects.toThrow('Pool q is full');
    expect([steps, doubted]).toEqual([['q'], ['q']]);
    expect(Object.keys(holds.inLedger('q').volumes)).toEqual([]);
  });

  test.each([
    [false, ['p'], []],
    [true, ['p', 'q'], ['db']],
  ])('has its holds in both ledgers after a failure only if it may be in both pools (%s)', async (mayBeThere, saved, there) => {
    await expect(carry(mayBeThere, () => Promise.reject(new Error('Stopped')))).rejects.toThrow('Stopped');
    expect(Object.keys(holds.inLedger('q').volumes)).toEqual(there);
    if (!mayBeThere) expect(await savedIn()).toEqual(saved);
    else expect(Object.keys(holds.inLedger('p').volumes)).toEqual(there);
  });
});
