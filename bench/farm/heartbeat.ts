// What the heartbeats of shared pools cost two servers at rest, the owner of the pools and another owner: each looks at the record of each
// pool, and posts its note, once a second. There are no clients, and no pool has a volume. Invariant: both servers are measured at the same
// time, and reach each disk by a device of their own, as on two machines.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import { newFolder } from '../data-folder.ts';
import { callsDuring } from '../map/syscalls.ts';
import { cpuSecondsBetween, type CpuTime, cpuTimeOf, diskBytesOf, processTree, writtenBytesOf } from '../proc.ts';
import { inScene } from '../scene.ts';
import type { SectionContext } from '../section-run.ts';
import type { Line, Sheet } from '../sheet.ts';
import { once } from '../summary.ts';
import { FarmDisks } from './disks.ts';
import { addSharedPool, DISK_BYTES, type FarmServer, OWNERS, served, startServers } from './servers.ts';

const KIB = 1024;
const WHO = ['their owner', 'another owner'];
const POOLS = [0, 1, 10] as const;
/** Time after which a new server or pool is at rest. */
const SETTLE_MS = 8_000;
/** A multiple of the interval of the probes of a pool, 5 s. */
const REST_MS = 20_000;

/** Needs perf. */
export async function heartbeats(context: SectionContext): Promise<Sheet> {
  const lines = await inScene(context, async ({ hosts }) => {
    const disks = FarmDisks.make(hosts, context.parent);
    const servers = await startServers(hosts, disks, OWNERS.length);
    const made: Line[] = [];
    let pools = 0;
    for (const count of POOLS) {
      for (; pools < count; pools++) await addPool(servers, disks, `pool${pools}`);
      await after(SETTLE_MS);
      made.push(...(await rest(hosts, servers, disks, count, context.parent)));
    }
    return made;
  });
  const columns = [
    { heading: 'system calls per s', digits: 0 },
    { heading: 'CPU ms per s', digits: 2 },
    { heading: 'KiB read per s', digits: 1 },
    { heading: 'KiB written per s', digits: 1 },
    { heading: 'disks, both servers: KiB read per s', digits: 1 },
    { heading: 'KiB written per s', digits: 1 },
  ];
  const notes = [`two servers at rest for ${REST_MS / 1_000} s, without clients; their own figures are those of their processes`];
  return { name: 'farm', title: 'Heartbeats of shared pools', columns, lines, notes };
}

async function addPool(servers: readonly FarmServer[], disks: FarmDisks, name: string): Promise<void> {
  const devices = disks.make(name, DISK_BYTES, servers.length);
  for (const [index, server] of servers.entries()) {
    await addSharedPool(server, name, devices[index] ?? '', OWNERS);
    if (index === 0) await served(server, name);
  }
}

/** A line for each server. */
async function rest(hosts: Hosts, servers: readonly FarmServer[], disks: FarmDisks, pools: number, parent: string): Promise<Line[]> {
  const folder = newFolder(parent);
  hosts.onClean(() => rmSync(folder, { recursive: true, force: true }));
  const startMs = performance.now();
  const before = disks.transferred();
  const costs = await Promise.all(servers.map(({ host }, index) => costOf(processTree(host.pid('rssrv')), join(folder, String(index)))));
  const last = disks.transferred();
  const seconds = (performance.now() - startMs) / 1_000;
  const ofDisks = [last.read - before.read, last.written - before.written].map((bytes) => once(bytes / KIB / seconds));
  return costs.map((values, index) => ({
    what: pools === 0 ? `no pool, ${OWNERS[index]}` : `${pools} ${pools === 1 ? 'pool' : 'pools'}, ${WHO[index]}`,
    values: [...values.map(once), ...(index === 0 ? ofDisks : [])],
  }));
}

async function costOf(pids: readonly number[], file: string): Promise<readonly number[]> {
  const sample = (): { readonly atMs: number; readonly cpu: CpuTime; readonly read: number; readonly written: number } => {
    return { atMs: performance.now(), cpu: cpuTimeOf(pids), read: diskBytesOf(pids), written: writtenBytesOf(pids) };
  };
  let [first, last] = [sample(), sample()];
  const { all } = await callsDuring(pids, file, async () => {
    first = sample();
    await after(REST_MS);
    last = sample();
  });
  const seconds = (last.atMs - first.atMs) / 1_000;
  const [read, written] = [last.read - first.read, last.written - first.written].map((bytes) => bytes / KIB);
  return [all, 1_000 * cpuSecondsBetween(first.cpu, last.cpu), read!, written!].map((one) => one / seconds);
}
