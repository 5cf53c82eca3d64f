// Clients that take a volume from each other, as real processes, under load: the server's file is looked at from outside at each take-over.
// The server's processes stand still, and die, in the middle of it. What raw clients see of it is in test/conformance/server/take-over.ts.

import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { keyOf, startClient, startServer } from '../support/configs.ts';
import type { Host } from '../support/host.ts';
import { type LabNetwork, useLab } from '../support/lab.ts';
import { NbdIo } from '../support/nbd-io.ts';
import { pathCutter } from '../support/path-cutter.ts';
import { report } from '../support/report.ts';
import { StampedFile, type StampedWriter } from '../support/stamped-writes.ts';
import { waitFor } from '../support/wait-for.ts';

const VOLUME = 'osl/oracle';
const NODES = ['big-2', 'venus', 'mars'] as const;
const FIGHTS = 20;
const WRITES_BEFORE = 40;
const LONG_MS = 180_000;

const lab = useLab();
let server: Host;
let network: LabNetwork;
let clients: Host[];
let file: StampedFile;

async function startAll(count: number): Promise<void> {
  server = lab.host();
  network = await lab.network(2);
  const path = server.file('oracle.img');
  const names = Object.fromEntries(NODES.map((node) => [node, keyOf(node)]));
  await startServer(server, network, { volumes: { oracle: { path, size: '4m' } }, clients: names });
  clients = [];
  for (const [client, node] of NODES.slice(0, count).entries()) {
    const host = lab.host();
    await startClient(host, network, { node, client });
    clients.push(host);
  }
  file = new StampedFile(path);
}

/** The holders that the server would know after a restart. */
function kept(): { node: string; epoch: number } {
  const { content } = JSON.parse(readFileSync(server.rssrvPaths.holdersFile, 'utf8')) as {
    content: { volumes: Record<string, { epoch: number; holds: { node: string }[] }> };
  };
  const [volume] = Object.values(content.volumes);
  return { node: (volume?.holds ?? []).map(({ node }) => node).join(), epoch: volume?.epoch ?? 0 };
}

const takesOver = (host: Host): Promise<string> => host.rsconfigWell('-a', '--take-over', 'oracle');

const writes = (writer: StampedWriter): Promise<unknown> => {
  const before = writer.count;
  return waitFor(() => writer.count >= before + WRITES_BEFORE, 20_000, 'The holder writes');
};

const lostTo = (host: Host, node: string): Promise<unknown> =>
  waitFor(() => new RegExp(`oracle was taken over by ${node} at 127\\.`).test(host.log('rsiod')), 20_000, `The log names ${node}`);

/** The loser's I/O has failed, and it says to whom it lost. */
async function loses(host: Host, writer: StampedWriter, node: string): Promise<void> {
  expect(await writer.ended).not.toEqual([]);
  await lostTo(host, node);
  expect(await host.rsconfigWell('-l')).toBe('');
}

async function finish(writer: StampedWriter): Promise<void> {
  expect(await writer.stop()).toEqual([]);
  file.look('At the end', writer);
  expect(file.breaches).toEqual([]);
}

it('two clients fight for a volume under load: nothing acknowledged is lost, nothing of the loser comes late', {
  timeout: LONG_MS,
}, async () => {
  await startAll(2);
  await clients[0]!.rsconfigWell('-a', 'oracle');
  let writer = await file.writer(clients[0]!, VOLUME);
  let slowestMs = 0;
  for (let fight = 1; fight <= FIGHTS; fight++) {
    const [taker, loser] = [fight % 2, (fight + 1) % 2];
    await writes(writer);
    const startMs = performance.now();
    await takesOver(clients[taker]!);
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    file.look(`Fight ${fight}`, writer);
    expect(file.breaches).toEqual([]);
    const lost = writer;
    writer = await file.writer(clients[taker]!, VOLUME);
    await loses(clients[loser]!, lost, NODES[taker]!);
    expect(kept()).toEqual({ node: NODES[taker], epoch: fight + 1 });
  }
  await writes(writer);
  await finish(writer);
  const said = server.log('rssrv').match(/has taken volume oracle over from \S+, epoch \d+$/gm);
  expect(said).toHaveLength(FIGHTS);
  const { events } = await clients[0]!.call('events', { count: 1_000 });
  expect(events.some(({ object, reason }) => object === 'volume osl:oracle@0' && reason.includes('taken over by venus'))).toBe(true);
  report('take-over under load', { 'slowest ms': slowestMs });
});

