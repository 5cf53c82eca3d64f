// Tests which directories become a pool, and that no other directory is changed.
// pools.test.ts tests the use of a pool.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { toRsError } from '@rsio/base/lib/errors';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makePool } from './make-pool.ts';
import { readIdentity } from './disk/pool-scan.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let directory = '';
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-pool-'));
});
afterEach(() => removeFolder(directory));

async function refusal(at: string, pools: Parameters<typeof makePool>[2] = []): Promise<string> {
  try {
    await makePool(at, 0, pools, false);
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    return `${code}: ${message.replaceAll(directory, 'DIR')}`;
  }
  return 'none';
}

test.each([['nothing'], ['lost+found'], ['volumes'], ['removed']])('a directory with %s becomes a pool, once', async (content) => {
  if (content !== 'nothing') fs.mkdirSync(path.join(directory, content));
  expect(await makePool(directory, 5, [], false)).toEqual({ isNew: true, volumes: 0 });
  const text = fs.readFileSync(path.join(directory, 'pool.json'), 'utf8');
  expect(await readIdentity(directory)).toMatchObject({ createdMs: 5 });
  expect(await makePool(directory, 6, [], false)).toEqual({ isNew: false, volumes: 0 });
  expect(fs.readFileSync(path.join(directory, 'pool.json'), 'utf8')).toBe(text);
});

test.each(['data', 'volumes/x', 'lost+found.old', '.git'])('a directory with %s is refused and stays as it is', async (content) => {
  fs.mkdirSync(path.join(directory, content), { recursive: true });
  const [name = ''] = content.split('/');
  expect(await refusal(directory)).toBe(`E_POOL: DIR is not empty, it contains "${name}": use an empty directory`);
  expect(fs.readdirSync(directory)).toEqual([name]);
});

test('a file, a missing directory and a relative path are refused', async () => {
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, '');
  expect(await refusal(file)).toBe('E_POOL: DIR/file is not a directory: give the directory of the pool');
  expect(await refusal(path.join(directory, 'gone'))).toBe(
    'E_POOL: DIR/gone cannot become a pool (ENOENT): create the directory, and mount its file system there',
  );
  expect(await refusal('srv')).toBe('E_POOL: Path srv of the pool is not absolute: begin it with /');
});

test('a pool of this server is not added again through another path', async () => {
  const [real, link] = [path.join(directory, 'real'), path.join(directory, 'link')];
  fs.mkdirSync(real);
  fs.symlinkSync(real, link);
  await makePool(real, 0, [], false);
  const identity = await readIdentity(real);
  expect(await refusal(link, [{ name: 'fast', path: real, identity }])).toBe(
    'E_EXISTS: DIR/link already is pool fast at DIR/real, or a copy of it: use another directory',
  );
});

test('the directory of a pool of this server, whose file system is not mounted, does not become another pool', async () => {
  const pool = { name: 'fast', path: directory, identity: null };
  expect(await refusal(directory, [pool])).toMatch(/^E_POOL: DIR\/pool\.json does not exist: mount the file system of the pool/);
  expect(fs.readdirSync(directory)).toEqual([]);
});

test('a file system that has no folders of its own is refused, and does not hang', async () => {
  expect(await refusal('/proc')).toMatch(/^E_POOL: \/proc is not empty/);
});
