// The disk of a server is copied, and the copy runs as a server with its own name. A client attaches the volume from neither while both are
// there, and never the old content from the copy while the original is down, also after a reboot. Rules: G15.
// packages/rsiod/src/attachments/volume-origins.test.ts tests which servers count as the same.

import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const hosts = useHosts();
const WAIT_MS = 20_000;

async function firstByte(client: Host): Promise<number | undefined> {
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  const [byte] = await nbd.read(0, 512);
  nbd.close();
  return byte;
}

it('a copy of a server is refused while both are there, and while the original is down; a person decides', {
  timeout: 8 * WAIT_MS,
}, async () => {
  const network = await hosts.network(1);
  const addresses = [10, 11].map((last) => network.subnets[0]!.address(last));
  const [original, copy, client] = [hosts.host(), hosts.host(), hosts.host()];
  const configOf = (index: number, host: Host): string =>
    serverConfig(
      { port: network.port, serverAddresses: [addresses[index]!] },
      {
        name: index === 0 ? 'oslo' : 'bergen',
        server: { serverid: String(index + 1) },
        volumes: {},
        pools: { fast: { path: path.join(host.root, 'pool') } },
      },
    );
  await emptyPool(original, 'pool');
  original.writeConfig('rssrv', configOf(0, original));
  await original.start('rssrv');
  await original.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
  await original.stop('rssrv');
  cpSync(path.join(original.root, 'pool'), path.join(copy.root, 'pool'), { recursive: true });
  copy.writeConfig('rssrv', configOf(1, copy));

  await original.start('rssrv');
  client.writeConfig('rsiod', clientConfig({ ...network, serverAddresses: addresses }));
  await client.start('rsiod');
  await waitFor(async () => (await client.rsconfig('-q')).stdout.includes('oracle'), WAIT_MS, 'The client sees the volume');
  await client.rsconfigWell('-a', 'oracle');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  await nbd.write(0, Buffer.alloc(512, 7));
  await nbd.flush();
  nbd.close();
  await client.rsconfigWell('-d', 'oracle');

  // The original fails, and the machine of the client starts again. The copy has the content from before the write.
  await client.stop('rsiod');
  await original.stop('rssrv');
  rmSync(client.rsiodPaths.runDir, { recursive: true, force: true });
  await copy.start('rssrv');
  await client.start('rsiod');
  await waitFor(async () => (await client.rsconfig('-q')).stdout.includes('oracle'), WAIT_MS, 'The client sees the copy');
  const alone = await client.rsconfig('-a', 'oracle');
  expect([alone.code, alone.stderr]).toEqual([1, expect.stringContaining('was last attached from server oslo (serverid 1')]);
  expect(alone.stderr).toContain('server bergen (serverid 2');
  expect((await client.rsconfig('-l')).stdout).not.toContain('oracle');
  expect((await client.rsconfig('doctor')).stdout).toMatch(/server bergen .*may be a copy with older content/s);

  await original.start('rssrv');
  await waitFor(async () => (await client.rsconfig('-a', 'oracle')).stderr.includes('both offer'), WAIT_MS, 'Both are refused');
  const both = await client.rsconfig('-a', 'oracle');
  expect([both.code, both.stderr]).toEqual([
    1,
    expect.stringMatching(/Servers (oslo and bergen|bergen and oslo) both offer osl:oracle@0 /),
  ]);
  const doctor = await client.rsconfig('doctor');
  expect([doctor.code, doctor.stdout]).toEqual([1, expect.stringMatching(/both offer osl:oracle@0 /)]);

  await client.rsconfigWell('-a', 'oracle', '--server', 'oslo');
  expect(await firstByte(client)).toBe(7);
  await client.rsconfigWell('-d', 'oracle');
  await copy.stop('rssrv');
  await client.stop('rsiod');
  await client.start('rsiod');
  await waitFor(async () => (await client.rsconfig('-q')).stdout.includes('oracle'), WAIT_MS, 'The client sees the original again');
  await client.rsconfigWell('-a', 'oracle');
  expect(await firstByte(client)).toBe(7);
});
