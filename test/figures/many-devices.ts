// `npm run drill -- many-devices`: measures how long it takes to attach a thousand volumes as devices, to list them, to attach them again in the
// next daemon, to recover them after a crash, and to detach them. The program also measures processor time and memory of the daemon. The
// host of the test has its own mounts and loop devices. Invariant: each step must succeed for every volume.

import { readFileSync } from 'node:fs';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { defineDrill } from '../support/drills/harness.ts';
import { DEVICES } from '../support/drills/needs.ts';
import { choice, count, flag } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import type { Host } from '../support/hosts/host.ts';
import { seconds } from '../support/drills/table.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const RESTORED_MS = 120_000;

interface Asked {
  readonly volumes: number;
  readonly device: string;
  readonly processes: number;
  readonly crash: boolean;
}

async function play(on: Scene, { volumes: wanted, device, processes, crash: isCrash }: Asked): Promise<void> {
  const names = Array.from({ length: wanted }, (_, number) => `v${number}`);
  const volumes = Object.fromEntries(names.map((name) => [name, { type: 'null', size: '1m' }]));
  const scene = await DeviceScene.begin(on.hosts, device, { volumes: () => volumes, defaults: { processes: String(processes) } });
  const { host, devices } = scene;
  const attached = async (): Promise<number> => (await host.call('local', {})).attachments.length;
  const timed = async (what: string, step: () => Promise<unknown>, left: number): Promise<void> => {
    on.round(what);
    // Asks the daemon for its pid, because the pid file may have the pid of the keeper.
    const { pid } = await host.call('daemon', {});
    const [startMs, before] = [performance.now(), processorMs(pid)];
    await step();
    const [took, used] = [performance.now() - startMs, processorMs(pid) - before];
    if ((await attached()) !== left) throw new Error(`${what}: ${await attached()} volumes are attached, not ${left}`);
    on.say(`${what.padEnd(16)} ${(took / 1_000).toFixed(1).padStart(6)} s, rsiod used ${seconds(used)}`);
  };
  on.say(`${wanted} volumes as ${device} devices`);
  const all = wanted + 1;
  await timed('rsconfig -a', () => host.rsconfigWell('-a'), all);
  await crashOfProcesses(on, host);
  if (isCrash) return crash(on, host, all, attached);
  await timed('rsconfig -lvv', () => host.rsconfigWell('-lvv'), all);
  await timed('rsconfig -d', () => host.rsconfigWell('-d'), 0);
  await timed('-a once more', () => host.rsconfigWell('-a'), all);
  await crash(on, host, all, attached);
  on.round('restart');
  const startMs = performance.now();
  await host.stop('rsiod');
  const endedMs = performance.now();
  if (devices.mounts().length > 0) throw new Error(`${devices.mounts().length} mounts are left by a daemon that has ended`);
  await host.start('rsiod');
  await waitFor(async () => (await attached()) === all, RESTORED_MS, 'All are attached again');
  const againMs = performance.now();
  on.say(`SIGTERM ${seconds(endedMs - startMs)}, all attached again ${seconds(againMs - endedMs)} later`);
}

/**
 * Kills rsiod, which is the child of the keeper, and measures the recovery. The recovery is complete when each device continues with its
 * volume.
 */
async function crash(on: Scene, host: Host, all: number, attached: () => Promise<number>): Promise<void> {
  on.round('kill -9');
  const shown = (): number => host.log('rsiod').split('is resumed, ').length - 1;
  const before = shown();
  const startMs = performance.now();
  process.kill((await host.call('daemon', {})).pid, 'SIGKILL');
  await waitFor(() => shown() - before >= all, RESTORED_MS, 'All devices go on');
  const tookMs = performance.now() - startMs;
  await waitFor(async () => (await attached()) === all, RESTORED_MS, 'All are attached again');
  on.say(`kill -9: all devices go on after ${seconds(tookMs)}`);
}

/** Kills each data process, one after the other, and measures the time until each of its devices continues with its volume. */
async function crashOfProcesses(on: Scene, host: Host): Promise<void> {
  const running = async () => (await host.call('status', {})).processes ?? [];
  for (const { number, pid, volumes } of await running()) {
    const shown = (): number => host.log('rsiod').split('is resumed, ').length - 1;
    const before = shown();
    const startMs = performance.now();
    if (pid === null) throw new Error(`Data process ${number} does not run`);
    process.kill(pid, 'SIGKILL');
    await waitFor(() => shown() - before >= volumes, RESTORED_MS, `The devices of data process ${number} go on`);
    on.say(`kill -9 of data process ${number}: its ${volumes} devices go on after ${seconds(performance.now() - startMs)}`);
  }
}

/** Processor time of the process in ms, without the programs that it has started. */
function processorMs(pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').slice(11, 13) ?? [];
  return (Number(user) + Number(system)) * 10;
}

export const drill = defineDrill({
  about: `Attaches N volumes of one server, lists and detaches them, kills the child process of rsiod, and restarts rsiod. With --crash, it only
    attaches the volumes and kills the child. With --processes above 1, it also kills each data process in turn.`,
  needs: [DEVICES],
  unit: 'steps',
  endsAtOnce: true,
  options: {
    volumes: count(1000, 'number of volumes'),
    device: choice('KIND', ['raw', 'block'], 'kind of the devices', 'raw'),
    crash: flag('only attach the volumes and kill the child'),
    processes: count(1, 'number of data processes'),
  },
  play,
});
