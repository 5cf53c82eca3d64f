// Tests the client's identity across starts of the daemon, in a real folder: the machine id stays, the instance number grows, and a damaged
// file prevents the start. state-file.test.ts tests the durability of the file.

import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { INSTANCE_MAX } from '@rsio/protocol/wire/limits';
import { isSameBoot, nextIdentity } from './client-identity.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const BOOT = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.\d+-\d+-\d+$/;
let folder = '';
let file = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsiod-'));
  file = join(folder, 'state', 'identity.json');
});

afterEach(() => removeFolder(folder));

const next = () => nextIdentity(join(folder, 'state'));

test('the machine and the boot stay, the instance grows with every start', async () => {
  const first = await next();
  expect(first).toEqual({
    machine: expect.stringMatching(UUID) as unknown,
    boot: expect.stringMatching(BOOT) as unknown,
    instance: 1,
    process: expect.stringMatching(UUID) as unknown,
    dataProcess: 0,
  });
  const second = await next();
  expect(second).toEqual({ ...first, instance: 2, process: second.process });
  expect(second.process).not.toBe(first.process);
  expect(await next()).toMatchObject({ machine: first.machine, boot: first.boot, instance: 3 });
  expect(readdirSync(join(folder, 'state'))).toEqual(['identity.json']);
});

test('two roots are two machines', async () => {
  const other = await nextIdentity(join(folder, 'other'));
  expect(other.machine).not.toBe((await next()).machine);
});

test('a copy of the state folder on the same kernel, as in a copied container, is another boot of the same machine', async () => {
  const original = await next();
  cpSync(join(folder, 'state'), join(folder, 'copy'), { recursive: true, preserveTimestamps: true });
  const copy = await nextIdentity(join(folder, 'copy'));
  expect(copy).toMatchObject({ machine: original.machine, instance: 2 });
  expect(copy.boot).not.toBe(original.boot);
  expect((await next()).boot).toBe(original.boot);
});

test('what an earlier release recorded during this boot is still of this boot', async () => {
  const { boot } = await next();
  const [kernel = ''] = boot.split('.');
  expect([isSameBoot(kernel, boot), isSameBoot('', boot), isSameBoot(`${kernel.slice(0, -1)}`, boot)]).toEqual([true, false, false]);
});

// Regression: the list of attached volumes was dropped without a word after the state folder had been restored or mounted again.
test('what was recorded before the state folder was moved or restored is still of this boot', async () => {
  const { boot } = await next();
  cpSync(join(folder, 'state'), join(folder, 'restored'), { recursive: true });
  rmSync(join(folder, 'state'), { recursive: true });
  renameSync(join(folder, 'restored'), join(folder, 'state'));
  const after = await next();
  expect([after.boot === boot, isSameBoot(boot, after.boot)]).toEqual([false, true]);
});

test.each([
  '',
  '{}',
  '{"version":1,"content":{"machine":"a"}}',
  '{"version":1,"content":{"machine":"a","instance":1.5}}',
  '{"version":1,"content":{"machine":"a","instance":9007199254740991}}',
  '{"version":1,"content":{"machine":"a b","instance":1}}',
])('a file with %j is refused with what to do, and kept', async (text) => {
  await next();
  writeFileSync(file, text);
  await expect(next()).rejects.toMatchObject({
    code: 'E_SYSTEM',
    message: expect.stringMatching(
      /identity\.json cannot be used: .*move it away and detach this node's volumes at the servers$/,
    ) as unknown,
  });
  expect(readFileSync(file, 'utf8')).toBe(text);
});

test('after the last number a start fails, and the file stays unchanged', async () => {
  await next();
  const last = JSON.stringify({ version: 1, content: { machine: 'a', instance: INSTANCE_MAX } });
  writeFileSync(file, last);
  await expect(next()).rejects.toMatchObject({
    code: 'E_SYSTEM',
    message: expect.stringContaining('identity.json was not written') as unknown,
  });
  expect(readFileSync(file, 'utf8')).toBe(last);
});
