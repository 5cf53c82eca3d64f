// A command changes the key of a client while the client writes. If the command is killed at any step, rssrvcfg has its old or its new
// content. One run records the file before each step. This run covers a kill at each step, because a kill would leave the file in the
// recorded state. A second run is killed right before the file changes. packages/rsadm/src/commands/client-keys.test.ts tests the texts of
// the commands. Rules: G9.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { clientConfig, keyOf, serverConfig, startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { StampedFile } from '../support/io/stamped-writes.ts';
import { launcher, run, type RunResult } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

/**
 * Records rssrvcfg before each change of a file by the process, and kills the process at the Nth change. If N is 0, the process is never
 * killed. Counting begins with the first change of rssrvcfg or of a file beside it, because the program may open different files before in
 * different runs.
 */
const WATCHER = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const seen = [];
let left = Number(process.env.KILL_AT);
let hasBegun = false;
let isLooking = false;
const look = (action) => {
  isLooking = true;
  try {
    return action();
  } finally {
    isLooking = false;
  }
};
for (const name of ['openSync', 'writeSync', 'fchmodSync', 'fchownSync', 'fsyncSync', 'renameSync', 'unlinkSync', 'closeSync']) {
  const original = fs[name];
  fs[name] = (...values) => {
    hasBegun ||= String(values[0]).startsWith(process.env.WATCHED);
    if (hasBegun && !isLooking) {
      if (--left === 0) process.kill(process.pid, 'SIGKILL');
      look(() => seen.push(fs.readFileSync(process.env.WATCHED, 'utf8')));
    }
    return original(...values);
  };
}
syncBuiltinESMExports();
process.on('exit', () => look(() => fs.writeFileSync(process.env.SEEN, JSON.stringify(seen))));
`;
const PAUSE_MS = 2;
const LONG_MS = 240_000;

const hosts = useHosts('file');
let server: Host;
let client: Host;
let network: TestNetwork;

beforeAll(async () => {
  [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  await startServer(server, network, { volumes: { oracle: { path: server.file('oracle.img'), size: '4m' } } });
  await startClient(client, network);
});

it('a client changes its key under load without an error, and its old key is worth nothing afterwards', { timeout: LONG_MS }, async () => {
  await client.rsconfigWell('-a', 'oracle');
  const file = new StampedFile(server.file('oracle.img'));
  const writer = await file.writer(client, 'osl/oracle', PAUSE_MS);
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
  // A client that still has the old key is refused, and tries again slowly.
  const thief = hosts.host();
  thief.writeConfig('rsiod', clientConfig(network, { client: 1 }));
  await thief.start('rsiod');
  await waitFor(() => /does not accept this node's proof.*E_AUTH/s.test(thief.log('rsiod')), 20_000, 'The old key is refused');
  await server.logged('rssrv', /wrong key for node big-2/);
  for (const secret of [key, keyOf('big-2')]) expect(readFileSync(server.rssrvPaths.logFile, 'utf8')).not.toContain(secret);
  await thief.stop('rsiod');
});

it('a forced end of the old key ends the session that it has proved, and no other', { timeout: LONG_MS }, async () => {
  const venus = hosts.host();
  await startClient(venus, network, { node: 'venus', client: 1 });
  await server.logged('rssrv', /^Node venus .*began a session/m);
  const worker = server.worker('venus');
  const ended = (): number => server.log('rssrv').match(/The session of node big-2 has ended/g)?.length ?? 0;
  const before = ended();
  await server.rsadmWell('client', 'rekey', 'big-2');
  await server.rsadmWell('client', 'rekey', 'big-2', '--finish', '--force');
  await waitFor(() => ended() > before, 30_000, 'The session by the old key ends');
  expect(await server.rsadmWell('client', 'list')).toMatch(/^venus +connected /m);
  expect(server.worker('venus')).toBe(worker);
  expect(server.log('rssrv')).not.toMatch(/The session of node venus has ended/);
});

it('a rekey that is killed at any step leaves the file as before or as after', { timeout: LONG_MS }, async () => {
  const host = hosts.host();
  const before = serverConfig(network, { volumes: {} });
  const [watcher, seenFile, watched] = [host.file('watcher.mjs'), host.file('seen.json'), host.rssrvPaths.configFile];
  writeFileSync(watcher, WATCHER);
  const line = (text: string): string => /^big-2 .*$/m.exec(text)?.[0] ?? '';
  const two = before.replace(line(before), `${line(before)} 0x-a-new-secret-of-the-lab`);
  const cases = [
    { args: [], from: before, isAfter: (text: string) => new RegExp(`^${line(before)} [2-9a-z]{32}$`).test(line(text)) },
    { args: ['--finish', '--force'], from: two, isAfter: (text: string) => line(text) === 'big-2 0x-a-new-secret-of-the-lab' },
    { args: ['--cancel', '--force'], from: two, isAfter: (text: string) => text === before },
  ];
  for (const { args, from, isAfter } of cases) {
    const rekey = (killAt: number): Promise<RunResult> => {
      // Removes the temporary file of the killed command. With this file in place, the next command would wait, because it assumes that
      // another process is still writing this file.
      rmSync(`${watched}.new`, { force: true });
      host.writeConfig('rssrv', from);
      const env = { NODE_OPTIONS: `--import=file://${watcher}`, KILL_AT: String(killAt), WATCHED: watched, SEEN: seenFile };
      return run(launcher('rsadm'), ['client', 'rekey', 'big-2', ...args], { env: { ...env, RSIO_ROOT: host.root } });
    };
    const { code, stderr } = await rekey(0);
    expect([code, stderr], args.join()).toEqual([0, expect.any(String)]);
    const seen = JSON.parse(readFileSync(seenFile, 'utf8')) as string[];
    expect(isAfter(readFileSync(watched, 'utf8')), args.join()).toBe(true);
    for (const [step, text] of seen.entries())
      expect([text === from, isAfter(text)], `${args.join()} at step ${step + 1}: ${text}`).toContain(true);
    const changing = seen.findLastIndex((text) => text === from) + 1;
    // The record must contain more than one copy of the old and of the new content. Fewer copies would not cover the steps before and after
    // the change of the file.
    expect(Math.min(changing, seen.length - changing), `${args.join()} ${seen.length} steps`).toBeGreaterThan(1);
    expect(await rekey(changing), `${args.join()} killed at step ${changing}`).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect(readFileSync(watched, 'utf8')).toBe(from);
    expect(await rekey(changing + 1), `${args.join()} killed at step ${changing + 1}`).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect(isAfter(readFileSync(watched, 'utf8')), `${args.join()} killed at step ${changing + 1}`).toBe(true);
  }
});
