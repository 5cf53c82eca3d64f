// Tests reading a configuration file that is missing, unreadable, not a regular file or not text, and the warning about the permissions of
// the file. The tests of the parsers cover the content.

import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { CONFIG_FILE_MAX_BYTES } from './schema/limits.ts';
import { loadRscltConfig, loadRssrvConfig, readConfigFile } from './load-config.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const MAKE_FIFO = 'mkfifo';
let dir = '';

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'rsio-'));
});

afterAll(() => removeFolder(dir));

function fileWith(name: string, content: string | Buffer, mode = 0o600): string {
  const path = join(dir, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

function refusal(path: string): RsError {
  try {
    readConfigFile(path);
  } catch (thrown) {
    if (thrown instanceof RsError) return thrown;
    throw thrown;
  }
  throw new Error('Nothing was refused');
}

/** Runs `run` as another user if the test runs as root, because root may read every file. */
function withoutRoot<T>(run: () => T): T {
  if (process.geteuid?.() !== 0) return run();
  chmodSync(dir, 0o777);
  process.seteuid?.(65_534);
  try {
    return run();
  } finally {
    process.seteuid?.(0);
  }
}

test('The text is returned unchanged', () => {
  const text = '\ufeff[defaults]\r\n# \u00e4\u20ac\u{1f600}\n\tport=1';
  expect(readConfigFile(fileWith('plain', text))).toEqual({ text, warnings: [] });
});

test.each([
  [0o644, 'Every user can read the keys in'],
  [0o604, 'Every user can read the keys in'],
  [0o640, 'Its group can read the keys in'],
  [0o660, 'Its group can change'],
  [0o620, 'Its group can change'],
  [0o664, 'Its group can change'],
  [0o666, 'Every user can change'],
  [0o600, null],
  [0o400, null],
])('mode %o draws a warning: %s', (mode, words) => {
  const path = fileWith('mode', 'nodekey=0x1', mode);
  const message = `${words} ${path} (mode 0${mode.toString(8)}): run chmod 600 ${path}`;
  expect(readConfigFile(path).warnings).toEqual(words === null ? [] : [{ file: path, line: 0, message }]);
});

test('a file without keys that its group can change causes a warning, too', () => {
  const path = fileWith('no-keys', '[interface if0]', 0o664);
  expect(readConfigFile(path).warnings).toMatchObject([{ message: expect.stringContaining('Its group can change') }]);
});

test('a file without a key may be readable by everyone', () => {
  expect(readConfigFile(fileWith('passwd', 'root:x:0:0', 0o644)).warnings).toEqual([]);
});

test('root uses a file of another user with a warning, and without one under sudo', (context) => {
  context.skip(process.geteuid?.() !== 0, 'needs root, to create a file of another user');
  const path = fileWith('owned', 'port = 1');
  chownSync(path, 12_345, 0);
  const message = `User 12345 owns ${path}, and decides what root does with it: run chown root ${path}`;
  expect(readConfigFile(path).warnings).toEqual([{ file: path, line: 0, message }]);
  vi.stubEnv('SUDO_UID', '12345');
  expect(readConfigFile(path).warnings).toEqual([]);
  vi.unstubAllEnvs();
});

describe('refused', () => {
  test('a missing file, with the remedy for each', () => {
    const client = refusal(join(dir, 'rscltcfg'));
    expect(client.code).toBe('E_NO_CONFIG');
    expect(client.message).toBe(
      `No configuration file ${dir}/rscltcfg: make one with crsio or rsconfig join, or by hand (see rscltcfg(5))`,
    );
    expect(refusal(join(dir, 'rssrvcfg')).message).toBe(
      `No configuration file ${dir}/rssrvcfg: rsadm init makes one, or write one (see rssrvcfg(5))`,
    );
    expect(refusal(join(fileWith('file', ''), 'below')).code).toBe('E_NO_CONFIG');
  });

  test('a file without read permission', () => {
    const error = withoutRoot(() => refusal(fileWith('locked', '', 0o000)));
    expect(error.code).toBe('E_RIGHTS');
    expect(error.message).toBe(`No permission to read ${dir}/locked: run as root or as the owner of the file`);
  });

  test('a directory', () => {
    mkdirSync(join(dir, 'directory'));
    expect(refusal(join(dir, 'directory'))).toMatchObject({ code: 'E_CONFIG', message: expect.stringContaining('is not a regular file') });
  });

  test('a FIFO, without waiting for a writer', () => {
    execFileSync(MAKE_FIFO, [join(dir, 'fifo')]);
    expect(refusal(join(dir, 'fifo'))).toMatchObject({ code: 'E_CONFIG', message: expect.stringContaining('is not a regular file') });
  });

  test('a file beyond the size limit, without reading it', () => {
    const path = fileWith('large', '');
    truncateSync(path, CONFIG_FILE_MAX_BYTES + 1);
    expect(refusal(path).message).toContain(`${CONFIG_FILE_MAX_BYTES + 1} bytes, allowed are ${CONFIG_FILE_MAX_BYTES}`);
  });

  test('a file that is not UTF-8, with its line', () => {
    const path = fileWith('latin1', Buffer.from('[defaults]\n# caf\u00e9\n', 'latin1'));
    expect(refusal(path)).toMatchObject({
      code: 'E_CONFIG',
      message: `${path}:2: Text is not UTF-8: save the file as UTF-8`,
      context: { problems: [{ line: 2, message: 'Text is not UTF-8: save the file as UTF-8' }] },
    });
  });
});

test('Loading parses, and returns the warnings of both', () => {
  const client = loadRscltConfig(fileWith('rscltcfg', '# nodekey = 0x1', 0o644));
  expect(client.warnings.map(({ line, message }) => `${line} ${message.slice(0, 10)}`)).toEqual([
    '0 Every user',
    '0 No section',
    '0 No section',
  ]);
  const server = '[namespace n]\nnamespaceid = 1\n[server s]\nserverid = 1\n[interface i]\naddress = 10.0.0.1\n';
  expect(loadRssrvConfig(fileWith('rssrvcfg', server)).namespace.name).toBe('n');
  const path = fileWith('wrong', '[a]');
  expect(() => loadRssrvConfig(path)).toThrow(`${path}:1: Unknown section [a]`);
});
