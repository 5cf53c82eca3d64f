// Answers of rssrv for the tests of rsadm. Each function returns a whole view, in which a test replaces what it is about.
// Invariant: an unchanged view is healthy, so that it causes no warning.

import type { ClientView, ManagedVolumeView, PoolView, RemovedVolumeView } from '../control/server-methods.ts';

const GIB = 1024 ** 3;

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
    volumes: 1,
    removed: 0,
    findings: [],
    ...changes,
  };
}

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
    path: '/srv/fast/volumes/8a65f309-f092-4c5a-913e-b2a388712c4e/data',
    clients: null,
    takeOver: null,
    takeOverForce: false,
    owner: null,
    createdMs: 0,
    holders: [],
    waitsForSpace: false,
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
    removedMs: 0,
    by: null,
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
    ownedBytes: 0,
    state: 'connected',
    address: '192.168.10.2',
    sinceMs: 0,
    volumes: ['oracle@0'],
    ...changes,
  };
}
