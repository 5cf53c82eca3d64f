// Tests the loads and findings that rsweb makes from the answers of the daemons: rates and latencies of an interval, counters that restart
// from zero, and for each fault the remedy, the object and the page of the finding.

import { describe, expect, test } from 'vitest';
import { LATENCY_BUCKETS, LATENCY_EDGES_US } from '@rsio/base/structures/latency-figures';
import { job, replication } from '@rsio/api/testing/server-views';
import { clientFindings } from './client-findings.ts';
import { type ClientFacts, clientPart } from './client-picture.ts';
import { type Counters, loadOf, Meters, NO_FLOW, percentilesOf, sumOf } from './meters.ts';
import { serverFindings } from './server-findings.ts';
import { type ServerFacts, serverPart } from './server-picture.ts';

const NOW_MS = 1_790_000_000_000;
const GIB = 2 ** 30;
const daemon = { program: 'x', version: '0.2.0', control: 1, methods: [], pid: 1, startedMs: 1, configuredMs: 1 };

function buckets(...counts: readonly number[]): number[] {
  return Array.from({ length: LATENCY_BUCKETS }, (_, at) => counts[at] ?? 0);
}

function counters(more: Partial<Counters> = {}): Counters {
  return { reads: 0, writes: 0, readBytes: 0, writtenBytes: 0, readBuckets: buckets(), writeBuckets: buckets(), ...more };
}

describe('meters', () => {
  test('a load is what has happened between two samples', () => {
    const meters = new Meters();
    expect(meters.flow('v', 0, counters({ reads: 5 }))).toBe(NO_FLOW);
    const flow = meters.flow('v', 2_000, counters({ reads: 25, readBytes: 8_192, readBuckets: buckets(0, 20) }));
    expect(loadOf(flow)).toMatchObject({ readsPerSecond: 10, readBytesPerSecond: 4_096, writeLatency: null });
    expect(loadOf(flow).readLatency?.p50Us).toBeGreaterThan(LATENCY_EDGES_US[0] ?? 0);
    expect(loadOf(flow).readLatency?.p999Us).toBeLessThanOrEqual(LATENCY_EDGES_US[1] ?? 0);
  });

  test('counters that begin anew, or that were seen already, make no rate', () => {
    const meters = new Meters();
    meters.flow('v', 0, counters({ reads: 1_000 }));
    expect(meters.flow('v', 1_000, counters({ reads: 3 }))).toBe(NO_FLOW);
    expect(meters.flow('v', 2_000, counters({ reads: 13 })).readsPerSecond).toBe(10);
    expect(meters.flow('v', 2_000, counters({ reads: 13 })).readsPerSecond).toBe(10);
    meters.endRound();
    meters.endRound();
    expect(meters.flow('v', 3_000, counters({ reads: 23 }))).toBe(NO_FLOW);
  });

  test('latencies of several objects are those of all their requests', () => {
    const fast = { ...NO_FLOW, readBuckets: buckets(99) };
    const slow = { ...NO_FLOW, readBuckets: buckets(...new Array<number>(LATENCY_BUCKETS - 1).fill(0), 1) };
    const sum = loadOf(sumOf([fast, slow])).readLatency;
    expect(sum?.p50Us).toBeLessThanOrEqual(64);
    expect(sum?.p999Us).toBeGreaterThanOrEqual(LATENCY_EDGES_US.at(-1) ?? 0);
    expect(percentilesOf(buckets())).toBeNull();
  });
});

const pool = {
  name: 'fast',
  path: '/fast',
  state: 'ready' as const,
  reason: null,
  totalBytes: 100 * GIB,
  freeBytes: 50 * GIB,
  usableBytes: 45 * GIB,
  reserve: 0.05,
  promisedBytes: 0,
  limitBytes: null,
  isShort: false,
  fullPercent: null,
  volumes: 1,
  removed: 0,
  findings: [],
  reflink: true,
};

function serverFacts(more: Partial<ServerFacts> = {}): ServerFacts {
  return {
    daemon: { ...daemon, nodename: 'big-9', processUser: null, processNote: null },
    interfaces: [{ name: 'if1', address: '127.0.0.1', port: 5_000, state: 'listening', reason: null }],
    pools: [pool],
    jobs: [],
    replications: [],
    volumes: [],
    clients: [],
    stats: { sessions: [], waits: [] },
    change: null,
    witnesses: [],
    file: null,
    events: [],
    wallMs: NOW_MS,
    monotonicMs: 1_000,
    ...more,
  } as ServerFacts;
}

