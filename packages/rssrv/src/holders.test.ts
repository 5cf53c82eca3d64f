// The file in which holders are kept, as it is found at a start: what no client could be told is refused there and then.
// Leaves who may hold what to the tests of the listener.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
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
