// Volumes of gates that have partners, without sockets: when they are shown, beside standbys, over failures, and at the limits. The record of
// each volume is in memory. Rules D2, D3.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { MemoryVolume } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import { FakeFrontend } from '@rsio/rsiod/testing/attachments-scene';
import { takeFromPrograms } from '@rsio/rsiod/frontends/audience';
import { Gates } from './gates.ts';
import { GATE_IDS_EACH, GATE_RECORD_LOOK_MS, GATE_SETTLE_MS, GATE_VOLUMES_MAX } from './limits.ts';
import type { OfferedVolume } from '@rsio/rsiod/frontends/gate-frontends';

/** For what real files have to do first. */
const POLL = { timeout: 30_000 };
const NQNS = ['nqn.2026-01.org.example:one', 'nqn.2026-01.org.example:two'] as const;

let folder: string;
let clock: FakeClock;
let gates: Gates;
let offered: OfferedVolume[];
let records: Map<string, Buffer>;
let readRecord: (volume: OfferedVolume) => Promise<Buffer | null>;
const lines: string[] = [];
/** How programs of this machine use volumes. */
let programs: FakeFrontend;

/** A volume that this rsiod has, with its record. */
class Held extends MemoryVolume {
  /** Writes fail while it is set. */
  trouble: Error | null = null;
  readonly record = {
    read: () => Promise.resolve(records.get(this.id) ?? null),
    write: (bytes: Buffer) => {
      if (this.trouble !== null) return Promise.reject(this.trouble);
      records.set(this.id, bytes);
      return Promise.resolve();
    },
  };
}

function held(id: string): Held {
  return Object.assign(new Held({ name: id, sizeBytes: 4096 }), { id });
}

function gate(at: 0 | 1): ClientGateConfig {
  const name = `g${at}`;
  return {
    name,
    protocol: 'nvme',
    nqn: NQNS[at],
    addresses: [],
    hosts: null,
    volumes: 'all',
    member: 2,
    secretFile: null,
    secrets: null,
    tls: false,
    tlsKeys: new Map(),
  };
}

function recordOf(nqn: string, nsid: number): Buffer {
  return Buffer.from(JSON.stringify({ version: 1, ids: [{ nqn, nsid }], active: 'venus', reservations: null }));
}

function other(id: string): OfferedVolume {
  return { namespace: 'osl', name: id, universe: 0, id, sizeBytes: 4096, blockSizeBytes: 512 };
}

function states(at: 0 | 1): string[] {
  return (gates.views()[at]?.volumes ?? []).map(({ nsid, state, label }) => `${nsid} ${state} ${label}`);
}

async function pass(ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 250) {
    clock.advance(250);
    for (let turn = 0; turn < 30; turn++) await Promise.resolve();
  }
}

async function make(config: readonly ClientGateConfig[]): Promise<void> {
  const say = (line: string): void => void lines.push(line);
  const log = { info: say, warn: say, error: say };
  const servers = {
    offered: () => offered,
    readRecord: (volume: OfferedVolume) => readRecord(volume),
    take: () => Promise.resolve('not now'),
  };
  const own = { version: '1.0', isSettled: () => true, namespaceid: () => 7, nodeOf: () => 'big-2', servers, gates: config };
  gates = new Gates({
    takeFromPrograms: takeFromPrograms([programs], { mayReturn: () => false, taken: () => Promise.resolve() }),
    clock,
    log,
    numbersFile: join(folder, 'gates.json'),
    ...own,
  });
  await gates.start();
}

beforeEach(() => {
  programs = new FakeFrontend();
  folder = mkdtempSync(join(tmpdir(), 'offering-'));
  clock = new FakeClock();
  offered = [];
  records = new Map();
  readRecord = ({ id }) => Promise.resolve(records.get(id) ?? null);
  lines.length = 0;
});

afterEach(async () => {
  await gates.close();
  await removeFolder(folder);
});

