// A picture of a small data centre, for tests of pages: 4 servers, 50 clients, 200 volumes, mirrors, and a few faults. Every value is
// computed from its index, not random, so that two calls return the same picture.

import type {
  Application,
  Client,
  Finding,
  Gate,
  Load,
  Machine,
  Mirror,
  Path,
  Percentiles,
  Picture,
  Pool,
  Replication,
  Server,
  Volume,
  Work,
} from '../model/picture.ts';
import { FINDINGS, sampleEvents } from './sample-faults.ts';

const SERVERS = 4;
const CLIENTS = 50;
const VOLUMES = 200;
const POOLS_EACH = 2;
const MIRRORS = 8;
const LINKS = 2;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const TIB = 1024 ** 4;
const DAY_MS = 86_400_000;
/** The time of the sample picture: 2026-03-02, 09:30 GMT. */
export const SAMPLE_MS = Date.UTC(2026, 2, 2, 9, 30);
const SERVICES = ['oracle', 'mail', 'web', 'archive', 'build', 'wiki', 'metrics', 'home', 'git', 'shop'];
const SERVER_NAMES = ['atlas', 'rhea', 'themis', 'hyperion'];
const CLIENT_WORDS = ['db', 'app', 'mail', 'web', 'build'];
const POOL_WORDS = ['fast', 'bulk'];
const APPLICATIONS = ['ledger', 'wiki'];

export interface SampleOptions {
  readonly takenMs?: number;
  /** True if the picture must have no faults and no findings. */
  readonly isWell?: boolean;
  /** The time in the sample, in seconds. The loads depend on this number. */
  readonly tick?: number;
}

export function samplePicture({ takenMs = SAMPLE_MS, isWell = false, tick = 0 }: SampleOptions = {}): Picture {
  const volumes = Array.from({ length: VOLUMES }, (_, index) => volumeAt(index, takenMs, isWell, tick));
  return {
    takenMs,
    machines: [
      machineOf('atlas', true, takenMs),
      ...SERVER_NAMES.slice(1).map((name) => machineOf(name, false, takenMs)),
      { id: 'db-01', name: 'db-01', isLocal: false, state: 'answers', reason: null, programs: [program('rsiod', takenMs)] },
    ],
    servers: SERVER_NAMES.map((name, index) => serverAt(index, name, volumes, takenMs)),
    clients: Array.from({ length: CLIENTS }, (_, index) => clientAt(index, volumes, takenMs, isWell)),
    paths: pathsOf(takenMs, isWell),
    volumes,
    pools: SERVER_NAMES.flatMap((server, index) =>
      POOL_WORDS.map((word, which) => poolAt(server, word, index * POOLS_EACH + which, isWell)),
    ),
    mirrors: Array.from({ length: MIRRORS }, (_, index) => mirrorAt(index, isWell)),
    applications: APPLICATIONS.map((name, index) => applicationAt(index, name, takenMs, isWell)),
    works: worksOf(isWell),
    replications: [replicationAt(0, 'out', isWell), replicationAt(1, 'in', true)],
    gates: [gateAt('esx', isWell)],
    snapshots: volumes.reduce((sum, { snapshots }) => sum + snapshots, 0),
    findings: isWell ? [] : FINDINGS.map((finding) => finding(takenMs)),
    events: sampleEvents(takenMs, isWell),
  };
}

/** Returns the picture with one more fault, as if the fault had happened while a page is open. */
export function withFault(picture: Picture, finding: Finding): Picture {
  return { ...picture, findings: [finding, ...picture.findings] };
}

export function volumeIdAt(index: number): string {
  return `5f3a${index.toString(16).padStart(4, '0')}`;
}

function clientName(index: number): string {
  const place = String(Math.floor(index / CLIENT_WORDS.length) + 1).padStart(2, '0');
  return `${CLIENT_WORDS[index % CLIENT_WORDS.length] ?? ''}-${place}`;
}

function serverName(index: number): string {
  return SERVER_NAMES[index % SERVERS] ?? '';
}

function program(name: 'rssrv' | 'rsiod', takenMs: number): Machine['programs'][number] {
  return { program: name, version: '0.2.0', startedMs: takenMs - 12 * DAY_MS };
}

