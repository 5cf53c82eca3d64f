// `npm run measure -- devices`: runs fio on the raw device, the block device and the NBD export of an attached volume, and compares the figures with
// fio directly on nbdkit over TCP. All four contenders have the same content and get the same load, one after the other, in several rounds.
// All programs share the machine's cores. bench/ measures the server alone. Invariant:
// only figures of the same run are compared.

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { defineDrill } from '../support/drills/harness.ts';
import { DEVICES, FIO, program } from '../support/drills/needs.ts';
import { amount, count, json } from '../support/drills/options.ts';
import { median } from '../support/drills/table.ts';
import { fioJob, type FioSide, onlySide, runFio } from '../support/io/fio-figures.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { run, start } from '../support/programs/programs.ts';
import { volumeStats } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const SIZE = '512m';
const NBDKIT_ADDRESS = '127.0.0.1';
const START_MS = 10_000;
const STRIKE_SECONDS = 5;

interface Load {
  readonly title: string;
  readonly words: readonly string[];
  /** Takes the value for this row from the result of fio, in the unit of the row. */
  readonly value: (side: FioSide) => number;
  readonly unit: string;
  /** Goals for each contender compared with nbdkit: a ratio, or for latency the largest difference in us. */
  readonly goals: Readonly<Record<string, number>>;
}

const iops = ({ iops: value }: FioSide): number => value;
const megabytes = ({ bw_bytes }: FioSide): number => bw_bytes / 1e6;
const microseconds = ({ lat_ns }: FioSide): number => lat_ns.mean / 1000;

const LOADS: readonly Load[] = [
  {
    title: '8 KiB random reads, depth 32',
    words: ['--rw=randread', '--bs=8k', '--iodepth=32'],
    value: iops,
    unit: 'IOPS',
    goals: { raw: 0.6, block: 0.6 },
  },
  { title: '8 KiB random writes, depth 32', words: ['--rw=randwrite', '--bs=8k', '--iodepth=32'], value: iops, unit: 'IOPS', goals: {} },
  { title: '1 MiB sequential reads, depth 8', words: ['--rw=read', '--bs=1m', '--iodepth=8'], value: megabytes, unit: 'MB/s', goals: {} },
  { title: '1 MiB sequential writes, depth 8', words: ['--rw=write', '--bs=1m', '--iodepth=8'], value: megabytes, unit: 'MB/s', goals: {} },
  {
    title: '4 KiB random reads, depth 1',
    words: ['--rw=randread', '--bs=4k', '--iodepth=1'],
    value: microseconds,
    unit: 'us each',
    goals: {},
  },
];

interface Contender {
  readonly name: string;
  readonly where: readonly string[];
}

async function measure(scene: DeviceScene, { words, value }: Load, { where }: Contender, seconds: number): Promise<number> {
  return value(onlySide(await runFio(scene.devices.command, { where, words, size: SIZE, seconds, rampSeconds: 1 })));
}

const STRIKES: readonly { readonly title: string; readonly strike: (scene: DeviceScene) => Promise<unknown> }[] = [
  {
    title: 'the working process killed',
    strike: async ({ host }) => process.kill((await host.call('daemon', {})).pid, 'SIGKILL'),
  },
  { title: 'rsconfig restart', strike: ({ host }) => host.rsconfigWell('restart') },
];

/** Calls `strike` while fio uses the block device. Returns the time of the slowest I/O, in ms. */
async function pause(scene: DeviceScene, strike: (scene: DeviceScene) => Promise<unknown>): Promise<number> {
  const words = [`--filename=${scene.block}`, '--ioengine=libaio', '--direct=1', '--rw=randrw', '--bs=8k', '--iodepth=8', `--size=${SIZE}`];
  const fio = scene.beside('fio', ['--name=job', ...words, '--time_based', `--runtime=${STRIKE_SECONDS}`, '--output-format=json']);
  const { writes } = await volumeStats(scene.host, 'osl:oracle@0');
  const isWriting = async (): Promise<boolean> => (await volumeStats(scene.host, 'osl:oracle@0')).writes > writes + 1000;
  await waitFor(isWriting, START_MS, 'fio writes');
  await strike(scene);
  const { read, write } = fioJob((await fio.ended).stdout);
  return Math.max(read.clat_ns.max, write.clat_ns.max) / 1e6;
}

