// The archives for support with real daemons, and after a kill: what is in them, and that no key is, in any form. The configurations have a
// value for each secret key of the schema. Rules: G56.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ConfigFileName } from '@rsio/common/config/schema/schema';
import { SCHEMA } from '@rsio/common/config/schema/schema';
import type { FileSchema } from '@rsio/common/config/schema/entries';
import { expect, it } from 'vitest';
import { clientConfig, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';

const TEST_MS = 240_000;
/** All values that are secrets begin with this word, so that a test finds each one. */
const MARK = 'k3y0fTheL4b';
const SHARED = `${MARK}-shared`;
const CLIENT = `${MARK}-client/+"\\`;

const hosts = useHosts('file');

/** For each secret key of the sections of a file, the lines that set it. Keys that two sides must share have one value. */
function secretLines(file: ConfigFileName): Record<string, string> {
  const sections = Object.entries(SCHEMA[file] as FileSchema).map(([section, { keys }]) => {
    const own = Object.entries(keys).flatMap(([key, { type }]) => (type.isSecret ? [[key, valueOf(file, section, key)]] : []));
    return [section, own.map(([key, value]) => `${key} = ${value}\n`).join('')];
  });
  return Object.fromEntries(sections) as Record<string, string>;
}

function valueOf(file: string, section: string, key: string): string {
  if (key === 'nodekey' && file === 'rscltcfg') return CLIENT;
  return ['serverkey', 'namespacekey'].includes(key) && section !== 'peer' ? SHARED : `${MARK}-${file}-${section}-${key}`;
}

/** Adds lines after the header of each section of a file. A key that is there already stays away. */
function withLines(text: string, lines: Record<string, string>): string {
  const without = text.replaceAll(/^(?:nodekey|serverkey)\s*=.*\n/gm, '');
  return without.replaceAll(/^\[(\S+?)(?: [^\]]*)?\]\n/gm, (header, section: string) => header + (lines[section] ?? ''));
}

/** Makes the archive, and returns its files with their texts. */
async function archiveOf(host: Host, program: 'rsadm' | 'rsconfig', name: string): Promise<Map<string, string>> {
  const to = host.file(name);
  mkdirSync(to);
  const { code, stdout, stderr } = await host.run(program, ['support', '--to', to, '--json'], TEST_MS);
  expect(code, stderr).toBe(0);
  const { path: archive } = JSON.parse(stdout) as { path: string };
  expect(readdirSync(to)).toEqual([path.basename(archive)]);
  expect(statSync(archive).mode & 0o777).toBe(0o600);
  const inside = execFileSync('tar', ['-tzf', archive], { encoding: 'utf8' }).trim().split('\n');
  execFileSync('tar', ['-xzf', archive, '-C', to]);
  const files = new Map(inside.map((file) => [file.replace(/^[^/]*\//, ''), readFileSync(path.join(to, file), 'utf8')]));
  expect([...files.keys()][0]).toBe('CONTENTS.txt');
  for (const [file, text] of [...files, ['stdout', stdout], ['stderr', stderr]] as const) {
    const forms = ['utf8', 'hex', 'base64', 'base64url'] as const;
    // The end of the form depends on what follows the mark.
    for (const form of forms) expect(text.includes(Buffer.from(MARK).toString(form).slice(0, 14)), `${file}, as ${form}`).toBe(false);
    expect(text.toLowerCase(), file).not.toContain(Buffer.from(MARK).toString('hex'));
  }
  return files;
}

it('both archives have states, logs, metrics and findings, and no key, also when the daemons are killed', {
  timeout: TEST_MS,
}, async () => {
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  const pools = { fast: { path: await emptyPool(server) } };
  const metrics = { metrics: `${network.serverAddresses[0]}:9510`, 'log-level': 'debug' };
  const peer = `\n[peer pi-1]\naddress = ${network.serverAddresses[0]}:9\n`;
  const serverText = serverConfig(network, { volumes: {}, pools, server: metrics, clients: { 'big-2': CLIENT, venus: `${MARK}-venus` } });
  server.writeConfig('rssrv', withLines(`${serverText}${peer}`, secretLines('rssrvcfg')));
  const secretFile = client.file('secrets');
  writeFileSync(secretFile, `iqn.2026-01.com.example:host ${MARK}-of-a-gate\n`, { mode: 0o600 });
  const gate = `\n[gate g]\nprotocol = iscsi\naddress = ${network.clientAddresses()[0]}\nhosts = iqn.2026-01.com.example:host\nvolumes = oracle\nsecret-file = ${secretFile}\n`;
  const clientText = clientConfig(network, { defaults: { metrics: `${network.clientAddresses()[0]}:9510`, 'log-level': 'debug' } });
  client.writeConfig('rsiod', withLines(`${clientText}${gate}`, secretLines('rscltcfg')));
  for (const file of [server.rssrvPaths.configFile, client.rsiodPaths.configFile])
    expect(readFileSync(file, 'utf8').split(MARK).length).toBeGreaterThan(4);
  await server.start('rssrv');
  await client.start('rsiod');
  await client.pathsUp(2);
  await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
  await client.rsconfigWell('-a', 'oracle', '--wait');

  const listed = await server.rsadmWell('support', '--list');
  const ofServer = await archiveOf(server, 'rsadm', 'up');
  expect([...ofServer.keys()].slice(1)).toEqual(
    listed
      .split('\n')
      .slice(1, -1)
      .map((line) => line.split(' ')[0]),
  );
  expect(ofServer.get('rssrvcfg.txt')).toContain('serverkey = (left out)\n');
  expect(ofServer.get('state/volume-list.json')).toContain('"oracle"');
  expect(ofServer.get('state/snapshots.json')).toBe('[]\n');
  expect(ofServer.get('state/audit.json')).toContain('volume-create');
  expect(ofServer.get('rssrv.log')).toContain('oracle');
  expect(ofServer.get('metrics.txt')).toContain('# TYPE rsio_');
  expect(ofServer.get('machine/daemon.txt')).toContain('Max open files');
  const ofClient = await archiveOf(client, 'rsconfig', 'up');
  expect(ofClient.get('rscltcfg.txt')).toContain('nodekey = (left out)\n');
  expect(ofClient.get('state/query.json')).toContain('"oracle"');
  expect(ofClient.get('doctor.txt')).not.toBe('');
  expect(ofClient.get('metrics.txt')).toContain('# TYPE rsio_');
  expect(ofClient.get('rsiod.log')).toContain('big-9');

  await server.kill('rssrv');
  await client.kill('rsiod');
  const { configFile } = server.rssrvPaths;
  writeFileSync(configFile, readFileSync(configFile, 'utf8').replace('[clients]', '[client]'));
  const killed = await archiveOf(server, 'rsadm', 'down');
  expect(killed.get('state/volume-list.json')).toMatch(/^Not here: rssrv is not running/);
  expect(killed.get('CONTENTS.txt')).toMatch(/state\/volume-list\.json .* rssrv is not running/);
  expect(killed.get('rssrv.log')).toContain('oracle');
  const alone = await archiveOf(client, 'rsconfig', 'down');
  expect(alone.get('state/query.json')).toMatch(/^Not here: rsiod is not running/);
  expect(alone.get('doctor.txt')).toContain('error: rsiod: It is not running');
});
