// One client has a volume with hung storage and a healthy volume. Detaching the hung volume by force does not stop any other volume. The
// hold of the hung volume stays until the storage has answered. Afterwards the volume can be attached again, and has every acknowledged
// write. Rules: G7.

import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { serverConfig, startClient } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const BLOCK = 4096;
/** Longest permitted pause of the healthy volume. This pause is shorter than the 20 s that the server would need to end the session. */
const WORST_MS = 5_000;
const PAUSE_MS = 50;
const BACK_MS = 30_000;
const DEADLINE_MS = 120_000;

const hosts = useHosts();

it("-d --force of a hung volume does not stop the client's other volume", async () => {
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  const pause = server.file('hangs');
  const hung = { path: server.file('hung.img'), size: '16m' };
  const volumes = { hung, well: { path: server.file('well.img'), size: '16m' } };
  server.writeConfig('rssrv', serverConfig(network, { volumes }));
  await server.startFaulty({ hung: { pauseFile: pause } });
  await startClient(client, network, {});
  await client.rsconfigWell('-a');
  const [bad, good] = await Promise.all(
    ['hung', 'well'].map((name) => NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${name}`, DEADLINE_MS)),
  );
  await bad!.write(0, Buffer.alloc(BLOCK, 1));

  writeFileSync(pause, '');
  const lost = bad!.write(0, Buffer.alloc(BLOCK, 2)).then(
    () => 'written',
    () => 'refused',
  );
  let isOver = false;
  let worstMs = 0;
  const beside = (async () => {
    for (let count = 0; !isOver; count++) {
      const startMs = performance.now();
      await good!.write((count % 64) * BLOCK, Buffer.alloc(BLOCK, count));
      worstMs = Math.max(worstMs, performance.now() - startMs);
      // Without the pause, this load would take a processor from concurrent tests.
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  })();
  await client.rsconfig('-d', 'hung', '--force');
  expect(await lost).toBe('refused');
  // If the server had tried to end the session, its attempt would time out within these 22 s, and the server would kill the process.
  await new Promise((resolve) => setTimeout(resolve, 22_000));
  expect(worstMs).toBeLessThan(WORST_MS);

  expect(existsSync(pause)).toBe(true);
  rmSync(pause);
  await client.rsconfigWell('-a', 'hung');
  const again = await waitFor(() => NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/hung').catch(() => null), BACK_MS, 'The volume is back');
  await again!.write(0, Buffer.alloc(BLOCK, 3));
  await again!.flush();
  expect(await again!.read(0, BLOCK)).toEqual(Buffer.alloc(BLOCK, 3));
  isOver = true;
  await beside;
  expect(worstMs).toBeLessThan(WORST_MS);
}, 180_000);