async function contenders(hosts: Hosts, scene: DeviceScene): Promise<Contender[]> {
  const { devices, host, raw, block } = scene;
  const file = host.file('storage/beside.img');
  mkdirSync(path.dirname(file), { recursive: true });
  await host.rsconfigWell('-a', 'oracle');
  // Gives both storages the same content, and reads the content into the cache.
  await devices.well(
    'dd if=/dev/urandom of="$1" bs=1M count=512 conv=notrunc; dd if="$1" of="$2" bs=1M',
    host.file('storage/oracle.img'),
    file,
  );
  const port = await freePort(NBDKIT_ADDRESS);
  const nbdkit = start('nbdkit', ['--foreground', `--ipaddr=${NBDKIT_ADDRESS}`, `--port=${port}`, 'file', file], { timeoutMs: 3_600_000 });
  hosts.onClean(() => nbdkit.kill());
  const isThere = async (): Promise<boolean> => (await run('nbdinfo', ['--size', `nbd://${NBDKIT_ADDRESS}:${port}`])).code === 0;
  await waitFor(isThere, START_MS, 'nbdkit answers');
  const aio = (device: string): string[] => ['--ioengine=libaio', '--direct=1', `--filename=${device}`];
  return [
    { name: 'nbdkit', where: ['--ioengine=nbd', `--uri=nbd://${NBDKIT_ADDRESS}:${port}`] },
    { name: 'NBD socket', where: ['--ioengine=nbd', `--uri=${host.nbdUri('oracle')}`] },
    { name: 'raw', where: aio(raw) },
    { name: 'block', where: aio(block) },
  ];
}

export const drill = defineDrill({
  about: `Measures the raw device, the block device and the NBD export of a volume with fio, compared with nbdkit over TCP. Then measures how long I/O
    pauses when the child process of rsiod is killed or restarted.`,
  needs: [DEVICES, FIO, program('nbdkit', 'nbdkit'), program('nbdinfo', 'libnbd-bin')],
  unit: 'measurements',
  endsAtOnce: true,
  options: {
    rounds: count(3, 'measurements of each figure', { max: 100 }),
    seconds: amount(4, 'duration of each measurement with fio', { value: 'S', min: 1, max: 30 }),
    json: json(),
  },
  async play(on, { rounds, seconds }) {
    const scene = await DeviceScene.begin(on.hosts, 'block', { volumes: () => ({ oracle: { size: SIZE } }) });
    const all = await contenders(on.hosts, scene);
    const figures: { load: string; unit: string; contender: string; values: number[] }[] = [];
    for (const load of LOADS) {
      const rows = all.map(({ name }) => ({ load: load.title, unit: load.unit, contender: name, values: [] as number[] }));
      for (let round = 0; round < rounds; round++)
        for (const [index, contender] of all.entries()) {
          on.round(`${load.title}, ${contender.name}`);
          rows[index]!.values.push(await measure(scene, load, contender, seconds));
        }
      figures.push(...rows);
      on.say(`\n${load.title}`);
      const beside = median(rows[0]!.values);
      for (const { contender, values } of rows) {
        const goal = load.goals[contender];
        const wanted = goal === undefined ? '' : `  goal ${goal}: ${median(values) / beside >= goal ? 'met' : 'MISSED'}`;
        const ratio = (median(values) / beside).toFixed(2);
        on.say(`  ${contender.padEnd(11)}${median(values).toFixed(0).padStart(9)} ${load.unit}  ${ratio} x nbdkit${wanted}`);
      }
    }
    on.say('\nSlowest I/O on the block device, 8 KiB, depth 8');
    for (const { title, strike } of STRIKES) {
      const values: number[] = [];
      for (let round = 0; round < rounds; round++) {
        on.round(title);
        values.push(await pause(scene, strike));
      }
      figures.push({ load: title, unit: 'ms', contender: 'block', values });
      on.say(`  ${title.padEnd(27)} median ${median(values).toFixed(0)}, worst ${Math.max(...values).toFixed(0)} ms`);
    }
    on.show(figures, () => '');
  },
});
