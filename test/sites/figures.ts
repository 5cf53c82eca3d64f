// `npm run drill -- sites --figures`: what a moment costs on the wire and on the disk of the target, eight volumes at one moment, and the speed of
// a first copy over slow and long lines. The servers are in network namespaces. Invariant: only ratios are printed; each figure is of a copy
// that equals its moment.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseSize, printSize } from '@rsio/base/lib/units';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { fillFile } from '../support/devices/scratch-disk.ts';
import type { Scene } from '../support/drills/scene.ts';
import { clientConfig } from '../support/hosts/configs.ts';
import type { Hosts, TestNetwork } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import type { Machine, Netlab } from '../support/netlab/netlab.ts';
import { longLine } from '../support/netlab/long-line.ts';
import { subnetsOf, twoMachines } from '../support/netlab/two-machines.ts';
import { Numbers, spreadOf } from './numbers.ts';
import { type Clones, Sites } from './site.ts';

const MIB = 1024 ** 2;
const CHANGE_BYTES = 64 * 1024;
const FIRST_MS = 300_000;
const DELAY_MS = 25;
/** Size of a disk as a multiple of the data. */
const DISK_SHARE = 3;
const [LONG_SIZE, VOLUMES, GOAL] = ['512m', 8, 0.8] as const;

interface Stage {
  readonly sites: Sites;
  readonly network: TestNetwork;
  readonly client: Machine;
  readonly cards: readonly string[];
}

export const FIGURES = ['changed', 'together', 'line'] as const;

type Judge = (isGood: boolean, line: string) => void;
type Work = (stage: Stage, judge: Judge) => Promise<void>;

export async function figures(scene: Scene, sizeBytes: number, only: readonly (typeof FIGURES)[number][]): Promise<void> {
  const judge = (isGood: boolean, line: string): void => {
    scene.say(`${line}${isGood ? '' : '  MISSED'}`);
    if (!isGood) scene.problem('The figure missed its goal');
  };
  const part = async (name: (typeof FIGURES)[number], ofBytes: number, rates: readonly (number | null)[], work: Work): Promise<void> => {
    if (!only.includes(name) || scene.isEnding) return;
    scene.round(name);
    await staged(scene, ofBytes, rates, (stage) => work(stage, judge));
  };
  await part('changed', sizeBytes, [null], (stage) => changed(stage, sizeBytes, judge));
  await part('together', parseSize('1g'), [null], together);
  for (const rates of [[200e6], [100e6, 100e6]]) await part('line', parseSize(LONG_SIZE), rates, (stage) => firstCopy(stage, rates, judge));
}

/** Connects the servers with one line for each rate, in bits per second, or with a cable. */
async function staged(
  scene: Scene,
  sizeBytes: number,
  rates: readonly (number | null)[],
  work: (stage: Stage) => Promise<void>,
): Promise<void> {
  await scene.attempt(async (hosts, netlab) => {
    const { server, client, network } = rates.includes(null)
      ? await twoMachines(netlab, rates.length)
      : await farMachines(hosts, netlab, rates);
    const ownNetwork = { port: network.port, serverAddresses: network.clientAddresses() };
    const parts = { source: server.host, target: client.host, network, ownNetwork, peerAddresses: network.serverAddresses, tls: false };
    const sites = await Sites.start(hosts, { ...parts, diskBytes: DISK_SHARE * sizeBytes });
    await work({ sites, network, client, cards: rates.map((_, index) => `eth${index}`) });
  });
}

async function farMachines(hosts: Hosts, netlab: Netlab, rates: readonly (number | null)[]) {
  const [server, client, network] = [await netlab.machine('server'), await netlab.machine('client'), subnetsOf(rates.length)];
  for (const [index, bitsPerSecond] of rates.entries()) {
    const addresses = [network.serverAddresses[index]!, network.clientAddresses()[index]!] as const;
    await longLine(hosts, [server, client], { device: `eth${index}`, addresses, bitsPerSecond: bitsPerSecond!, delayMs: DELAY_MS });
  }
  return { server, client, network };
}

/** Bytes that the target has received, with all headers. */
async function wireBytes({ client, cards }: Stage): Promise<number> {
  const all = await Promise.all(cards.map((card) => client.counters(card)));
  return all.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
}

/** Creates volumes and fills them with data, without the network. */
async function fill({ sites }: Stage, names: readonly string[], size: string): Promise<void> {
  await sites.create(names, size);
  const files = await Promise.all(names.map((name) => sites.file('source', name)));
  await sites.source.stop('rssrv');
  for (const file of files) fillFile(file, parseSize(size));
  await sites.source.start('rssrv');
}

