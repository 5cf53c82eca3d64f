// Tests saving the client's file: new and existing files, a full disk, a file that another program has changed, invalid edits, and broken
// files that are repaired step by step. Owner, mode and links of the file are kept. A save that is refused leaves the old file unchanged,
// and leaves no other file behind.

import { spawnSync } from 'node:child_process';
import * as nodeFs from 'node:fs';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { needPrograms } from '@rsio/base/testing/needs';
import { RsError } from '@rsio/base/lib/errors';
import { systemClock } from '@rsio/base/lib/clock';
import { CONFIG_SAVE_MAX_MS } from '@rsio/base/files/limits';
import { openConfigFile, saveConfigFile } from './config-file.ts';
import type { FileSystem } from '@rsio/base/files/config-replacement';
import { type IniDocument, parseIni, printIni } from './reader/ini-document.ts';
import { addInterface, addNamespace, newRscltcfg, removeConfigSection, setKey } from './rscltcfg-edit.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const NOBODY = 65_534;
const OLD = '# mine\n[defaults]\nport = 5000\n\n[interface if0]\naddress = 10.0.0.1\n';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-'));
  file = join(folder, 'rscltcfg');
});

afterEach(async () => {
  chmodSync(folder, 0o700);
  await removeFolder(folder);
});

function add(name: string, address: string): (document: IniDocument) => IniDocument {
  return (document) => addInterface(document, name, { address });
}

/** Reads the client's file, edits it and saves it. */
function edit(change: (document: IniDocument) => IniDocument, fs: Partial<FileSystem> = {}) {
  const { document, fingerprint } = openConfigFile(file);
  return saveConfigFile(file, change(document), fingerprint, { fs: { ...nodeFs, ...fs }, clock: systemClock });
}

function refusal(run: () => unknown): RsError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof RsError) return thrown;
    throw thrown;
  }
  throw new Error('Nothing was refused');
}

/**
 * Returns file system functions that simulate a crash before call number `crashAt`: this call and later calls do nothing. Each write is
 * small, so that the test can crash at many calls.
 */
function crashing(crashAt: number): Partial<FileSystem> {
  let calls = 0;
  const names = ['openSync', 'fstatSync', 'fchmodSync', 'fsyncSync', 'lstatSync', 'renameSync', 'unlinkSync', 'closeSync'] as const;
  const wrap =
    (run: (...args: never[]) => unknown) =>
    (...args: never[]): unknown => {
      if (++calls >= crashAt) throw new Error('crash');
      return run(...args);
    };
  const writeSync = (descriptor: number, bytes: Buffer, offset: number): number =>
    nodeFs.writeSync(descriptor, bytes, offset, Math.min(16, bytes.length - offset));
  const wrapped = names.map((name) => [name, wrap(nodeFs[name] as (...args: never[]) => unknown)] as const);
  return { ...Object.fromEntries(wrapped), writeSync: wrap(writeSync) as typeof nodeFs.writeSync };
}

function systemError(code: string): never {
  throw Object.assign(new Error(code), { code });
}

function expectUntouched(text = OLD): void {
  expect(readFileSync(file, 'utf8')).toBe(text);
  expect(readdirSync(folder)).toEqual(['rscltcfg']);
}

