// Tests the file of the holds. A start refuses a file with a holder that no message could contain. A change does not take effect if the
// file cannot be written. The test controls the clock. hold-rules.test.ts tests the decisions.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { type OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { servedVolume } from '../../testing/backend-scene.ts';
import { Holds } from './holds.ts';
import { checkNotes } from './instances.ts';
import { VolumeUses } from './volume-uses.ts';
import { HOLD_CHANGES_WAITING_MAX } from '../limits.ts';
import { unhinderedPorts } from '../../testing/grant-ports.ts';
import { AssertionError } from '@rsio/base/lib/assert';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { NO_LEDGER } from '../../testing/no-ledgers.ts';

const HOLD = { node: 'big-2', machine: 'm', instance: 3, address: '127.0.0.1', sinceMs: 1_284_476_552_000, readonly: false };

const QUIET = { info: () => undefined, warn: () => undefined, error: () => undefined };

const OPEN = { name: 'oracle', universe: 0, readonly: false, take: TAKE.NO, resume: null, mirror: null };

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-holders-'));
});

afterEach(() => removeFolder(folder));

function holding(hold: object): Holds {
  const file = join(folder, 'holders.json');
  writeFileSync(file, JSON.stringify({ version: 1, content: { volumes: { id: { epoch: 1, holds: [hold] } }, instances: {} } }));
  return new Holds(file, () => 0, QUIET, NO_LEDGER);
}

test('a holder in the file is reported', async () => {
  const holders = holding(HOLD);
  await holders.load();
  expect(holders.holdersOf('id')).toEqual([{ node: 'big-2', address: '127.0.0.1', sinceMs: HOLD.sinceMs }]);
});

test.each([{ node: 'no name' }, { node: '' }, { sinceMs: 9e15 }, { sinceMs: -1 }])(
  'a holder that would break every list is not read from the file: %j',
  async (wrong) => {
    const error = await holding({ ...HOLD, ...wrong })
      .load()
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'E_SYSTEM', message: expect.stringContaining('holders.json') as string });
  },
);

test.each([0, 1.5, 2 ** 49, 'one', null])('a hold with %j as its term is refused', async (term) => {
  const file = join(folder, 'holders.json');
  const hold = { ...HOLD, process: 'p', epoch: 1, life: 'life', term };
  writeFileSync(file, JSON.stringify({ version: 3, content: { volumes: { id: { epoch: 1, holds: [hold], taken: null } }, nodes: {} } }));
  await expect(new Holds(file, () => 0, QUIET, NO_LEDGER).load()).rejects.toMatchObject({ code: 'E_SYSTEM' });
});

test('ends of holds that wait behind storage that does not answer are bounded', async () => {
  const holders = holding(HOLD);
  await holders.load();
  const never = new Promise<void>(() => undefined);
  const end = (): Promise<void> =>
    holders.endHolds(
      'id',
      (all) => all,
      () => never,
      () => Promise.resolve(),
    );
  for (let index = 0; index < HOLD_CHANGES_WAITING_MAX; index++) void end();
  await expect(end()).rejects.toMatchObject({ code: 'E_LIMIT' });
});

test('an end of some holds leaves the others', async () => {
  const holders = holding(HOLD);
  await holders.load();
  const open = { ...OPEN, readonly: true };
  for (const node of ['venus', 'mars']) {
    const client = { node, machine: node, instance: 1, boot: 'b', process: 'p', address: '127.0.0.3' };
    await holders.grant('read', client, open, unhinderedPorts(servedVolume({ name: 'oracle', id: 'read' })));
  }
  const revoked: string[] = [];
  await holders.endHolds(
    'read',
    (all) => all.filter(({ node }) => node === 'mars'),
    async (losers) => void revoked.push(...losers.map(({ node }) => node)),
    () => Promise.resolve(),
  );
  expect([revoked, holders.holdersOf('read').map(({ node }) => node)]).toEqual([['mars'], ['venus']]);
});

