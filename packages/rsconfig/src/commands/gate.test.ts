// The commands about gates: edits of the client's file, and what rsiod says about its gates. The gates themselves are tested in rsiod.
// Invariant: a refused command does not change the file.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { ControlHandlers } from '@rsio/common/control/control-server';
import { sampleRscltcfg } from '@rsio/common/testing/sample-rscltcfg';
import { root, run, serveControl, useRsconfig } from '../testing/rsconfig-run.ts';

const SAMPLE = sampleRscltcfg({ near: ['127.45.0.20', '127.46.0.20'], far: ['127.45.0.10', '127.46.0.10'] });
const DAEMON = { program: 'rsiod', version: '1', control: 1, methods: [], pid: 1, nodename: 'big-2', startedMs: 0, configuredMs: 0 };
const HOST = 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555';
const GATE = {
  name: 'esx',
  protocol: 'nvme' as const,
  nqn: 'nqn.2014-08.org.nvmexpress:uuid:99999999-8888-7777-6666-555555555555',
  addresses: ['127.45.0.20:4420', '127.46.0.20:4420'],
  listening: ['127.45.0.20:4420', '127.46.0.20:4420'],
  trouble: null,
  hosts: [HOST],
  authenticates: true,
  tls: false,
  member: null,
  volumes: [{ nsid: 3, label: 'osl:oracle@0', sizeBytes: 2 ** 30, state: 'active' as const, why: null }],
  figures: { connections: 2, commands: 9, receivedBytes: 800, sentBytes: 700, waiting: 0, waitedMs: 0, refused: 0, cut: 0 },
};

useRsconfig();

let file: string;

beforeEach(() => {
  file = join(root, 'etc/rscltcfg');
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(file, SAMPLE, { mode: 0o600 });
});

const serve = (handlers: Partial<ControlHandlers>): Promise<void> => serveControl({ daemon: () => DAEMON, ...handlers });

test('a gate is added, and removed again, byte for byte', async () => {
  const added = await run(['gate', 'add', 'esx', '127.45.0.20,127.46.0.20:4421', '--hosts', HOST, '--offers', 'oracle']);
  expect(added).toEqual({ code: 0, out: 'gate esx added\n', err: '' });
  expect(readFileSync(file, 'utf8')).toContain(
    `[gate esx]\naddress       = 127.45.0.20,127.46.0.20:4421\nhosts         = ${HOST}\nvolumes       = oracle\n`,
  );
  expect(await run('gate remove esx')).toEqual({ code: 0, out: 'gate esx removed\n', err: '' });
  expect(readFileSync(file, 'utf8')).toBe(SAMPLE);
});

test.each([
  ['gate add esx 127.45.0.20', 'No hosts: name them with --hosts NQN,..., or admit every host with --hosts all', 2],
  ['gate add esx 127.45.0.20 --hosts bob', 'Wrong value "bob" for hosts: allowed is all, or 1 to 64 NQNs of hosts', 1],
  ['gate add esx 0.0.0.0 --hosts all', 'Wrong value "0.0.0.0" for address', 1],
  ['gate add esx 127.45.0.20 --hosts all --nqn esx', 'Wrong value "esx" for nqn: allowed is an NQN', 1],
  [
    'gate add esx 127.45.0.20 --hosts all --member 2',
    'A gate with the key member needs the names of its volumes: add volumes = NAME,...',
    1,
  ],
  [
    'gate add esx 127.45.0.20 --hosts all --offers oracle --member 9',
    'Wrong value "9" for member: allowed is a whole number from 1 to 8',
    1,
  ],
  ['gate remove esx', 'No section [gate esx] in the file: there is no [gate] section', 1],
])('%s is refused', async (line, reason, code) => {
  const result = await run(line);
  expect(result).toMatchObject({ code, out: '' });
  expect(result.err).toContain(reason);
  expect(readFileSync(file, 'utf8')).toBe(SAMPLE);
});

test('gates are listed; one that does not listen is no success', async () => {
  await serve({ gates: () => ({ gates: [GATE] }) });
  expect(await run('gate list')).toEqual({
    code: 0,
    out: 'NAME  PROTOCOL  ADDRESS                             HOSTS  VOLUMES\nesx   nvme      127.45.0.20:4420, 127.46.0.20:4420      1        1\n',
    err: '',
  });
  expect(JSON.parse((await run('gate list --json')).out)).toEqual({ gates: [GATE] });
});

test('a gate for iSCSI is added, and shown with its target and units', async () => {
  const host = 'iqn.2026-01.org.example:host';
  expect(await run(`gate add hv 127.45.0.20 --hosts ${host} --iscsi`)).toMatchObject({ code: 0 });
  expect(readFileSync(file, 'utf8')).toContain(`[gate hv]\nprotocol      = iscsi\naddress       = 127.45.0.20\nhosts         = ${host}\n`);
  await serve({ gates: () => ({ gates: [{ ...GATE, name: 'hv', protocol: 'iscsi', nqn: 'iqn.2026-01.org.example:g' }] }) });
  const { out } = await run('gate show hv');
  expect(out).toContain('Target      iqn.2026-01.org.example:g\n');
  expect(out).toMatch(/^LUN {2}VOLUME /m);
  expect((await run(`gate secret ${host}`)).out).toMatch(/^iqn\.2026-01\.org\.example:host [A-Za-z0-9_-]{16}\n$/);
  expect(await run(`gate secret ${host} --tls`)).toMatchObject({ code: 2, err: expect.stringContaining('iSCSI has no TLS') });
});

