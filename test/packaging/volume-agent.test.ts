// The resource agent ocf:rsio:volume with a small program in place of rsconfig: exit codes, orders and metadata. Programs of Pacemaker are not
// needed.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const AGENT = fileURLToPath(new URL('../../packaging/ocf-volume', import.meta.url));
const STOPPED = 'rsconfig: rsiod is not running [E_NOT_RUNNING]';
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-agent-'));
  writeFileSync(path.join(folder, 'calls'), '');
  program('true');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes the program in place of rsconfig. `other`: shell command that runs for every option except -l. */
function program(other: string): void {
  const file = path.join(folder, 'rsconfig');
  writeFileSync(file, `#!/bin/sh\ncase $1 in -l) cat '${folder}/answer' ;; *) echo "$*" >>'${folder}/calls'; ${other} ;; esac\n`);
  chmodSync(file, 0o755);
}

function local(...attached: string[]): string {
  const one = (name: string): object => ({ namespace: 'osl', name, universe: 0 });
  return JSON.stringify({ attachments: attached.map(one), awaited: [] });
}

function run(action: string, answer: string, name = 'db'): readonly [number | null, string] {
  writeFileSync(path.join(folder, 'answer'), answer);
  const env = { ...process.env, OCF_RESKEY_name: name, OCF_RESKEY_rsconfig_path: path.join(folder, 'rsconfig') };
  const { status, stderr } = spawnSync(AGENT, [action], { encoding: 'utf8', env });
  return [status, stderr];
}

const calls = (): string => readFileSync(path.join(folder, 'calls'), 'utf8');

it.each<[string, string, string, number, string]>([
  ['monitor', local('db'), 'db', 0, ''],
  ['monitor', local('db'), 'osl:db@0', 0, ''],
  ['monitor', local('db'), 'other:db', 7, ''],
  ['monitor', local('db'), 'db@1', 7, ''],
  ['monitor', local(), 'db', 7, ''],
  ['monitor', STOPPED, 'db', 7, ''],
  ['monitor', 'rsconfig: too late [E_TIMEOUT]', 'db', 1, ''],
  ['start', local(), 'db', 0, '-a --take-over db\n'],
  ['start', local('db'), 'db', 0, ''],
  ['start', STOPPED, 'db', 1, ''],
  ['stop', local('db'), 'db', 0, '-d db\n'],
  ['stop', local(), 'db', 0, ''],
  ['stop', STOPPED, 'db', 0, ''],
  ['start', local(), '', 6, ''],
  ['promote', local(), 'db', 3, ''],
])('%s, if rsconfig says %j about %j, ends with %i', (action, answer, name, code, called) => {
  expect([run(action, answer, name)[0], calls()]).toEqual([code, called]);
});

it('a refusal is shown, and a volume in use does not count as stopped', () => {
  program('echo "Client a has it [E_HELD]" >&2; exit 1');
  expect(run('start', local())).toEqual([1, 'ocf-exit-reason:Client a has it [E_HELD]\n']);
  expect(run('stop', local('db'))[0]).toBe(1);
});

it('the metadata names each parameter and action', () => {
  const { stdout, status } = spawnSync(AGENT, ['meta-data'], { encoding: 'utf8' });
  expect(status).toBe(0);
  for (const part of ['<parameter name="name"', '<parameter name="rsconfig_path"', 'start', 'stop', 'monitor', 'validate-all', 'meta-data'])
    expect(stdout).toContain(part);
});