describe('a holds file of the first format', () => {
  test('is accepted: a writer resumes its hold, and waits for no other client', async () => {
    const holders = holding(HOLD);
    await holders.load();
    const client = { ...HOLD, boot: 'b', process: 'p' };
    const grant = await holders.grant('id', client, { ...OPEN, resume: 'id.1' }, unhinderedPorts(servedVolume({ id: 'id' })));
    expect(grant).toMatchObject({ granted: true, identity: 'id.1', epoch: 1 });
    const taken = await holders.grant(
      'id',
      { ...client, node: 'mars' },
      { ...OPEN, take: TAKE.OVER },
      unhinderedPorts(servedVolume({ id: 'id' })),
    );
    expect(taken).toMatchObject({ granted: true, identity: 'id.2' });
  });

  test('lets a reader resume by the identity that readers had', async () => {
    const holders = holding({ ...HOLD, readonly: true });
    await holders.load();
    const request = { ...OPEN, readonly: true, resume: 'id.readonly' };
    const grant = await holders.grant('id', { ...HOLD, boot: 'b', process: 'p' }, request, unhinderedPorts(servedVolume({ id: 'id' })));
    expect(grant).toMatchObject({ granted: true, identity: 'id.readonly' });
  });
});

describe('a holds file of the second format', () => {
  const NOW = { ...HOLD, epoch: 2, life: 'boot.0.0' };
  const TAKEN = { node: 'mars', address: '127.0.0.3', atMs: 1_284_476_552_000 };
  const loading = (volume: object): Promise<void> => {
    const file = join(folder, 'holders.json');
    const id = { epoch: 2, holds: [NOW], taken: TAKEN, ...volume };
    writeFileSync(file, JSON.stringify({ version: 2, content: { volumes: { id }, instances: {} } }));
    return new Holds(file, () => 0, QUIET, NO_LEDGER).load();
  };

  test.each([{}, { taken: null }, { holds: [{ ...NOW, life: null }] }, { holds: [] }])('is accepted: %j', async (volume) => {
    await expect(loading(volume)).resolves.toBeUndefined();
  });

  test.each([
    { holds: [HOLD] },
    { holds: [{ ...NOW, epoch: 3 }] },
    { holds: [{ ...NOW, epoch: -1 }] },
    { holds: [NOW, { ...NOW, machine: 'copy' }] },
    { holds: [{ ...NOW, life: 7 }] },
    { holds: [{ ...NOW, node: '' }] },
    { taken: undefined },
    { taken: { ...TAKEN, node: 'no name' } },
    { taken: { ...TAKEN, atMs: 9e15 } },
    { epoch: 'x' },
  ])('is not taken with what could not be told, or would give an identity twice: %j', async (volume) => {
    await expect(loading(volume)).rejects.toMatchObject({ code: 'E_SYSTEM' });
  });
});

test('a hold from before the clock was set back does not change, over a restart either', async () => {
  const big2 = { node: 'big-2', machine: 'm', instance: 3, boot: 'b', process: 'p', address: '127.0.0.1' };
  const clock = new FakeClock();
  const file = join(folder, 'holders.json');
  const holders = new Holds(file, () => clock.wallMs(), QUIET, NO_LEDGER);
  const volume = servedVolume({ name: 'oracle', id: 'id' });
  await holders.grant('id', big2, OPEN, unhinderedPorts(volume));
  const told = holders.holdersOf('id');
  clock.jumpWall(-3_600_000);
  const fresh = new Holds(file, () => clock.wallMs(), QUIET, NO_LEDGER);
  await fresh.load();
  for (const one of [holders, fresh]) {
    expect(one.holdersOf('id')).toEqual(told);
    const answer = await one.grant('id', { ...big2, node: 'mars' }, OPEN, unhinderedPorts(volume));
    expect(answer).toMatchObject({ granted: false, sentence: expect.stringContaining('held by big-2 at 127.0.0.1') as string });
  }
});