it('two others want it at once: the later has it, and the other is told', async () => {
  await startAll(3);
  await clients[0]!.rsconfigWell('-a', 'oracle');
  const writer = await file.writer(clients[0]!, VOLUME);
  await writes(writer);
  const outcomes = await Promise.all([1, 2].map((index) => clients[index]!.rsconfig('-a', '--take-over', 'oracle')));
  file.look('After both', writer);
  const { node } = kept();
  const winner = NODES.findIndex((name) => name === node);
  expect([1, 2]).toContain(winner);
  expect(outcomes[winner - 1]).toMatchObject({ code: 0 });
  // Whoever came first may have it no more.
  await loses(clients[0]!, writer, '(venus|mars)');
  const other = clients[3 - winner]!;
  await waitFor(async () => (await other.rsconfig('-l')).stdout === '', 10_000, 'Only one has it');
  const last = await file.writer(clients[winner]!, VOLUME);
  await writes(last);
  await finish(last);
});

it('an idle client learns that it has lost the volume', async () => {
  await startAll(2);
  await clients[0]!.rsconfigWell('-a', 'oracle');
  await takesOver(clients[1]!);
  await lostTo(clients[0]!, 'venus');
  await waitFor(async () => (await clients[0]!.rsconfigWell('-l')) === '', 10_000, 'It is not attached any more');
});

describe('the loser’s server process stands still:', () => {
  let writer: StampedWriter;
  let worker: number;

  beforeEach(async () => {
    await startAll(2);
    await clients[0]!.rsconfigWell('-a', 'oracle');
    writer = await file.writer(clients[0]!, VOLUME);
    await writes(writer);
    worker = server.worker('big-2');
    process.kill(worker, 'SIGSTOP');
  });

  it('it is ended before anybody else gets the volume', { timeout: LONG_MS }, async () => {
    const taking = clients[1]!.beside('rsconfig', ['-a', '--take-over', 'oracle']);
    await waitFor(() => server.log('rssrv').includes(`process ${worker} of node big-2 does not let go`), 20_000, 'It is told to end');
    expect(kept()).toEqual({ node: 'big-2', epoch: 1 });
    const { code, stderr } = await taking.ended;
    expect([code, stderr]).toEqual([0, '']);
    file.look('When it is granted', writer);
    expect(server.processes()).not.toContain(worker);
    const next = await file.writer(clients[1]!, VOLUME);
    await writes(next);
    await loses(clients[0]!, writer, 'venus');
    await finish(next);
  });

  it('a server that is killed meanwhile comes back with the old holder, who goes on or loses it then', { timeout: LONG_MS }, async () => {
    const taking = clients[1]!.beside('rsconfig', ['-a', '--take-over', 'oracle']);
    await waitFor(() => server.log('rssrv').includes('oracle is taken over by venus'), 20_000, 'The take-over begins');
    await server.kill('rssrv');
    expect(kept()).toEqual({ node: 'big-2', epoch: 1 });
    await server.start('rssrv');
    const { code, stderr } = await taking.ended;
    if (code !== 0) {
      // The old server's last word, or the new one has to wait until the holder has settled, which it does by itself.
      expect(stderr).toMatch(/--force|The server ended before/);
      await writes(writer);
      await waitFor(async () => (await clients[1]!.rsconfig('-a', '--take-over', 'oracle')).code === 0, 20_000, 'The holder has settled');
    }
    file.look('When it is granted', writer);
    expect(kept().node).toBe('venus');
    const next = await file.writer(clients[1]!, VOLUME);
    await writes(next);
    await loses(clients[0]!, writer, 'venus');
    await finish(next);
  });
});

