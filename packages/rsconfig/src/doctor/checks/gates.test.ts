// Tests the findings about gates: each fault is found and named, and a gate without a fault is ok. The test supplies the facts; rsiod's
// views of gates are tested in rsiod's gates/.

import type { AoeGateView, GateView } from '@rsio/api/rsiod/methods';
import { expect, test } from 'vitest';
import { doctorFacts, fileFacts, SAMPLE } from '../../testing/facts.ts';
import { checkGates } from './gates.ts';

const FIGURES = { connections: 0, commands: 0, receivedBytes: 0, sentBytes: 0, waiting: 0, waitedMs: 0, refused: 0, cut: 0 };
const [ONE, TWO] = ['127.0.0.1:4420', '192.168.45.20:4420'];
const HOST = 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555';
const GOOD: GateView = {
  name: 'esx',
  protocol: 'nvme',
  nqn: 'nqn.a',
  trouble: null,
  member: null,
  authenticates: false,
  tls: false,
  addresses: [ONE, TWO],
  listening: [ONE, TWO],
  hosts: [],
  volumes: [{ nsid: 1, label: 'osl:oracle@0', sizeBytes: 512, state: 'active' as const, why: null }],
  figures: FIGURES,
};

function found(changes: Partial<GateView> = {}, keys = `hosts = ${HOST}`): string[] {
  const file = fileFacts(`${SAMPLE}\n[gate esx]\naddress = ${ONE},${TWO}\n${keys}\n`);
  expect(file.problems).toEqual([]);
  const findings = checkGates(doctorFacts({ file, gates: [{ ...GOOD, ...changes }] }));
  expect(findings.every(({ severity, remedy }) => severity === 'ok' || remedy !== null)).toBe(true);
  return findings.map(({ severity, object, what }) => `${severity}: ${object}: ${what}`);
}

test('no gate, and a good one', () => {
  expect(checkGates(doctorFacts())).toEqual([]);
  expect(found()).toEqual([`ok: gate esx: Listens at ${ONE}, ${TWO}`]);
  expect(found({}, `hosts = ${HOST}\nvolumes = oracle,oracle@0`)).toEqual([`ok: gate esx: Listens at ${ONE}, ${TWO}`]);
});

test('addresses at which rsiod does not listen', () => {
  expect(found({ listening: [TWO] })).toEqual([`warning: gate esx: rsiod does not listen at ${ONE}: hosts have fewer paths`]);
  expect(found({ listening: [] })).toEqual([`error: gate esx: rsiod does not listen at ${ONE} and ${TWO}: no host reaches the gate`]);
});

test('a damaged file of numbers', () => {
  const trouble = '/var/lib/rsio/gates.json is damaged';
  expect(found({ trouble, listening: [] })).toEqual([`error: gate esx: No host can log in: ${trouble}`]);
});

test('volumes that are named but not attached', () => {
  const what = 'It does not offer data and oracle@1, because this client has not attached them';
  expect(found({}, `hosts = ${HOST}\nvolumes = oracle,data,oracle@1`)).toEqual([`warning: gate esx: ${what}`]);
});

test('a volume that a standby could not take over', () => {
  const volumes = [{ ...GOOD.volumes[0]!, state: 'waiting' as const, why: 'Client venus has data that only it can send again' }];
  expect(found({ volumes })).toEqual(['warning: gate esx: It has not got osl:oracle@0: Client venus has data that only it can send again']);
});

test('every host may log in at an address that others reach', () => {
  const what = 'Every host that reaches 192.168.45.20 can read and write its volumes (hosts = all)';
  expect(found({}, 'hosts = all')).toEqual([`warning: gate esx: ${what}`]);
});

test('a command that has waited for memory', () => {
  const figures = { ...FIGURES, waiting: 1, waitedMs: 12_000 };
  expect(found({ figures })).toEqual(['warning: gate esx: A command of a host has waited for memory for 12 s']);
  expect(found({ figures: { ...figures, waitedMs: 4_000 } })).toHaveLength(1);
});

const AOE: AoeGateView = {
  name: 'boot',
  interface: 'eth1',
  shelf: 7,
  writes: 'off' as const,
  mac: '02:00:00:00:00:99',
  dataBytes: 8704,
  trouble: null,
  hosts: [],
  volumes: [{ slot: 0, label: 'osl:debian@0@monday', sizeBytes: 512, readonly: true, config: '', masks: [], reserved: [] }],
  figures: { commands: 0, answers: 0, late: 0, dropped: 0, waiting: 0, receivedBytes: 0, sentBytes: 0, cut: 0 },
};

function foundAoe(changes: Partial<AoeGateView>, keys = ''): string[] {
  const file = fileFacts(`${SAMPLE}\n[gate boot]\nprotocol = aoe\ninterface = eth1\nshelf = 7\nhosts = all\n${keys}\n`);
  expect(file.problems).toEqual([]);
  const findings = checkGates(doctorFacts({ file, aoeGates: [{ ...AOE, ...changes }] }));
  expect(findings.every(({ severity, remedy }) => severity === 'ok' || remedy !== null)).toBe(true);
  return findings.map(({ severity, object, what }) => `${severity}: ${object}: ${what}`);
}

test('a gate for AoE: a good one, one without its interface, one with unsafe writes, one that lacks a volume', () => {
  expect(foundAoe({}, 'volumes = debian@monday')).toEqual(['ok: gate boot: Answers hosts of AoE at eth1 as shelf 7']);
  const trouble = 'There is no interface eth1';
  expect(foundAoe({ trouble, mac: null })).toEqual([`error: gate boot: It answers no host of AoE: ${trouble}`]);
  expect(foundAoe({ writes: 'unsafe' })).toEqual([
    'warning: gate boot: Hosts of AoE can write osl:debian@0@monday: a frame that the network delays can revert an acknowledged block',
  ]);
  expect(foundAoe({}, 'volumes = debian@monday,data')).toEqual([
    'warning: gate boot: It does not offer data, because this client has not attached it',
  ]);
});