describe('when the holds file cannot be written', () => {
  const BIG2 = { node: 'big-2', machine: 'm', instance: 3, boot: 'b', process: 'p', address: '127.0.0.1' };
  const MARS = { ...BIG2, node: 'mars' };
  const VOLUME = servedVolume({ name: 'oracle', id: 'id' });
  const CANNOT = { code: 'E_SYSTEM', message: expect.stringMatching(/holders\.json cannot be written \(EISDIR\): /) as string };
  let holders: Holds;
  const file = (): string => join(folder, 'holders.json');
  const block = (): void => {
    rmSync(file(), { force: true });
    mkdirSync(file());
  };
  const unblock = (): void => rmSync(file(), { recursive: true });
  const afterRestart = async (): Promise<Holds> => {
    const fresh = new Holds(file(), () => 0, QUIET, NO_LEDGER);
    await fresh.load();
    return fresh;
  };

  beforeEach(() => {
    holders = new Holds(file(), () => 0, QUIET, NO_LEDGER);
  });

  test('no client gets the volume, and once the file can be written the first client to ask does', async () => {
    block();
    await expect(holders.grant('id', BIG2, OPEN, unhinderedPorts(VOLUME))).rejects.toMatchObject(CANNOT);
    expect(holders.holdersOf('id')).toEqual([]);
    unblock();
    expect(await holders.grant('id', MARS, OPEN, unhinderedPorts(VOLUME))).toMatchObject({ granted: true });
    expect((await afterRestart()).holdersOf('id')).toMatchObject([{ node: 'mars' }]);
  });

  test('an instance that returns is not mistaken for a recorded one', async () => {
    await holders.noteInstance(BIG2, null);
    block();
    const next = { ...BIG2, instance: 4 };
    await expect(holders.noteInstance(next, null)).rejects.toMatchObject(CANNOT);
    await expect(holders.noteInstance(next, null)).rejects.toMatchObject(CANNOT);
    expect(holders.isCurrent(BIG2)).toBe(true);
    unblock();
    await holders.noteInstance(next, null);
    expect((await afterRestart()).isCurrent(BIG2)).toBe(false);
  });

  test('the lowest admitted instance of a machine is that of the new client when it replaces one of the same machine', async () => {
    const next = { ...BIG2, instance: 9 };
    await holders.noteInstance(BIG2, null);
    await holders.noteInstance(next, BIG2);
    expect(holders.isCurrent({ ...BIG2, instance: 8 })).toBe(false);
    expect((await afterRestart()).isCurrent({ ...BIG2, instance: 8 })).toBe(false);
  });

  test('a client that has closed a volume does not keep others from it', async () => {
    await holders.grant('id', BIG2, OPEN, unhinderedPorts(VOLUME));
    block();
    await expect(holders.release('id', BIG2, 1)).rejects.toMatchObject(CANNOT);
    expect(holders.holdersOf('id')).toEqual([]);
    unblock();
    expect(await holders.grant('id', MARS, OPEN, unhinderedPorts(VOLUME))).toMatchObject({ granted: true });
    expect((await afterRestart()).holdersOf('id')).toMatchObject([{ node: 'mars' }]);
  });
});

