// The commands about gates: edits of the client's file, and what rsiod says about its gates. The gates themselves are tested in rsiod.
// Invariant: a refused command does not change the file.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
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
  ['gate add esx 127.45.0.20 --hosts bob --offers a', 'Wrong value "bob" for hosts: allowed is all, or 1 to 64 NQNs of hosts', 1],
  ['gate add esx 0.0.0.0 --hosts all --offers a', 'Wrong value "0.0.0.0" for address', 1],
  ['gate add esx 127.45.0.20 --hosts all --offers a --nqn esx', 'Wrong value "esx" for nqn: allowed is an NQN', 1],
  [
    'gate add esx 127.45.0.20 --hosts all --offers all --member 2',
    'A gate with the key member needs the names of its volumes: add volumes = NAME,...',
    1,
  ],
  [
    'gate add esx 127.45.0.20 --hosts all --offers oracle --member 9',
    'Wrong value "9" for member: allowed is a whole number from 1 to 8',
    1,
  ],
  ['gate add esx 127.45.0.20 --hosts all', 'No volumes: name those that the gate offers with --offers NAME,...', 2],
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
  expect(JSON.parse((await run('gate list --json')).out)).toEqual({ gates: [GATE], aoe: [] });
});

test('a gate for iSCSI is added, and shown with its target and units', async () => {
  const host = 'iqn.2026-01.org.example:host';
  expect(await run(`gate add hv 127.45.0.20 --hosts ${host} --offers all --iscsi`)).toMatchObject({ code: 0 });
  expect(readFileSync(file, 'utf8')).toContain(`[gate hv]\nprotocol      = iscsi\naddress       = 127.45.0.20\nhosts         = ${host}\n`);
  await serve({ gates: () => ({ gates: [{ ...GATE, name: 'hv', protocol: 'iscsi', nqn: 'iqn.2026-01.org.example:g' }] }) });
  const { out } = await run('gate show hv');
  expect(out).toContain('Target      iqn.2026-01.org.example:g\n');
  expect(out).toMatch(/^LUN {2}VOLUME /m);
  expect((await run(`gate secret ${host}`)).out).toMatch(/^iqn\.2026-01\.org\.example:host [A-Za-z0-9_-]{16}\n$/);
  expect(await run(`gate secret ${host} --tls`)).toMatchObject({ code: 2, err: expect.stringContaining('iSCSI has no TLS') });
});

test('the name of a host of an earlier rsiod cannot control the terminal', async () => {
  await serve({ gates: () => ({ gates: [{ ...GATE, hosts: ['nqn.2020-01.org:\u001b[2J\nVolumes'] }] }) });
  expect((await run('gate show esx')).out).toContain('Host        nqn.2020-01.org:\\x1b[2J\\nVolumes\n');
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
  expect(await run(`gate add esx 127.45.0.20 --hosts ${HOST} --offers all --secrets ${secrets}`)).toMatchObject({ code: 0 });
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
  const add = `gate add esx 127.45.0.20 --hosts ${HOST} --offers all`;
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

const AOE = {
  name: 'boot',
  interface: 'eth1',
  shelf: 7,
  writes: 'off' as const,
  mac: '02:00:00:00:00:99',
  dataBytes: 8704,
  trouble: null,
  hosts: ['02:00:00:00:00:01'],
  volumes: [
    { slot: 0, label: 'osl:debian@0@monday', sizeBytes: 2 ** 30, readonly: true, config: '', masks: [], reserved: [] },
    {
      slot: 3,
      label: 'osl:data@0',
      sizeBytes: 2 ** 20,
      readonly: false,
      config: 'a"',
      masks: ['02:00:00:00:00:01'],
      reserved: ['02:00:00:00:00:02'],
    },
  ],
  figures: { commands: 9, answers: 8, late: 1, dropped: 2, waiting: 0, receivedBytes: 800, sentBytes: 700, cut: 0 },
};

test('a gate for AoE is added', async () => {
  const line = 'gate add boot eth1 --aoe --shelf 7 --hosts 02:00:00:00:00:01 --offers debian@monday,data';
  expect(await run(`${line} --slots debian@monday=0`)).toEqual({ code: 0, out: 'gate boot added\n', err: '' });
  const section = '[gate boot]\nprotocol      = aoe\nhosts         = 02:00:00:00:00:01\nvolumes       = debian@monday,data\n';
  expect(readFileSync(file, 'utf8')).toContain(`${section}interface     = eth1\nshelf         = 7\nslots         = debian@monday=0\n`);
  await run('gate remove boot');
  expect(await run(`${line} --unsafe-writes`)).toMatchObject({ code: 0 });
  expect(readFileSync(file, 'utf8')).toMatch(/^aoe-writes +=? ?= unsafe$/m);
  await run('gate remove boot');
  expect(await run('gate add boot eth1 --aoe --hosts all --offers all')).toMatchObject({
    code: 1,
    err: expect.stringContaining('No shelf in [gate boot]'),
  });
  expect(await run('gate add boot eth1 --aoe --shelf 1')).toMatchObject({
    code: 2,
    err: expect.stringContaining('--hosts MAC,...'),
  });
  expect(readFileSync(file, 'utf8')).toBe(SAMPLE);
});

test('gates for AoE are listed and shown', async () => {
  await serve({ gates: () => ({ gates: [GATE], aoe: [AOE] }) });
  expect((await run('gate list')).out).toMatch(/^boot {2}aoe +shelf 7 at eth1 +1 +2$/m);
  const lines = [
    'Protocol    ATA over Ethernet',
    'Interface   eth1, 02:00:00:00:00:99, up to 8704 bytes of data in a frame',
    'Shelf       7',
    'Writes      refused',
    'Host        02:00:00:00:00:01',
    '',
    'ADDRESS  VOLUME               SIZE  ACCESS',
    'e7.0     osl:debian@0@monday    1g  read-only',
    'e7.3     osl:data@0             1m  UNSAFE WRITES',
    'e7.3 has the config string "a\\""',
    'e7.3 answers only 02:00:00:00:00:01, because a host has set this',
    'e7.3 is reserved for 02:00:00:00:00:02',
  ];
  expect((await run('gate show boot')).out).toBe(`${lines.join('\n')}\n`);
  expect(JSON.parse((await run('gate list --json')).out)).toEqual({ gates: [GATE], aoe: [AOE] });
  expect(await run('gate show boot --json')).toMatchObject({
    code: 2,
    err: expect.stringContaining('rsconfig gate list --json has all about it'),
  });
});

test('a gate for AoE that does not answer is no success, and unsafe writes are named', async () => {
  const gate = {
    ...AOE,
    writes: 'unsafe' as const,
    mac: null,
    dataBytes: null,
    trouble: 'There is no interface eth1',
    hosts: [],
    volumes: [],
  };
  await serve({ gates: () => ({ gates: [], aoe: [gate] }) });
  const { code, out } = await run('gate list');
  expect([code, out.includes('shelf 7 at eth1 (not answering, unsafe writes)')]).toEqual([1, true]);
  expect((await run('gate show boot')).out).toContain(
    'Interface   eth1\nShelf       7\nTrouble     There is no interface eth1\nWrites      unsafe: a frame that the network delays can revert',
  );
  expect((await run('gate show esx')).err).toContain('rsiod has no gate esx: it has boot');
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