/** Starts a client beside the source, and opens the volumes. */
async function opened({ sites, network }: Stage): Promise<NbdIo[]> {
  const { source, names } = sites;
  source.writeConfig('rsiod', clientConfig({ ...network, clientAddresses: () => [...network.serverAddresses] }));
  await source.start('rsiod');
  await source.pathsUp(network.serverAddresses.length);
  await source.rsconfigWell('-a', ...names);
  const nbds: NbdIo[] = [];
  for (const name of names) nbds.push(await NbdIo.open(source.rsiodPaths.nbdSocket, `osl/${name}`));
  return nbds;
}

async function equal({ sites }: Stage): Promise<Clones> {
  const clones = await sites.drill();
  if (typeof clones === 'string') throw new Error(clones);
  const problems = await sites.compare(clones.group);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return clones;
}

async function changed(stage: Stage, sizeBytes: number, judge: Judge): Promise<void> {
  const { sites } = stage;
  await fill(stage, ['db'], printSize(sizeBytes));
  const [nbd] = await opened(stage);
  await sites.replicate('--every', '1h');
  const first = await sites.newerMoment(0, FIRST_MS);
  const [pieces, random] = [sizeBytes / CHANGE_BYTES, new SeededRandom(1)];
  const places = new Set<number>();
  while (places.size < pieces / 100) places.add(random.int(0, pieces - 1));
  for (const place of places) await nbd!.write(place * CHANGE_BYTES, Buffer.alloc(CHANGE_BYTES, 253 + (place % 2)));
  await nbd!.flush();
  nbd!.close();
  const [wire, disk] = [await wireBytes(stage), await sites.usedBytes()];
  await sites.replicate('--every', '1s');
  await sites.newerMoment(first);
  await sites.replicate('--every', '1h');
  const bytes = places.size * CHANGE_BYTES;
  const [onWire, onDisk] = [(await wireBytes(stage)) - wire, (await sites.usedBytes()) - disk];
  await equal(stage);
  const part = (of: number): string =>
    `${((100 * of) / sizeBytes).toFixed(2)} % of the volume (${(of / bytes).toFixed(3)} of what has changed)`;
  const isGood = onWire < 1.1 * bytes && onDisk < 1.1 * bytes;
  judge(isGood, `${printSize(sizeBytes)} of data, 1 % changed in pieces of 64 KiB: on the wire ${part(onWire)}, on disk ${part(onDisk)}`);
}

/** Writes numbers to eight volumes in turn. The clones of a moment must have eight consecutive numbers. */
async function together(stage: Stage, judge: Judge): Promise<void> {
  const { sites } = stage;
  await fill(
    stage,
    Array.from({ length: VOLUMES }, (_, index) => `v${index}`),
    '64m',
  );
  const nbds = await opened(stage);
  const numbers = new Numbers(nbds);
  await sites.replicate('--every', '1s', '--keep', '30');
  const spreads: number[] = [];
  for (let moment = await sites.newerMoment(0); spreads.length < 10; moment = await sites.newerMoment(moment)) {
    const wasAnswered = numbers.answered;
    await equal(stage);
    spreads.push(await spreadOf(sites));
    await sites.removeClones();
    if (numbers.answered === wasAnswered) throw new Error('The writes have stopped');
  }
  await numbers.end();
  for (const nbd of nbds) nbd.close();
  const most = Math.max(...spreads);
  judge(
    most < VOLUMES,
    `${VOLUMES} volumes at one moment under writes: ${spreads.length} moments compared; the last writes are ${most + 1} consecutive ones`,
  );
}

async function firstCopy(stage: Stage, rates: readonly number[], judge: Judge): Promise<void> {
  const { sites } = stage;
  await fill(stage, ['db'], LONG_SIZE);
  const before = await wireBytes(stage);
  await sites.replicate('--every', '1h');
  while ((await wireBytes(stage)) - before < MIB) await sleep(20);
  const beganMs = performance.now();
  await sites.newerMoment(0, FIRST_MS);
  const tookSeconds = (performance.now() - beganMs) / 1000;
  await equal(stage);
  const ratio = (parseSize(LONG_SIZE) * 8) / tookSeconds / rates.reduce((sum, one) => sum + one, 0);
  const what = rates.map((one) => `${one / 1e6} Mbit/s`).join(' and ');
  judge(ratio >= GOAL, `first copy over ${what} with ${2 * DELAY_MS} ms: ${ratio.toFixed(2)} of the rate (goal ${GOAL})`);
}