test('if the pool was taken again while a change was saved, the holds of its ledger stay when the save fails', async () => {
  const other = { ...HOLD, node: 'mars', process: 'q', epoch: 7, life: 'life' };
  const taken = { volumes: { id: { epoch: 7, holds: [other], taken: null } }, nodes: {} };
  const holders = new Holds(join(folder, 'holders.json'), () => 0, QUIET, {
    save: () => {
      holders.forgetPool('pool');
      holders.adopt('pool', taken, new Set(['id']), true);
      return Promise.reject(new Error('the pool was lost'));
    },
    isDirty: () => false,
    doubt: () => undefined,
  });
  holders.adopt('pool', { volumes: {}, nodes: {} }, new Set(['id']), false);
  const volume = servedVolume({ id: 'id', name: 'oracle', pool: { ids: ['pool'], isThick: false } });
  const client = { node: 'big-2', instance: 3, machine: 'm', boot: 'b', process: 'p', address: '127.0.0.1' };
  await expect(holders.grant('id', client, OPEN, unhinderedPorts(volume))).rejects.toThrow('the pool was lost');
  expect(holders.inLedger('pool').volumes).toEqual(taken.volumes);
});

describe('if the pool was taken again while a hold was ended, the OPEN is decided again', () => {
  const inLedger = (node: string, epoch: number) => ({
    volumes: { id: { epoch, holds: [{ ...HOLD, node, process: 'q', epoch, life: 'life' }], taken: null } },
    nodes: {},
  });
  const client = { node: 'big-2', instance: 4, machine: 'm', boot: 'b', process: 'p', address: '127.0.0.1' };

  /** `first` holds the volume; when a hold is ended for the first time, the pool is taken again, and its ledger names `second`. */
  async function opened(first: string, second: string, take: OpenRequest['take']) {
    const ledgers = { save: () => Promise.resolve(), isDirty: () => false, doubt: () => undefined };
    const holders = new Holds(join(folder, 'holders.json'), () => 0, QUIET, ledgers);
    holders.adopt('pool', inLedger(first, 3), new Set(['id']), false);
    const volume = servedVolume({ id: 'id', name: 'oracle', pool: { ids: ['pool'], isThick: false } });
    const ended: string[] = [];
    let isTakenAgain = false;
    const takeAgain = (): void => {
      if (isTakenAgain) return;
      isTakenAgain = true;
      holders.forgetPool('pool');
      holders.adopt('pool', inLedger(second, 7), new Set(['id']), true);
    };
    const ports = {
      ...unhinderedPorts(volume),
      revokeHold: (_volume: unknown, { node }: { node: string }) => {
        ended.push(node);
        takeAgain();
        return Promise.resolve(true);
      },
      sync: () => {
        ended.push('sync');
        takeAgain();
        return Promise.resolve();
      },
    };
    const grant = await holders.grant('id', client, { ...OPEN, take }, ports);
    return { grant, ended, holders: holders.holdersOf('id').map(({ node }) => node) };
  }

  test('a take-over also ends the hold that the ledger names', async () => {
    const { grant, ended, holders } = await opened('mars', 'venus', TAKE.OVER);
    expect(ended).toEqual(['mars', 'sync', 'venus', 'sync']);
    expect(grant).toMatchObject({ granted: true });
    expect(holders).toEqual(['big-2']);
  });

  test('a later instance of the holder is refused if the ledger names another holder, and has the volume if it still names this node', async () => {
    const lost = await opened('big-2', 'venus', TAKE.NO);
    expect(lost.grant).toMatchObject({ granted: false, status: STATUS.HELD });
    expect(lost.holders).toEqual(['venus']);
    const kept = await opened('big-2', 'big-2', TAKE.NO);
    expect(kept.grant).toMatchObject({ granted: true });
    expect(kept.holders).toEqual(['big-2']);
  });
});

test('an instance number that falls is a mistake of the server', () => {
  const notes = { last: null, machines: [{ machine: 'm', below: 3 }], replaced: [] };
  expect(() => checkNotes(notes, { ...notes, machines: [{ machine: 'm', below: 2 }] })).toThrow(AssertionError);
  checkNotes(notes, { ...notes, machines: [{ machine: 'm', below: 4 }] });
});

test('an OPEN that ends without having begun is a mistake of the server', () => {
  const uses = new VolumeUses();
  uses.opens('id');
  uses.opened('id');
  expect(() => uses.opened('id')).toThrow(AssertionError);
});
