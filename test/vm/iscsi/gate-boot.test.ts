// A guest boots from a clone of a volume over an iSCSI gate, with QEMU's own initiator, and writes to its root file system; rsiod is killed
// meanwhile. Rules: G40.

import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { programAt } from '@rsio/base/testing/needs';
import { reflinkDisk } from '../../support/devices/reflink-disk.ts';
import { clientConfig, startServer } from '../../support/hosts/configs.ts';
import { useHosts } from '../../support/hosts/hosts.ts';
import { freePort } from '../../support/hosts/loopback.ts';
import { needTool, run, runWell } from '../../support/programs/programs.ts';
import { waitFor } from '../../support/programs/wait-for.ts';
import { needSmallMachine, SmallMachine } from '../small/small-machine.ts';

const WAIT_MS = 60_000;
const INIT = new URL('../small/init', import.meta.url);
const hosts = useHosts('file');

it('a guest boots from a clone, and leaves the volume as it was', { timeout: 300_000 }, async (context) => {
  needSmallMachine(context);
  needTool(context, 'qemu-img', 'qemu-utils');
  needTool(context, 'mke2fs', 'e2fsprogs');
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(1)];
  const pool = path.join(reflinkDisk(hosts, server, context), 'pool');
  mkdirSync(pool);
  await startServer(server, network, { volumes: {} });
  await server.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
  await server.rsadmWell('volume', 'create', 'golden', '--size', '32m');
  client.writeConfig('rsiod', clientConfig(network));
  await client.start('rsiod');
  await client.pathsUp(1);
  // A root file system with nothing but busybox and the program that runs scripts.
  const root = client.file('root');
  mkdirSync(path.join(root, 'bin'), { recursive: true });
  copyFileSync(INIT, path.join(root, 'init'));
  chmodSync(path.join(root, 'init'), 0o755);
  copyFileSync(programAt('busybox', process.env['PATH'] ?? '')!, path.join(root, 'bin/busybox'));
  const image = client.file('image');
  await runWell('mke2fs', ['-q', '-t', 'ext4', '-d', root, image, '32m']);
  await client.rsconfigWell('-a', 'golden');
  const socket = client.rsiodPaths.nbdSocket;
  await runWell('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', image, `nbd+unix:///osl/golden?socket=${socket}`]);
  await client.rsconfigWell('-d', 'golden');
  await server.rsadmWell('volume', 'snapshot', 'golden@v1');
  await server.rsadmWell('volume', 'clone', 'golden@v1', 'guest');
  await waitFor(async () => (await client.rsconfig('-q')).stdout.includes('guest'), WAIT_MS, 'The client sees the clone');
  await client.rsconfigWell('-a', 'guest');
  const port = await freePort('127.0.0.1');
  await client.rsconfigWell('gate', 'add', 'g1', `127.0.0.1:${port}`, '--hosts', 'all', '--iscsi', '--offers', 'guest', '--reload');
  const gate = async () => (await client.call('gates', {})).gates[0];
  await waitFor(async () => (await gate())?.listening.length === 1 && (await gate())?.volumes.length === 1, WAIT_MS, 'The gate listens');
  const found = (await gate())!;
  const disk = `iscsi://127.0.0.1:${port}/${found.nqn}/${found.volumes[0]!.nsid}`;
  const looked = await run('qemu-img', ['info', disk]);
  context.skip(looked.stderr.includes("Unknown protocol 'iscsi'"), 'needs qemu-block-extra');
  const machine = await SmallMachine.boot({ folder: client.file('vm'), modules: [], root: disk });
  expect(await machine.run('grep " / " /proc/mounts')).toMatch(/^\/dev\/\S+ \/ ext4 rw/m);
  expect(await machine.run('echo booted > /marker; sync; cat /marker')).toBe('booted');
  await client.kill('rsiod');
  await client.start('rsiod');
  expect(await machine.run('echo again >> /marker; sync; echo 3 > /proc/sys/vm/drop_caches; cat /marker', WAIT_MS)).toBe('booted\nagain');
  await client.rsconfigWell('-a', 'golden');
  await runWell('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', image, `nbd+unix:///osl/golden?socket=${socket}`]);
});