describe('a server', () => {
  test('has its open jobs and its replications in the picture, and a client its works and gates', () => {
    const facts = serverFacts({
      jobs: [job({ limitBytes: 5 }), job({ id: '6', endedMs: 1 })],
      replications: [replication({ state: 'failing' })],
    });
    const part = serverPart(facts, 'm', new Meters());
    expect(part.works).toMatchObject([{ id: 'server:big-9:job 7', kind: 'move', server: 'big-9', client: null, job: '7', limitBytes: 5 }]);
    expect(part.replications).toMatchObject([
      { id: 'server:big-9:r', server: 'big-9', volumes: 'oracle@0', state: 'failing', backlogBytes: 0 },
    ]);
    const known = { kind: 'backup', name: 'osl:db@0', about: '', waitsFor: null, state: 'running', goesOn: false } as const;
    const amount = { doneBytes: 1, totalBytes: 2, bytesPerSecond: 1, leftMs: 1_000 };
    const aoe = { name: 'old', interface: 'eth1', shelf: 3, hosts: [], volumes: [{ label: 'osl:db@0' }], trouble: 'eth1 is down' };
    const gates = { gates: [], aoe: [aoe] } as unknown as ClientFacts['gates'];
    const client = clientPart(clientFacts([{}], { progress: [{ ...known, id: 'backup 1', ...amount }], gates }), 'm', new Meters());
    expect(client.works).toMatchObject([{ id: 'client:big-2:backup 1', client: 'big-2', server: null, job: null }]);
    expect(client.gates).toMatchObject([
      { id: 'client:big-2:gate old', protocol: 'aoe', listening: ['eth1, shelf 3'], trouble: 'eth1 is down' },
    ]);
  });

  test('that is well has no findings, and its pools are those of the picture', () => {
    expect(serverFindings(serverFacts())).toEqual([]);
    const { servers, pools } = serverPart(serverFacts(), 'm', new Meters());
    expect(servers).toMatchObject([{ id: 'big-9', machine: 'm', state: 'up', interfaces: [{ state: 'listening' }] }]);
    expect(pools).toMatchObject([{ id: 'big-9:fast', server: 'big-9' }]);
  });

  test('whose shared pool is served elsewhere has no finding, and the picture names the other server', () => {
    const away = { state: 'elsewhere', reason: 'served by big-8', totalBytes: null, freeBytes: null, usableBytes: null } as const;
    const facts = serverFacts({ pools: [{ ...pool, ...away }] });
    expect(serverFindings(facts)).toEqual([]);
    expect(serverPart(facts, 'm', new Meters()).pools).toMatchObject([{ state: 'elsewhere', reason: 'served by big-8' }]);
  });

  test.each([
    [79, undefined],
    [80, 'warning'],
    [94, 'warning'],
    [96, 'error'],
  ])('with a pool that is %d %% full: %s', (percent, severity) => {
    const found = serverFindings(serverFacts({ pools: [{ ...pool, freeBytes: (100 - percent) * GIB }] }));
    expect(found[0]?.severity).toBe(severity);
    if (severity !== undefined) expect(found).toMatchObject([{ what: `Pool fast is ${percent}% full`, href: '/pool/big-9%3Afast' }]);
  });

  test('with a pool that is full soon at its pace has a warning, and the picture has the time', () => {
    const day = 24 * 60 * 60 * 1_000;
    const facts = serverFacts({ pools: [{ ...pool, pace: { week: { bytesPerDay: GIB, fullInMs: 2 * day }, month: null } }] });
    expect(serverFindings(facts)).toMatchObject([{ severity: 'warning', what: expect.stringContaining('is full in 2 days') }]);
    expect(serverPart(facts, 'm', new Meters()).pools).toMatchObject([{ fullInWeekPaceMs: 2 * day, fullInMonthPaceMs: null }]);
  });

  test('whose I/O waits says for what, since when and what to do', () => {
    const wait = { client: 'big-2', volume: 'oracle@0', requests: 3, sinceMs: NOW_MS - 9_000, heldBy: null };
    const found = (why: 'space' | 'storage' | 'hold'): readonly unknown[] =>
      serverFindings(serverFacts({ stats: { sessions: [], waits: [{ ...wait, why }] } }));
    for (const why of ['space', 'storage', 'hold'] as const) {
      expect(found(why)).toMatchObject([
        { severity: 'error', where: 'volume oracle@0', sinceMs: NOW_MS - 9_000, remedy: expect.stringMatching(/\w/) },
      ]);
    }
  });
});