describe('saving', () => {
  test('creates a missing file with mode 0600, and its folder', () => {
    file = join(folder, 'etc/deep/rscltcfg');
    expect(openConfigFile(file)).toMatchObject({ fingerprint: null, warnings: [] });
    saveConfigFile(file, newRscltcfg(), null);
    expect(readFileSync(file, 'utf8')).toBe('[defaults]\nprotocol      = tcp\nport          = 5000\n');
    expect(statSync(file).mode & 0o7777).toBe(0o600);
    expect(readdirSync(join(folder, 'etc/deep'))).toEqual(['rscltcfg']);
  });

  test('keeps the mode, and returns the fingerprint for the next save', () => {
    writeFileSync(file, OLD);
    chmodSync(file, 0o640);
    const { document, fingerprint } = openConfigFile(file);
    const once = add('if1', '10.0.1.1')(document);
    const saved = saveConfigFile(file, once, fingerprint);
    saveConfigFile(file, add('if2', '10.0.2.1')(once), saved.fingerprint);
    expect(readFileSync(file, 'utf8')).toBe(`${OLD}\n[interface if1]\naddress = 10.0.1.1\n\n[interface if2]\naddress = 10.0.2.1\n`);
    expect(statSync(file).mode & 0o7777).toBe(0o640);
    expect(openConfigFile(file).fingerprint).not.toEqual(saved.fingerprint);
  });

  test('keeps the owner', (context) => {
    context.skip(process.geteuid?.() !== 0, 'needs root, to create a file of another user');
    writeFileSync(file, OLD);
    nodeFs.chownSync(file, 12_345, 54_321);
    edit(add('if1', '10.0.1.1'));
    expect(statSync(file)).toMatchObject({ uid: 12_345, gid: 54_321 });
  });

  test('does not follow a link of another user, nor one to a file of another user, for reading or writing', (context) => {
    context.skip(process.geteuid?.() !== 0, 'needs root, to create a file of another user');
    const real = join(folder, 'real');
    const middle = join(folder, 'middle');
    writeFileSync(real, OLD);
    symlinkSync(real, middle);
    symlinkSync(middle, file);
    const { fingerprint } = openConfigFile(file);
    const expectRefused = (words: RegExp): void => {
      for (const how of [() => openConfigFile(file), () => saveConfigFile(file, newRscltcfg(), fingerprint)]) {
        const { code, message } = refusal(how);
        expect({ code, message: message.replaceAll(folder, 'DIR').replaceAll('etc/', '') }).toMatchObject({
          code: 'E_RIGHTS',
          message: expect.stringMatching(words) as string,
        });
      }
      expect(readFileSync(real, 'utf8')).toBe(OLD);
    };
    nodeFs.chownSync(real, 12_345, 0);
    expectRefused(
      /^DIR\/.*rscltcfg is a link to DIR\/real of user 12345, who is neither root nor the user of this program: give it to root/,
    );
    nodeFs.chownSync(real, 0, 0);
    nodeFs.lchownSync(middle, 12_345, 0);
    expectRefused(/^DIR\/.*rscltcfg leads to the link DIR\/middle of user 12345/);
    nodeFs.lchownSync(middle, 0, 0);
    nodeFs.lchownSync(file, 12_345, 0);
    expectRefused(/^DIR\/.*rscltcfg is a link of user 12345/);
    nodeFs.unlinkSync(real);
    expect(refusal(() => saveConfigFile(file, newRscltcfg(), null)).code).toBe('E_RIGHTS');
    expect(nodeFs.existsSync(real)).toBe(false);
    nodeFs.lchownSync(file, 0, 0);
    edit(() => parseIni(OLD));
    expect(readFileSync(real, 'utf8')).toBe(OLD);
  });

  test('writes the target of a link, also if the target does not exist yet', () => {
    mkdirSync(join(folder, 'real'));
    symlinkSync('real/one', join(folder, 'middle'));
    symlinkSync(join(folder, 'middle'), file);
    edit(() => parseIni(OLD));
    expect(readFileSync(join(folder, 'real/one'), 'utf8')).toBe(OLD);
    edit(add('if1', '10.0.1.1'));
    expect(nodeFs.lstatSync(file).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(folder, 'real/one'), 'utf8')).toContain('if1');
    expect(readdirSync(join(folder, 'real'))).toEqual(['one']);
    rmSync(join(folder, 'middle'));
    symlinkSync('rscltcfg', join(folder, 'middle'));
    expect(refusal(() => saveConfigFile(file, newRscltcfg(), null)).code).toBe('E_SYSTEM');
  });

  test.each([
    ['long ago', -2 * CONFIG_SAVE_MAX_MS],
    ['before the clock was set back', 3_600_000],
  ])('removes the rest of a crashed save %s', (_when, agoMs) => {
    writeFileSync(file, OLD);
    writeFileSync(`${file}.new`, 'half');
    const then = (Date.now() + agoMs) / 1000;
    utimesSync(`${file}.new`, then, then);
    edit(add('if1', '10.0.1.1'));
    expect(readFileSync(file, 'utf8')).toContain('if1');
    expect(readdirSync(folder)).toEqual(['rscltcfg']);
  });

  test('a crash at any moment leaves the old text or the new one, whole', () => {
    const wanted = `${OLD}\n[interface if1]\naddress = 10.0.1.1\n`;
    const seen: string[] = [];
    for (let crashAt = 1; seen.at(-1) !== 'saved'; crashAt++) {
      writeFileSync(file, OLD);
      rmSync(`${file}.new`, { force: true });
      try {
        edit(add('if1', '10.0.1.1'), crashing(crashAt));
        seen.push('saved');
      } catch (thrown) {
        expect(thrown).toMatchObject({ message: 'crash' });
        const text = readFileSync(file, 'utf8');
        expect([OLD, wanted]).toContain(text);
        seen.push(text === OLD ? 'old' : 'new');
      }
    }
    // Checks that the test has tried crashes before and after the rename.
    expect(seen.filter((each) => each === 'old').length).toBeGreaterThan(10);
    expect(seen.filter((each) => each === 'new').length).toBeGreaterThan(1);
  });

  test('syncs to disk before the rename, and syncs the rename after it', () => {
    writeFileSync(file, OLD);
    const order: string[] = [];
    const fsyncSync = (descriptor: number): void => {
      order.push(nodeFs.fstatSync(descriptor).isDirectory() ? 'folder' : 'file');
      nodeFs.fsyncSync(descriptor);
    };
    const renameSync = (from: nodeFs.PathLike, to: nodeFs.PathLike): void => {
      order.push('rename');
      nodeFs.renameSync(from, to);
    };
    edit(add('if1', '10.0.1.1'), { fsyncSync, renameSync });
    expect(order).toEqual(['file', 'rename', 'folder']);
  });

  test('continues when the disk accepts only a part', () => {
    writeFileSync(file, OLD);
    const writeSync = ((descriptor: number, bytes: Buffer, offset: number) =>
      nodeFs.writeSync(descriptor, bytes, offset, Math.min(7, bytes.length - offset))) as typeof nodeFs.writeSync;
    edit(add('if1', '10.0.1.1'), { writeSync });
    expect(readFileSync(file, 'utf8')).toBe(`${OLD}\n[interface if1]\naddress = 10.0.1.1\n`);
  });
});

