// A schedule of snapshots with real daemons: a client sets the schedule, the server makes the snapshots of both rules at once, a restart
// causes no further snapshots, and commands show the schedule with its snapshots. A trigger refuses a snapshot. Skipped without root, loop
// devices or xfsprogs. schedule-runner.test.ts tests the times.

import { appendFileSync, chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const hosts = useHosts();

it('a schedule makes its snapshots at once, and goes on after a restart', { timeout: 300_000 }, async (context) => {
  const host = hosts.host();
  const network = await hosts.network(1);
  const pool = path.join(reflinkDisk(hosts, host, context), 'pool');
  mkdirSync(pool);
  await startServer(host, network, { volumes: {} });
  await host.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
  await host.rsadmWell('volume', 'create', 'db', '--size', '4m');
  await host.rsadmWell('volume', 'set', 'db', 'snapshots=weekly keep 4, every 8784h keep 7');
  const show = async () => callServer(host.rssrvPaths.controlSocket, 'volume-show', { name: 'db', universe: 0 });
  const names = async () => (await show()).snapshots.map(({ snapshot }) => snapshot);
  await waitFor(async () => (await names()).length === 2, 30_000, 'The snapshots are made');
  const before = await names();
  expect(before).toEqual([expect.stringMatching(/^weekly-\d{8}T\d{4}Z$/), expect.stringMatching(/^every-8784h-\d{8}T\d{4}Z$/)]);
  await host.stop('rssrv');
  await host.start('rssrv');
  expect(await names()).toEqual(before);
  expect(await host.rsadmWell('volume', 'show', 'db')).toContain('snapshots: weekly keep 4, every 8784h keep 7; last: 2');
  expect(await host.rsadmWell('status')).not.toContain('schedule');
  // A program of the administrator may refuse snapshots.
  const program = host.file('refuse');
  writeFileSync(program, '#!/bin/sh\necho the application is busy; exit 1\n', { mode: 0o755 });
  appendFileSync(host.rssrvPaths.configFile, `\n[trigger app]\non = snapshot-before\nrun = ${program}\n`);
  await host.rsadmWell('reload');
  const refused = await host.rsadm('volume', 'snapshot', 'db@mine');
  expect(refused.stderr).toContain(`No snapshot was made, because trigger app (${program}) failed: its exit code is 1`);
  await waitFor(() => host.log('rssrv').includes('Trigger app: the application is busy'), 5_000, 'The log has what the program printed');
  expect(await names()).toEqual(before);
  chmodSync(program, 0o777);
  expect((await host.rsadm('reload')).stderr).toContain(`trigger program ${program} can be written by other users: run chmod go-w on it`);
});
