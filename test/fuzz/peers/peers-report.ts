// `npm run fuzz -- --peers`: measures the work of a good client several times, alternately without and with hostile peers, and prints the
// difference. All programs share the cores of this machine; the sums of CPU time show which process used the time.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { HostileCounts } from './hostile-peers.ts';
import type { PeersOrder } from './peers-process.ts';
import { RawClient } from '../../support/peers/raw-peer.ts';
import { heldBy, PeersScene } from './peers-scene.ts';

const ROUNDS = 7;
const PHASE_MS = 5000;
const WARM_UP_MS = 3000;
const PER_SECOND = 1000;
const NEW_CLIENT_EVERY_MS = 100;
const MIB = 1024 * 1024;
/** A good client must keep at least this share of its throughput. */
const RATIO_WANTED = 0.8;

interface Phase {
  readonly piecesPerSecond: number;
  readonly slowestMs: number;
  /** CPU time of the listener, as a share of one core. */
  readonly listenerShare: number;
  readonly workerShare: number;
  readonly listenerMiB: number;
  readonly descriptors: number;
  readonly error: string | null;
  /**
   * `newClients`: number of new good clients that tried to connect during the measurement. `greeted`: how many new clients got a CHALLENGE.
   */
  readonly newClients: number;
  readonly greeted: number;
}

/** Connects as one new good client after the other, from an address that no hostile peer uses, until `isOver` returns true. */
async function askAsNewClients(scene: PeersScene, isOver: () => boolean): Promise<{ newClients: number; greeted: number }> {
  const [from = ''] = scene.unblamed(1);
  const { server, node, nodekey, namespaceid } = scene.target;
  const counts = { newClients: 0, greeted: 0 };
  for (; !isOver(); await sleep(NEW_CLIENT_EVERY_MS)) {
    counts.newClients++;
    const isGreeted = await RawClient.connect({ ...server, from }, { node, nodekey, namespaceid })
      .then(async (newClient) => {
        await newClient.greet().finally(() => newClient.close());
        return true;
      })
      .catch(() => false);
    if (isGreeted) counts.greeted++;
  }
  return counts;
}

async function phase(scene: PeersScene, forMs: number): Promise<Phase> {
  const { listener, worker } = scene.servers;
  const [listenerBefore, workerBefore] = [heldBy(listener), heldBy(worker)];
  scene.goodLoad.take();
  const startMs = performance.now();
  const asking = askAsNewClients(scene, () => performance.now() > startMs + forMs);
  await sleep(forMs);
  const good = scene.goodLoad.take();
  const elapsedMs = performance.now() - startMs;
  const [listenerAfter, workerAfter] = [heldBy(listener), heldBy(worker)];
  return {
    piecesPerSecond: (good.pieces / elapsedMs) * 1000,
    slowestMs: good.slowestMs,
    listenerShare: (listenerAfter.cpuMs - listenerBefore.cpuMs) / elapsedMs,
    workerShare: (workerAfter.cpuMs - workerBefore.cpuMs) / elapsedMs,
    listenerMiB: listenerAfter.residentBytes / MIB,
    descriptors: listenerAfter.descriptors,
    error: good.error,
    ...(await asking),
  };
}

async function hostilePhase(scene: PeersScene, forMs: number): Promise<{ phase: Phase; counts: HostileCounts; peersShare: number }> {
  const child: ChildProcess = fork(fileURLToPath(new URL('./peers-process.ts', import.meta.url)));
  try {
    const order: PeersOrder = { target: scene.target, perSecond: PER_SECOND };
    child.send(order);
    await once(child, 'message');
    const before = heldBy(child.pid!);
    const measured = await phase(scene, forMs);
    const peersShare = (heldBy(child.pid!).cpuMs - before.cpuMs) / forMs;
    child.send('stop');
    const [counts] = (await once(child, 'message')) as [HostileCounts];
    return { phase: measured, counts, peersShare };
  } finally {
    child.kill('SIGKILL');
  }
}

function phaseText(
  name: string,
  { piecesPerSecond, slowestMs, listenerShare, workerShare, listenerMiB, descriptors, newClients: asked, greeted }: Phase,
): string {
  const shares = `listener ${Math.round(100 * listenerShare)} %, its server process ${Math.round(100 * workerShare)} % of a core`;
  return `${name}: ${piecesPerSecond.toFixed(0)} pieces/s, slowest ${slowestMs.toFixed(0)} ms; ${shares}; listener ${listenerMiB.toFixed(0)} MiB, ${descriptors} descriptors; ${greeted} of ${asked} new clients greeted`;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}

/** Measures and prints. Returns true if the good client kept the wanted share of its throughput and got no error. */
export async function reportPeers(say: (line: string) => void): Promise<boolean> {
  const scene = await PeersScene.begin();
  try {
    say(`${PER_SECOND} hostile connections a second and as many datagrams; all on ${availableParallelism()} cores of one machine`);
    await hostilePhase(scene, WARM_UP_MS);
    const ratios: number[] = [];
    const errors: string[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      const quiet = await phase(scene, PHASE_MS);
      const hostile = await hostilePhase(scene, PHASE_MS);
      say(phaseText(`round ${round}, quiet  `, quiet));
      say(phaseText(`round ${round}, hostile`, hostile.phase));
      const { connections, datagrams, failed, challenged, welcomed, slowestConnectMs } = hostile.counts;
      say(
        `  peers: ${connections} connections, ${datagrams} datagrams, ${failed} failed, ${challenged} challenged, ${welcomed} welcomed, slowest connect ${slowestConnectMs.toFixed(0)} ms, ${Math.round(100 * hostile.peersShare)} % of a core`,
      );
      ratios.push(hostile.phase.piecesPerSecond / quiet.piecesPerSecond);
      for (const { error } of [quiet, hostile.phase]) if (error !== null) errors.push(error);
    }
    const ratio = median(ratios);
    say(
      `the good client keeps ${ratio.toFixed(2)} of its throughput (median of ${ratios.map((one) => one.toFixed(2)).join(', ')}; wanted ${RATIO_WANTED})`,
    );
    for (const error of errors) say(`the good client saw an error: ${error}`);
    return ratio >= RATIO_WANTED && errors.length === 0;
  } finally {
    await scene.clean();
  }
}
