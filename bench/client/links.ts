// The throughput and CPU time of rsiod over 1 to 8 links of 1 Gbit/s, with sequential 1 MiB requests of fio on its NBD socket and its block
// device. Client, server and switch are network namespaces (test/support/netlab). The volume is in memory.

import { startClient, startServer } from '@rsio/test/support/hosts/configs';
import { DeviceHost, whyNoDevices } from '@rsio/test/support/devices/devices';
import type { Host } from '@rsio/test/support/hosts/host';
import { whyNoNetlab } from '@rsio/test/support/netlab/netns';
import { GIGABIT, type ShapedLinks, shapedLinks } from '@rsio/test/support/netlab/shaped-links';
import { goodputBytes } from '@rsio/test/support/netlab/shaper';
import { processTree } from '../proc.ts';
import { EXPORT, inScene, VOLUME } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Line, Sheet } from '../sheet.ts';
import { spreadOf, worstOf } from '../summary.ts';
import { missingFio, missingTool } from '../tools.ts';
import { deviceTarget, type FioTarget, type FioFigures, nbdTarget, runFioAt } from './fio-targets.ts';

interface LinkLine extends Line {
  readonly target: string;
  readonly kind: Kind;
}

const KINDS = ['write', 'read'] as const;
type Kind = (typeof KINDS)[number];

const SIZE = '256m';
/** Many small requests make V8 compile the client's code, so that the client is as warm as one that has run for a minute. */
const WARMING = { words: ['--rw=randrw', '--bs=8k', '--iodepth=32'], size: SIZE, seconds: 2, rampSeconds: 0 };
const WARM_SECONDS = 1;
/** The figures are cores per 110 MB/s. In 2010, a link of 1 Gbit/s carried 110 MB/s at the cost of half a core. */
const CORES_PER_BYTES = 110e6;
const NBD = 'NBD socket';
const BLOCK = 'block device';

export async function measureLinks(context: SectionContext): Promise<SectionResult> {
  const reason = (await whyNoNetlab()) ?? missingTool('tc', 'iproute2') ?? missingFio();
  if (reason !== null) return { sheets: [], figures: {}, absent: [`rsiod over links: ${reason}`] };
  const { hasBlockOverLinks, links: counts } = context.plan;
  const noDevices = hasBlockOverLinks ? whyNoDevices() : null;
  const lines: LinkLine[] = [];
  for (const count of counts) {
    lines.push(
      ...(await inScene(context, async ({ hosts, net }) => {
        const links = await shapedLinks(
          net,
          Array.from({ length: count }, () => GIGABIT),
        );
        const devices = hasBlockOverLinks && noDevices === null ? new DeviceHost(hosts, links.client.command) : null;
        await devices?.ready;
        return measureCount(links, devices, context);
      })),
    );
  }
  const reads = lines.filter(({ target, kind }) => target === NBD && kind === 'read').flatMap(({ values }) => values[3] ?? []);
  const absent = noDevices === null ? [] : [`the block device over links: ${noDevices}`];
  return { sheets: [sheetOf(lines)], figures: reads.length === 0 ? {} : { clientCores: worstOf(reads) }, absent };
}

async function measureCount(scene: ShapedLinks, devices: DeviceHost | null, context: SectionContext): Promise<LinkLine[]> {
  const { server, client, network, links } = scene;
  const host = devices?.host ?? client.host;
  await startServer(server.host, network, { volumes: { [VOLUME]: { type: 'memory', size: SIZE } } });
  await startClient(host, network, { defaults: { device: devices === null ? 'nbd-socket' : 'block' } });
  await host.rsconfigWell('-a', VOLUME);
  const targets = [nbdTarget(NBD, host.nbdUri(EXPORT))];
  if (devices !== null) targets.push(deviceTarget(BLOCK, devices.command, `${host.root}/dev/av0/${VOLUME}`));
  const lines: LinkLine[] = [];
  for (const target of targets) {
    await runFioAt(target, WARMING, []);
    // Writes come before reads, because reading a hole costs the server less.
    for (const kind of KINDS) lines.push(await measureTarget(host, target, kind, links.length, context));
  }
  await host.rsconfigWell('-d');
  await host.stop('rsiod');
  return lines;
}

async function measureTarget(host: Host, target: FioTarget, kind: Kind, count: number, { plan }: SectionContext): Promise<LinkLine> {
  const words = [`--rw=${kind}`, '--bs=1m', `--iodepth=${8 + 2 * count}`];
  const window = (seconds: number): Promise<FioFigures> =>
    runFioAt(target, { words, size: SIZE, seconds, rampSeconds: 0 }, processTree(host.pid('rsiod')));
  await window(WARM_SECONDS);
  const rounds: FioFigures[] = [];
  for (let round = 0; round < plan.rounds; round++) rounds.push(await window(plan.seconds));
  const carried = count * goodputBytes(GIGABIT);
  const spread = (value: (round: FioFigures) => number): Line['values'][number] => spreadOf(rounds.map(value));
  const coresPerByte = ({ cpuSeconds, io_bytes }: FioFigures): number => cpuSeconds / io_bytes;
  return {
    target: target.title,
    kind,
    what: `${count} ${count === 1 ? 'link' : 'links'}, ${kind}s, ${target.title}`,
    values: [
      spread(({ bw_bytes }) => bw_bytes / 1e6),
      spread(({ bw_bytes }) => (100 * bw_bytes) / carried),
      spread((round) => round.bw_bytes * coresPerByte(round)),
      spread((round) => CORES_PER_BYTES * coresPerByte(round)),
    ],
  };
}

function sheetOf(lines: readonly Line[]): Sheet {
  return {
    name: 'links',
    title: 'rsiod over links of 1 Gbit/s, fio, 1 MiB sequential requests',
    columns: [
      { heading: 'MB/s', digits: 0 },
      { heading: '% of the links', digits: 0 },
      { heading: 'cores of rsiod', digits: 2 },
      { heading: 'cores per 110 MB/s', digits: 3 },
    ],
    lines: lines.map(({ what, values }) => ({ what, values })),
    notes: [
      "rsiod, rssrv, fio and the links share the cores of this machine; the kernel's work for the block device is not counted for rsiod",
    ],
  };
}