describe('a refused save leaves the old file whole', () => {
  beforeEach(() => writeFileSync(file, OLD, { mode: 0o600 }));

  test.each<[string, Partial<FileSystem>, string, string]>([
    [
      'a full disk at the first byte',
      { writeSync: () => systemError('ENOSPC') },
      'E_SYSTEM',
      'No space to write FILE, which is unchanged: free space',
    ],
    ['a full disk at fsync', { fsyncSync: () => systemError('ENOSPC') }, 'E_SYSTEM', 'No space to write FILE'],
    ['a full quota', { openSync: () => systemError('EDQUOT') }, 'E_SYSTEM', 'No space to write FILE'],
    ['a failing disk', { fsyncSync: () => systemError('EIO') }, 'E_SYSTEM', 'Cannot write FILE (EIO): check the file and its disk'],
    ['a file that is a mount', { renameSync: () => systemError('EBUSY') }, 'E_SYSTEM', 'Cannot replace FILE, because it is a mount point'],
    [
      'a read-only file system',
      { openSync: () => systemError('EROFS') },
      'E_SYSTEM',
      'Cannot write FILE, because its file system is read-only',
    ],
    ['no right in the folder', { openSync: () => systemError('EACCES') }, 'E_RIGHTS', 'No permission to write FILE: run as root'],
  ])('%s', (_, fs, code, message) => {
    const error = refusal(() => edit(add('if1', '10.0.1.1'), fs));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message.replace('FILE', file));
    expectUntouched();
  });

  test('a disk that becomes full in the middle', () => {
    let calls = 0;
    const writeSync = ((descriptor: number, bytes: Buffer, offset: number) =>
      calls++ === 0 ? nodeFs.writeSync(descriptor, bytes, offset, 10) : systemError('ENOSPC')) as typeof nodeFs.writeSync;
    expect(refusal(() => edit(add('if1', '10.0.1.1'), { writeSync })).message).toContain('No space');
    expect(calls).toBe(2);
    expectUntouched();
  });

  test('a disk that is really full', (context) => {
    needPrograms(context, 'mount', 'unshare');
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    // Runs the script in a separate mount namespace, which ends with the script.
    const mounted = (script: string, ...args: readonly string[]) =>
      spawnSync('unshare', ['-m', 'sh', '-ec', `mount -t tmpfs -o size=16k none ${disk}; ${script}`, 'sh', ...args], {
        encoding: 'utf8',
        timeout: 30_000,
      });
    context.skip(mounted('true').status !== 0, 'needs root, to mount a small file system');
    const code = `
      import { openConfigFile, saveConfigFile } from '${new URL('config-file.ts', import.meta.url).href}';
      import { parseIni, printIni } from '${new URL('reader/ini-document.ts', import.meta.url).href}';
      import { readFileSync, readdirSync } from 'node:fs';
      const file = '${disk}/rscltcfg';
      const { document, fingerprint } = openConfigFile(file);
      let message = 'saved';
      try {
        saveConfigFile(file, parseIni(printIni(document) + '# long\\n'.repeat(1000)), fingerprint);
      } catch (thrown) {
        message = thrown.code + ' ' + thrown.message;
      }
      console.log(JSON.stringify({ message, text: readFileSync(file, 'utf8'), names: readdirSync('${disk}').sort() }));`;
    const fill = `cp ${file} ${disk}/rscltcfg; head -c 8192 /dev/zero > ${disk}/fill; exec "$@"`;
    const { stdout, stderr } = mounted(fill, process.execPath, '--import', 'tsx', '--input-type=module', '-e', code);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      message: `E_SYSTEM No space to write ${disk}/rscltcfg, which is unchanged: free space on its disk and try again`,
      text: OLD,
      names: ['fill', 'rscltcfg'],
    });
    rmSync(disk, { recursive: true });
    expectUntouched();
  });

  test('a folder without write permission, and an owner that cannot be kept', (context) => {
    context.skip(process.geteuid?.() !== 0, 'needs root, to change the user meanwhile');
    const asNobody = (run: () => unknown): RsError => {
      process.seteuid?.(NOBODY);
      try {
        return refusal(run);
      } finally {
        process.seteuid?.(0);
      }
    };
    chmodSync(folder, 0o755);
    chmodSync(file, 0o666);
    expect(asNobody(() => edit(add('if1', '10.0.1.1'))).message).toContain(`No permission to write ${file}: run as root`);
    chmodSync(folder, 0o777);
    expect(asNobody(() => edit(add('if1', '10.0.1.1')))).toMatchObject({
      code: 'E_RIGHTS',
      message: expect.stringContaining('keep its owner'),
    });
    expectUntouched();
  });

  test('a file that another program changed, removed or created meanwhile', () => {
    const { document, fingerprint } = openConfigFile(file);
    const changed = add('if1', '10.0.1.1')(document);
    writeFileSync(file, `${OLD}# theirs\n`);
    const error = refusal(() => saveConfigFile(file, changed, fingerprint));
    expect(error).toMatchObject({
      code: 'E_CHANGED',
      message: `${file} was changed by another program meanwhile: check the file and try again`,
    });
    expectUntouched(`${OLD}# theirs\n`);
    expect(refusal(() => saveConfigFile(file, changed, null)).message).toContain('was created by another program');
    rmSync(file);
    expect(refusal(() => saveConfigFile(file, changed, fingerprint)).message).toContain('was removed by another program');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a race that is lost at the last moment', () => {
    const fsyncSync = (descriptor: number): void => {
      nodeFs.fsyncSync(descriptor);
      writeFileSync(file, `${OLD}# theirs\n`);
    };
    expect(refusal(() => edit(add('if1', '10.0.1.1'), { fsyncSync })).code).toBe('E_CHANGED');
    expectUntouched(`${OLD}# theirs\n`);
  });

  test('another program is saving the file: its half-written file is left alone', () => {
    writeFileSync(`${file}.new`, 'half');
    expect(refusal(() => edit(add('if1', '10.0.1.1')))).toMatchObject({
      code: 'E_CHANGED',
      message: `Another program is saving ${file}: check the file and try again`,
    });
    expect(readFileSync(`${file}.new`, 'utf8')).toBe('half');
  });

  test('a file that is not text, or not a regular file', () => {
    writeFileSync(file, Buffer.from('[defaults]\n# caf\u00e9\n', 'latin1'));
    expect(refusal(() => openConfigFile(file)).code).toBe('E_CONFIG');
    rmSync(file);
    mkdirSync(file);
    expect(refusal(() => openConfigFile(file)).message).toContain('is not a regular file');
  });
});

