// Who this client is, over starts of the daemon on a real folder: the machine stays, the instance grows, a damaged file stops the start.
// Leaves durability to state-file.test.ts, and what servers make of an identity to test/integration.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nextIdentity } from './identity.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
let folder = '';
let file = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsiod-'));
  file = join(folder, 'state', 'identity.json');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const next = () => nextIdentity(join(folder, 'state'));

test('the machine and the boot stay, the instance grows with every start', async () => {
  const first = await next();
  expect(first).toEqual({ machine: expect.stringMatching(UUID) as unknown, boot: expect.stringMatching(UUID) as unknown, instance: 1 });
  expect(await next()).toEqual({ ...first, instance: 2 });
  expect(await next()).toEqual({ ...first, instance: 3 });
  expect(readdirSync(join(folder, 'state'))).toEqual(['identity.json']);
});

test('two roots are two machines', async () => {
  const other = await nextIdentity(join(folder, 'other'));
  expect(other.machine).not.toBe((await next()).machine);
});

test.each(['', '{}', '{"version":1,"content":{"machine":"a"}}', '{"version":1,"content":{"machine":"a","instance":1.5}}'])(
  'a file with %j is refused with what to do, and kept',
  async (text) => {
    await next();
    writeFileSync(file, text);
    await expect(next()).rejects.toMatchObject({
      code: 'E_SYSTEM',
      message: expect.stringMatching(
        /identity\.json cannot be used: .*move it away and detach this node's volumes at the servers$/,
      ) as unknown,
    });
    expect(readFileSync(file, 'utf8')).toBe(text);
  },
);
