// Tests the listener's syncs: storage that hangs delays no other volume, and no result is lost. To simulate storage that hangs or fails,
// the tests let the syncs run programs that hang or fail. take-over.test.ts tests the consequences of an error.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SPARE_STORAGE_SYNCS_MAX, STORAGE_SYNCS_MAX, STORAGE_SYNC_WAIT_MS } from '../machine/limits.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StorageSyncs } from './storage-syncs.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let directory = '';
let descriptor = -1;
let clock = new FakeClock();
let late: string[] = [];
let made: StorageSyncs[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-sync-'));
  descriptor = fs.openSync(path.join(directory, 'volume.img'), 'w+');
  [clock, late, made] = [new FakeClock(), [], []];
});
afterEach(async () => {
  for (const one of made) one.stop();
  fs.closeSync(descriptor);
  await removeFolder(directory);
});

function syncs(script?: string): StorageSyncs {
  return syncsBy(script === undefined ? undefined : [process.execPath, '-e', script]);
}

function syncsBy(command?: readonly string[]): StorageSyncs {
  const one = new StorageSyncs(clock, (id) => void late.push(id), command);
  made.push(one);
  return one;
}

/** Returns a program that waits until the file `go` exists, and then runs `then`. */
const hangs = (then = ''): string =>
  `const wait = () => { if (require('fs').existsSync(${JSON.stringify(path.join(directory, 'go'))})) { ${then} } else setTimeout(wait, 5); }; wait();`;
const go = (): void => fs.writeFileSync(path.join(directory, 'go'), '');

test('a good sync resolves, on the given descriptor', async () => {
  await expect(syncs().sync('a', 'needed', { fd: descriptor })).resolves.toBeUndefined();
  const isOpen = `process.exit(require('fs').fstatSync(3).ino === ${fs.fstatSync(descriptor).ino} ? 0 : 1)`;
  await expect(syncs(isOpen).sync('a', 'needed', { fd: descriptor })).resolves.toBeUndefined();
});

test('the errno of a failed sync is reported; a killed one counts as failed', async () => {
  const pipe = `process.stdout.write('EDQUOT'); process.exitCode = 1`;
  await expect(syncs(pipe).sync('a', 'needed', { fd: descriptor })).rejects.toMatchObject({ code: 'EDQUOT' });
  await expect(syncs(`process.kill(process.pid, 'SIGKILL')`).sync('a', 'needed', { fd: descriptor })).rejects.toMatchObject({
    code: 'EIO',
  });
});

test('three volumes with hanging storage do not delay the sync of a fourth', async () => {
  const all = syncs(`if (require('fs').fstatSync(3).size === 0) { ${hangs()} }`);
  const good = fs.openSync(path.join(directory, 'good.img'), 'w+');
  fs.writeSync(good, 'x');
  const hung = ['a', 'b', 'c'].map((id) => all.sync(id, 'needed', { fd: descriptor }));
  await expect(all.sync('good', 'needed', { fd: good })).resolves.toBeUndefined();
  fs.closeSync(good);
  go();
  await Promise.all(hung);
});

test('a sync that takes too long is reported as slow, a second one waits for it, and its late error is not lost', async () => {
  const all = syncs(hangs(`process.stdout.write('EIO'); process.exitCode = 1`));
  const waiting = expect(all.sync('a', 'needed', { fd: descriptor })).rejects.toMatchObject({
    code: 'E_TIMEOUT',
    message: expect.stringContaining('15 s'),
  });
  clock.advance(STORAGE_SYNC_WAIT_MS);
  await waiting;
  expect(late).toEqual([]);
  const second = expect(all.sync('a', 'needed', { fd: descriptor })).rejects.toMatchObject({ code: 'EIO' });
  go();
  await second;
  expect(late).toEqual(['a']);
});

test('a sync that nobody depends on leaves room for the others', async () => {
  const all = syncs(`if (require('fs').fstatSync(3).size === 0) { ${hangs()} }`);
  const good = fs.openSync(path.join(directory, 'good.img'), 'w+');
  fs.writeSync(good, 'x');
  const ids = Array.from({ length: SPARE_STORAGE_SYNCS_MAX }, (_, index) => `v${index}`);
  const hung = ids.map((id) => all.sync(id, 'spare', { fd: descriptor }).catch(() => undefined));
  await expect(all.sync('one more', 'spare', { fd: good })).rejects.toMatchObject({ code: 'E_TIMEOUT' });
  await expect(all.sync('one more', 'needed', { fd: good })).resolves.toBeUndefined();
  fs.closeSync(good);
  all.stop();
  await Promise.all(hung);
});

test('the number of concurrent syncs is bounded', async () => {
  // The syncs hang in sleep(1), because dozens of Node processes would take seconds to start.
  const all = syncsBy(['sleep', '3600']);
  const hung = Array.from({ length: STORAGE_SYNCS_MAX }, (_, index) =>
    all.sync(`v${index}`, 'needed', { fd: descriptor }).catch(() => undefined),
  );
  await expect(all.sync('one more', 'needed', { fd: descriptor })).rejects.toMatchObject({ code: 'E_TIMEOUT' });
  all.stop();
  await Promise.all(hung);
});

// Regression: after the volume was closed, another file got the descriptor number of the volume's file. The sync of this other file then
// counted as a sync of the volume.
test('a sync that waited for another one does not sync a file that has the number of a closed one', async () => {
  const all = syncs(hangs());
  const file = { fd: descriptor };
  const first = all.sync('a', 'needed', file);
  const second = expect(all.sync('a', 'needed', file)).rejects.toMatchObject({ code: 'EBADF' });
  file.fd = -1;
  go();
  await first;
  await second;
});
