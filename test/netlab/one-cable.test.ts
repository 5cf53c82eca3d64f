// Two cards of a client in one subnet, with Linux's default routing: all packets leave by the first card, and both paths therefore depend
// on one cable. Doctor detects the shared cable by the byte counters. The commands that doctor prints bind each path to its card, and the
// test runs them as printed.

import { expect, it } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import type { TestNetwork } from '../support/hosts/hosts.ts';
import { type Counters, type Machine, useNetlab } from '../support/netlab/netlab.ts';
import { SteadyIo } from '../support/netlab/load/steady-io.ts';
import { twoMachines } from '../support/netlab/two-machines.ts';
import { needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const VOLUMES = { oracle: { type: 'memory', size: '16m' } };
const SECOND = '192.168.45.21';
/**
 * A card that has carried this many bytes has carried I/O. Heartbeats and address resolution have far fewer bytes, and the I/O has far
 * more.
 */
const USED_BYTES = 512 * 1024;
/**
 * Longest time until doctor has no more findings. The address is resolved again only after a while; until then, the server sends to the old
 * card.
 */
const CONTENT_MS = 45_000;

const netlab = useNetlab();

/** Returns the commands that doctor prints below the finding with these words. */
function remedyOf(report: string, words: string): string[] {
  const [, below = ''] = report.split(new RegExp(`^error: .*${words}.*\n`, 'm'));
  const [own = ''] = below.split(/^\S/m);
  return [...own.matchAll(/^ {8}(\S.*)$/gm)].map(([, command = '']) => command);
}

/** Does I/O. Returns how many bytes went through each card of the client: [eth0, eth1]. */
async function movedBy(client: Machine, io: SteadyIo): Promise<Counters[]> {
  const devices = ['eth0', 'eth1'];
  const before = await Promise.all(devices.map((device) => client.counters(device)));
  await io.progress(8);
  const after = await Promise.all(devices.map((device) => client.counters(device)));
  return after.map(({ sentBytes, receivedBytes }, index) => ({
    sentBytes: sentBytes - (before[index]?.sentBytes ?? 0),
    receivedBytes: receivedBytes - (before[index]?.receivedBytes ?? 0),
  }));
}

it('doctor says that one cable carries both paths, and its remedy gives each path its own', async (context) => {
  await netlab.need(context);
  needTool(context, 'sysctl', 'procps');
  const { server, client, segments, network } = await twoMachines(netlab, 1);
  const [segment] = segments;
  if (segment === undefined) throw new Error('No segment');
  await client.plug(segment, 'eth1', `${SECOND}/24`);
  server.host.writeConfig('rssrv', serverConfig(network, { volumes: VOLUMES }));
  await server.host.start('rssrv');
  const both: TestNetwork = { ...network, clientAddresses: () => [...network.clientAddresses(), SECOND] };
  client.host.writeConfig('rsiod', clientConfig(both));
  await client.host.start('rsiod');
  await client.host.pathsUp(2);
  await client.host.rsconfigWell('-a', 'oracle');
  const io = await SteadyIo.begin(client.host, 'osl/oracle');

  // Linux answers ARP for each address on each card. In the scene, the first card answers first for both addresses.
  const [card] = JSON.parse(await client.ip('-json', 'link', 'show', 'dev', 'eth0')) as { address: string }[];
  await server.ip('neighbour', 'replace', SECOND, 'lladdr', card?.address ?? '', 'dev', 'eth0', 'nud', 'reachable');
  const [, idle] = await movedBy(client, io);
  expect(idle?.sentBytes).toBeLessThan(USED_BYTES);
  expect(idle?.receivedBytes).toBeLessThan(USED_BYTES);
  const { code, stdout } = await client.host.rsconfig('doctor');
  expect({ code, stdout }).toMatchObject({ code: 1 });
  expect(stdout).toMatch(
    /^error: .*: Both paths leave by eth0, as the byte counters show, although if1 is on eth1: one cable carries everything$/m,
  );
  const commands = remedyOf(stdout, 'one cable carries everything');
  expect(commands).not.toEqual([]);

  for (const command of commands) await client.shell(command);
  const content = async (): Promise<string | null> => {
    const { code: rest, stdout: report } = await client.host.rsconfig('doctor');
    return rest === 0 ? report : null;
  };
  const report = await waitFor(content, CONTENT_MS, 'Doctor is content');
  expect(report).toMatch(/^ok: device eth0: Carries the paths of if0, as its byte counters show$/m);
  expect(report).toMatch(/^ok: device eth1: Carries the paths of if1, as its byte counters show$/m);
  for (const { sentBytes, receivedBytes } of await movedBy(client, io)) {
    expect(sentBytes).toBeGreaterThan(USED_BYTES);
    expect(receivedBytes).toBeGreaterThan(USED_BYTES);
  }
  await io.end();
}, 240_000);
