// Tests that Hosts finds every process that it has started, and that cleaning leaves no process, file or mount behind. All other tests with
// real processes rely on Hosts.

import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { startClient, startServer } from './configs.ts';
import { Hosts } from './hosts.ts';
import { needTool, start } from '../programs/programs.ts';
import { waitFor } from '../programs/wait-for.ts';

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

it('leaves no process, root or memory volume behind, even after daemons were killed', async () => {
  const hosts = new Hosts();
  const host = hosts.host();
  try {
    const network = await hosts.network();
    const id = '5a0f6e0c-5c1d-4f2e-9d3b-0123456789ab';
    await startServer(host, network, { volumes: { oracle: { type: 'memory', size: '1m', id } } });
    await startClient(host, network);
    expect(host.processes()).toEqual(expect.arrayContaining([host.pid('rssrv'), host.pid('rsiod'), host.worker('big-2')]));
    expect(existsSync(`/dev/shm/rsio-${process.geteuid?.()}/rsio-${id}`)).toBe(true);
    await host.kill('rssrv');
    await hosts.clean();
    expect(host.processes()).toEqual([]);
    expect(existsSync(host.root)).toBe(false);
    expect(existsSync(`/dev/shm/rsio-${process.geteuid?.()}/rsio-${id}`)).toBe(false);
  } finally {
    await hosts.clean();
  }
});

it('fails a test whose server has refused a message of its own server process, unless the test lets it send such messages', async () => {
  const hosts = new Hosts();
  const refused = (isIntruder: boolean): void => {
    const host = hosts.host();
    host.hasIntruder = isIntruder;
    const msg =
      'Server process 7 sent what no server process sends (message.what is not known): it is killed, and its clients connect again';
    const log = host.rssrvPaths.logFile;
    writeFileSync(host.file(path.relative(host.root, log)), `${JSON.stringify({ msg })}\n`);
  };
  refused(true);
  await hosts.clean();
  refused(false);
  await expect(hosts.clean()).rejects.toThrow('refused a message of its own server process');
});

it('leaves nothing behind when the test process itself is killed', async (context) => {
  needTool(context, 'grep', 'grep');
  const id = '5a0f6e0c-5c1d-4f2e-9d3b-0123456789ac';
  const execArgv = ['--conditions=@rsio/source', '--import', TSX];
  const test = start(process.execPath, [...execArgv, fileURLToPath(new URL('./doomed-test.ts', import.meta.url)), id]);
  const { root, pid } = JSON.parse(await waitFor(() => test.stdout().endsWith('\n') && test.stdout(), 20_000, 'The server runs')) as {
    root: string;
    pid: number;
  };
  expect([root, `/proc/${pid}`, `/dev/shm/rsio-${process.geteuid?.()}/rsio-${id}`].map((file) => existsSync(file))).toEqual([
    true,
    true,
    true,
  ]);
  test.kill('SIGKILL');
  await test.ended;
  await waitFor(
    () => [root, `/proc/${pid}`, `/dev/shm/rsio-${process.geteuid?.()}/rsio-${id}`].every((file) => !existsSync(file)),
    10_000,
    'All of it is gone',
  );
});

it('a timed-out wait says what it waited for', async () => {
  const failure = waitFor(() => false, 30, 'Pigs fly');
  await expect(failure).rejects.toThrow('Pigs fly: not so within 120 ms');
});
