// A server with 10,000 volumes: the server starts, its list arrives in frames of the usual size, a client shows all volumes and uses one of
// them, and no process grows out of proportion. The test prints the times and does not assert them.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { MESSAGE_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import { ListAnswer } from '@rsio/protocol/wire/messages';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { RawClient } from '../support/peers/raw-peer.ts';
import { report } from '../support/programs/report.ts';

const VOLUMES = 10_000;
/** Every volume whose number is a multiple of this is a file, which takes a descriptor and a lock. The other volumes have no storage. */
const FILE_EVERY = 20;
const MEMORY_MAX_MIB = 256;
const hosts = useHosts();

it('10,000 volumes start and are listed, shown and used', async () => {
  const host = hosts.host();
  const network = await hosts.network(1);
  const keysOf = (number: number): Record<string, string> =>
    number % FILE_EVERY === 0 ? { path: host.file(`storage/v${number}.img`), size: '1m' } : { type: 'null', size: '1m' };
  const names = Array.from({ length: VOLUMES }, (_, number) => `v${number}`);
  const volumes = Object.fromEntries(names.map((name, number) => [name, keysOf(number)]));
  host.writeConfig('rssrv', serverConfig(network, { volumes }));
  const startMs = performance.now();
  await host.start('rssrv');
  const upMs = performance.now();

  const raw = await RawClient.begin(
    { address: network.serverAddresses[0] ?? '', port: network.port },
    { node: 'venus', nodekey: keyOf('venus'), namespaceid: 200 },
  );
  hosts.onClean(() => raw.close());
  const parts = [await raw.call({ op: OP.LIST })];
  while (((parts.at(-1)?.flags ?? 0) & FLAG.MORE) !== 0) parts.push(await raw.answer(0));
  expect(parts.length).toBeGreaterThan(1);
  for (const { body } of parts) expect(body.length).toBeLessThanOrEqual(MESSAGE_MAX_BYTES);
  const listed = parts.flatMap(({ body }) => ListAnswer.decode(body, 0, body.length).volumes.map(({ name }) => name));
  expect(listed).toEqual(names);

  host.writeConfig('rsiod', clientConfig(network));
  await host.start('rsiod');
  await host.pathsUp(1);
  const askedMs = performance.now();
  const shown = await host.rsconfigWell('-q');
  const shownMs = performance.now();
  expect([...shown.matchAll(/^ +0 {2}(v\d+) +disk +2048 blocks of {2}512 bytes$/gm)].map(([, name]) => name)).toEqual(names);

  const last = `v${VOLUMES - FILE_EVERY}`;
  await host.rsconfigWell('-a', last);
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, `osl/${last}`);
  hosts.onClean(() => nbd.close());
  await nbd.verify(0, 65_536);

  const memory = { listener: host.pid('rssrv'), worker: host.worker('big-2'), rsiod: host.pid('rsiod') };
  const mibs = Object.fromEntries(Object.entries(memory).map(([name, pid]) => [`${name} MiB`, residentMib(pid)]));
  report(`${VOLUMES} volumes`, { 'start ms': upMs - startMs, 'rsconfig -q ms': shownMs - askedMs, ...mibs });
  for (const mib of Object.values(mibs)) expect(mib).toBeLessThan(MEMORY_MAX_MIB);
});

function residentMib(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
