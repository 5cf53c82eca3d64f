// At random moments of changes of snapshots under writes, the power of a pool's disk is cut, or rssrv is killed. Every snapshot whose
// request was answered must be whole, no flushed write may be lost, and no file may be left over. This test runs two rounds of
// `npm run drill -- power-cuts`, which runs hundreds. Skipped without root, loop devices or xfsprogs. Rules: G26.

import { randomInt } from 'node:crypto';
import { expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import { CutDrill } from '../support/power-cuts/cut-drill.ts';

const TEST_MS = 300_000;
const SEED_MAX = 2 ** 30;

const hosts = useHosts();

it('after a power cut and a kill, everything is there that was answered', { timeout: TEST_MS }, async (context) => {
  const seed = randomInt(1, SEED_MAX);
  const drill = await CutDrill.begin(hosts, seed);
  if (drill === null)
    return context.skip(true, 'needs xfs_io and mkfs.xfs (install xfsprogs), and the right to mount a loop device (root)');
  for (const fault of ['power cut', 'kill of all'] as const)
    expect((await drill.round(fault)).problems, `seed ${seed}, ${fault}`).toEqual([]);
  expect(await drill.end(), `seed ${seed}`).toEqual([]);
});