const path = {
  number: 1,
  interface: 'if0',
  localAddress: '10.0.0.2',
  address: '10.0.0.9',
  port: 5_000,
  state: 'up' as const,
  tx: 'ok' as const,
  rx: 'ok' as const,
  sinceMs: NOW_MS - 60_000,
  lastError: null,
  lastErrorMs: null,
  retries: 0,
  roundTripMs: 0.1,
  cipher: null,
  tls: false,
};

function clientFacts(paths: readonly (typeof path | object)[], more: Partial<ClientFacts> = {}): ClientFacts {
  const server = { position: 0, name: 'big-9', sections: [], serverid: 1, instance: null, state: 'connected', addresses: [], limits: null };
  const all = paths.map((one, at) => ({ ...path, interface: `if${at}`, localAddress: `10.0.${at}.2`, address: `10.0.${at}.9`, ...one }));
  return {
    daemon: { ...daemon, nodename: 'big-2' },
    namespaces: [{ position: 0, name: 'osl', namespaceid: 200, nodename: 'big-2', servers: [{ ...server, volumes: [], paths: all }] }],
    attachments: [],
    awaited: [],
    status: { interfaces: [], waiting: [], logs: [], mirrors: [] },
    stats: { paths: [], volumes: [] },
    events: [],
    backups: [],
    progress: [],
    gates: { gates: [] },
    wallMs: NOW_MS,
    monotonicMs: 1_000,
    ...more,
  } as unknown as ClientFacts;
}

describe('a client', () => {
  const whats = (facts: ClientFacts): string[] => clientFindings(facts).map(({ severity, what }) => `${severity}: ${what}`);

  test('with two paths has no findings, and both are in the picture', () => {
    expect(whats(clientFacts([{}, {}]))).toEqual([]);
    const { paths, clients } = clientPart(clientFacts([{}, {}]), 'm', new Meters());
    expect(paths.map(({ id }) => id)).toEqual(['big-2:10.0.0.2>big-9:10.0.0.9', 'big-2:10.0.1.2>big-9:10.0.1.9']);
    expect(clients).toMatchObject([{ id: 'big-2', state: 'connected', machine: 'm' }]);
  });

  test('whose path is down says so, and that a single one is left', () => {
    const down = { state: 'down', lastError: 'Connection refused' };
    expect(whats(clientFacts([{}, down]))).toEqual([
      'error: Path if1 -> 10.0.1.9:5000 of client big-2 to server big-9 is down (Connection refused)',
      'warning: Client big-2 reaches server big-9 by a single path',
    ]);
    expect(whats(clientFacts([down, down]))[0]).toBe('error: Client big-2 has no path to server big-9');
  });

  test('whose path is being tried for the first time has no fault yet', () => {
    const trying = { state: 'connecting', sinceMs: NOW_MS - 100, retries: 0 };
    expect(whats(clientFacts([{}, {}, trying]))).toEqual([]);
    expect(whats(clientFacts([{}, {}, { ...trying, retries: 4 }])).length).toBe(1);
  });

  test('that waits, or whose backups are late, says for what and what to do', () => {
    const waiting = [{ volume: 'osl:oracle@0', waitsFor: 'a path to server big-9', sinceMs: 1, untilMs: null, requests: 1 }];
    const backups = [{ namespace: 'osl', name: 'oracle', universe: 0, snapshot: 'x', atMs: NOW_MS - 27 * 3_600_000 }];
    const found = clientFindings(clientFacts([{}, {}], { status: { interfaces: [], waiting, logs: [], mirrors: [] }, backups }));
    expect(found).toMatchObject([
      { what: 'osl:oracle@0 of client big-2 waits for a path to server big-9', sinceMs: 1 },
      { what: 'The newest backup of osl:oracle@0 by client big-2 is 27 h old', severity: 'warning' },
    ]);
  });
});
