// Drills of a farm: a client writes and reads continuously while the owner of its pool changes. Invariants: no I/O fails, no acknowledged
// write is lost or reverted, and the holder keeps its volume.

import { expect } from 'vitest';
import type { Host } from '../hosts/host.ts';
import type { useHosts } from '../hosts/hosts.ts';
import { NbdIo } from '../io/nbd-io.ts';
import { report } from '../programs/report.ts';
import { waitFor } from '../programs/wait-for.ts';
import { DISK_BYTES, type FarmScene } from '../scenes/farm-scene.ts';
import { JudgedLoad } from './judged-load.ts';

const EXPORT = 'osl/oracle';
const KNOWN_MS = 30_000;
const COMES_BACK_MS = 90_000;
const JUDGED_IOS = 100;

/** Makes the event happen to the owner. `after` runs once I/O continues at another server. */
export interface FarmEvent {
  /** True if the same server may serve the pool again at once. */
  readonly mayReturn?: boolean;
  happens(farm: FarmScene, owner: Host): Promise<void> | void;
  after?(farm: FarmScene, owner: Host): Promise<void> | void;
}

export const MOVE: FarmEvent = {
  happens: async (farm, owner) => {
    const to = farm.names.find((name) => name !== farm.nameOf(owner))!;
    // Any server accepts the command.
    const asked = farm.servers[farm.names.length - 1]!;
    expect(await farm.movePool(asked, 'fast', to)).toMatch(new RegExp(`^fast is served by ${to}, after `));
  },
};

/** Grows the disk by half, and then the pool by a command at its owner. Another server refuses this command, and names the owner. */
export const GROW: FarmEvent = {
  mayReturn: true,
  happens: async (farm, owner) => {
    const sizeOf = async (): Promise<number> => {
      const { pools } = JSON.parse(await owner.rsadmWell('pool', 'list', '--json')) as { pools: { name: string; totalBytes: number }[] };
      return pools.find(({ name }) => name === 'fast')?.totalBytes ?? 0;
    };
    const before = await sizeOf();
    await farm.growDisk('fast', (DISK_BYTES * 3) / 2);
    const other = farm.servers.find((server) => server !== owner)!;
    const refusal = `rsadm: Pool fast: give this command at its owner, ${farm.nameOf(owner)} [E_POOL]\n`;
    const isRefused = async (): Promise<boolean> => {
      const { code, stderr } = await other.rsadm('pool', 'grow', 'fast');
      return code === 1 && stderr === refusal;
    };
    // The other server may not have looked at the disk since the owner has the pool.
    await waitFor(isRefused, KNOWN_MS, 'Another server refuses to grow the pool, and names the owner');
    expect(await sizeOf()).toBe(before);
    expect(await owner.rsadmWell('pool', 'grow', 'fast')).toMatch(/^fast has \S+ now; before: \S+\n$/);
    expect(await sizeOf()).toBeGreaterThan(before * 1.4);
  },
};

export const KILL: FarmEvent = {
  happens: async (_, owner) => void (await owner.kill('rssrv')),
  after: (farm, owner) => farm.revive(owner),
};

export const STOP: FarmEvent = {
  happens: async (_, owner) => void (await owner.stop('rssrv')),
  after: (farm, owner) => farm.revive(owner),
};

/** Makes every event happen once in each of `rounds` rounds, and compares the whole content at the end. */
export async function farmDrill(
  hosts: ReturnType<typeof useHosts>,
  farm: FarmScene,
  events: Readonly<Record<string, FarmEvent>>,
  rounds: number,
): Promise<void> {
  const { holder } = farm;
  await (await farm.served('fast')).rsadmWell('volume', 'create', 'oracle', '--size', '16m');
  await waitFor(async () => (await holder.rsconfig('-q')).stdout.includes('oracle'), KNOWN_MS, 'The client sees the volume');
  await holder.rsconfigWell('-a', 'oracle');
  const aborter = new AbortController();
  hosts.onClean(() => aborter.abort());
  const judge = await JudgedLoad.start(holder, EXPORT, { beginBytes: 0, flushes: true, pauseMs: 4 }, aborter.signal);
  const goesOn = async (what: string): Promise<void> => {
    const before = judge.answered;
    await waitFor(() => judge.answered >= before + JUDGED_IOS || judge.errors.length > 0, COMES_BACK_MS, what);
    expect(judge.errors).toEqual([]);
  };
  await goesOn('I/O begins');
  for (let round = 0; round < rounds; round++)
    for (const [name, event] of Object.entries(events)) {
      const owner = await farm.served('fast');
      const beganMs = performance.now();
      await event.happens(farm, owner);
      if (event.mayReturn !== true)
        await waitFor(async () => (await farm.served('fast')) !== owner, COMES_BACK_MS, `Another server serves the pool after: ${name}`);
      await goesOn(`I/O goes on after: ${name}`);
      report(`${name}: ${farm.nameOf(owner)} was the owner`, {
        'seconds until I/O goes on': Math.round(performance.now() - beganMs) / 1000,
        'longest gap of the I/O in seconds': Math.round(judge.gaps.longest.toMs - judge.gaps.longest.fromMs) / 1000,
      });
      judge.gaps.forget();
      await event.after?.(farm, owner);
      expect(judge.breaches).toEqual([]);
    }
  await judge.stop();
  const nbd = await NbdIo.open(holder.rsiodPaths.nbdSocket, EXPORT);
  hosts.onClean(() => nbd.close());
  await judge.compare('read at the end', (offset, lengthBytes) => nbd.read(offset, lengthBytes));
  expect(judge.breaches).toEqual([]);
  expect(holder.log('rsiod')).toMatch(/osl:oracle@0: moved from server big-\d to big-\d \(generation \d+\)/);
  report('changes of the owner', { rounds, 'I/Os judged': judge.answered });
}
