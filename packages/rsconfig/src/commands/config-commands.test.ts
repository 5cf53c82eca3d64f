// Tests the commands that change the client's file, from the arguments to the changed bytes, with and without a daemon, and the commands
// check, reload and key new. Edits, saving and wrong files are tested in packages/common/src/config.

import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import { RsError } from '@rsio/base/lib/errors';
import { CONFIG_RETRIES, CONFIG_RETRY_MS, INPUT_MAX_BYTES } from '../limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { sampleRscltcfg } from '@rsio/common/testing/sample-rscltcfg';
import { beforeEach, describe, expect, test } from 'vitest';
import { root, run, serveControl, useRsconfig } from '../testing/rsconfig-run.ts';

const SAMPLE = sampleRscltcfg({ near: ['127.45.0.20', '127.46.0.20'], far: ['127.45.0.10', '127.46.0.10'] });
const DAEMON = { program: 'rsiod', version: '1', control: 1, methods: [], pid: 1, nodename: 'big-2', startedMs: 0, configuredMs: 0 };

let file: string;

useRsconfig();

beforeEach(() => {
  file = join(root, 'etc/rscltcfg');
});

const serve = (handlers: Partial<ControlHandlers>): Promise<void> => serveControl({ daemon: () => DAEMON, ...handlers });

function write(text: string, mode = 0o600): void {
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}

