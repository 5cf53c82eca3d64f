// Clients that take a volume from each other, with real processes under load: the test examines the server's file at each take-over.
// take-over-hindered.test.ts has hindered take-overs, and test/conformance/server/take-over.ts has raw clients. Tests of one volume share
// its server and clients. At the beginning of each test, the first client has the volume. Rules: H2, H4, G8.

import { cpSync, readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { CONTENDERS, CONTESTED, ContestedVolume } from '../support/scenes/contested-volume.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { pathCutter } from '../support/faults/path-cutter.ts';
import { report } from '../support/programs/report.ts';
import { waitFor } from '../support/programs/wait-for.ts';

/** Number of take-overs. Both clients take the volume equally often. */
const FIGHTS = 12;
const LONG_MS = 180_000;

const hosts = useHosts();

describe('of three clients,', () => {
  const shared = useHosts('file');
  let begun: Promise<ContestedVolume> | undefined;
  let volume: ContestedVolume;

  beforeEach(async () => {
    begun ??= ContestedVolume.begin(shared, 3);
    volume = await begun;
    await volume.beginAgain();
  });

  it("two fight for a volume under load: no acknowledged write is lost, and none of the loser's arrives late", {
    timeout: LONG_MS,
  }, async () => {
    const { epoch } = volume.kept();
    let writer = await volume.writer(volume.clients[0]!);
    let slowestMs = 0;
    for (let fight = 1; fight <= FIGHTS; fight++) {
      const [taker, loser] = [fight % 2, (fight + 1) % 2];
      await volume.writes(writer);
      const startMs = performance.now();
      await volume.takenBy(volume.clients[taker]!);
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
      volume.file.look(`Fight ${fight}`, writer);
      expect(volume.file.breaches).toEqual([]);
      const lost = writer;
      writer = await volume.writer(volume.clients[taker]!);
      await volume.loses(volume.clients[loser]!, lost, CONTENDERS[taker]!);
      expect(volume.kept()).toEqual({ node: CONTENDERS[taker], epoch: epoch + fight });
    }
    await volume.writes(writer);
    await volume.finish(writer);
    const said = volume.said(volume.server).match(/has taken volume oracle over from \S+, epoch \d+$/gm);
    expect(said).toHaveLength(FIGHTS);
    const audit = await volume.server.rsadmWell('audit', 'oracle');
    expect(audit).toMatch(/ client venus +take-over oracle +done; holder: big-2 -> venus$/m);
    expect(audit.match(/ take-over oracle /g)).toHaveLength(FIGHTS);
    const { events } = await volume.clients[0]!.call('events', { count: 1_000 });
    expect(events.some(({ object, reason }) => object === 'volume osl:oracle@0' && reason.includes('taken over by venus'))).toBe(true);
    report('take-over under load', { 'slowest ms': slowestMs });
  });

  it('of two that want the volume at once, the later one gets it, and the other is told', async () => {
    const writer = await volume.writer(volume.clients[0]!);
    await volume.writes(writer);
    const outcomes = await Promise.all([1, 2].map((index) => volume.clients[index]!.rsconfig('-a', '--take-over', 'oracle')));
    volume.file.look('After both', writer);
    const { node } = volume.kept();
    const winner = CONTENDERS.findIndex((name) => name === node);
    expect([1, 2]).toContain(winner);
    expect(outcomes[winner - 1]).toMatchObject({ code: 0 });
    // At this point, the first client may already have lost the volume.
    await volume.loses(volume.clients[0]!, writer, '(venus|mars)');
    const other = volume.clients[3 - winner]!;
    await waitFor(async () => (await other.rsconfig('-l')).stdout === '', 10_000, 'Only one has it');
    const last = await volume.writer(volume.clients[winner]!);
    await volume.writes(last);
    await volume.finish(last);
  });

  it('an idle one learns that it has lost the volume', async () => {
    await volume.takenBy(volume.clients[1]!);
    await volume.lostTo(volume.clients[0]!, 'venus');
    await waitFor(async () => (await volume.clients[0]!.rsconfigWell('-l')) === '', 10_000, 'It is not attached any more');
  });
});

it('a copied container on the same kernel is refused while the original is alive, although its instance is later', async () => {
  const server = hosts.host();
  const network = await hosts.network(2);
  await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '4m' } } });
  const [original, copy] = [hosts.host(), hosts.host()];
  await startClient(original, network);
  await original.rsconfigWell('-a', 'oracle');
  const nbd = await NbdIo.open(original.rsiodPaths.nbdSocket, CONTESTED);
  hosts.onClean(() => nbd.close());
  await nbd.verify(0, 4096);
  cpSync(original.rsiodPaths.stateDir, copy.rsiodPaths.stateDir, { recursive: true, preserveTimestamps: true });
  copy.writeConfig('rsiod', readFileSync(original.rsiodPaths.configFile, 'utf8').replaceAll(/\.20$/gm, '.21'));
  await copy.start('rsiod');
  await waitFor(() => /E_OTHER_MACHINE/.test(copy.log('rsiod')), 10_000, 'The copy is refused');
  await nbd.verify(0, 4096);
  expect(original.log('rsiod')).not.toMatch(/E_REPLACED|was replaced/);
  // A restart of the original is no copy, and is admitted at once, although the copy asks all the time.
  await original.stop('rsiod');
  await original.start('rsiod');
  await original.pathsUp(2, 30_000);
  await expect(original.rsconfigWell('-a', 'oracle')).resolves.toBeDefined();
});

it('a node that starts on another machine is refused while the first one is alive; then the first one is refused for good', async () => {
  const server = hosts.host();
  const network = await hosts.network(2);
  await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '4m' } } });
  const [first, second] = [hosts.host(), hosts.host()];
  const cutter = await pathCutter(hosts, network);
  await startClient(first, network, { serverAddresses: cutter.serverAddresses });
  await first.rsconfigWell('-a', 'oracle');
  const nbd = await NbdIo.open(first.rsiodPaths.nbdSocket, CONTESTED);
  hosts.onClean(() => nbd.close());
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
