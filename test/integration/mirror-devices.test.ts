// The block device of a mirror, with real daemons: fio writes and verifies while a server is suspended and its replica is then copied, and
// while rsiod is killed and restarted. Once, a server restarts while rsiod is down, and rsiod reports this. fio must see no error and no
// difference, and afterwards both pools must have the same bytes. mirror.test.ts tests killed servers, and keeper.test.ts devices of plain
// volumes. Skipped if the machine cannot have devices. Rules: G33.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { DeviceHost, needDevices, needResend } from '../support/devices/devices.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { volumeStats } from '../support/io/volume-stats.ts';
import { needTool, start } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { loopbackMirrorPlaces, MirrorSite } from '../support/scenes/mirror-site.ts';

const MIB = 1024 * 1024;
const SIZE = 32 * MIB;
const SOON_MS = 30_000;
const FURTHER_WRITES = 50;
const QUICK = { heartbeat: '400ms', suspect: '100ms', dead: '1s', 'mirror-patience': '300ms', device: 'block' };
/** fio writes and verifies until SIGINT. */
const FIO = [
  ...['--name=job', `--size=${SIZE}`, '--rw=randwrite', '--bsrange=4k-64k', '--direct=1', '--ioengine=libaio', '--iodepth=8'],
  ...['--fsync=32', '--verify=crc32c', '--verify_fatal=1', '--verify_backlog=64', '--verify_state_save=0', '--time_based'],
  ...['--runtime=200', '--rate_iops=400', '--output-format=json'],
];

const hosts = useHosts();

/** Digest of the replica, which is the only large file of a pool. */
function digestIn(pool: string): string {
  const files = readdirSync(pool, { recursive: true, encoding: 'utf8' }).map((name) => path.join(pool, name));
  const data = files.filter((file) => statSync(file).isFile() && statSync(file).size === SIZE);
  expect(data.length, `files of ${SIZE} bytes in ${pool}`).toBe(1);
  return createHash('sha256').update(readFileSync(data[0]!)).digest('hex');
}

it('the device goes on when a server stands still, and when rsiod is killed or restarted', { timeout: 240_000 }, async (context) => {
  needDevices(context);
  needResend(context);
  needTool(context, 'fio', 'fio');
  const devices = new DeviceHost(hosts);
  await devices.ready;
  const client = devices.host;
  const places = { ...(await loopbackMirrorPlaces(hosts)), client };
  const site = await MirrorSite.start(places, { poolParent: client.root, defaults: QUICK }, (action) => hosts.onClean(action));
  await site.addMirror('db', SIZE);
  const [first = '', ...rest] = devices.command;
  const fio = start(first, [...rest, 'fio', `--filename=${path.join(client.root, 'dev/av0/db')}`, ...FIO], { timeoutMs: 240_000 });
  const writes = async (): Promise<number> => (await volumeStats(client, 'osl:db@0').catch(() => ({ writes: 0 }))).writes;
  const writesOn = async (): Promise<void> => {
    const before = await writes();
    await waitFor(async () => (await writes()) > before + FURTHER_WRITES, SOON_MS, 'fio writes on');
  };
  const isBehind = async (): Promise<boolean> => !(await site.isInSync());
  await writesOn();

  const stopped = places.servers[1]!.processes();
  for (const pid of stopped) process.kill(pid, 'SIGSTOP');
  await waitFor(isBehind, SOON_MS, 'the mirror goes on without the server that stands still');
  await writesOn();
  for (const pid of stopped) process.kill(pid, 'SIGCONT');
  await site.untilInSync();
  await writesOn();

  const { pid } = await client.call('daemon', {});
  process.kill(pid, 'SIGKILL');
  const isAnother = async (): Promise<boolean> => (await client.call('daemon', {}).catch(() => ({ pid }))).pid !== pid;
  await waitFor(isAnother, SOON_MS, 'another process of rsiod answers');
  await writesOn();
  expect(await client.rsconfigWell('restart')).toMatch(/^rsiod restarted as process \d+\n$/);
  await writesOn();
  await site.untilInSync();
  expect(client.log('rsiod'), 'no alarm without a loss').not.toContain('may be lost');

  // The keeper is suspended while the server restarts. The next process of rsiod therefore starts only when the server is back, and finds
  // its replica in sync.
  process.kill(client.pid('rsiod'), 'SIGSTOP');
  process.kill((await client.call('daemon', {})).pid, 'SIGKILL');
  site.kill(0);
  await site.startAgain(0);
  process.kill(client.pid('rsiod'), 'SIGCONT');
  await waitFor(() => client.log('rsiod').match(/osl:db@0: .*may be lost/), SOON_MS, 'the next process says what may be lost');
  await writesOn();
  await site.untilInSync();

  fio.kill('SIGINT');
  const { stdout, stderr } = await fio.ended;
  expect(stderr).toBe('');
  const { jobs } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: { error: number }[] };
  expect(jobs.map(({ error }) => error)).toEqual([0]);
  await client.rsconfigWell('-d', 'db');
  expect(digestIn(site.pools[0]!)).toBe(digestIn(site.pools[1]!));
});
