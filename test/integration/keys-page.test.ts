// Two servers of one namespace and a client that writes. The sections of docs/OPERATING.md about the key of a client are followed to the
// letter, each command on the machine that its prompt names. Then each order in which a change of the key can go wrong: no order shuts the
// client out unsaid, and rsconfig doctor names each server that is behind or ahead. Rules: G9.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { StampedFile, type StampedWriter } from '../support/io/stamped-writes.ts';
import { PageShell, pageTurn, sectionOf, stepsOf } from '../support/programs/page-steps.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = readFileSync(path.join(REPOSITORY, 'docs/OPERATING.md'), 'utf8');
const PAUSE_MS = 2;
const LONG_MS = 240_000;
const SHOWN_MS = 60_000;
/** Each machine has its root in `$HOSTS/NAME`. */
const SCP = '#!/bin/sh\ninstall -m 600 "$1" "$HOSTS/${2%:}/"\n';

const hosts = useHosts('file', 'programs');
const machines: Record<string, Host> = {};
const places: Record<string, string> = {};
let network: TestNetwork;
let file: StampedFile;
let writer: StampedWriter;

beforeAll(async () => {
  await pageTurn((end) => hosts.onClean(end));
  network = await hosts.network(1);
  const [subnet] = network.subnets;
  const addresses = [10, 11].map((last) => subnet!.address(last));
  for (const [index, name] of ['big-9', 'big-8'].entries()) {
    const server = (machines[name] = hosts.host());
    const own = { port: network.port, serverAddresses: [addresses[index]!] };
    const volumes = { [index === 0 ? 'oracle' : 'mysql']: { path: server.file('volume.img'), size: '4m' } };
    server.writeConfig('rssrv', serverConfig(own, { name, server: { serverid: String(index + 1) }, volumes }));
    await server.start('rssrv');
  }
  const client = (machines['big-2'] = hosts.host());
  client.writeConfig('rsiod', configWith(keyOf('big-2')));
  await client.start('rsiod');
  await client.pathsUp(2);
  await client.rsconfigWell('-a', 'oracle');
  file = new StampedFile(machines['big-9']!.file('volume.img'));
  writer = await file.writer(client, 'osl/oracle', PAUSE_MS);
  const folder = client.file('hosts');
  mkdirSync(folder);
  for (const name of Object.keys(machines)) mkdirSync((places[name] = path.join(folder, name)));
  writeFileSync(path.join(folder, 'scp'), SCP, { mode: 0o755 });
}, LONG_MS);

function configWith(key: string): string {
  const serverAddresses = [10, 11].map((last) => network.subnets[0]!.address(last));
  return clientConfig(network, { serverAddresses, key })
    .replace('server big-9-1', 'server big-9')
    .replace('server big-9-2', 'server big-8');
}

async function writes(): Promise<void> {
  const before = writer.count;
  await waitFor(() => writer.count >= before + 20, SHOWN_MS, 'The client writes');
}

/** Gives the commands of a section, and compares what is printed. */
async function follow(heading: string): Promise<void> {
  const shells = new Map<string, PageShell>();
  for (const [name, host] of Object.entries(machines)) {
    const hostsPlace = path.dirname(places[name]!);
    const env = { HOSTS: hostsPlace, RSIO_ROOT: host.root, PATH: `${hostsPlace}:${REPOSITORY}/bin:${process.env['PATH'] ?? ''}` };
    shells.set(`${name}#`, new PageShell({ cwd: places[name]!, timeoutMs: LONG_MS, env }));
  }
  const steps = stepsOf(sectionOf(PAGE, heading));
  expect(steps.length).toBeGreaterThan(7);
  for (const { prompt, command, output } of steps) {
    const printed = await shells.get(prompt.trim())!.run(command);
    expect({ command, ...printed }).toEqual({ command, code: 0, output });
  }
  for (const shell of shells.values()) shell.end();
}