it('a volume takes the place of its own standby at a gate that is full', async () => {
  offered = Array.from({ length: GATE_VOLUMES_MAX }, (_, at) => other(`v${at}`));
  for (const [at, { id }] of offered.entries()) records.set(id, recordOf(NQNS[0], at + 1));
  await make([gate(0)]);
  await pass(GATE_VOLUMES_MAX * 250);
  expect(states(0)).toHaveLength(GATE_VOLUMES_MAX);
  await gates.show(held('v5'));
  expect(states(0).filter((one) => !one.includes('standby'))).toEqual(['6 active osl:v5@0']);
  await gates.show(held('another'));
  expect(states(0)).toHaveLength(GATE_VOLUMES_MAX);
  expect(lines.at(-1)).toContain('which is the limit');
});

it('the record names this client while a gate with partners offers the volume, and not longer', async () => {
  const active = (): unknown => JSON.parse(records.get('v1')?.toString() ?? '{}').active;
  await make([gate(0)]);
  await gates.show(held('v1'));
  expect(active()).toBe('big-2');
  await gates.follow([{ ...gate(0), volumes: ['other'] }]);
  expect(active()).toBeNull();
  await gates.follow([gate(0)]);
  expect(active()).toBe('big-2');
  await gates.follow([]);
  expect(active()).toBeNull();
});

it('volumes that come at the same time do not pass the limit together', async () => {
  await make([gate(0)]);
  await Promise.all(Array.from({ length: GATE_VOLUMES_MAX + 3 }, (_, at) => gates.show(held(`v${at}`))));
  expect(states(0)).toHaveLength(GATE_VOLUMES_MAX);
});

it('a gate that cannot show a volume does not disturb another one that does', async () => {
  offered = [other('v1')];
  records.set('v1', recordOf(NQNS[0], 9));
  await make([gate(0), gate(1)]);
  await pass(2_000);
  expect([states(0), states(1)]).toEqual([['9 standby osl:v1@0'], []]);
  const volume = held('v1');
  volume.trouble = new Error('the pool is full');
  await gates.show(volume);
  for (let second = 0; second < 2 * GATE_RECORD_LOOK_MS; second += 1_000) {
    expect([states(0), states(1)]).toEqual([['9 active osl:v1@0'], []]);
    await pass(1_000);
  }
  volume.trouble = null;
  await pass(GATE_RECORD_LOOK_MS);
  await expect.poll(() => [states(0), states(1).length], POLL).toEqual([['9 active osl:v1@0'], 1]);
});

it('after a start, hosts come only when the records of the volumes of other gates have been read', async () => {
  offered = [other('v1')];
  let answer: (record: Buffer) => void = () => undefined;
  readRecord = () => new Promise((resolve) => (answer = resolve));
  await make([gate(0)]);
  await pass(3_000);
  expect(gates.views()[0]?.trouble).toContain('It waits');
  answer(recordOf(NQNS[0], 9));
  await pass(1_000);
  expect([gates.views()[0]?.trouble, states(0)]).toEqual([null, ['9 standby osl:v1@0']]);
});

it('a gate whose file of numbers was lost gives no volume the id of one that another gate has', async () => {
  offered = [other('v1'), other('v2')];
  for (const [at, { id }] of offered.entries()) records.set(id, recordOf(NQNS[0], GATE_IDS_EACH + 1 + at));
  await make([gate(0)]);
  await pass(1_000);
  await gates.show(held('v3'));
  expect(states(0).toSorted()).toEqual(['8192 standby osl:v1@0', '8193 standby osl:v2@0', '8194 active osl:v3@0']);
  expect(records.get('v3')?.toString()).toContain('"nsid":8194');
});

