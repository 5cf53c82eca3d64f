// A shared pool moves between three servers while a client writes: by command, because its owner stops, and by force after its owner was
// killed or stopped running. Invariants: no error, no acknowledged write is lost or reverted, and the holder keeps its volume. RUNS: rounds.

import { expect, it } from 'vitest';
import { JudgedLoad } from '../support/drills/judged-load.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { FarmScene } from '../support/scenes/farm-scene.ts';

const NAMES = ['big-9', 'big-8', 'big-7'];
const EXPORT = 'osl/oracle';
const KNOWN_MS = 20_000;
const COMES_BACK_MS = 90_000;
const JUDGED_IOS = 100;
const RUNS = Number(process.env['RUNS'] ?? 1);

const hosts = useHosts('file');

const KINDS = {
  move: async (farm: FarmScene, owner: Host): Promise<void> => {
    const to = farm.names.find((name) => name !== farm.nameOf(owner))!;
    // The command may be given at any server.
    const asked = farm.servers[farm.names.length - 1]!;
    expect(await asked.rsadmWell('pool', 'move', 'fast', '--to', to)).toMatch(new RegExp(`^fast is served by ${to}, after `));
  },
  'killed server': async (_farm: FarmScene, owner: Host): Promise<void> => void (await owner.kill('rssrv')),
  'frozen server': async (_farm: FarmScene, owner: Host): Promise<void> => {
    for (const pid of owner.processes()) process.kill(pid, 'SIGSTOP');
  },
  'stopped server': async (_farm: FarmScene, owner: Host): Promise<void> => void (await owner.stop('rssrv')),
} as const;

it('the holder of a volume in a shared pool goes on wherever the pool is served', { timeout: RUNS * 200_000 }, async (context) => {
  const farm = await FarmScene.start(context, hosts, NAMES, ['fast']);
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
  for (let run = 0; run < RUNS; run++)
    for (const [kind, happens] of Object.entries(KINDS)) {
      const owner = await farm.served('fast');
      const beganMs = performance.now();
      const next = waitFor(
        async () => (await farm.served('fast')) !== owner,
        COMES_BACK_MS,
        `Another server serves the pool after: ${kind}`,
      );
      await happens(farm, owner);
      await next;
      await goesOn(`I/O goes on after: ${kind}`);
      report(`${kind}: ${farm.nameOf(owner)} no longer serves the pool`, {
        'seconds until I/O goes on': Math.round(performance.now() - beganMs) / 1000,
      });
      if (owner.processes().length === 0) await farm.revive(owner);
    }
  await judge.stop();
  const nbd = await NbdIo.open(holder.rsiodPaths.nbdSocket, EXPORT);
  hosts.onClean(() => nbd.close());
  await judge.compare('read at the end', (offset, lengthBytes) => nbd.read(offset, lengthBytes));
  expect(judge.breaches).toEqual([]);
  expect(holder.log('rsiod')).toMatch(/osl:oracle@0: moved from server big-\d to big-\d \(generation \d+\)/);
  report('changes of the owner', { rounds: RUNS, 'I/Os judged': judge.answered });
});
