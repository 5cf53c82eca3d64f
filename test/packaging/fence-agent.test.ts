// The fence agent of packaging/ as Pacemaker calls it: options on stdin, exit codes, metadata. Most tests use small test programs in place
// of rsadm and ssh. The last test fences a client of a real server.

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { launcher } from '../support/programs/programs.ts';
import { keyOf, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';

const AGENT = fileURLToPath(new URL('../../packaging/fence_rsio', import.meta.url));
const TABLE = `CLIENT  STATE                                  ADDRESS      RIGHTS  HOLDS
big-2   connected, two keys, session uses old  192.168.1.2  use     oracle@0
venus   fenced                                 -            use     -
mars    fenced, its session is ending          192.168.1.4  use     -
`;

const hosts = useHosts();

let folder = '';
let rsadm = '';

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-fence-'));
  rsadm = program('rsadm', `printf 'rsadm %s\\n' "$*" >> "${folder}/calls"\ncase $2 in list) cat "${folder}/table" ;; esac`);
  writeFileSync(path.join(folder, 'table'), TABLE);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], input = '', env: Readonly<Record<string, string>> = {}): Outcome {
  const options = { input, encoding: 'utf8', env: { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}`, ...env } } as const;
  const { status, stdout, stderr } = spawnSync(AGENT, args, options);
  return { code: status, out: stdout, err: stderr };
}

/** Runs the agent with these options on stdin, as Pacemaker does. */
function stdin(options: Readonly<Record<string, string>>): Outcome {
  const lines = Object.entries({ rsadm_path: rsadm, ...options }).map(([key, value]) => `${key}=${value}\n`);
  return run([], `# from stonith\n\n${lines.join('')}pcmk_reboot_action=off\n`);
}

function calls(): string[] {
  return readFileSync(path.join(folder, 'calls'), 'utf8').trim().split('\n');
}

/** Returns the elements of an XML text. Throws if the text is not well-formed. */
function elements(xml: string): { readonly name: string; readonly attributes: Readonly<Record<string, string>> }[] {
  const open: string[] = [];
  const found: { name: string; attributes: Record<string, string> }[] = [];
  const body = xml.replace(/^<\?xml version="1\.0" \?>\n/, '');
  expect(body.replaceAll(/<[^<>]*>/g, '')).not.toMatch(/[<>]|&(?!\w+;)/);
  for (const [tag] of body.matchAll(/<[^<>]*>/g)) {
    const [, slash, name = '', rest = '', end] = /^<(\/?)([\w-]+)((?: [\w-]+="[^"<&]*")*)(\/?)>$/.exec(tag) ?? [];
    expect(name, tag).not.toBe('');
    if (slash === '/') expect(open.pop()).toBe(name);
    else
      found.push({
        name,
        attributes: Object.fromEntries([...rest.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value])),
      });
    if (slash === '' && end === '') open.push(name);
  }
  expect(open).toEqual([]);
  return found;
}

it('metadata is well-formed, and names the parameters and actions that there are', () => {
  for (const { code, out } of [run(['-o', 'metadata']), stdin({ action: 'metadata' })]) {
    expect(code).toBe(0);
    const all = elements(out);
    expect(all[0]).toEqual({
      name: 'resource-agent',
      attributes: { name: 'fence_rsio', shortdesc: 'Fence agent for clients of RSIO servers' },
    });
    const named = (kind: string): string[] => all.filter(({ name }) => name === kind).map(({ attributes }) => attributes['name'] ?? '');
    expect(named('parameter')).toEqual(['action', 'plug', 'port', 'ssh', 'rsadm_path']);
    // The agent offers no action `reboot`, because a client could continue to write after this action. Pacemaker therefore asks for `off`.
    expect(named('action')).toEqual(['on', 'off', 'status', 'list', 'monitor', 'metadata', 'validate-all']);
  }
});

it.each([
  ['off', 'rsadm client fence big-2'],
  ['reboot', 'rsadm client fence big-2'],
  ['on', 'rsadm client unfence big-2'],
])('%s is one order to rsadm, whose failure is the failure of the action', (action, call) => {
  for (const option of [{ plug: 'big-2' }, { port: 'big-2' }, { nodename: 'big-2' }])
    expect(stdin({ action, ...option })).toMatchObject({ code: 0 });
  expect(calls()).toEqual([call, call, call]);
  rsadm = program('rsadm', 'echo "rsadm: not fenced yet" >&2; exit 1');
  const failed = stdin({ action, plug: 'big-2' });
  expect(failed).toMatchObject({ code: 1, out: '' });
  expect(failed.err).toMatch(
    /^rsadm: not fenced yet\nfence_rsio: client big-2 (is not fenced on every server: do not rely on it|may still be fenced)/,
  );
});

it('status is 0 for a client that may connect, 2 for a fenced one, 1 for an unknown one or if rsadm fails', () => {
  expect(stdin({ action: 'status', plug: 'big-2' })).toMatchObject({ code: 0, out: 'Status: on\n' });
  expect(stdin({ action: 'status', plug: 'venus' })).toMatchObject({ code: 2, out: 'Status: off\n' });
  // A client whose fencing is in progress does not count as fenced.
  expect(stdin({ action: 'status', plug: 'mars' })).toMatchObject({ code: 0, out: 'Status: on\n' });
  expect(stdin({ action: 'status', plug: 'big' })).toMatchObject({ code: 1, out: '' });
  rsadm = program('rsadm', 'exit 1');
  expect(stdin({ action: 'status', plug: 'venus' })).toMatchObject({ code: 1, out: '' });
});

it('list, monitor and validate-all; without an action it is off', () => {
  expect(stdin({ action: 'list' })).toMatchObject({ code: 0, out: 'big-2,\nvenus,\nmars,\n' });
  expect(stdin({ action: 'monitor' }).code).toBe(0);
  expect(stdin({ action: 'validate-all', plug: 'venus' }).code).toBe(0);
  expect(stdin({ plug: 'venus' }).code).toBe(0);
  expect(calls().at(-1)).toBe('rsadm client fence venus');
  rsadm = program('rsadm', 'exit 1');
  for (const action of ['list', 'monitor']) expect(stdin({ action }).code).toBe(1);
});

it.each<[Record<string, string>, string]>([
  [{ action: 'off' }, 'action off needs plug='],
  [{ action: 'explode', plug: 'venus' }, 'unknown action explode'],
  [{ action: 'off', plug: 'venus; reboot' }, 'wrong plug'],
  [{ action: 'off', plug: '-x' }, 'wrong plug'],
  [{ action: 'off', plug: 'venus', ssh: 'big-9 -oProxyCommand=x' }, 'wrong ssh'],
  [{ action: 'off', plug: 'venus', rsadm_path: '$(reboot)' }, 'wrong rsadm_path'],
  [{ action: 'validate-all', rsadm_path: '/no/such/rsadm' }, 'no program /no/such/rsadm here'],
])('%j is refused', (options, message) => {
  program('ssh', 'exit 0');
  const { code, err } = stdin(options);
  expect(code).toBe(1);
  expect(err).toContain(`fence_rsio: ${message}`);
});

it('by ssh, every server has to agree, and each is asked even after one has failed', () => {
  program(
    'ssh',
    `for last; do :; done\nprintf 'ssh %s\\n' "$*" >> "${folder}/calls"\ncase "$*" in *big-8*) exit 1 ;; *list*) cat "${folder}/table" ;; esac`,
  );
  const one = 'ssh -n -o BatchMode=yes -o ConnectTimeout=10';
  expect(run(['-o', 'off', '-n', 'venus', '--ssh', 'root@big-8,root@big-9'])).toMatchObject({ code: 1 });
  expect(calls()).toEqual([`${one} root@big-8 rsadm client fence venus`, `${one} root@big-9 rsadm client fence venus`]);
  expect(run(['--action=off', '--plug=venus', '--ssh=root@big-9']).code).toBe(0);
  expect(run(['--action=status', '--plug=venus', '--ssh=root@big-9']).code).toBe(2);
});

it('arguments that it does not know are refused; --help says which it knows', () => {
  for (const args of [['-o'], ['--frobnicate=1'], ['off']]) expect(run(args).code).toBe(1);
  expect(run(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('usage: fence_rsio -o ACTION') });
});

it('a client of a real server: status on, off, status off, off again, on, status on', async () => {
  const server = hosts.host();
  const network = await hosts.network(1);
  await startServer(server, network, { volumes: { oracle: { type: 'memory', size: '1m' } }, clients: { venus: keyOf('venus') } });
  const act = (action: string): number | null =>
    run([], `action=${action}\nplug=venus\nrsadm_path=${launcher('rsadm')}\n`, { RSIO_ROOT: server.root }).code;
  const steps = ['validate-all', 'monitor', 'list', 'status', 'off', 'status', 'off', 'on', 'status'];
  expect(steps.map((step) => [step, act(step)])).toEqual([
    ['validate-all', 0],
    ['monitor', 0],
    ['list', 0],
    ['status', 0],
    ['off', 0],
    ['status', 2],
    ['off', 0],
    ['on', 0],
    ['status', 0],
  ]);
  await server.stop('rssrv');
  expect(['monitor', 'off', 'status'].map((step) => act(step))).toEqual([1, 1, 1]);
});