it('the record does not name this client any more if its gate was removed while rsiod was not running', async () => {
  const active = (): unknown => JSON.parse(records.get('v1')?.toString() ?? '{}').active;
  await make([gate(0)]);
  await gates.show(held('v1'));
  const [ids, noted] = [JSON.parse(records.get('v1')!.toString()).ids, records.get('v1')!];
  expect(active()).toBe('big-2');
  await gates.close();
  records.set('v1', noted);
  await make([]);
  await gates.show(held('v1'));
  await pass(250);
  expect([active(), JSON.parse(records.get('v1')!.toString()).ids]).toEqual([null, ids]);
  // The record of a volume that was never at a gate of this client is not read.
  const other = Object.assign(held('v2'), { record: { read: () => Promise.reject(new Error('asked')), write: () => Promise.resolve() } });
  await gates.show(other);
  await pass(250);
  expect(lines.filter((line) => line.includes('asked'))).toEqual([]);
});

it('the record keeps the name of this client while a gate with partners wants the volume and cannot show it yet', async () => {
  await make([gate(0)]);
  await gates.show(held('v1'));
  const noted = records.get('v1')!;
  await gates.close();
  records.set('v1', noted);
  await make([gate(1)]);
  const volume = held('v1');
  volume.trouble = new Error('the pool is full');
  await gates.show(volume);
  volume.trouble = null;
  await pass(250);
  expect(JSON.parse(records.get('v1')!.toString()).active).toBe('big-2');
});

it('without its file of numbers, a gate gives ids only when it knows those of the other volumes', async () => {
  offered = [other('v1')];
  let answer: (record: Buffer) => void = () => undefined;
  readRecord = () => new Promise((resolve) => (answer = resolve));
  await make([gate(0)]);
  await pass(250);
  await gates.show(held('v3'));
  await pass(3_000);
  expect([states(0), records.has('v3')]).toEqual([[], false]);
  answer(recordOf(NQNS[0], GATE_IDS_EACH + 1));
  await pass(2_000);
  await expect.poll(() => states(0).toSorted(), POLL).toEqual(['8192 standby osl:v1@0', '8193 active osl:v3@0']);
});

it('a record that is never read does not keep a volume from the hosts for ever', async () => {
  offered = [other('v1')];
  readRecord = () => new Promise(() => undefined);
  await make([gate(0)]);
  await pass(250);
  await gates.show(held('v3'));
  await pass(GATE_SETTLE_MS + 2_000);
  await expect.poll(() => states(0), POLL).toEqual(['8192 active osl:v3@0']);
});

// Regression: programs lost their device to a gate that could not offer the volume after all.
it('a gate that cannot offer a volume takes it from no program', async () => {
  await make([{ ...gate(0), volumes: ['oracle'] }]);
  const volume = Object.assign(held('oracle'), { shownTo: 'programs' as const });
  const read = (): Promise<never> => Promise.reject(new RsError('E_TIMEOUT', 'The server does not answer'));
  Object.defineProperty(volume, 'record', { value: { ...volume.record, read } });
  await gates.show(volume);
  expect(lines.join()).toContain('The server does not answer');
  expect([gates.placesOf(volume).length, volume.shownTo]).toEqual([0, 'programs']);
});

// Regression: a gate offered what programs of its machine had mounted, and a host wrote over the file system.
it('a volume that a program uses is offered when the program has ended', async () => {
  await make([{ ...gate(0), volumes: ['oracle'] }]);
  const volume = Object.assign(held('oracle'), { shownTo: 'programs' as const });
  programs.usersOf = () => Promise.resolve(['mount point /mnt']);
  await gates.show(volume);
  expect(gates.placesOf(volume)).toEqual([]);
  expect(lines.join()).toContain('programs of this machine use it (mount point /mnt): end that, and the gate takes it by itself');
  programs.usersOf = () => Promise.resolve([]);
  await gates.follow([{ ...gate(0), volumes: ['oracle'] }]);
  expect([gates.placesOf(volume).length, volume.shownTo]).toEqual([1, 'gates']);
});
