// Tests the log of unsynced writes while calls for its file fail: errors are returned and not thrown, no record is lost, and no descriptor
// leaks. The model of reads, flushes and crashes is in unsynced-backend.test.ts.

import fs from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { temporaryDirectory } from '@rsio/rssrv/testing/backend-scene';
import { readLog, syncUnsynced, UnsyncedLog } from './unsynced-log.ts';
import { encodeRecord, RECORD, type UnsyncedRecord } from './unsynced-records.ts';
import { UnsyncedStore } from './unsynced-store.ts';
import type { UnsyncedPiece } from './unsynced-writes.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const LOCATION = '/srv/volume';
const { closeSync, renameSync } = fs;
let directory = '';
let file = '';
let files = 0;

beforeAll(() => {
  directory = temporaryDirectory();
});
beforeEach(() => {
  file = path.join(directory, `log${++files}`);
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => removeFolder(directory));

function write(value: number, sectors = 1): UnsyncedRecord & UnsyncedPiece {
  const data = Buffer.alloc(sectors * SECTOR_BYTES, value);
  return { kind: RECORD.WRITE, positionBytes: 0, lengthBytes: data.length, data, number: value };
}

/** Makes the next call of a function of node:fs fail. */
function failOnce(name: 'writeSync' | 'ftruncateSync' | 'renameSync', code: string): void {
  vi.spyOn(fs, name).mockImplementationOnce(() => {
    throw Object.assign(new Error(code), { code });
  });
}

/** Makes the next call of `closeSync` report an error, although this call closes the descriptor. */
function failCloseOnce(): void {
  vi.spyOn(fs, 'closeSync').mockImplementationOnce((descriptor) => {
    closeSync(descriptor);
    throw Object.assign(new Error('EIO'), { code: 'EIO' });
  });
}

/** Returns the content of the log: the name of the storage, then the values of the writes. */
function content(): (string | number)[] {
  return readLog(file).map(({ kind, data }) => (kind === RECORD.PLACE ? String(data) : data![0]!));
}

function descriptors(): number {
  return fs.readdirSync('/proc/self/fd').length;
}

test.each(['writeSync', 'ftruncateSync'] as const)('a failed %s of an append is returned, and the record is not in the log', (name) => {
  const log = new UnsyncedLog(file, LOCATION);
  expect(log.append(write(1))).toBeNull();
  failOnce(name, 'ENOSPC');
  expect(log.append(write(2))).toBe('ENOSPC');
  expect(content()).toEqual([LOCATION, 1]);
  expect(log.append(write(3))).toBeNull();
  expect(content()).toEqual([LOCATION, 1, 3]);
  log.close();
});

test('the next append removes a partial record, even if the new record is shorter', () => {
  new UnsyncedLog(file, LOCATION).close();
  const goodBytes = fs.statSync(file).size;
  fs.appendFileSync(file, encodeRecord(write(1, 4)).subarray(0, -1));
  const log = new UnsyncedLog(file, LOCATION);
  expect(log.append(write(2))).toBeNull();
  expect(content()).toEqual([LOCATION, 2]);
  expect(fs.statSync(file).size).toBe(goodBytes + encodeRecord(write(2)).length);
  log.close();
});

test('a replacement that fails leaves the log unchanged, and no descriptor open', () => {
  const log = new UnsyncedLog(file, LOCATION);
  log.append(write(1));
  const before = descriptors();
  failOnce('renameSync', 'EACCES');
  expect(log.replace([])).toBe('EACCES');
  expect(descriptors()).toBe(before);
  expect(log.append(write(2))).toBeNull();
  expect(content()).toEqual([LOCATION, 1, 2]);
  log.close();
});

test('a failed close of the replaced file does not matter: later records are in the new file', () => {
  const log = new UnsyncedLog(file, LOCATION);
  log.append(write(1));
  vi.spyOn(fs, 'renameSync').mockImplementationOnce((from, to) => {
    renameSync(from, to);
    failCloseOnce();
  });
  expect(log.replace([write(2)])).toBeNull();
  expect(log.append(write(3))).toBeNull();
  expect(content()).toEqual([LOCATION, 2, 3]);
  log.close();
});

test('a log that cannot name its storage is not opened, and leaves no descriptor open', () => {
  const before = descriptors();
  failOnce('writeSync', 'ENOSPC');
  expect(() => new UnsyncedLog(file, LOCATION)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
  expect(descriptors()).toBe(before);
});

test('a failed close does not throw', () => {
  const log = new UnsyncedLog(file, LOCATION);
  failCloseOnce();
  expect(() => log.close()).not.toThrow();
});

test('a sync brings the unsynced data to the file, and a crash no longer loses it', async () => {
  const [image, logFile] = [path.join(directory, 'image'), path.join(directory, 'of-image')];
  fs.writeFileSync(image, Buffer.alloc(4096));
  const store = new UnsyncedStore(new UnsyncedLog(logFile, image));
  const kept = [store.add(0, 1024, Buffer.alloc(1024, 1)), store.add(512, 512, null), store.add(2048, 512, Buffer.alloc(512, 2))];
  expect(kept).toEqual([null, null, null]);
  store.close();
  expect(fs.readFileSync(image)).toEqual(Buffer.alloc(4096));
  const handle = await open(image, 'r+');
  await syncUnsynced(logFile, handle);
  await handle.close();
  const expected = Buffer.concat([Buffer.alloc(512, 1), Buffer.alloc(1536), Buffer.alloc(512, 2), Buffer.alloc(1536)]);
  expect(fs.readFileSync(image)).toEqual(expected);
  expect(readLog(logFile)).toEqual([]);
});