function machineOf(name: string, isLocal: boolean, takenMs: number): Machine {
  return { id: name, name, isLocal, state: 'answers', reason: null, programs: [program('rssrv', takenMs)] };
}

/** Returns a share: a number from 0 to 1 that depends only on `index`. */
function share(index: number): number {
  const wave = Math.sin(index * 12.9898) * 43_758.5453;
  return wave - Math.floor(wave);
}

function percentiles(index: number, factor: number): Percentiles {
  const p50Us = Math.round((180 + 240 * share(index)) * factor);
  return { p50Us, p99Us: Math.round(p50Us * (4 + 3 * share(index + 7))), p999Us: Math.round(p50Us * (11 + 9 * share(index + 13))) };
}

function loadAt(index: number, tick: number): Load {
  if (index % 5 === 4) return IDLE;
  const beat = 1 + 0.4 * Math.sin((tick + index) / 3);
  const readsPerSecond = Math.round(2_400 * share(index) ** 3 * beat);
  const writesPerSecond = Math.round(900 * share(index + 31) ** 3 * beat);
  return {
    readsPerSecond,
    writesPerSecond,
    readBytesPerSecond: readsPerSecond * 16_384,
    writtenBytesPerSecond: writesPerSecond * 12_288,
    readLatency: readsPerSecond === 0 ? null : percentiles(index, 1),
    writeLatency: writesPerSecond === 0 ? null : percentiles(index + 3, 1.7),
  };
}

const IDLE: Load = {
  readsPerSecond: 0,
  writesPerSecond: 0,
  readBytesPerSecond: 0,
  writtenBytesPerSecond: 0,
  readLatency: null,
  writeLatency: null,
};

function sumOf(loads: readonly Load[], index: number): Load {
  const sum = (key: 'readsPerSecond' | 'writesPerSecond' | 'readBytesPerSecond' | 'writtenBytesPerSecond'): number =>
    loads.reduce((total, load) => total + load[key], 0);
  return {
    readsPerSecond: sum('readsPerSecond'),
    writesPerSecond: sum('writesPerSecond'),
    readBytesPerSecond: sum('readBytesPerSecond'),
    writtenBytesPerSecond: sum('writtenBytesPerSecond'),
    readLatency: loads.length === 0 ? null : percentiles(index, 1),
    writeLatency: loads.length === 0 ? null : percentiles(index + 3, 1.7),
  };
}

function serverAt(index: number, name: string, volumes: readonly Volume[], takenMs: number): Server {
  return {
    id: name,
    name,
    namespace: 'osl',
    serverid: index + 1,
    machine: name,
    state: 'up',
    reason: null,
    version: '0.2.0',
    startedMs: takenMs - 12 * DAY_MS,
    interfaces: Array.from({ length: LINKS }, (_, link) => ({
      name: `if${link}`,
      address: `192.168.${45 + link}.${10 + index}`,
      port: 5000,
      state: 'listening' as const,
      reason: null,
    })),
    load: sumOf(
      volumes.filter(({ server }) => server === name).map(({ load }) => load),
      index,
    ),
  };
}

function clientAt(index: number, volumes: readonly Volume[], takenMs: number, isWell: boolean): Client {
  const name = clientName(index);
  const own = volumes.filter(({ holders }) => holders.some(({ client }) => client === name));
  const state = isWell || index !== 33 ? (index % 17 === 15 ? 'absent' : 'connected') : 'silent';
  return {
    id: name,
    name,
    machine: name === 'db-01' ? 'db-01' : null,
    state,
    address: state === 'absent' ? null : `192.168.45.${100 + index}`,
    sinceMs: state === 'absent' ? null : takenMs - Math.round((1 + 9 * share(index)) * DAY_MS),
    version: name === 'db-01' ? '0.2.0' : null,
    role: index % 9 === 0 ? 'manage' : 'use',
    fencedMs: null,
    volumes: own.map(({ id }) => id),
    load: sumOf(
      own.map(({ load }) => load),
      index,
    ),
  };
}

