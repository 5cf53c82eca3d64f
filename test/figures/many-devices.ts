// `npm run drill -- many-devices`: measures how long it takes to attach a thousand volumes as devices, to list them, to attach them again in the
// next daemon, to recover them after a crash, and to detach them. The program also measures processor time and memory of the daemon. The
// host of the test has its own mounts and loop devices. Invariant: the exit code is 0 if and only if each step succeeded for every volume.

import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { DeviceScene } from '../support/devices/device-scene.ts';
import type { Host } from '../support/hosts/host.ts';
import { Hosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const HELP = `usage: npm run drill -- many-devices [--volumes N] [--device raw|block] [--crash]
       [--processes N]

Attaches N volumes of one server (default 1000, raw), lists and detaches them, kills the child process of rsiod, and restarts
rsiod. With --crash, it only attaches the volumes and kills the child. With --processes above 1, it also kills each data process in turn.
Needs root, /dev/fuse and loop devices.
`;
const RESTORED_MS = 120_000;

async function play(count: number, device: string, processes: string, isCrash: boolean): Promise<void> {
  const hosts = new Hosts();
  try {
    const names = Array.from({ length: count }, (_, number) => `v${number}`);
    const volumes = Object.fromEntries(names.map((name) => [name, { type: 'null', size: '1m' }]));
    const scene = await DeviceScene.begin(hosts, device, { volumes: () => volumes, defaults: { processes } });
    const { host, devices } = scene;
    const attached = async (): Promise<number> => (await host.call('local', {})).attachments.length;
    const timed = async (what: string, step: () => Promise<unknown>, left: number): Promise<void> => {
      // Asks the daemon for its pid, because the pid file may have the pid of the keeper.
      const { pid } = await host.call('daemon', {});
      const [startMs, before] = [performance.now(), processorMs(pid)];
      await step();
      const [took, used] = [performance.now() - startMs, processorMs(pid) - before];
      if ((await attached()) !== left) throw new Error(`${what}: ${await attached()} volumes are attached, not ${left}`);
      console.log(`${what.padEnd(16)} ${(took / 1_000).toFixed(1).padStart(6)} s, rsiod used ${(used / 1_000).toFixed(1)} s`);
    };
    console.log(`${count} volumes as ${device} devices, load ${loadavg()[0]?.toFixed(1)}`);
    const all = count + 1;
    await timed('rsconfig -a', () => host.rsconfigWell('-a'), all);
    await crashOfProcesses(host);
    if (isCrash) {
      await crash(host, all, attached);
      return;
    }
    await timed('rsconfig -lvv', () => host.rsconfigWell('-lvv'), all);
    await timed('rsconfig -d', () => host.rsconfigWell('-d'), 0);
    await timed('-a once more', () => host.rsconfigWell('-a'), all);
    await crash(host, all, attached);
    const startMs = performance.now();
    await host.stop('rsiod');
    const endedMs = performance.now();
    if (devices.mounts().length > 0) throw new Error(`${devices.mounts().length} mounts are left by a daemon that has ended`);
    await host.start('rsiod');
    await waitFor(async () => (await attached()) === all, RESTORED_MS, 'All are attached again');
    const againMs = performance.now();
    console.log(
      `SIGTERM ${((endedMs - startMs) / 1_000).toFixed(1)} s, all attached again ${((againMs - endedMs) / 1_000).toFixed(1)} s later`,
    );
  } finally {
    await hosts.clean();
  }
}

/**
 * Kills rsiod, which is the child of the keeper, and measures the recovery. The recovery is complete when each device continues with its
 * volume.
 */
async function crash(host: Host, all: number, attached: () => Promise<number>): Promise<void> {
  const shown = (): number => host.log('rsiod').split('is resumed, ').length - 1;
  const before = shown();
  const startMs = performance.now();
  process.kill((await host.call('daemon', {})).pid, 'SIGKILL');
  await waitFor(() => shown() - before >= all, RESTORED_MS, 'All devices go on');
  const tookMs = performance.now() - startMs;
  await waitFor(async () => (await attached()) === all, RESTORED_MS, 'All are attached again');
  console.log(`kill -9: all devices go on after ${(tookMs / 1_000).toFixed(1)} s`);
}

/** Kills each data process, one after the other, and measures the time until each of its devices continues with its volume. */
async function crashOfProcesses(host: Host): Promise<void> {
  const running = async () => (await host.call('status', {})).processes ?? [];
  for (const { number, pid, volumes } of await running()) {
    const shown = (): number => host.log('rsiod').split('is resumed, ').length - 1;
    const before = shown();
    const startMs = performance.now();
    if (pid === null) throw new Error(`Data process ${number} does not run`);
    process.kill(pid, 'SIGKILL');
    await waitFor(() => shown() - before >= volumes, RESTORED_MS, `The devices of data process ${number} go on`);
    console.log(
      `kill -9 of data process ${number}: its ${volumes} devices go on after ${((performance.now() - startMs) / 1_000).toFixed(1)} s`,
    );
  }
}

/** Processor time of the process in ms, without the programs that it has started. */
function processorMs(pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').slice(11, 13) ?? [];
  return (Number(user) + Number(system)) * 10;
}

const { values } = parseArgs({
  options: {
    volumes: { type: 'string', default: '1000' },
    device: { type: 'string', default: 'raw' },
    processes: { type: 'string', default: '1' },
    crash: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
if (values.help === true) process.stdout.write(HELP);
else await play(Number(values.volumes), values.device, values.processes, values.crash === true);
