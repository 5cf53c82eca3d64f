// Two clients and one volume: which client may have the volume, the error that the other client gets, and shared use.
// end-and-restart.test.ts has the tests of holds that outlive their client. Rules: H1, G3, G8.

import { beforeEach, expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { needTool, run, runWell } from '../support/programs/programs.ts';

const MIB = 1024 * 1024;
const VOLUME = 'osl:oracle@0';

const hosts = useHosts();
let server: Host;
let first: Host;
let second: Host;
let network: TestNetwork;

async function startAll(shared: 'yes' | 'no'): Promise<void> {
  server = hosts.host();
  first = hosts.host();
  second = hosts.host();
  await startServer(server, network, { volumes: { oracle: { type: 'memory', size: '16m', shared } } });
  await startClient(first, network);
  await startClient(second, network, { node: 'venus', client: 1 });
}

beforeEach(async () => {
  network = await hosts.network(2);
});

it('a volume in use is refused to a second client with the holder, its address and since when', async () => {
  await startAll('no');
  await first.rsconfigWell('-a', 'oracle');
  const [, address, since] = /holder: big-2 (\S+) since (\S+ \(GMT\))/.exec(await first.rsconfigWell('-qvv')) ?? [];
  expect(network.clientAddresses()).toContain(address);
  for (const how of [[], ['--read-only']]) {
    const refused = await second.rsconfig('-a', 'oracle', ...how);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('[E_HELD]');
    expect(refused.stderr).toContain('big-2');
    expect(refused.stderr).toContain(address);
    expect(refused.stderr).toContain(since);
    expect(refused.stderr).toContain('detach it there');
  }
  expect((await second.rsconfig('-l')).stdout).toBe('');
  await first.rsconfigWell('-d', 'oracle');
  expect(await second.rsconfigWell('-a', 'oracle')).toContain(`${VOLUME} attached`);
});

it('several clients may read one volume, and no client may write it meanwhile', async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  await startAll('no');
  await first.rsconfigWell('-a', 'oracle', '--read-only');
  expect(await second.rsconfigWell('-a', 'oracle', '--read-only')).toContain(`${VOLUME} attached`);
  const holders = (await first.rsconfigWell('-qvv')).match(/holder: \S+/g);
  expect(holders?.toSorted()).toEqual(['holder: big-2', 'holder: venus']);
  await runWell('qemu-io', ['-r', '-f', 'raw', first.nbdUri('oracle'), '-c', 'read -P 0 0 1M']);
  const write = await run('qemu-io', ['-f', 'raw', second.nbdUri('oracle'), '-c', 'write 0 4k']);
  expect(write.code).not.toBe(0);
  expect(write.stdout + write.stderr).toMatch(/read-only|not permitted|denied/i);
  await first.rsconfigWell('-d');
  const refused = await first.rsconfig('-a', 'oracle');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('venus') as string });
});

it("two clients write a shared volume, and each sees the other's writes", async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  await startAll('yes');
  await first.rsconfigWell('-a', 'oracle');
  await second.rsconfigWell('-a', 'oracle');
  const io = (host: Host, ...script: readonly string[]): Promise<string> =>
    runWell('qemu-io', ['-t', 'none', '-f', 'raw', host.nbdUri('oracle'), ...script.flatMap((line) => ['-c', line])]);
  await io(first, `write -P 1 0 ${MIB}`);
  await io(second, `read -P 1 0 ${MIB}`, `write -P 2 ${MIB} ${MIB}`);
  expect(await io(first, `read -P 2 ${MIB} ${MIB}`)).not.toMatch(/fail|error/i);
});
