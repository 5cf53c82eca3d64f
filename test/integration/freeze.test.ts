// `volume snapshot --freeze` with real file systems on a loop device of rsiod: a program that writes waits during the snapshot and then
// continues. The snapshot has a clean file system, and contains even data that the program had written but not synced. Triggers of the
// client run before and after the freeze. A killed command leaves nothing frozen. A volume that is not mounted is refused. Skipped without
// root, /dev/fuse, loop devices or xfsprogs.

import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { DeviceScene } from '../support/devices/device-scene.ts';
import { needDevices } from '../support/devices/devices.ts';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const TEST_MS = 300_000;
const WAIT_MS = 30_000;
const ENDED = 'the command that asked for it has ended without a word';
const hosts = useHosts();

it('a frozen file system is clean in its snapshot, and goes on', { timeout: TEST_MS }, async (context) => {
  needDevices(context);
  const probe = hosts.host();
  const pool = path.join(reflinkDisk(hosts, probe, context), 'pool');
  mkdirSync(pool);
  const scene = await DeviceScene.begin(hosts, 'block', { rights: { 'big-2': 'manage' } });
  const { devices, host } = scene;
  await host.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
  await host.rsadmWell('volume', 'create', 'db', '--size', '64m');
  await host.rsconfigWell('-a', 'db');
  const [block, mount] = [scene.place('db'), scene.folder('mnt')];
  const unmounted = await host.rsconfig('volume', 'snapshot', '--freeze', 'db@early');
  expect(unmounted.stderr).toMatch(/Nothing was frozen, because no file system of osl:db@0 \(.*\) is mounted here/);
  await devices.well('mkfs.ext4 -q "$1"; mount "$1" "$2"; echo some content > "$2/file"', block, mount);
  const made = await host.rsconfig('volume', 'snapshot', '--freeze', 'db@cold');
  expect([made.code, made.stdout]).toEqual([0, expect.stringContaining('cold made')]);
  expect(made.stderr).toContain(`Frozen for at most`);
  expect(made.stderr).toContain(mount);
  // The file system is no longer frozen, and the copy has no journal to replay.
  await devices.well('echo more > "$1/file"; sync', mount);
  const data = await devices.well('ls "$1"/volumes/*/snapshots/cold.data', pool);
  expect(await devices.well('dumpe2fs -h "$1" 2>/dev/null', data.trim())).not.toContain('needs_recovery');
  expect(await devices.well('e2fsck -fn "$1" 2>&1; debugfs -R "cat file" "$1" 2>/dev/null', data.trim())).toContain('some content');
  // Programs of the administrator run before the file system is frozen and after it is thawed. Before the freeze and after the thaw, these
  // programs may write to the file system.
  const said = path.join(mount, 'said');
  const triggered = async (): Promise<Record<string, unknown>[]> => {
    const lines = (await devices.well('cat "$1"', said)).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const program = path.join(host.root, 'trigger');
  writeFileSync(program, `#!/bin/sh\ncat >> ${said}\nsync ${said}\n`, { mode: 0o755 });
  const sections = ['before', 'after'].map((when) => `\n[trigger ${when}]\non = snapshot-${when}\nrun = ${program}\n`);
  appendFileSync(host.rsiodPaths.configFile, sections.join(''));
  await host.rsconfigWell('reload');
  await host.rsconfigWell('volume', 'snapshot', '--freeze', 'db@quiet');
  // The command may end before the program that is started after the thaw, so the test waits for both programs.
  await waitFor(async () => (await triggered()).length === 2, WAIT_MS, 'Both programs have run');
  const [before, after] = await triggered();
  expect(before).toMatchObject({
    event: 'snapshot-before',
    client: 'big-2',
    snapshots: [{ namespace: 'osl', volume: 'db', snapshot: 'quiet' }],
  });
  expect(after).toMatchObject({ event: 'snapshot-after', isMade: true, error: null });
  const quiet = (await devices.well('ls "$1"/volumes/*/snapshots/quiet.data', pool)).trim();
  expect(await devices.well('debugfs -R "cat said" "$1" 2>/dev/null', quiet)).toMatch(/^\{"event":"snapshot-before".*\n$/);
  // A snapshot that is refused leaves nothing frozen.
  expect((await host.rsconfig('volume', 'snapshot', '--freeze', 'db@cold')).stderr).toContain('exists');
  await devices.well('echo again > "$1/file"; sync "$1/file"', mount);
  // A command that is killed while the server does not answer leaves nothing frozen either.
  process.kill(host.pid('rssrv'), 'SIGSTOP');
  const killed = host.beside('rsconfig', ['volume', 'snapshot', '--freeze', 'db@killed']);
  const frozen = (): number | undefined =>
    host.processes().find((pid) => argumentsOf(pid).includes('rsio-freeze') && childrenOf(pid) === 'timeout');
  await waitFor(() => frozen() !== undefined, WAIT_MS, 'The file system is frozen');
  for (const pid of host.processes()) if (argumentsOf(pid).includes('db@killed')) process.kill(pid, 'SIGKILL');
  await waitFor(() => frozen() === undefined, WAIT_MS, 'The shell thaws it');
  process.kill(host.pid('rssrv'), 'SIGCONT');
  killed.kill();
  await waitFor(async () => (await triggered()).at(-1)?.['error'] === ENDED, WAIT_MS, 'rsiod starts the program that follows the snapshot');
  await devices.well('echo last > "$1/file"; sync "$1/file"; umount "$1"', mount);
});

function argumentsOf(pid: number): string[] {
  return textOf(`/proc/${pid}/cmdline`).split('\0');
}

function childrenOf(pid: number): string {
  const [child = ''] = textOf(`/proc/${pid}/task/${pid}/children`).split(' ');
  return textOf(`/proc/${child}/comm`).trim();
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
