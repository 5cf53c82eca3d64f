// For tests: volumes on real files, with a configuration that changes. The functions start, reload and restart in the same way as the
// server, but no client holds a volume. Invariant: `configured` contains the volumes of the last start or reload.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { systemClock } from '@rsio/base/lib/clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect } from 'vitest';
import type { FileSystem } from '../machine/file-system.ts';
import { volumeConfig } from './volume-config.ts';
import type { VolumeChange } from '../volumes/volume-change.ts';
import { volumeChanges } from '../volumes/volume-plan.ts';
import { Volumes } from '../volumes/volumes.ts';

export const MIB = 1 << 20;
const HOLDER = { node: 'big-2', address: '127.45.0.2', sinceMs: 1_284_476_552_000 };
export let directory = '';
export let logged: string[] = [];
export let heldIds = new Set<string>();
/**
 * Maps each directory to the kind of file system that the code under test finds. Any other directory counts as `other`, because the tests'
 * real directory may be on a file system in memory.
 */
let systems = new Map<string, FileSystem>();
export let volumes: Volumes;
export let configured: readonly ServerVolumeConfig[] = [];

export const at = (name: string): string => path.join(directory, name);
const say = (message: string): void => void logged.push(message);

export function server(): Volumes {
  const log = { info: say, warn: say, error: say };
  return new Volumes({
    idsFile: at('volumes.json'),
    memoryDirectory: at('shm'),
    fileSystemOf: (place) => Promise.resolve(systems.get(place) ?? 'other'),
    clock: systemClock,
    log,
    syncFailedLate: () => undefined,
    isHeld: (id) => heldIds.has(id),
    holdersOf: (id) => (heldIds.has(id) ? [HOLDER] : []),
    incarnationEnded: async () => undefined,
  });
}

export const file = (name: string, changes: Partial<ServerVolumeConfig> = {}): ServerVolumeConfig =>
  volumeConfig({ name, path: at(`${name}.img`), sizeBytes: MIB, ...changes });

export const memory = (name: string, changes: Partial<ServerVolumeConfig> = {}): ServerVolumeConfig =>
  file(name, { type: 'memory', path: null, ...changes });

export async function start(...next: ServerVolumeConfig[]): Promise<void> {
  configured = next;
  await volumes.open({ volumes: next });
}

/** Prepares a change of the configuration in the same way as the server. No client holds a volume. */
export async function prepare(...next: ServerVolumeConfig[]): Promise<VolumeChange> {
  const { plan, refusals } = volumeChanges(configured, next, (volume) => ({ ...volumes.standing(volume), users: [] }));
  expect(refusals).toEqual([]);
  return volumes.prepare(plan, next);
}

export async function reload(...next: ServerVolumeConfig[]): Promise<VolumeChange> {
  const change = await prepare(...next);
  change.commit();
  await change.finish();
  configured = next;
  return change;
}

/** Continues with a new process of rssrv, as if the old process had been killed. */
export function nextServer(): void {
  volumes = server();
}

/** Stops the server, and starts the next one with this configuration. */
export async function restart(...next: ServerVolumeConfig[]): Promise<void> {
  await volumes.close();
  volumes = server();
  await start(...next);
}

export const names = (): string[] => volumes.served.map(({ name }) => name);
export const idOf = (name: string): string => volumes.served.find((one) => one.name === name)?.id ?? 'none';
export const isLocked = (name: string): boolean => spawnSync('flock', ['-n', at(name), 'true']).status === 1;
/** Returns the paths of the files below the test's directory that this process has open. */
export function links(): string[] {
  const targets = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // readdirSync has opened and closed this descriptor to list /proc/self/fd.
      return '';
    }
  });
  return targets.filter((target) => target.startsWith(directory)).toSorted();
}

/** Gives each test of the file a directory, and a server without volumes. */
export function useVolumes(): void {
  beforeEach((context) => needPrograms(context, 'flock'));

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-'));
    fs.mkdirSync(at('shm'), { mode: 0o700 });
    [logged, heldIds, configured, systems] = [[], new Set(), [], new Map()];
    volumes = server();
  });
  afterEach(async () => {
    await volumes.close();
    await removeFolder(directory);
  });
}