test("the commands create the manual's sample from no file at all", async () => {
  expect(await run('interface add if0 127.45.0.20')).toEqual({ code: 0, out: 'interface if0 added\n', err: '' });
  await run('interface add if1 127.46.0.20');
  const key = { input: '0xbig-2\n' };
  expect(await run('namespace add osl --id 200 --nodename big-2 --nodekey-file -', key)).toEqual({
    code: 0,
    out: 'namespace osl added\n',
    err: '',
  });
  await run('server add big-9-1 127.45.0.10');
  expect((await run('server add big-9-2 127.46.0.10 --namespace osl')).out).toBe('server big-9-2 added\n');
  expect(readFileSync(file, 'utf8')).toBe(SAMPLE);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('added sections are removed again, byte for byte', async () => {
  write(SAMPLE);
  const lab = ['namespace', 'add', 'lab', '--id', '7', '--nodename', 'a', '--nodekey', '0123456789abcdef', '--port', '6000'];
  expect((await run(lab)).code).toBe(0);
  expect((await run('server add s1 127.45.0.99 --namespace lab --port 6001 --serverkey abcdefghijklmnop')).code).toBe(0);
  expect((await run('interface add if2 127.47.0.20/16 --port 5001')).code).toBe(0);
  const config = parseRscltConfig(readFileSync(file, 'utf8'), file);
  expect(config.interfaces[2]).toMatchObject({ name: 'if2', prefixLength: 16, port: 5001 });
  expect(config.namespaces[1]).toMatchObject({
    namespaceid: 7,
    port: 6000,
    servers: [{ name: 's1', port: 6001, serverkey: 'abcdefghijklmnop' }],
  });
  expect((await run('server remove s1')).out).toBe('server s1 removed\n');
  await run('namespace remove lab');
  await run('interface remove if2');
  expect(readFileSync(file, 'utf8')).toBe(SAMPLE);
});

describe('namespace set', () => {
  const KEY = '0123456789abcdef';

  test('changes and removes keys, takes the nodekey from a file or stdin, and shows no key', async () => {
    write(SAMPLE);
    expect(await run('namespace set osl tls=on --nodekey-file -', { input: `${KEY}\n` })).toMatchObject({
      code: 0,
      out: 'namespace osl changed\n',
    });
    expect(readFileSync(file, 'utf8')).toBe(SAMPLE.replace(/^nodekey .*$/m, `nodekey       = ${KEY}\ntls           = on`));
    const namespaceOf = () => parseRscltConfig(readFileSync(file, 'utf8'), file).namespaces[0];
    expect(namespaceOf()).toMatchObject({ tls: true, nodekey: KEY });
    await run('namespace set osl tls= stall=30s');
    expect(namespaceOf()).toMatchObject({ tls: false, nodekey: KEY, stall: 30_000 });
  });

  test.each([
    ['osl tls=on', 'Short nodekey with tls = on (line 15): 7 characters can be guessed', 1],
    ['osl tls=require', 'Wrong value "require" for tls', 1],
    ['osl tsl=on', 'tsl', 1],
    ['osl nodekey=secret', 'A key on the command line is visible to every user: give --nodekey-file F', 2],
    ['osl nodekey=', 'Key nodekey of [namespace osl] is required', 1],
    ['osl', 'Nothing to set: give KEY=VALUE, such as tls=on', 2],
    ['osl tls', 'Wrong setting "tls": give KEY=VALUE', 2],
    ['lab tls=on', 'No section [namespace lab] in the file: there are "osl"', 1],
  ])('%s is refused, and nothing changes', async (words, why, code) => {
    write(SAMPLE);
    const refused = await run(`namespace set ${words}`);
    expect(refused).toMatchObject({ code, out: '' });
    expect(refused.err).toContain(why);
    expect(refused.err).not.toContain('secret');
    expect(readFileSync(file, 'utf8')).toBe(SAMPLE);
  });
});

test('an address that this machine lacks causes a warning', async () => {
  const { code, err } = await run('interface add if0 198.51.100.7');
  expect(code).toBe(0);
  expect(err).toBe('rsconfig: No interface of this machine has address 198.51.100.7 now: no path uses it until one does\n');
});

test('interface list shows the interfaces', async () => {
  write(SAMPLE.replace('127.46.0.20', '198.51.100.7/24\nport          = 6000'));
  expect(await run('interface list')).toEqual({
    code: 0,
    out: 'NAME  ADDRESS          PORT  DEVICE\nif0   127.45.0.20      5000  lo\nif1   198.51.100.7/24  6000  -\n',
    err: '',
  });
  expect(JSON.parse((await run('interface list --json')).out)).toEqual({
    interfaces: [
      { name: 'if0', address: '127.45.0.20', prefixLength: null, port: 5000, device: 'lo' },
      { name: 'if1', address: '198.51.100.7', prefixLength: 24, port: 6000, device: null },
    ],
  });
  write('');
  expect((await run('interface list')).err).toContain('The file has no interface: add one');
});

describe('a running rsiod', () => {
  beforeEach(() => write(SAMPLE));

  test('does not use a change yet, which is reported', async () => {
    await serve({});
    const { code, err } = await run('interface remove if1');
    expect({ code, err }).toEqual({
      code: 0,
      err: 'rsconfig: rsiod still uses its old configuration: rsconfig reload applies the change\n',
    });
  });

  test('uses it at once with --reload', async () => {
    await serve({ reload: () => ({ applied: ['Interface if1 is gone'] }) });
    expect(await run('interface remove if1 --reload')).toEqual({ code: 0, out: 'interface if1 removed\nInterface if1 is gone\n', err: '' });
    expect(await run('reload')).toEqual({ code: 0, out: 'Interface if1 is gone\n', err: '' });
    expect(JSON.parse((await run('reload --json')).out)).toEqual({ applied: ['Interface if1 is gone'] });
  });

  test('may refuse it: the file is changed, and the exit code reports it', async () => {
    await serve({
      reload: () => {
        throw new RsError('E_IN_USE', 'Namespace osl has attached volumes: detach them first');
      },
    });
    const { code, out, err } = await run('namespace remove osl --reload');
    expect({ code, out }).toEqual({ code: 1, out: 'namespace osl removed, with its servers and volumes\n' });
    expect(err).toBe('rsconfig: Namespace osl has attached volumes: detach them first [E_IN_USE]\n');
    expect(readFileSync(file, 'utf8')).not.toContain('osl');
  });

  test('that does not run is mentioned with --reload only; reload alone fails', async () => {
    expect((await run('interface remove if1')).err).toBe('');
    expect(await run('interface add if1 127.46.0.20 --reload')).toMatchObject({
      code: 0,
      err: 'rsconfig: rsiod is not running: it reads the file when it starts\n',
    });
    expect((await run('reload')).err).toContain('[E_NOT_RUNNING]');
  });

  test('sends text that does not control the terminal', async () => {
    await serve({ reload: () => ({ applied: ['Server \u001b[2J is new'] }) });
    expect((await run('reload')).out).toBe('Server \\x1b[2J is new\n');
  });

  test('reports that the file has nothing new', async () => {
    await serve({ reload: () => ({ applied: [] }) });
    expect((await run('reload')).err).toContain('nothing has changed');
  });
});

describe('keys', () => {
  const ADD = 'namespace add osl --id 200 --nodename big-2';

  test('come from a file; if all users can read it, there is a warning', async () => {
    const keyFile = join(root, 'key');
    writeFileSync(keyFile, '0123456789abcdef\r\n', { mode: 0o600 });
    expect((await run(`${ADD} --nodekey-file ${keyFile}`)).err).toBe('');
    expect(readFileSync(file, 'utf8')).toContain('nodekey       = 0123456789abcdef\n');
    chmodSync(keyFile, 0o644);
    rmSync(file);
    expect((await run(`${ADD} --nodekey-file ${keyFile}`)).err).toBe(
      `rsconfig: Everybody can read the key in ${keyFile}: run chmod 600 ${keyFile}\n`,
    );
  });

  test.each<[string, string, string, number]>([
    ['', '', 'No key: give --nodekey-file F, or - for stdin', 2],
    ['--nodekey a --nodekey-file -', '', '--nodekey and --nodekey-file exclude each other', 2],
    ['--nodekey-file - --namespacekey-file -', '', 'Two keys on stdin: give one in a file', 2],
    ['--nodekey-file -', '', 'No key in stdin: it must hold one line, the nodekey', 2],
    ['--nodekey-file -', 'secret\nother\n', 'No key in stdin', 2],
    ['--nodekey-file -', 'my secret', 'Wrong value for nodekey: allowed is', 1],
    ['--nodekey-file -', 'secret\u001b[2J', 'Wrong value for nodekey: allowed is', 1],
    ['--nodekey-file /nosuch/secret-key', '', 'Cannot read key file /nosuch/secret-key (ENOENT)', 1],
    ['--nodekey-file /', '', 'Cannot read key file / (EISDIR)', 1],
  ])('%s, with %j on stdin, is refused', async (options, input, message, expected) => {
    const { code, out, err } = await run(`${ADD} ${options}`.trim(), { input });
    expect({ code, out }).toEqual({ code: expected, out: '' });
    expect(err).toContain(message);
    expect(err.replace('/nosuch/secret-key', '')).not.toContain('secret');
    expect(readdirSync(root)).toEqual([]);
  });

  test('that are longer than allowed are not read to the end', async () => {
    const keyFile = join(root, 'key');
    writeFileSync(keyFile, 'a'.repeat(INPUT_MAX_BYTES * 4), { mode: 0o600 });
    expect((await run(`${ADD} --nodekey-file ${keyFile}`)).err).toContain('Wrong value for nodekey');
  });

  test('key new prints a long key of plain letters, different each time', async () => {
    const keys = new Set<string>();
    for (let count = 0; count < 50; count++) {
      const { code, out } = await run('key new');
      expect(code).toBe(0);
      expect(out).toMatch(/^[2-9a-hj-km-np-wyz]{32}\n$/);
      keys.add(out);
    }
    expect(keys.size).toBe(50);
    expect(JSON.parse((await run('key new --json')).out)).toEqual({ key: expect.stringMatching(/^.{32}$/) });
  });
});

describe('a refused command leaves the file unchanged', () => {
  beforeEach(() => write(SAMPLE));

  test.each<[string[], string, number]>([
    [['interface', 'add', 'if0', '127.1.0.1'], 'Section [interface if0] exists, in line 5: choose another name', 1],
    [['interface', 'add', 'if2', '127.45.0.20'], 'was not changed: Duplicate address 127.45.0.20', 1],
    [['interface', 'add', 'if2', '127.45.0'], 'Wrong value "127.45.0" for address: allowed is', 1],
    [['interface', 'add', 'if2', '127.1.0.1', '--port', '0'], 'Wrong value "0" for port: allowed is a whole number from 1 to 65535', 1],
    [['interface', 'add', 'a]\u001b[2J', '127.1.0.1'], 'Wrong name "a]\\u001b[2J" for interface', 1],
    [['interface', 'remove', 'if9'], 'No section [interface if9] in the file: there are "if0", "if1"', 1],
    [['interface', 'add', 'if2'], 'Too few arguments for interface add: use rsconfig interface add NAME', 2],
    [['interface', 'add', 'if2', '127.1.0.1', 'x'], 'Unexpected argument x: use rsconfig interface add NAME', 2],
    [['interface'], 'Incomplete command interface: give interface add, interface remove or interface list', 2],
    [['interface', 'frob'], 'Unknown command interface frob: give interface add', 2],
    [['interface', 'remove', 'if0', '--port', '1'], 'interface add, namespace add and server add', 2],
    [['namespace', 'add', 'b', '--id', '200', '--nodename', 'a', '--nodekey', 'k'], 'Duplicate namespaceid 200', 1],
    [['namespace', 'add', 'b', '--nodename', 'a', '--nodekey', 'k'], 'No --id: give the namespaceid', 2],
    [['namespace', 'add', 'b', '--id', '1', '--nodekey', 'k'], 'No --nodename: give the name', 2],
    [['namespace', 'remove', 'old'], 'No section [namespace old] in the file: there are "osl"', 1],
    [['server', 'add', 's', '127.45.0.10'], 'Duplicate address 127.45.0.10:5000', 1],
    [['server', 'add', 's', '127.1.0.1', '--namespace', 'old'], 'No section [namespace old] in the file', 1],
    [['server', 'remove', 'big-8'], 'No section [server big-8] in the file: there are big-9-1 and big-9-2', 2],
    [['completion', 'zsh'], 'No completion for zsh: there is one for bash', 2],
  ])('%j', async (argv, message, expected) => {
    const { code, out, err } = await run(argv);
    expect({ code, out }).toEqual({ code: expected, out: '' });
    expect(err).toContain(message);
    expect(err).toMatch(/^rsconfig: \P{Cc}*\n$/u);
    expect(readFileSync(file, 'utf8')).toBe(SAMPLE);
    expect(readdirSync(join(root, 'etc'))).toEqual(['rscltcfg']);
  });

  test('a server whose namespace is ambiguous', async () => {
    const both = `${SAMPLE}\n[namespace lab]\nnamespaceid = 7\nnodename = a\nnodekey = b\n\n[server big-9-1]\naddress = 127.45.0.10\n`;
    write(both);
    expect((await run('server remove big-9-1')).err).toContain('Server big-9-1 is in namespaces osl and lab: give --namespace N');
    expect((await run('server add s 127.1.0.1')).err).toContain('There are namespaces osl and lab: give --namespace N');
    expect((await run('server remove big-9-1 --namespace lab')).code).toBe(0);
    expect((await run('server remove big-9-2')).code).toBe(0);
    write('');
    expect((await run('server add s 127.1.0.1')).err).toContain('No namespace in the file: add one with rsconfig namespace add');
  });

  test('while another program saves the file: retries for a while, then reports it', async () => {
    const clock = new FakeClock();
    writeFileSync(`${file}.new`, 'half');
    const running = run('interface remove if1', { clock });
    for (let tries = 0; tries < CONFIG_RETRIES; tries++) {
      await expect.poll(() => clock.timersPending, { timeout: 5_000, interval: 1 }).toBe(1);
      clock.advance(CONFIG_RETRY_MS);
    }
    expect(await running).toMatchObject({ code: 1, err: expect.stringContaining('Another program is saving') });
    expect(readFileSync(file, 'utf8')).toBe(SAMPLE);
  });

  test('after the other program has finished, the change is applied to its file', async () => {
    const clock = new FakeClock();
    writeFileSync(`${file}.new`, 'half');
    const running = run('interface remove if1', { clock });
    await expect.poll(() => clock.timersPending, { timeout: 5_000, interval: 1 }).toBe(1);
    write(`${SAMPLE}# theirs\n`);
    rmSync(`${file}.new`);
    clock.advance(CONFIG_RETRY_MS);
    expect(await running).toMatchObject({ code: 0, err: '' });
    const text = readFileSync(file, 'utf8');
    expect(text).toContain('# theirs');
    expect(text).not.toContain('if1');
  });
});

test('a broken file may be changed, and its remaining faults are reported', async () => {
  write(`${SAMPLE}colour = red\n`);
  await serve({ reload: () => ({ applied: ['never'] }) });
  const { code, out, err } = await run('interface remove if1 --reload');
  expect({ code, out }).toEqual({ code: 0, out: 'interface if1 removed\n' });
  expect(err).toContain(`rsconfig: ${file}:18: Unknown key "colour" in [server big-9-2]`);
  expect(err).toContain('rsiod cannot load it until they are corrected, see rsconfig check\n');
});

describe('check', () => {
  test('accepts a good file', async () => {
    write(SAMPLE.replace('0xbig-2', '0123456789abcdef'));
    expect(await run('check')).toEqual({ code: 0, out: `${file}: no faults\n`, err: '' });
    expect(JSON.parse((await run('check --json')).out)).toEqual({ file, problems: [], warnings: [] });
  });

  test('reports warnings, also about file modes, without failure', async () => {
    write(SAMPLE, 0o644);
    const { code, out } = await run('check');
    expect(code).toBe(0);
    expect(out.split('\n')).toEqual([
      `${file}: warning: Every user can read the keys in ${file} (mode 0644): run chmod 600 ${file}`,
      `${file}:14: warning: Short nodekey: 7 characters can be guessed, use 16 or more: rsconfig key new makes one`,
      '',
    ]);
  });

  test('reports every fault with its line and exit code 1, for any other file too', async () => {
    const other = join(root, 'other');
    writeFileSync(other, `${SAMPLE}port = \u001b[2J\n[namespace b]\n`, { mode: 0o600 });
    const { code, out, err } = await run(['check', other]);
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect(out).toMatch(/^\P{Cc}*\n/u);
    expect(out.split('\n').map((line) => line.slice(0, other.length + 12))).toEqual([
      `${other}:14: warning`,
      `${other}:21: fault: `,
      `${other}:22: fault: `,
      `${other}:22: fault: `,
      `${other}:22: fault: `,
      `${other}:22: warning`,
      '',
    ]);
    const json = JSON.parse((await run(['check', other, '--json'])).out) as { problems: unknown[] };
    expect(json.problems).toHaveLength(4);
    expect((await run(['check', '--json', other])).code).toBe(1);
  });

  test('reports a missing file', async () => {
    expect(await run('check')).toMatchObject({ code: 1, out: '', err: expect.stringContaining('[E_NO_CONFIG]') });
  });
});
