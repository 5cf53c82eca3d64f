// Standbys with stand-in gates, servers and a clock: which volumes hosts see, when a volume is taken over, and when it is not. Rule D3.
// Invariant: each take-over is counted, and ends only when the test ends it.

import { beforeEach, expect, it, vi } from 'vitest';
import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { GATE_ABSENT_MS, GATE_RECORD_LOOK_MS, GATE_RECORD_READS_MAX, GATE_SWITCH_MS } from './limits.ts';
import type { GateNamespace } from './ports/gate-namespace.ts';
import type { OfferedVolume } from '@rsio/rsiod/frontends/gate-frontends';
import { type StandbyGate, StandbyNamespace, Standbys } from './standbys.ts';

const NQN = 'nqn.2026-01.org.example:pair';
const ORACLE: OfferedVolume = { namespace: 'osl', name: 'oracle', universe: 0, id: 'id-1', sizeBytes: 4096, blockSizeBytes: 512 };

class StubGate implements StandbyGate {
  readonly nqn = NQN;
  readonly namespaces = new Map<number, GateNamespace>();
  /** What hosts hear of. */
  readonly heard: string[] = [];
  config: ClientGateConfig = {
    name: 'pair',
    protocol: 'nvme',
    nqn: NQN,
    addresses: [],
    hosts: null,
    volumes: ['oracle'],
    member: 2,
    secretFile: null,
    secrets: null,
    tls: false,
    tlsKeys: new Map(),
  };
  readonly subsystem = {
    namespaces: this.namespaces,
    changed: (nsid: number) => void this.heard.push(`changed ${nsid}`),
    anaChanged: (nsid: number) => void this.heard.push(`${this.namespaces.get(nsid)?.ana} ${nsid}`),
  };

  show(namespace: GateNamespace): void {
    this.namespaces.set(namespace.nsid, namespace);
    this.heard.push(`shown ${namespace.nsid}`);
  }

  hide(nsid: number): void {
    this.namespaces.delete(nsid);
    this.heard.push(`hidden ${nsid}`);
  }
}

let clock: FakeClock;
let gate: StubGate;
let standbys: Standbys;
let offered: readonly OfferedVolume[];
let here: Set<string>;
let record: () => Promise<Buffer | null>;
/** The node that the records name as the active gate. */
let active: string | null;
let recordOfVolume: (volume: OfferedVolume) => Promise<Buffer | null>;
let takes: { readonly volume: OfferedVolume; readonly from: string | null; readonly end: (why: string | null) => void }[];
const lines: string[] = [];

beforeEach(() => {
  clock = new FakeClock();
  gate = new StubGate();
  offered = [ORACLE];
  here = new Set();
  takes = [];
  lines.length = 0;
  record = () => Promise.resolve(recordOf([{ nqn: NQN, nsid: 3 }]));
  active = 'venus';
  recordOfVolume = () => record();
  const say = (line: string): void => void lines.push(line);
  const log = { info: say, warn: say, error: say };
  const take = (volume: OfferedVolume, from: string | null): Promise<string | null> =>
    new Promise((end) => takes.push({ volume, from, end }));
  const servers = { offered: () => offered, readRecord: (volume: OfferedVolume) => recordOfVolume(volume), take };
  standbys = new Standbys({ clock, log, lines: new RateLimitedLog(clock, log), servers }, () => [gate]);
});

function recordOf(ids: readonly { readonly nqn: string; readonly nsid: number }[]): Buffer {
  return Buffer.from(JSON.stringify({ version: 1, ids, active, reservations: null }));
}

async function look(): Promise<void> {
  standbys.look((id) => here.has(id));
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  standbys.look((id) => here.has(id));
}

function shown(): StandbyNamespace {
  const namespace = gate.namespaces.get(3);
  if (!(namespace instanceof StandbyNamespace)) throw new Error('Namespace 3 is no standby');
  return namespace;
}

it('a volume that another gate has is shown under the id of its record, and grows', async () => {
  await look();
  expect(shown()).toMatchObject({ nsid: 3, ana: 'non-optimized' });
  expect(shown().volume).toMatchObject({ id: 'id-1', sizeBytes: 4096, blockSizeBytes: 512 });
  offered = [{ ...ORACLE, sizeBytes: 8192 }];
  await look();
  expect(shown().volume.sizeBytes).toBe(8192);
  // A server that restarts may report an older size for a moment.
  offered = [ORACLE];
  await look();
  expect([shown().volume.sizeBytes, gate.heard]).toEqual([8192, ['shown 3', 'changed 3']]);
});

