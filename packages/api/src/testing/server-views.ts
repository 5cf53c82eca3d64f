// Answers of rssrv for tests of programs that call rssrv. Each function returns a complete view, in which a test replaces the fields that
// it tests.
// Invariant: an unchanged view is healthy and causes no warning.

import type { SharedPoolView } from '../views/views.ts';
import type { SessionStatsView, VolumeStatsView } from '../views/stats-views.ts';
import type { ServerMethods } from '../rssrv/server-methods.ts';
import type {
  ClientView,
  InterfaceView,
  JobView,
  ManagedVolumeView,
  PoolView,
  RemovedVolumeView,
  SnapshotView,
  ReplicationView,
} from '../views/views.ts';
import { NO_LATENCY } from '@rsio/base/structures/latency-figures';

const GIB = 1024 ** 3;

export const DAEMON_ANSWER: ServerMethods['daemon']['result'] = {
  program: 'rssrv',
  version: '9.9.9',
  control: 1,
  methods: [],
  pid: 4711,
  nodename: 'big-9',
  startedMs: 0,
  configuredMs: 0,
  processUser: null,
  processNote: null,
};

export function listeningInterface(): InterfaceView {
  return { name: 'if1', address: '10.0.0.9', port: 5000, state: 'listening', reason: null };
}

/** A shared pool that server big-9 serves. */
export function sharedPool(changes: Partial<SharedPoolView> = {}): SharedPoolView {
  return {
    name: 'fast',
    disk: 'rbd:rsio/fast',
    fence: 'rbd',
    state: 'serving',
    owner: 'big-9',
    isHere: true,
    standing: 'owned',
    generation: 17,
    sinceMs: 0,
    heartbeatMs: 400,
    next: 'big-8',
    takeOverMs: 10_000,
    load: 1_200,
    why: 'this server owns it',
    owners: [
      { server: 'big-9', isThere: true },
      { server: 'big-8', isThere: true },
    ],
    unfenced: [],
    ...changes,
  };
}

export function pool(changes: Partial<PoolView> = {}): PoolView {
  return {
    name: 'fast',
    path: '/srv/fast',
    state: 'ready',
    reason: null,
    totalBytes: 100 * GIB,
    freeBytes: 60 * GIB,
    usableBytes: 55 * GIB,
    reserve: 0.05,
    promisedBytes: 20 * GIB,
    limitBytes: null,
    overcommit: 'warn',
    isShort: false,
    fullPercent: null,
    volumes: 1,
    removed: 0,
    findings: [],
    reflink: true,
    ...changes,
  };
}

/** Value of the field `image` for a volume that is an image of oracle@0. */
export const IMAGE: NonNullable<ManagedVolumeView['image']> = { name: 'oracle', universe: 0, state: 'present', momentMs: 0, clients: null };

export function volume(changes: Partial<ManagedVolumeView> = {}): ManagedVolumeView {
  return {
    name: 'oracle',
    universe: 0,
    id: '8a65f309-f092-4c5a-913e-b2a388712c4e',
    state: 'served',
    reason: null,
    sizeBytes: 20 * GIB,
    usedBytes: 1536,
    blockSizeBytes: 512,
    readonly: false,
    shared: false,
    thick: false,
    pool: 'fast',
    layout: null,
    path: '/srv/fast/volumes/8a65f309-f092-4c5a-913e-b2a388712c4e/data',
    clients: null,
    takeOver: null,
    takeOverForce: false,
    owner: null,
    createdMs: 0,
    holders: [],
    waitsForSpace: false,
    fullPool: null,
    limits: null,
    halt: null,
    bridged: null,
    snapshots: 0,
    schedule: null,
    image: null,
    mirror: null,
    follows: null,
    reflink: true,
    ...changes,
  };
}

export function snapshot(changes: Partial<SnapshotView> = {}): SnapshotView {
  return {
    name: 'oracle',
    universe: 0,
    snapshot: 'monday',
    id: '8a65f309-f092-4c5a-913e-b2a388712c50',
    sizeBytes: 20 * GIB,
    usedBytes: 1024 ** 3,
    createdMs: 0,
    by: null,
    group: '8a65f309-f092-4c5a-913e-b2a388712c51',
    readers: 0,
    moment: null,
    ...changes,
  };
}

export function removedVolume(changes: Partial<RemovedVolumeView> = {}): RemovedVolumeView {
  return {
    name: 'oracle',
    universe: 0,
    id: '8a65f309-f092-4c5a-913e-b2a388712c4e',
    sizeBytes: 20 * GIB,
    pool: 'fast',
    owner: null,
    clients: null,
    removedMs: 0,
    by: null,
    ageMs: 0,
    untilMs: 86_400_000,
    ...changes,
  };
}

export function client(changes: Partial<ClientView> = {}): ClientView {
  return {
    name: 'big-2',
    role: 'use',
    pools: null,
    limitBytes: null,
    limits: null,
    ownedBytes: 0,
    state: 'connected',
    address: '192.168.10.2',
    sinceMs: 0,
    keys: 1,
    sessionKey: null,
    fencedMs: null,
    volumes: ['oracle@0'],
    ...changes,
  };
}

const LATENCY = { ...NO_LATENCY, p50Us: 80, p90Us: 120, p99Us: 210, p999Us: 400, p9999Us: 700, maxUs: 900 };

export function volumeStats(changes: Partial<VolumeStatsView> = {}): VolumeStatsView {
  return {
    volume: 'oracle@0',
    reads: 1_000,
    readBytes: 8_192_000,
    writes: 200,
    writtenBytes: 1_638_400,
    flushes: 0,
    discards: 0,
    zeroes: 0,
    errors: 0,
    outstanding: 0,
    held: 0,
    heldMs: 0,
    readsPerSecond: 100,
    writesPerSecond: 0,
    readBytesPerSecond: 819_200,
    writtenBytesPerSecond: 0,
    readLatency: LATENCY,
    writeLatency: LATENCY,
    flushLatency: NO_LATENCY,
    ...changes,
  };
}

export function sessionStats(changes: Partial<SessionStatsView> = {}): SessionStatsView {
  return {
    client: 'big-2',
    address: '192.168.10.2',
    sinceMs: 0,
    ageMs: 10,
    isBlocked: false,
    holesOff: false,
    paths: [{ interface: 'if1', address: '192.168.10.2', sinceMs: 0, requests: 1_200, cipher: null }],
    volumes: [volumeStats()],
    ...changes,
  };
}

export function replication(changes: Partial<ReplicationView> = {}): ReplicationView {
  return {
    id: 'r',
    direction: 'out',
    peer: 'big-8',
    pool: null,
    volumes: [{ name: 'oracle', universe: 0 }],
    everyMs: 300_000,
    keep: 3,
    limitBytes: null,
    state: 'waiting',
    text: '',
    momentMs: 0,
    ageMs: 12_000,
    doneBytes: 0,
    totalBytes: 0,
    nextMs: 300_000,
    ...changes,
  };
}

export function job(changes: Partial<JobView> = {}): JobView {
  return {
    id: '7',
    kind: 'move',
    name: 'oracle',
    universe: 0,
    from: 'fast',
    snapshot: null,
    target: 'pool',
    to: 'slow',
    newName: null,
    afterRestart: 'goes on',
    state: 'running',
    reason: null,
    doneBytes: 10 * GIB,
    totalBytes: 20 * GIB,
    bytesPerSecond: 0,
    limitBytes: null,
    rounds: 1,
    by: null,
    createdMs: 0,
    endedMs: null,
    ...changes,
  };
}
