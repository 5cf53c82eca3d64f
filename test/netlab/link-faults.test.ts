// Every fault of the netlab occurs once, on one of four links, under a load that verifies its reads. No I/O may fail, I/O must continue
// during the fault, the path must carry I/O again afterwards, and at the end the counters of load, daemon and cards must agree.
// `npm run measure -- lab` measures times. Rules: G2.

import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { afterAll, expect, it, type TestContext } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { LINK_FAULTS, type Link, type LinkFault, needFaults } from '../support/netlab/link-faults.ts';
import { LoadClient } from '../support/netlab/load/load-client.ts';
import { type Counters, Netlab } from '../support/netlab/netlab.ts';
import { type ShapedLinks, shapedLinks } from '../support/netlab/shaped-links.ts';
import { waitFor } from '../support/programs/wait-for.ts';

/** Rate of each link. The rate is so low that the links limit the load, because otherwise not all links would be used. */
const LINK_BITS = 20e6;
const LINKS = 4;
const MEBIBYTE = 1024 * 1024;
const SHAPE = { blockBytes: 8192, depth: 16, order: 'random', readPercent: 50, sizeBytes: 32 * MEBIBYTE } as const;
/** A link that has carried this many bytes has carried I/O, because heartbeats and handshakes have far fewer bytes. */
const CARRIED_BYTES = 128 * 1024;
const DONE_MEANWHILE = 300;
/** Longest wait for a change of a path. This wait is longer than probation takes on a busy machine. */
const SEEN_MS = 60_000;
const TEST_MS = 300_000;

interface Scene extends ShapedLinks {
  readonly load: LoadClient;
  readonly before: readonly Counters[];
  readonly total: { bytes: number };
}

type PathStats = ControlMethods['stats']['result']['paths'][number];

const netlab = new Netlab();
let scene: Promise<Scene> | undefined;
afterAll(async () => {
  const opened = await scene?.catch(() => undefined);
  await opened?.load.close();
  await netlab.clean();
});

/** Returns the scene. All tests share the scene, so that a test also fails if an earlier fault still has an effect. */
async function opened(context: TestContext): Promise<Scene> {
  await netlab.need(context);
  needFaults(context);
  scene ??= open();
  return scene;
}

async function open(): Promise<Scene> {
  const links = await shapedLinks(
    netlab,
    Array.from({ length: LINKS }, () => LINK_BITS),
  );
  const { client, server, network } = links;
  await startServer(server.host, network, { volumes: { oracle: { type: 'memory', size: '32m' } } });
  await startClient(client.host, network);
  await client.host.rsconfigWell('-a', 'oracle');
  const before = await Promise.all(links.links.map(({ device }) => client.counters(device)));
  const load = new LoadClient();
  await load.open([{ path: client.host.rsiodPaths.nbdSocket }], 'osl/oracle');
  await load.begin(SHAPE);
  return { ...links, load, before, total: { bytes: 0 } };
}

async function pathOf({ client }: Scene, link: Link): Promise<PathStats> {
  const { paths } = await client.host.call('stats', {});
  const path = paths.find(({ address }) => address === link.serverAddress);
  if (path === undefined) throw new Error(`No path to ${link.serverAddress}`);
  return path;
}

/** Resolves when `count` more requests have succeeded. */
async function progress({ load, total }: Scene, count: number): Promise<void> {
  let done = 0;
  const isDone = async (): Promise<boolean> => {
    const figures = await load.take();
    expect(figures).toMatchObject({ errors: 0, firstError: null });
    done += figures.done;
    total.bytes += figures.bytes;
    return done >= count;
  };
  await waitFor(isDone, SEEN_MS, `${count} requests more are answered`);
}

/** Resolves when all earlier requests are answered. */
async function answeredSince({ load, total }: Scene, momentMs: number): Promise<void> {
  const isAnswered = async (): Promise<boolean> => {
    const figures = await load.take();
    expect(figures).toMatchObject({ errors: 0, firstError: null });
    total.bytes += figures.bytes;
    return figures.waitingMs < performance.now() - momentMs;
  };
  await waitFor(isAnswered, SEEN_MS, 'What was asked during the fault is answered');
}

async function carries(all: Scene, link: Link): Promise<void> {
  let { sentBytes, receivedBytes } = await pathOf(all, link);
  const isUsed = async (): Promise<boolean> => {
    const path = await pathOf(all, link);
    // The counters of the daemon include this connection and all earlier connections of the path.
    if (path.state !== 'up') ({ sentBytes, receivedBytes } = path);
    return path.sentBytes - sentBytes > CARRIED_BYTES && path.receivedBytes - receivedBytes > CARRIED_BYTES;
  };
  await waitFor(isUsed, SEEN_MS, `The path to ${link.serverAddress} carries I/O both ways`);
}

async function live(all: Scene, fault: LinkFault, link: Link): Promise<void> {
  const { deaths } = await pathOf(all, link);
  try {
    await fault.begin(link);
    const isSeen = async (): Promise<boolean> => {
      const path = await pathOf(all, link);
      return path.state !== 'up' || path.deaths > deaths;
    };
    if (fault.isFatal) await waitFor(isSeen, SEEN_MS, `The path to ${link.serverAddress} is not trusted`);
    await progress(all, DONE_MEANWHILE);
  } finally {
    await fault.end(link);
  }
}

for (const [index, fault] of LINK_FAULTS.entries()) {
  it(
    `${fault.name}: I/O continues, and the link is used again afterwards`,
    async (context) => {
      const all = await opened(context);
      const link = all.links[index % LINKS];
      if (link === undefined) throw new Error('No link');
      await live(all, fault, link);
      const overMs = performance.now();
      await carries(all, link);
      await answeredSince(all, overMs);
    },
    TEST_MS,
  );
}

it(
  'after all faults, the counters of load, daemon and cards agree',
  async (context) => {
    const all = await opened(context);
    const { client, load, links, before, total } = all;
    const last = await load.end();
    expect(last).toMatchObject({ errors: 0, firstError: null });
    total.bytes += last.bytes;
    const { volumes, paths } = await client.host.call('stats', {});
    const [volume] = volumes;
    if (volume === undefined) throw new Error('No volume');
    expect(volume).toMatchObject({ errors: 0, outstanding: 0 });
    expect(volume.readBytes + volume.writtenBytes).toBe(total.bytes);
    expect(paths.map(({ unansweredBytes }) => unansweredBytes)).toEqual(links.map(() => 0));
    const after = await Promise.all(links.map(({ device }) => client.counters(device)));
    const moved = (what: keyof Counters): number =>
      after.reduce((sum, counters, index) => sum + counters[what] - (before[index]?.[what] ?? 0), 0);
    expect(moved('sentBytes')).toBeGreaterThan(volume.writtenBytes);
    expect(moved('receivedBytes')).toBeGreaterThan(volume.readBytes);
  },
  TEST_MS,
);