/** Returns the faults that doctor finds with keys, such as `warning server big-8: there, rsadm ...`. */
async function keyFaults(): Promise<string[]> {
  const { stdout } = await machines['big-2']!.rsconfig('doctor', '--json');
  const { findings } = JSON.parse(stdout) as { findings: { check: string; severity: string; object: string; remedy: string | null }[] };
  return findings
    .filter(({ check, severity }) => check === 'proof' && severity !== 'ok')
    .map(({ severity, object, remedy }) => `${severity} ${object}: ${remedy?.replaceAll(/ --root \S+/g, '')}`);
}

it('the key of a client is changed at two servers while it writes, as the page says', { timeout: LONG_MS }, async () => {
  await writes();
  await follow('### Changing the key of a client');
  await writes();
  expect(await keyFaults()).toEqual([]);
});

it('each order that goes wrong is refused or named', { timeout: LONG_MS }, async () => {
  const [big9, big8, client] = [machines['big-9']!, machines['big-8']!, machines['big-2']!];
  const keyFile = path.join(places['big-2']!, 'next');
  const set = (...more: string[]) => client.rsconfig('namespace', 'set', 'osl', '--nodekey-file', keyFile, '--reload', ...more);
  const next = await big9.rsadmWell('client', 'rekey', 'big-2');
  writeFileSync(keyFile, next, { mode: 0o600 });
  const HERE = 'rsconfig namespace set osl --nodekey-file FILE --reload';
  const giving = 'rsadm client rekey big-2 --key-file FILE';
  expect(await keyFaults()).toEqual([
    `warning server big-9: when all servers have the new key, ${HERE}; to keep this one, there, rsadm client rekey big-2 --cancel`,
    `warning server big-8: there, ${giving}`,
  ]);
  // The client is switched before big-8 has the key.
  const before = readFileSync(client.rsiodPaths.configFile, 'utf8');
  expect(await set()).toMatchObject({ code: 1, stderr: expect.stringMatching(/server big-8 does not accept this key.*\[E_AUTH\]/s) });
  expect(readFileSync(client.rsiodPaths.configFile, 'utf8')).toBe(before);
  // The old key is dropped before the client has the new one.
  expect(await big9.rsadm('client', 'rekey', 'big-2', '--finish')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('uses the old key'),
  });
  // By force, doctor names big-8, even before it has ended a session, and nothing else.
  expect(await set('--force')).toMatchObject({ code: 0 });
  expect(await keyFaults()).toEqual([
    `error server big-8: there, ${giving} lets it accept this key; or, if its key is the new one, give this client the new key: ${HERE}`,
    'warning server big-9: there, rsadm client rekey big-2 --finish; if that is refused, first rsadm client kick big-2',
  ]);
  // A restart in the middle: big-8 refuses the client, says so, and accepts it as soon as it has the key.
  await big8.stop('rssrv');
  await big8.start('rssrv');
  await big8.logged('rssrv', /wrong key for node big-2/);
  writeFileSync(path.join(places['big-8']!, 'next'), next, { mode: 0o600 });
  await big8.rsadmWell('client', 'rekey', 'big-2', '--key-file', path.join(places['big-8']!, 'next'));
  const isBack = async (server: Host): Promise<boolean> => /session uses new/.test(await server.rsadmWell('client', 'list'));
  await waitFor(() => isBack(big8), SHOWN_MS, 'The client is back at big-8');
  await big8.rsadmWell('client', 'rekey', 'big-2', '--finish');
  await big9.rsadmWell('client', 'kick', 'big-2');
  await waitFor(() => isBack(big9), SHOWN_MS, 'The client is back at big-9');
  await big9.rsadmWell('client', 'rekey', 'big-2', '--finish');
  expect(await keyFaults()).toEqual([]);
  await writes();
});

it('a client that has lost its key gets another one, as the page says', { timeout: LONG_MS }, async () => {
  const client = machines['big-2']!;
  expect(await writer.stop()).toEqual([]);
  file.look('At the end', writer);
  expect(file.breaches).toEqual([]);
  await client.stop('rsiod');
  client.writeConfig('rsiod', configWith('0x-nobody-knows-this-key'));
  await client.start('rsiod');
  expect(await keyFaults()).toHaveLength(2);
  await follow('### A client that has lost its key');
  await client.pathsUp(2);
  expect(await keyFaults()).toEqual([]);
});
