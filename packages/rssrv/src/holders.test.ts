// The file in which holders are kept: as it is found at a start, what no client could be told is refused there and then; and when it
// cannot be written, nothing is so that only this process would know. Time is a test's own. Leaves who may hold what to the tests of the listener.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '@rsio/protocol/testing/fake-clock';
import { servedVolume } from './backends/testing.ts';
import { Holders } from './holders.ts';

const HOLD = { node: 'big-2', machine: 'm', instance: 3, address: '127.0.0.1', sinceMs: 1_284_476_552_000, readonly: false };

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-holders-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function holding(hold: object): Holders {
  const file = join(folder, 'holders.json');
  writeFileSync(file, JSON.stringify({ version: 1, content: { volumes: { id: { epoch: 1, holds: [hold] } }, instances: {} } }));
  return new Holders(file, () => 0);
}

test('a holder that stands in the file is told', async () => {
  const holders = holding(HOLD);
  await holders.load();
  expect(holders.of('id')).toEqual([{ node: 'big-2', address: '127.0.0.1', sinceMs: HOLD.sinceMs }]);
});

test.each([{ node: 'no name' }, { node: '' }, { sinceMs: 9e15 }, { sinceMs: -1 }])(
  'a holder that would fail every list is not taken from the file: %j',
  async (wrong) => {
    const error = await holding({ ...HOLD, ...wrong })
      .load()
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'E_SYSTEM', message: expect.stringContaining('holders.json') as string });
  },
);

test('a hold that was made before the clock was set back stays what it is, over a restart too', async () => {
  const big2 = { node: 'big-2', machine: 'm', instance: 3, boot: 'b', address: '127.0.0.1' };
  const clock = new FakeClock();
  const file = join(folder, 'holders.json');
  const holders = new Holders(file, () => clock.wallMs());
  const volume = servedVolume({ name: 'oracle', id: 'id' });
  await holders.grant(volume, big2, { name: 'oracle', universe: 0, readonly: false }, 'life');
  const told = holders.of('id');
  clock.jumpWall(-3_600_000);
  const fresh = new Holders(file, () => clock.wallMs());
  await fresh.load();
  for (const one of [holders, fresh]) {
    expect(one.of('id')).toEqual(told);
    const answer = await one.grant(volume, { ...big2, node: 'mars' }, { name: 'oracle', universe: 0, readonly: false }, 'life');
    expect(answer).toMatchObject({ granted: false, sentence: expect.stringContaining('held by big-2 at 127.0.0.1') as string });
  }
});

describe('when the file cannot be written', () => {
  const BIG2 = { node: 'big-2', machine: 'm', instance: 3, boot: 'b', address: '127.0.0.1' };
  const MARS = { ...BIG2, node: 'mars' };
  const VOLUME = servedVolume({ name: 'oracle', id: 'id' });
  const WRITING = { name: 'oracle', universe: 0, readonly: false };
  const CANNOT = { code: 'E_SYSTEM', message: expect.stringMatching(/holders\.json cannot be written \(EISDIR\): see that/) as string };
  let holders: Holders;
  const file = (): string => join(folder, 'holders.json');
  /** What was written is there again, or is not to be written to. */
  const block = (): void => {
    rmSync(file(), { force: true });
    mkdirSync(file());
  };
  const unblock = (): void => rmSync(file(), { recursive: true });
  const afterRestart = async (): Promise<Holders> => {
    const fresh = new Holders(file(), () => 0);
    await fresh.load();
    return fresh;
  };

  beforeEach(() => {
    holders = new Holders(file(), () => 0);
  });

  test('nobody gets the volume, and whoever comes first when it can be, does', async () => {
    block();
    await expect(holders.grant(VOLUME, BIG2, WRITING, 'life')).rejects.toMatchObject(CANNOT);
    expect(holders.of('id')).toEqual([]);
    unblock();
    expect(await holders.grant(VOLUME, MARS, WRITING, 'life')).toMatchObject({ granted: true });
    expect((await afterRestart()).of('id')).toMatchObject([{ node: 'mars' }]);
  });

  test('an instance that comes again is not taken for one that was noted', async () => {
    await holders.noteInstance(BIG2);
    block();
    const next = { ...BIG2, instance: 4 };
    await expect(holders.noteInstance(next)).rejects.toMatchObject(CANNOT);
    await expect(holders.noteInstance(next)).rejects.toMatchObject(CANNOT);
    expect(holders.isCurrent(BIG2)).toBe(true);
    unblock();
    await holders.noteInstance(next);
    expect((await afterRestart()).isCurrent(BIG2)).toBe(false);
  });

  test('who has closed a volume does not keep others from it', async () => {
    await holders.grant(VOLUME, BIG2, WRITING, 'life');
    block();
    await expect(holders.release('id', BIG2)).rejects.toMatchObject(CANNOT);
    expect(holders.of('id')).toEqual([]);
    unblock();
    expect(await holders.grant(VOLUME, MARS, WRITING, 'life')).toMatchObject({ granted: true });
    expect((await afterRestart()).of('id')).toMatchObject([{ node: 'mars' }]);
  });
});