it('a volume without an id at this gate, or that the gate does not name, is not shown; its record is read again', async () => {
  record = () => Promise.resolve(recordOf([{ nqn: `${NQN}2`, nsid: 3 }]));
  await look();
  expect(gate.namespaces.size).toBe(0);
  record = () => Promise.resolve(recordOf([{ nqn: NQN, nsid: 3 }]));
  await look();
  expect(gate.namespaces.size).toBe(0);
  clock.advance(GATE_RECORD_LOOK_MS);
  await look();
  expect(gate.namespaces.size).toBe(1);
  gate.config = { ...gate.config, volumes: ['other'] };
  await look();
  expect(gate.namespaces.size).toBe(0);
});

it('a record that cannot be used shows nothing, and each reason is said once', async () => {
  for (const bytes of [
    'not JSON',
    '{"version":2,"ids":[],"reservations":null}',
    '{"version":1,"ids":[{"nqn":"x","nsid":0}],"reservations":null}',
  ]) {
    record = () => Promise.resolve(Buffer.from(bytes));
    for (let time = 0; time < 3; time++) {
      clock.advance(GATE_RECORD_LOOK_MS);
      await look();
    }
  }
  expect([gate.namespaces.size, lines.length]).toEqual([0, 3]);
  expect(lines[0]).toMatch(/The gates do not offer osl:oracle@0 yet: The gate record of osl:oracle@0 cannot be used \(it is not JSON\)/);
});

it('the first I/O of a host takes the volume over once, by its id; while that lasts, hosts wait', async () => {
  await look();
  shown().wanted();
  shown().wanted();
  expect(shown().ana).toBe('change');
  await look();
  expect([takes.length, takes[0]!.volume.id, takes[0]!.from, shown().ana]).toEqual([1, 'id-1', 'venus', 'change']);
  expect(gate.heard).toEqual(['shown 3', 'change 3']);
  // The volume is shown, and takes the place of the standby.
  here.add('id-1');
  const here3 = {
    nsid: 3,
    volume: shown().volume,
    ana: 'optimized',
    isElsewhere: false,
    reservations: null,
    order: null,
    wanted: () => undefined,
  } as const;
  gate.show(here3);
  standbys.forgetId('id-1');
  takes[0]!.end(null);
  await look();
  expect([gate.namespaces.get(3), takes.length, lines.length]).toEqual([here3, 1, 1]);
});

it('a volume that no gate has any more is taken from nobody; one whose record cannot be read is not taken', async () => {
  await look();
  active = null;
  shown().wanted();
  await look();
  expect(takes.map(({ from }) => from)).toEqual([null]);
  takes[0]!.end('Client mars has it');
  await look();
  clock.advance(GATE_SWITCH_MS);
  await look();
  record = () => Promise.reject(new Error('no path'));
  shown().wanted();
  await look();
  expect([takes.length, shown().ana, shown().volume.why]).toEqual([1, 'inaccessible', 'no path']);
});

it('a refused take-over is tried again only when a host asks after ten seconds', async () => {
  await look();
  shown().wanted();
  await look();
  takes[0]!.end('Client venus has data that only it can send again');
  await look();
  expect([shown().ana, shown().volume.why]).toEqual(['inaccessible', 'Client venus has data that only it can send again']);
  shown().wanted();
  clock.advance(GATE_SWITCH_MS - 1);
  await look();
  shown().wanted();
  expect([takes.length, shown().ana]).toEqual([1, 'inaccessible']);
  clock.advance(1);
  await look();
  expect([takes.length, shown().ana]).toEqual([1, 'non-optimized']);
  shown().wanted();
  await look();
  expect(takes.length).toBe(2);
});

it('a volume that was lost is a standby at once, and is not taken back within ten seconds', async () => {
  here.add('id-1');
  await look();
  expect(gate.namespaces.size).toBe(0);
  here.delete('id-1');
  standbys.lost(ORACLE, new Map([[NQN, 3]]));
  expect(shown().ana).toBe('inaccessible');
  shown().wanted();
  clock.advance(GATE_SWITCH_MS - 1);
  await look();
  shown().wanted();
  expect(takes.length).toBe(0);
  clock.advance(1);
  await look();
  shown().wanted();
  await look();
  expect(takes.length).toBe(1);
});