function pathsOf(takenMs: number, isWell: boolean): Path[] {
  return Array.from({ length: CLIENTS }, (_, client) => client)
    .filter((client) => client % 17 !== 15)
    .flatMap((client) =>
      Array.from({ length: 2 * LINKS }, (_, place): Path => {
        const server = (client + (place >> 1)) % SERVERS;
        const link = place % LINKS;
        const isCut = !isWell && (client === 33 || (server === 2 && link === 1 && client < 12));
        return {
          id: `${clientName(client)}:if${link}>${serverName(server)}:if${link}`,
          client: clientName(client),
          server: serverName(server),
          interface: `if${link}`,
          localAddress: `192.168.${45 + link}.${100 + client}`,
          address: `192.168.${45 + link}.${10 + server}`,
          port: 5000,
          state: isCut ? 'down' : 'up',
          tx: isCut ? 'fail' : 'ok',
          rx: isCut ? 'fail' : 'ok',
          sinceMs: takenMs - (isCut ? 140_000 : 3 * DAY_MS),
          lastError: isCut ? 'No answer within 3000 ms' : null,
          roundTripMs: isCut ? null : 0.18 + 0.1 * share(client),
          cipher: isCut ? null : 'TLS_AES_128_GCM_SHA256',
          sentBytesPerSecond: isCut ? 0 : Math.round(40 * MIB * share(client + place) ** 2),
          receivedBytesPerSecond: isCut ? 0 : Math.round(90 * MIB * share(client + place + 5) ** 2),
        };
      }),
    );
}

function volumeAt(index: number, takenMs: number, isWell: boolean, tick: number): Volume {
  const server = serverName(index);
  const isMirrored = index < 2 * MIRRORS;
  const name = isMirrored
    ? `ledger-${String((index >> 1) + 1).padStart(2, '0')}`
    : `${SERVICES[index % SERVICES.length] ?? ''}-${String(Math.floor(index / SERVICES.length) + 1).padStart(2, '0')}`;
  const sizeBytes = (1 + (index % 16)) * 64 * GIB;
  const holder = clientName((index * 7) % CLIENTS);
  const isLost = !isWell && index === 42;
  const waits =
    !isWell && index === 33 ? [{ client: holder, waitsFor: 'a path to server rhea', requests: 12, sinceMs: takenMs - 95_000 }] : [];
  return {
    id: volumeIdAt(index),
    name,
    universe: 0,
    server,
    pool: `${server}:${POOL_WORDS[(index >> 2) % POOLS_EACH] ?? ''}`,
    state: isLost ? 'unavailable' : index === 77 ? 'paused' : 'served',
    reason: isLost ? 'its file is locked by another program' : null,
    sizeBytes,
    usedBytes: Math.round(sizeBytes * (0.1 + 0.8 * share(index))),
    readonly: index % 41 === 40,
    shared: index % 29 === 28,
    holders: index % 6 === 5 || isLost ? [] : [{ client: holder, sinceMs: takenMs - Math.round((1 + 9 * share(index)) * DAY_MS) }],
    waits,
    snapshots: index % 4 === 0 ? 24 : 0,
    lastSnapshotMs: index % 4 === 0 ? takenMs - 1_800_000 : null,
    schedule: index % 4 === 0 ? 'hourly keep 24' : null,
    mirror: isMirrored ? `mirror-${index >> 1}` : null,
    iopsLimit: index % 25 === 3 ? 5_000 : null,
    bandwidthLimitBytes: index % 25 === 3 ? 200 * MIB : null,
    load: isLost || waits.length > 0 || index === 77 ? IDLE : loadAt(index, tick),
  };
}

function poolAt(server: string, word: string, index: number, isWell: boolean): Pool {
  const totalBytes = (word === 'fast' ? 12 : 60) * TIB;
  const isFull = !isWell && server === 'rhea' && word === 'fast';
  return {
    id: `${server}:${word}`,
    name: word,
    server,
    path: `/srv/${word}`,
    state: 'ready',
    reason: null,
    totalBytes,
    freeBytes: Math.round(totalBytes * (isFull ? 0.04 : 0.25 + 0.5 * share(index))),
    promisedBytes: Math.round(totalBytes * 1.2),
    limitBytes: word === 'bulk' ? 2 * totalBytes : null,
    fullInWeekPaceMs: isFull ? 2 * 86_400_000 : null,
    fullInMonthPaceMs: (20 + index) * 86_400_000,
    reserve: 0.02,
    isShort: false,
    volumes: VOLUMES / (SERVERS * POOLS_EACH),
    removed: index % 3,
  };
}

