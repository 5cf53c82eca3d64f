// The key of a client is changed by command while it writes, and commands that are killed at each of their steps leave rssrvcfg as it was
// before or as it is afterwards. The commands' texts are in packages/rsadm/src/commands/client-keys.test.ts.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { clientConfig, keyOf, serverConfig, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { StampedFile } from '../support/io/stamped-writes.ts';
import { launcher, run } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

/** Ends the process by SIGKILL at its Nth change of a file. */
const KILLER = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
let left = Number(process.env.KILL_AT);
for (const name of ['openSync', 'writeSync', 'fchmodSync', 'fchownSync', 'fsyncSync', 'renameSync', 'unlinkSync', 'closeSync']) {
  const original = fs[name];
  fs[name] = (...values) => {
    if (--left === 0) process.kill(process.pid, 'SIGKILL');
    return original(...values);
  };
}
syncBuiltinESMExports();
`;
const STEPS_MAX = 60;
const LONG_MS = 240_000;

const hosts = useHosts();

it('a client changes its key under load without an error, and its old key is worth nothing afterwards', { timeout: LONG_MS }, async () => {
  const server = hosts.host();
  const network = await hosts.network(2);
  const path = server.file('oracle.img');
  await startServer(server, network, { volumes: { oracle: { path, size: '4m' } } });
  const [client, thief] = [hosts.host(), hosts.host()];
  client.writeConfig('rsiod', clientConfig(network));
  await client.start('rsiod');
  await client.pathsUp(2);
  await client.rsconfigWell('-a', 'oracle');
  const file = new StampedFile(path);
  const writer = await file.writer(client, 'osl/oracle');
  const writes = async (): Promise<void> => {
    const before = writer.count;
    await waitFor(() => writer.count >= before + 20, 20_000, 'The client writes');
  };
  await writes();
  const key = (await server.rsadmWell('client', 'rekey', 'big-2')).trim();
  expect(await server.rsadmWell('client', 'list')).toMatch(/^big-2 +connected, two keys, session uses old /m);
  const early = await server.rsadm('client', 'rekey', 'big-2', '--finish');
  expect(early).toMatchObject({ code: 1, stderr: expect.stringContaining('uses the old key, and would end') });
  client.writeConfig('rsiod', clientConfig(network, { key }));
  await client.rsconfigWell('reload');
  await server.rsadmWell('client', 'kick', 'big-2');
  await waitFor(async () => /session uses new/.test(await server.rsadmWell('client', 'list')), 20_000, 'It is back with the new key');
  await writes();
  await server.rsadmWell('client', 'rekey', 'big-2', '--finish');
  expect(await server.rsadmWell('client', 'list')).toMatch(/^big-2 +connected +127/m);
  await writes();
  expect(await writer.stop()).toEqual([]);
  file.look('At the end', writer);
  expect(file.breaches).toEqual([]);
  // Whoever still has the old key is refused, and tries again slowly.
  thief.writeConfig('rsiod', clientConfig(network, { client: 1 }));
  await thief.start('rsiod');
  await waitFor(() => /does not accept this node's proof.*E_AUTH/s.test(thief.log('rsiod')), 20_000, 'The old key is refused');
  await server.logged('rssrv', /wrong key for node big-2/);
  for (const secret of [key, keyOf('big-2')]) expect(readFileSync(server.rssrvPaths.logFile, 'utf8')).not.toContain(secret);
});

it('a forced end of the old key ends the session that it has proved, and no other', { timeout: LONG_MS }, async () => {
  const server = hosts.host();
  const network = await hosts.network(2);
  await startServer(server, network, { volumes: { oracle: { type: 'memory', size: '4m' } } });
  for (const [client, node] of ['big-2', 'venus'].entries()) {
    const host = hosts.host();
    host.writeConfig('rsiod', clientConfig(network, { node, client }));
    await host.start('rsiod');
    await host.pathsUp(2);
  }
  const worker = server.worker('venus');
  await server.rsadmWell('client', 'rekey', 'big-2');
  await server.rsadmWell('client', 'rekey', 'big-2', '--finish', '--force');
  await waitFor(() => /The session of node big-2 has ended/.test(server.log('rssrv')), 30_000, 'The session by the old key ends');
  expect(await server.rsadmWell('client', 'list')).toMatch(/^venus +connected /m);
  expect(server.worker('venus')).toBe(worker);
  expect(server.log('rssrv')).not.toMatch(/The session of node venus has ended/);
});

it('a rekey that is killed at any step leaves the file as before or as after', { timeout: LONG_MS }, async () => {
  const host = hosts.host();
  const network = await hosts.network(1);
  const before = serverConfig(network, { volumes: {} });
  const killer = host.file('killer.mjs');
  writeFileSync(killer, KILLER);
  const line = (text: string): string => /^big-2 .*$/m.exec(text)?.[0] ?? '';
  const two = before.replace(line(before), `${line(before)} 0x-a-new-secret-of-the-lab`);
  const cases = [
    { args: [], from: before, isAfter: (text: string) => new RegExp(`^${line(before)} [2-9a-z]{32}$`).test(line(text)) },
    { args: ['--finish'], from: two, isAfter: (text: string) => line(text) === 'big-2 0x-a-new-secret-of-the-lab' },
    { args: ['--cancel'], from: two, isAfter: (text: string) => text === before },
  ];
  for (const { args, from, isAfter } of cases) {
    const seen = { before: 0, after: 0 };
    let isOver = false;
    for (let step = 1; !isOver; step++) {
      expect(step).toBeLessThan(STEPS_MAX);
      // What a killed command has left; the next one would wait until it is certain that nobody is writing there.
      rmSync(`${host.rssrvPaths.configFile}.new`, { force: true });
      host.writeConfig('rssrv', from);
      const env = { RSIO_ROOT: host.root, NODE_OPTIONS: `--import=file://${killer}`, KILL_AT: String(step) };
      const { code, signal } = await run(launcher('rsadm'), ['client', 'rekey', 'big-2', ...args], { env });
      isOver = signal === null && code === 0;
      const text = readFileSync(host.rssrvPaths.configFile, 'utf8');
      const isBefore = text === from;
      expect([isBefore, isAfter(text)], `${args.join()} killed at step ${step}: ${text}`).toContain(true);
      seen[isBefore ? 'before' : 'after']++;
    }
    // Both were seen, or no step was hit.
    expect(Math.min(seen.before, seen.after), `${args.join()} ${JSON.stringify(seen)}`).toBeGreaterThan(1);
  }
});