it('a volume that no server offers for a moment keeps its devices at hosts; one that stays away does not', async () => {
  await look();
  offered = [];
  clock.advance(GATE_ABSENT_MS - 1);
  await look();
  expect(gate.namespaces.size).toBe(1);
  offered = [ORACLE];
  await look();
  offered = [];
  clock.advance(GATE_ABSENT_MS);
  await look();
  expect([gate.namespaces.size, gate.heard]).toEqual([0, ['shown 3', 'hidden 3']]);
});

it('an id that means another volume here is refused with the remedy', async () => {
  const other = { ...ORACLE, id: 'id-2', readonly: false, canDiscard: true, submit: () => undefined, extents: () => undefined };
  gate.namespaces.set(3, {
    nsid: 3,
    volume: other,
    ana: 'optimized',
    isElsewhere: false,
    reservations: null,
    order: null,
    wanted: () => undefined,
  });
  await look();
  expect([gate.namespaces.get(3)?.volume.id, [...new Set(lines)]]).toEqual([
    'id-2',
    [
      'Gate pair does not offer osl:oracle@0: its namespace id 3 is that of another volume here: give each gate of this name its own number (key member)',
    ],
  ]);
});

it('records without an id here do not keep the gate from those with one', async () => {
  const many = Array.from({ length: 120 }, (_, at) => ({ ...ORACLE, name: `other${at}`, id: `other-${at}` }));
  offered = [...many, ORACLE];
  gate.config = { ...gate.config, volumes: 'all' };
  recordOfVolume = ({ id }) => Promise.resolve(id === ORACLE.id ? recordOf([{ nqn: NQN, nsid: 3 }]) : null);
  for (let second = 0; second < 30; second++) {
    await look();
    clock.advance(1_000);
  }
  expect([...gate.namespaces.keys()]).toEqual([3]);
});

it('a volume that is here keeps its place at one gate while another gate cannot show it', async () => {
  await look();
  shown().wanted();
  const here3 = {
    nsid: 3,
    volume: shown().volume,
    ana: 'optimized',
    isElsewhere: false,
    reservations: null,
    order: null,
    wanted: () => undefined,
  } as const;
  gate.show(here3);
  // The other gate has not shown it yet, so the standby stays.
  await look();
  expect(gate.namespaces.get(3)).toBe(here3);
  takes[0]!.end(null);
  await look();
  expect(gate.namespaces.get(3)).toBe(here3);
});

it('all is settled when the volumes of the lists are shown, or cannot be, and not before there is a list', async () => {
  const isSettled = (): boolean => standbys.isSettled((id) => here.has(id));
  offered = [];
  await look();
  expect(isSettled()).toBe(false);
  offered = [{ ...ORACLE, id: 'id-2', name: 'unnamed' }];
  expect(isSettled()).toBe(true);
  let read: (bytes: Buffer) => void = () => {};
  record = () => new Promise((resolve) => (read = resolve));
  offered = [ORACLE];
  expect(isSettled()).toBe(false);
  await look();
  expect(isSettled()).toBe(false);
  here.add(ORACLE.id);
  expect(isSettled()).toBe(true);
  here.clear();
  read(recordOf([{ nqn: NQN, nsid: 3 }]));
  await vi.waitFor(() => expect(isSettled()).toBe(true));
  expect(shown().ana).toBe('non-optimized');
});

it('a volume whose record cannot be read keeps no host waiting', async () => {
  record = () => Promise.reject(new Error('no record'));
  await look();
  expect(standbys.isSettled(() => false)).toBe(true);
});

it('one look has the records of all volumes read, a few at a time, because hosts wait for them after a start', async () => {
  gate.config = { ...gate.config, volumes: 'all' };
  offered = Array.from({ length: 1_000 }, (_, at) => ({ ...ORACLE, name: `v${at}`, id: `id-${at}` }));
  let [reading, most, reads] = [0, 0, 0];
  recordOfVolume = async ({ id }) => {
    reads++;
    most = Math.max(most, ++reading);
    await Promise.resolve();
    reading--;
    return id === 'id-3' ? Promise.reject(new Error('no path')) : recordOf([{ nqn: NQN, nsid: Number(id.slice(3)) + 1 }]);
  };
  standbys.look(() => false);
  for (let turn = 0; turn < 5_000; turn++) await Promise.resolve();
  expect([gate.namespaces.size, standbys.isSettled(() => false), most, reads]).toEqual([999, true, GATE_RECORD_READS_MAX, 1_000]);
});
