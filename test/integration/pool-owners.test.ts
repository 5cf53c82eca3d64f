// A pool changes its server while a client writes: the server is killed, and another server, which has its own state directory, takes over
// the pool and the address. Invariants: the holder continues, no acknowledged write is lost or reverted, and no other client gets the
// volume.

import { expect, it } from 'vitest';
import { JudgedLoad } from '../support/drills/judged-load.ts';
import { serverConfig, startClient } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const EXPORT = 'osl/oracle';
const KNOWN_MS = 10_000;
const COMES_BACK_MS = 60_000;
const PAUSE_MS = 4;
const JUDGED_IOS = 200;
const RUNS = Number(process.env['RUNS'] ?? 2);

const hosts = useHosts('file');

it('the holder of a volume goes on at the next server of the pool, and nobody else gets the volume', async () => {
  const [one, two, holder, other] = [hosts.host(), hosts.host(), hosts.host(), hosts.host()];
  const network = await hosts.network(2);
  const pool = await emptyPool(one);
  for (const server of [one, two]) server.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools: { fast: { path: pool } } }));
  await one.start('rssrv');
  await one.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
  await startClient(holder, network);
  await startClient(other, network, { node: 'venus' });
  await waitFor(async () => (await holder.rsconfig('-q')).stdout.includes('oracle'), KNOWN_MS, 'The client sees the volume');
  await holder.rsconfigWell('-a', 'oracle');
  const aborter = new AbortController();
  hosts.onClean(() => aborter.abort());
  const judge = await JudgedLoad.start(holder, EXPORT, { beginBytes: 0, flushes: true, pauseMs: PAUSE_MS }, aborter.signal);
  const goesOn = async (what: string): Promise<void> => {
    const before = judge.answered;
    await waitFor(() => judge.answered >= before + JUDGED_IOS || judge.errors.length > 0, COMES_BACK_MS, what);
    expect(judge.errors).toEqual([]);
  };
  await goesOn('I/O begins');
  let [serving, standing]: [Host, Host] = [one, two];
  for (let run = 0; run < RUNS; run++) {
    await serving.kill('rssrv');
    await waitFor(() => serving.processes().length === 0, KNOWN_MS, 'The killed server has ended');
    await standing.start('rssrv');
    await goesOn('I/O goes on at the other server');
    const refused = await other.rsconfig('-a', 'oracle');
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/is held by .*: detach it there/)]);
    expect(standing.log('rssrv')).toMatch(/this server is its owner now, generation \d+, and knows its holders/);
    [serving, standing] = [standing, serving];
  }
  await judge.stop();
  const nbd = await NbdIo.open(holder.rsiodPaths.nbdSocket, EXPORT);
  hosts.onClean(() => nbd.close());
  await judge.compare('read at the end', (offset, lengthBytes) => nbd.read(offset, lengthBytes));
  expect(judge.breaches).toEqual([]);
  report(`${RUNS} changes of the server`, { 'I/Os judged': judge.answered });
});