describe('an edit that adds a problem', () => {
  const NAMESPACE = { namespaceid: '1', nodename: 'a', nodekey: '0123456789abcdef' };

  test.each<[string, (document: IniDocument) => IniDocument, string]>([
    ['an address twice', add('if1', '10.0.0.1'), 'Duplicate address 10.0.0.1'],
    ['suspect above heartbeat', (document) => setKey(document, { type: 'defaults' }, 'suspect', '2s'), 'suspect must be below heartbeat'],
    [
      'a namespaceid twice',
      (document) => addNamespace(addNamespace(document, 'a', NAMESPACE), 'b', NAMESPACE),
      'Duplicate namespaceid 1 (first in line 9)',
    ],
    ['an unreadable header', (document) => parseIni(`${printIni(document)}[interface x\n`), 'has no "]"'],
  ])('%s', (_, change, message) => {
    writeFileSync(file, OLD);
    const error = refusal(() => edit(change));
    expect(error.code).toBe('E_CONFIG');
    expect(error.message).toContain(`${file} was not changed: `);
    expect(error.message).toContain(message);
    expectUntouched();
  });

  const BROKEN = `[defaults]
colour = red
[interface if0]
address = 10.0.0.1
[interface if1]
address = 10.0.0.1
port = many
`;

  test('a broken file can be repaired step by step, and the remaining problems are reported', () => {
    writeFileSync(file, BROKEN);
    expect(edit((document) => setKey(document, { type: 'interface', name: 'if1' }, 'port', '5000'))).toMatchObject({
      added: [],
      kept: [{ line: 2 }, { line: 6, message: expect.stringContaining('Duplicate address') }],
    });
    expect(edit(add('if2', '10.0.2.1')).kept).toHaveLength(2);
    expect(refusal(() => edit(add('if3', '10.0.0.1'))).message).toContain('Duplicate address 10.0.0.1');
    expect(edit((document) => removeConfigSection(document, { type: 'interface', name: 'if1' })).kept).toMatchObject([{ line: 2 }]);
    writeFileSync(file, readFileSync(file, 'utf8').replace('colour = red\n', ''));
    expect(edit(add('if1', '10.0.1.1')).kept).toEqual([]);
  });

  test('a file with too many interfaces can be reduced', () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => `[interface i${index}]\naddress = 10.0.${index}.1\n`).join('');
    writeFileSync(file, many(10));
    expect(edit((document) => removeConfigSection(document, { type: 'interface', name: 'i3' })).kept).toMatchObject([
      { message: expect.stringMatching(/^9 interfaces/) },
    ]);
  });
});