function mirrorAt(index: number, isWell: boolean): Mirror {
  const isCopying = !isWell && index === 1;
  const name = `ledger-${String(index + 1).padStart(2, '0')}`;
  return {
    id: `mirror-${index}`,
    name,
    universe: 0,
    namespace: 'osl',
    state: 'known',
    sizeBytes: 64 * GIB,
    replicas: [0, 1].map((which) => ({
      server: serverName(2 * index + which),
      serverName: serverName(2 * index + which),
      volume: volumeIdAt(2 * index + which),
      state: isCopying && which === 1 ? 'copying' : 'in sync',
      isReachable: true,
      leftBytes: isCopying && which === 1 ? 9 * GIB : null,
      bytesPerSecond: isCopying && which === 1 ? 310 * MIB : null,
      etaMs: isCopying && which === 1 ? 30_000 : null,
    })),
    voters: [0, 1, 2].map((which) => ({ serverName: serverName(2 * index + which), answers: true, trouble: null })),
    majority: 2,
    holder: clientName((index * 14) % CLIENTS),
  };
}

/** The client db-01 reports the applications, and has the first one. */
function applicationAt(index: number, name: string, takenMs: number, isWell: boolean): Application {
  const nodes = ['db-01', 'db-02', 'db-03'];
  return {
    id: `db-01:${name}`,
    name,
    reporter: 'db-01',
    isDrained: false,
    state: 'running',
    on: nodes[index] ?? null,
    sinceMs: takenMs - (2 + index) * DAY_MS,
    volumes: [`${name}-01`],
    nodes,
    next: index === 1 && !isWell ? null : 'db-03',
    why: '',
    failed: false,
    remains: false,
  };
}

function worksOf(isWell: boolean): Work[] {
  const move = { kind: 'move', name: 'oracle-003@0', about: 'from bulk to fast', server: 'atlas', client: null, job: '7' } as const;
  const resync = { kind: 'resync', name: 'osl:mail-004@0', about: 'to server rhea', server: null, client: 'db-01', job: null } as const;
  const running = { state: 'running', waitsFor: null, doneBytes: 6 * GIB, totalBytes: 20 * GIB, bytesPerSecond: 110 * MIB } as const;
  const waiting = { state: 'waiting', doneBytes: 0, totalBytes: null, bytesPerSecond: 0, leftMs: null, limitBytes: null } as const;
  return [
    { id: 'server:atlas:job 7', ...move, ...running, leftMs: 130_000, limitBytes: 120 * MIB },
    ...(isWell ? [] : [{ id: 'client:db-01:resync osl:mail-004@0 rhea', ...resync, ...waiting, waitsFor: 'server rhea' }]),
  ];
}

function replicationAt(index: number, direction: Replication['direction'], isWell: boolean): Replication {
  const server = SERVER_NAMES[index] ?? '';
  const about = { direction, peer: direction === 'out' ? 'berlin' : 'paris', volumes: 'web-002@0, wiki-005@0', everyMs: 300_000 };
  return isWell
    ? { id: `server:${server}:r-${index}`, server, ...about, state: 'waiting', text: '', ageMs: 42_000, backlogBytes: 0 }
    : {
        id: `server:${server}:r-${index}`,
        server,
        ...about,
        state: 'failing',
        text: 'no path to berlin',
        ageMs: 7_200_000,
        backlogBytes: 3 * GIB,
      };
}

function gateAt(name: string, isWell: boolean): Gate {
  const trouble = isWell ? null : 'osl:web-002@0: held by web-07';
  const hosts = ['nqn.2014-08.org.nvmexpress:uuid:4f2a'];
  return {
    id: `client:db-01:gate ${name}`,
    client: 'db-01',
    name,
    protocol: 'nvme',
    listening: ['10.1.0.7'],
    hosts,
    volumes: ['osl:web-002@0'],
    trouble,
  };
}
