// Tests the archive with real folders and the real tar: what is in it, its bounds, and that nothing is left beside it. Rules: G56.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanerOf } from '@rsio/common/config/open-config';
import { type Clock, systemClock } from '@rsio/base/lib/clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, type TestContext, test } from 'vitest';
import { type Archive, makeArchive, type SupportPart } from './archive.ts';
import { SUPPORT_PART_MAX_BYTES, SUPPORT_PART_MS, SUPPORT_TOTAL_MAX_BYTES } from './limits.ts';
import { openMounts } from './machine-parts.ts';

const KEY = '0xkey-of-this-test';

let folder: string;

beforeEach((context) => {
  needPrograms(context, 'tar', 'gzip');
  folder = mkdtempSync(join(tmpdir(), 'rsio-support-test-'));
});
afterEach(() => (folder === undefined ? undefined : removeFolder(folder)));

const part = (file: string, collect: SupportPart['collect']): SupportPart => ({ file, about: `about ${file}`, collect });
/** A clock whose long waits end at once. */
const hasty: Clock = { ...systemClock, after: (ms, fire) => systemClock.after(ms === SUPPORT_PART_MS ? 0 : ms, fire) };

function make(parts: readonly SupportPart[], clock: Clock = { ...systemClock, wallMs: () => 0 }): Promise<Archive> {
  return makeArchive({ clock, folder, host: 'big 9/..', parts, clean: cleanerOf([KEY]) });
}

/** The files of the archive with their texts, in their order. */
function unpack({ path }: Pick<Archive, 'path'>): Map<string, string> {
  const files = execFileSync('tar', ['-tzf', path], { encoding: 'utf8' }).trim().split('\n');
  const to = join(folder, 'unpacked');
  mkdirSync(to, { recursive: true });
  execFileSync('tar', ['-xzf', path, '-C', to]);
  return new Map(files.map((file) => [file.replace(/^[^/]*\//, ''), readFileSync(join(to, file), 'utf8')]));
}

test('the list comes first, each part is clean, and what fails says why', async () => {
  const archive = await make([
    part('versions.txt', () => `release 1\nkey ${KEY} ${Buffer.from(KEY).toString('hex')}\n`),
    part('state/a.json', () => Promise.reject(new Error(`No daemon for ${KEY}`))),
  ]);
  expect(archive.path).toBe(join(folder, 'rsio-support-big-9-..-19700101-000000.tar.gz'));
  expect(statSync(archive.path).mode & 0o777).toBe(0o600);
  expect(statSync(archive.path).size).toBe(archive.sizeBytes);
  expect(readdirSync(folder)).toEqual(['rsio-support-big-9-..-19700101-000000.tar.gz']);
  expect(archive.parts.map(({ file, trouble }) => [file, trouble])).toEqual([
    ['versions.txt', null],
    ['state/a.json', 'No daemon for (left out)'],
  ]);
  const files = unpack(archive);
  expect([...files.keys()]).toEqual(['CONTENTS.txt', 'versions.txt', 'state/a.json']);
  expect(files.get('versions.txt')).toBe('release 1\nkey (left out) (left out)\n');
  expect(files.get('state/a.json')).toBe('Not here: No daemon for (left out)\n');
  expect(files.get('CONTENTS.txt')).toMatch(/state\/a\.json +\d+ {2}about state\/a\.json {2}No daemon/);
});

test('an existing archive is never replaced', async () => {
  const { path } = await make([part('a', () => 'one')]);
  await expect(make([part('a', () => 'two')])).rejects.toMatchObject({ code: 'E_EXISTS' });
  expect(unpack({ path }).get('a')).toBe('one');
});

test('a part that is late is left out, and ended', async () => {
  let isEnded = false;
  const late = part('late', (signal) => {
    signal.addEventListener('abort', () => (isEnded = true));
    return new Promise(() => undefined);
  });
  const { parts } = await make([late, part('a', () => 'one')], hasty);
  expect(parts.map(({ trouble }) => trouble)).toEqual(['Not there within 15s', null]);
  expect(isEnded).toBe(true);
});

test('a part and all parts together are bounded, and no key is cut in two', async () => {
  const long = `${'x'.repeat(SUPPORT_PART_MAX_BYTES - 4)}${KEY}${'x'.repeat(99)}`;
  const count = SUPPORT_TOTAL_MAX_BYTES / SUPPORT_PART_MAX_BYTES + 2;
  const archive = await make(Array.from({ length: count }, (_, index) => part(`${index}`, () => long)));
  const texts = [...unpack(archive).values()].slice(1);
  expect(archive.parts[0]?.trouble).toMatch(/^Cut off: \d+ bytes in all, the first 8388608 are here$/);
  expect(texts[0]).not.toContain(KEY.slice(0, 4));
  expect(texts.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(SUPPORT_TOTAL_MAX_BYTES + count * 100);
});

test('a folder that cannot be used is named', async (context: TestContext) => {
  needPrograms(context, 'tar');
  folder = join(folder, 'missing');
  await expect(make([part('a', () => 'one')])).rejects.toMatchObject({ code: 'E_SYSTEM', message: expect.stringContaining('--to') });
});

test('mounts show no option with a value, and no login', () => {
  const text = '//fs/x /mnt cifs rw,username=a,password=b,relatime 0 0\nhttps://me:pa55@dav/x /dav fuse ro 0 0\n';
  expect(openMounts(text)).toBe('//fs/x /mnt cifs rw\nhttps://(left out)@dav/x /dav fuse ro\n');
});
