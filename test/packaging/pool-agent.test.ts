// The resource agent of packaging/ with a small program in place of rsadm: exit codes and metadata. test/integration/farm-commands.test.ts runs
// it with servers. Programs of Pacemaker are not needed.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sharedPool } from '@rsio/api/testing/server-views';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const AGENT = fileURLToPath(new URL('../../packaging/ocf-pool', import.meta.url));
const STOPPED = 'rsadm: No rssrv runs on this machine [E_NOT_RUNNING]';
const SILENT = 'rsadm: rssrv did not answer within 15s [E_TIMEOUT]';
type Standing = ReturnType<typeof sharedPool>['standing'];

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-agent-'));
  writeFileSync(path.join(folder, 'calls'), '');
  answers(view('watching'));
  program(`cat '${folder}/answer'; exit 1`, 'true');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes the program in place of rsadm. `farm`: shell command that runs for the command farm. `other`: for all other commands. */
function program(farm: string, other: string): void {
  const rsadm = path.join(folder, 'rsadm');
  writeFileSync(rsadm, `#!/bin/sh\ncase $1 in farm) ${farm} ;; *) echo "$*" >>'${folder}/calls'; ${other} ;; esac\n`);
  chmodSync(rsadm, 0o755);
}

function answers(text: string): void {
  writeFileSync(path.join(folder, 'answer'), text);
}

function view(standing: Standing, takeOverMs: number | null = null): string {
  return JSON.stringify({ server: 'big-8', pools: [sharedPool({ name: 'slow' }), sharedPool({ standing, takeOverMs })] }, null, 2);
}

function run(action: string, changes: Readonly<Record<string, string>> = {}): readonly [number | null, string] {
  const env = { ...process.env, OCF_RESKEY_name: 'fast', OCF_RESKEY_rsadm_path: path.join(folder, 'rsadm'), ...changes };
  const { status, stderr } = spawnSync(AGENT, action === '' ? [] : [action], { encoding: 'utf8', env });
  return [status, stderr];
}

const calls = (): string => readFileSync(path.join(folder, 'calls'), 'utf8');

describe('exit codes', () => {
  it.each<[string, string, number | null, string]>([
    ['monitor', view('watching'), 7, ''],
    ['monitor', view('owned'), 0, ''],
    ['monitor', view('leaving'), 1, ''],
    ['monitor', view('ending'), 1, ''],
    ['monitor', STOPPED, 7, ''],
    ['monitor', SILENT, 1, ''],
    ['monitor', '{"server":"big-8","pools":[]}', 7, ''],
    ['monitor', '{"server":', 1, ''],
    ['start', view('watching'), 0, 'pool move fast --to big-8\n'],
    ['start', view('owned'), 0, ''],
    ['start', view('watching', 10_000), 2, ''],
    ['start', '{"server":"big-8","pools":[]}', 2, ''],
    ['start', STOPPED, 1, ''],
    ['start', SILENT, 1, ''],
    ['stop', view('watching'), 0, ''],
    ['stop', STOPPED, 0, ''],
    ['stop', SILENT, 1, ''],
    ['validate-all', view('watching'), 0, ''],
    ['validate-all', view('owned', 10_000), 2, ''],
    ['validate-all', STOPPED, 0, ''],
    ['notify', view('owned'), 3, ''],
    ['', view('owned'), 3, ''],
  ])('%s: %s', (action, answer, code, called) => {
    answers(answer);
    expect([run(action)[0], calls()]).toEqual([code, called]);
  });

  it.each(['start', 'stop', 'monitor', 'validate-all'])('%s without a name, and without rsadm', (action) => {
    expect(run(action, { OCF_RESKEY_name: '' })[0]).toBe(6);
    expect(run(action, { OCF_RESKEY_rsadm_path: '/nowhere/rsadm' })[0]).toBe(5);
    expect(calls()).toBe('');
  });

  it('a refusal of rssrv is the reason that Pacemaker shows', () => {
    program(`cat '${folder}/answer'`, 'echo "rsadm: Pool fast: Job 7 uses pool fast [E_BUSY]" >&2; exit 1');
    expect(run('start')).toEqual([1, 'ocf-exit-reason:rsadm: Pool fast: Job 7 uses pool fast [E_BUSY]\n']);
    answers(view('owned'));
    expect(run('stop')).toEqual([1, 'ocf-exit-reason:rsadm: Pool fast: Job 7 uses pool fast [E_BUSY]\n']);
  });

  it('stop succeeds if this server has nothing of the pool after a release that has failed', () => {
    answers(view('owned'));
    writeFileSync(path.join(folder, 'last'), view('watching'));
    program(`cat '${folder}/answer'`, `cp '${folder}/last' '${folder}/answer'; echo "rsadm: Disk /dev/x failed [E_STORAGE]" >&2; exit 1`);
    expect([run('stop'), calls()]).toEqual([[0, ''], 'pool release fast\n']);
  });

  it('stop waits for a step, and releases what this server has then', () => {
    answers(view('taking'));
    writeFileSync(path.join(folder, 'later'), view('owned'));
    writeFileSync(path.join(folder, 'last'), view('watching'));
    program(
      `cat '${folder}/answer'; [ ! -e '${folder}/later' ] || mv '${folder}/later' '${folder}/answer'`,
      `cp '${folder}/last' '${folder}/answer'`,
    );
    expect([run('stop'), calls()]).toEqual([[0, ''], 'pool release fast\n']);
  });
});

it('the metadata has the elements of the OCF resource agent API in their order, and every action has a time-out', () => {
  const { status, stdout } = spawnSync(AGENT, ['meta-data'], { encoding: 'utf8', env: { PATH: process.env['PATH'] } });
  expect(status).toBe(0);
  const open: string[] = [];
  const paths: string[] = [];
  for (const [, slash, name = '', end] of stdout.matchAll(/<(\/?)([\w-]+)(?: [\w-]+="[^"<&]*")*(\/?)>/g)) {
    if (slash === '/') expect(open.pop()).toBe(name);
    else paths.push([...open, name].join('/'));
    if (slash === '' && end === '') open.push(name);
  }
  expect(open).toEqual([]);
  const parameter = ['', '/longdesc', '/shortdesc', '/content'].map((part) => `resource-agent/parameters/parameter${part}`);
  expect(paths).toEqual([
    ...['', '/version', '/longdesc', '/shortdesc', '/parameters'].map((part) => `resource-agent${part}`),
    ...parameter,
    ...parameter,
    'resource-agent/actions',
    ...Array.from({ length: 5 }, () => 'resource-agent/actions/action'),
  ]);
  const actions = [...stdout.matchAll(/<action name="([\w-]+)" timeout="\d+s"/g)].map(([, name]) => name);
  expect(actions).toEqual(['start', 'stop', 'monitor', 'meta-data', 'validate-all']);
  expect(stdout).toContain('<parameter name="name" unique="1" required="1">');
});
