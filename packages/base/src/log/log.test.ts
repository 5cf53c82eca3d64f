// Tests the log with real files: its content, data that must not be logged, and what happens when the file cannot be written. Child
// processes test several writers and the exit of a process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import { useProgram } from '../testing/program-file.ts';
import { RsError } from '../lib/errors.ts';
import { type DaemonLog, type LogOptions, openLog } from './log.ts';
import { formatLogLine } from './log-line.ts';
import { removeFolder } from '../testing/remove-folder.ts';

let directory: string;
let file: string;
let open: DaemonLog[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rsio-log-'));
  file = join(directory, 'var/log/rsio/rsiod.log');
  open = [];
});

afterEach(async () => {
  for (const log of open) log.close();
  await removeFolder(directory);
});

function start(options: Partial<LogOptions> = {}): DaemonLog {
  const log = openLog({ file, node: 'big-2', clock: new FakeClock(), ...options });
  open.push(log);
  return log;
}

function records(path = file): Record<string, unknown>[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('openLog', () => {
  test('writes records that are printed in the fixed form, and creates its folder', () => {
    const log = start();
    log.child({ path: '6-if0-tx0' }).info('started transmit for rep 192.168.45.10/5000');
    log.error('100% full %s', { free: 0 });
    log.flushSync();
    expect(
      readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => formatLogLine(line)),
    ).toEqual([
      'big-2@rsio 2010_09_14-15:02:32 (GMT) INFO (6-if0-tx0): started transmit for rep 192.168.45.10/5000',
      'big-2@rsio 2010_09_14-15:02:32 (GMT) ERROR (main): 100% full %s',
    ]);
    expect(records()[1]).toMatchObject({ level: 'error', pid: process.pid, free: 0 });
  });

  test('keeps keys and bytes out, however deep, in every log', () => {
    const log = start();
    const nodekey = '0xbig2';
    const fields = {
      nodekey,
      'Node-Key': nodekey,
      config: { clients: [{ name: 'venus', key: nodekey }] },
      mac: Buffer.from(nodekey),
      body: Buffer.from(nodekey),
    };
    log.info('a', fields);
    log.child(fields).child({ serverkey: nodekey }).warn('b');
    log.error('c', { error: new RsError('E_AUTH', 'Refused', { key: nodekey, name: 'big-2' }) });
    log.flushSync();
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain('0xbig2');
    expect(records()[0]).toMatchObject({
      nodekey: '[redacted]',
      body: '[6 bytes]',
      config: { clients: [{ name: 'venus', key: '[redacted]' }] },
    });
    expect(records()[2]).toMatchObject({ error: { code: 'E_AUTH', message: 'Refused', context: { name: 'big-2' } } });
  });

  test('a field cannot forge a field of the record itself, and a child may belong to another node', () => {
    const log = start();
    log.info('x', { node: 'evil', level: 'error', time: 1, msg: 'other' });
    log.child({ node: 'venus' }).info('y');
    log.flushSync();
    expect(records()).toMatchObject([{ node: 'big-2', level: 'info', msg: 'x', node_: 'evil' }, { node: 'venus' }]);
  });

  test('handles a cycle of objects', () => {
    const ring: Record<string, unknown> = {};
    ring['self'] = ring;
    const log = start();
    log.info('ring', { ring });
    log.flushSync();
    expect(records()).toHaveLength(1);
  });

  test('a level set later applies to existing children', () => {
    const log = start();
    const child = log.child({ path: '0-if0-rx0' });
    child.debug('unseen');
    log.setLevel('debug');
    child.debug('seen');
    log.setLevel('error');
    child.warn('unseen');
    log.flushSync();
    expect(records().map((record) => record['msg'])).toEqual(['seen']);
  });

  test('copies lines in readable form when in the foreground', () => {
    const copied: string[] = [];
    start({ copy: (line) => copied.push(line) }).info('ready');
    expect(copied).toEqual(['big-2@rsio 2010_09_14-15:02:32 (GMT) INFO (main): ready']);
  });

  test('continues in a new file after reopen', async () => {
    const log = start();
    log.info('old');
    log.flushSync();
    renameSync(file, `${file}.1`);
    log.info('still old');
    log.flushSync();
    log.reopen();
    log.info('new');
    await expect.poll(() => records().length, { timeout: 5_000 }).toBe(1);
    expect(records(`${file}.1`).map((record) => record['msg'])).toEqual(['old', 'still old']);
    expect(records()[0]).toMatchObject({ msg: 'new' });
  });

  test('a file that cannot be written is reported once, ends no process, and works after reopen', () => {
    writeFileSync(join(directory, 'var'), 'in the way');
    const said: string[] = [];
    const log = start({ warn: (sentence) => said.push(sentence) });
    for (let i = 0; i < 10; i++) log.info('lost');
    log.flushSync();
    log.reopen();
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(`Cannot write log ${file} (`);
    rmSync(join(directory, 'var'));
    log.reopen();
    log.info('kept');
    log.flushSync();
    expect(records().map((record) => record['msg'])).toContain('kept');
  });

  test('drops lines beyond its bound and reports their number', async () => {
    mkdirSync(join(directory, 'var'));
    const log = start();
    const message = 'x'.repeat(1024);
    for (let i = 0; i < 2000; i++) log.info(message);
    await expect.poll(() => readFileSync(file, 'utf8'), { timeout: 5_000 }).toMatch(/"\d+ log lines were lost/);
    const [, lost] = /"(\d+) log lines were lost/.exec(readFileSync(file, 'utf8')) ?? [];
    expect(records()).toHaveLength(2000 - Number(lost) + 1);
  });
});

describe('several processes', () => {
  const logModule = useProgram(new URL('./log.ts', import.meta.url));

  function child(name: string, count: number): Promise<unknown[]> {
    const code = `
      const { openLog } = await import(${JSON.stringify(logModule())});
      const log = openLog({ file: ${JSON.stringify(file)}, node: '${name}' });
      for (let i = 0; i < ${count}; i++) {
        log.info('${name}'.repeat(50), { i });
        if (i % 7 === 0) await new Promise(setImmediate);
      }
      process.exit(3);`;
    const started = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    return once(started, 'exit');
  }

  test('append whole lines to one file and lose none at process.exit', async () => {
    expect(await Promise.all([child('a', 500), child('b', 500)])).toEqual([
      [3, null],
      [3, null],
    ]);
    const seen = records();
    for (const node of ['a', 'b']) {
      const numbers = seen.filter((record) => record['node'] === node).map((record) => record['i']);
      expect(new Set(numbers).size).toBe(500);
    }
    expect(seen).toHaveLength(1000);
  });

  test.each([
    ['setImmediate(() => { throw new Error("fell over"); });', 'an uncaught exception'],
    ['void Promise.reject(new Error("fell over"));', 'an unhandled rejection'],
  ])('log the reason for the end of their process, whatever reads stderr: %s', async (body, what) => {
    const code = `
      const { openLog } = await import(${JSON.stringify(logModule())});
      openLog({ file: ${JSON.stringify(file)}, node: 'a' });
      ${body}
      setTimeout(() => undefined, 60_000);`;
    const started = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'ignore' });
    expect(await once(started, 'exit')).toEqual([1, null]);
    expect(records()).toMatchObject([
      { level: 'error', msg: `This process exits because of ${what}: fell over`, error: { message: 'fell over' } },
    ]);
  });
});