test('a gate that does not listen at each address is no success', async () => {
  await serve({ gates: () => ({ gates: [{ ...GATE, listening: ['127.45.0.20:4420'], authenticates: false }] }) });
  const { code, out } = await run('gate list');
  expect([code, out.includes('127.46.0.20:4420 (not listening)')]).toEqual([1, true]);
  expect((await run('gate show esx')).out).toContain(
    'Address     127.46.0.20:4420, where rsiod does not listen: see its log\nSecrets     none: hosts do not authenticate\n',
  );
});

test('a gate is shown with its hosts and volumes', async () => {
  await serve({ gates: () => ({ gates: [GATE] }) });
  const lines = [
    `Subsystem   ${GATE.nqn}`,
    'Address     127.45.0.20:4420',
    'Address     127.46.0.20:4420',
    'Secrets     hosts authenticate',
    `Host        ${HOST}`,
    '',
    'NSID  VOLUME        SIZE  STATE',
    '   3  osl:oracle@0    1g  active',
  ];
  expect(await run('gate show esx')).toEqual({ code: 0, out: `${lines.join('\n')}\n`, err: '' });
  expect(JSON.parse((await run('gate show esx --json')).out)).toEqual(GATE);
  expect(await run('gate show vmw')).toMatchObject({ code: 2, err: expect.stringContaining('rsiod has no gate vmw: it has esx') });
});

test('a gate with secrets is added, and its secrets are checked', async () => {
  const secrets = join(root, 'etc/esx.secrets');
  expect(await run(`gate add esx 127.45.0.20 --hosts ${HOST} --secrets ${secrets}`)).toMatchObject({ code: 0 });
  expect(readFileSync(file, 'utf8')).toContain(`secret-file   = ${secrets}\n`);
  expect((await run('check')).out).toContain(`fault: The secret-file of gate esx cannot be used: No configuration file ${secrets}`);
  const { out } = await run(`gate secret ${HOST}`);
  expect(out).toMatch(new RegExp(`^${HOST} DHHC-1:01:[A-Za-z0-9+/]{48}:\\n$`));
  writeFileSync(secrets, out, { mode: 0o600 });
  expect((await run('check')).out).not.toContain('secret');
  writeFileSync(secrets, out.slice(0, -3));
  expect((await run('check')).out).toContain(`fault: ${secrets}:1: No secret for ${HOST}, or a damaged one`);
  expect(JSON.parse((await run(`gate secret ${HOST} --json`)).out)).toMatchObject({ nqn: HOST });
  expect(await run('gate secret bob')).toMatchObject({ code: 2, out: '', err: expect.stringContaining('"bob" is no NQN') });
});

test('a gate with TLS is added, and its keys are checked', async () => {
  const secrets = join(root, 'etc/esx.secrets');
  const add = `gate add esx 127.45.0.20 --hosts ${HOST}`;
  expect(await run(`${add} --tls`)).toMatchObject({ code: 2, err: expect.stringContaining('--tls without keys') });
  expect(await run(`${add} --secrets ${secrets} --tls`)).toMatchObject({ code: 0 });
  expect(readFileSync(file, 'utf8')).toMatch(/^tls +=? ?= required$/m);
  writeFileSync(secrets, (await run(`gate secret ${HOST}`)).out, { mode: 0o600 });
  expect((await run('check')).out).toContain(`${secrets} has no TLS key for ${HOST}: gate esx refuses this host`);
  const { out } = await run(`gate secret ${HOST} --tls`);
  expect(out).toMatch(new RegExp(`^${HOST} NVMeTLSkey-1:01:[A-Za-z0-9+/]{48}:\\n$`));
  writeFileSync(secrets, out);
  expect((await run('check')).out).not.toContain('esx');
  await serve({ gates: () => ({ gates: [{ ...GATE, tls: true }] }) });
  expect((await run('gate show esx')).out).toContain('TLS         required\n');
});

test('without gates, the command that adds one is named', async () => {
  await serve({ gates: () => ({ gates: [] }) });
  expect(await run('gate list')).toMatchObject({
    code: 0,
    out: '',
    err: expect.stringContaining('rsconfig gate add NAME ADDRESS --hosts NQN'),
  });
});

test('one gate of several shows its number, and why it has not got a volume', async () => {
  const standby = { ...GATE.volumes[0]!, state: 'waiting', why: 'Client venus has data that only it can send again' } as const;
  await serve({ gates: () => ({ gates: [{ ...GATE, member: 2, volumes: [standby] }] }) });
  const { out } = await run('gate show esx');
  expect(out).toContain(`Subsystem   ${GATE.nqn}\nMember      2\n`);
  expect(out).toContain('   3  osl:oracle@0    1g  waiting\n\nosl:oracle@0: Client venus has data that only it can send again\n');
});
