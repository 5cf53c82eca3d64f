// Tests the netlab: its machines reach each other over their own cards, and no namespace or process is left behind, even if the test
// process is killed while it runs. All other tests of test/netlab rely on the netlab.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { startClient, startServer } from '../hosts/configs.ts';
import { NbdIo } from '../io/nbd-io.ts';
import { runWell, start } from '../programs/programs.ts';
import { waitFor } from '../programs/wait-for.ts';
import { Netlab, useNetlab } from './netlab.ts';
import { namespaces, removeLeftovers } from './netns.ts';
import { twoMachines } from './two-machines.ts';

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const BURST_BYTES = 4 * 1024 * 1024;
const BURSTS_MAX = 8;
const netlab = useNetlab();

async function namespacesOf(pid: number): Promise<string[]> {
  return (await namespaces()).filter((name) => name.startsWith(`rsio-netlab-${pid}-`));
}

it('joins two machines by two subnets, and traffic uses both cards', async (context) => {
  await netlab.need(context);
  const { server, client, network } = await twoMachines(netlab, 2);
  await startServer(server.host, network, { volumes: { oracle: { type: 'memory', size: '16m' } } });
  await startClient(client.host, network);
  await client.host.rsconfigWell('-a', 'oracle');
  const devices = ['eth0', 'eth1'];
  const before = await Promise.all(devices.map((device) => client.counters(device)));
  const used = async (): Promise<number[]> => {
    const now = await Promise.all(devices.map((device) => client.counters(device)));
    return now.flatMap(({ sentBytes, receivedBytes }, index) => [
      sentBytes - (before[index]?.sentBytes ?? 0),
      receivedBytes - (before[index]?.receivedBytes ?? 0),
    ]);
  };
  const nbd = await NbdIo.open(client.host.rsiodPaths.nbdSocket, 'osl/oracle');
  // The burst is repeated, because on a busy machine one burst may not use a slow path.
  for (let burst = 0; burst < BURSTS_MAX && Math.min(...(await used())) <= BURST_BYTES / 8; burst++) await nbd.verify(0, BURST_BYTES);
  nbd.close();
  for (const bytes of await used()) expect(bytes).toBeGreaterThan(BURST_BYTES / 8);
});

it('leaves no namespace, root or process behind', async (context) => {
  await netlab.need(context);
  const own = new Netlab();
  try {
    const { server, network } = await twoMachines(own, 1);
    await startServer(server.host, network, { volumes: { oracle: { type: 'memory', size: '1m' } } });
    const { root } = server.host;
    expect(await namespacesOf(process.pid)).toHaveLength(3);
    await own.clean();
    expect(await namespacesOf(process.pid)).toEqual([]);
    expect(existsSync(root)).toBe(false);
    expect(server.host.processes()).toEqual([]);
  } finally {
    await own.clean();
  }
});

it('leaves nothing behind when the test process itself is killed', async (context) => {
  await netlab.need(context);
  const execArgv = ['--conditions=@rsio/source', '--import', TSX];
  const doomed = start(process.execPath, [...execArgv, fileURLToPath(new URL('./doomed-test.ts', import.meta.url))]);
  const said = await waitFor(() => doomed.stdout().endsWith('\n') && doomed.stdout(), 20_000, 'The server runs');
  const { root, pid } = JSON.parse(said) as { root: string; pid: number };
  expect([root, `/proc/${pid}`].map((file) => existsSync(file))).toEqual([true, true]);
  expect(await namespacesOf(doomed.pid)).toHaveLength(3);
  doomed.kill('SIGKILL');
  await doomed.ended;
  await waitFor(() => [root, `/proc/${pid}`].every((file) => !existsSync(file)), 10_000, 'Root and daemon are gone');
  await waitFor(async () => (await namespacesOf(doomed.pid)).length === 0, 10_000, 'The namespaces are gone');
});

it('removes at the next start what a killed test and its killed reaper left behind, and nothing else', async (context) => {
  await netlab.need(context);
  const gone = start('true', []);
  await gone.ended;
  const [old, foreign] = [`rsio-netlab-${gone.pid}-1-old`, `other-netlab-${gone.pid}-1-old`];
  try {
    for (const name of [old, foreign]) await runWell('ip', ['netns', 'add', name]);
    const machine = await netlab.machine('living');
    await removeLeftovers();
    const list = await runWell('ip', ['netns', 'list']);
    expect(list).not.toContain(old);
    expect(list).toContain(foreign);
    expect(await machine.ip('link', 'show', 'lo')).toContain('UP');
  } finally {
    await runWell('ip', ['netns', 'del', foreign]);
  }
});