describe('the holder may have to bring back what the server has lost:', () => {
  let nbd: NbdIo;

  beforeEach(async () => {
    await startAll(2);
    await clients[0]!.rsconfigWell('-a', 'oracle');
    nbd = await NbdIo.open(clients[0]!.rsiodPaths.nbdSocket, VOLUME);
    lab.onClean(() => nbd.close());
    await nbd.verify(0, 4096);
    // Its process dies, and it does not come back for now.
    process.kill(clients[0]!.pid('rsiod'), 'SIGSTOP');
    const worker = server.worker('big-2');
    process.kill(worker, 'SIGKILL');
    await waitFor(() => server.log('rssrv').includes(`Process ${worker} of node big-2 died`), 10_000, 'The process has died');
    const refused = await clients[1]!.rsconfig('-a', '--take-over', 'oracle');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/held by big-2 .* not brought back .*--take-over --force oracle/);
    expect(kept()).toEqual({ node: 'big-2', epoch: 1 });
  });

  it('he is waited for until he has settled', async () => {
    process.kill(clients[0]!.pid('rsiod'), 'SIGCONT');
    await nbd.verify(0, 4096);
    const taken = async (): Promise<boolean> => (await clients[1]!.rsconfig('-a', '--take-over', 'oracle')).code === 0;
    await waitFor(taken, 20_000, 'It may be taken over');
    await lostTo(clients[0]!, 'venus');
  });

  it('or not, when a person says so', async () => {
    await clients[1]!.rsconfigWell('-a', '--take-over', '--force', 'oracle');
    process.kill(clients[0]!.pid('rsiod'), 'SIGCONT');
    await lostTo(clients[0]!, 'venus');
    await expect(nbd.verify(0, 4096)).rejects.toThrow();
    expect(kept()).toEqual({ node: 'venus', epoch: 2 });
  });
});

it('a node that is started on another machine: refused while the first is heard, and then the first is out for good', async () => {
  server = lab.host();
  network = await lab.network(2);
  await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '4m' } } });
  const [first, second] = [lab.host(), lab.host()];
  const cutter = await pathCutter(lab, network);
  await startClient(first, network, { serverAddresses: cutter.serverAddresses });
  await first.rsconfigWell('-a', 'oracle');
  const nbd = await NbdIo.open(first.rsiodPaths.nbdSocket, VOLUME);
  lab.onClean(() => nbd.close());
  await nbd.verify(0, 4096);
  second.writeConfig('rsiod', readFileSync(first.rsiodPaths.configFile, 'utf8').replaceAll(/\.20$/gm, '.21'));
  await second.start('rsiod');
  await waitFor(() => /E_OTHER_MACHINE/.test(second.log('rsiod')), 10_000, 'The second machine is refused');
  await nbd.verify(0, 4096);
  process.kill(first.pid('rsiod'), 'SIGSTOP');
  for (const index of network.serverAddresses.keys()) await cutter.cut(index);
  await second.pathsUp(2, 30_000);
  await second.rsconfigWell('-a', 'oracle');
  process.kill(first.pid('rsiod'), 'SIGCONT');
  await expect(nbd.verify(0, 4096)).rejects.toThrow();
  await waitFor(() => /E_REPLACED|was replaced/.test(first.log('rsiod')), 40_000, 'The first one is told');
  await second.stop('rsiod');
  await waitFor(
    () => /Refused .*was replaced by a later one/.test(server.log('rssrv')),
    40_000,
    'And refused, also when nobody else is there',
  );
});
