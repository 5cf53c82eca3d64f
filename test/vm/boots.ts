// Reboots of the virtual machines. When the client reboots, its file system must be unmounted before rsiod ends, and mounted again after
// the boot. Both machines reboot, and the client is up before the server. The server reboots while the client writes.

import { beginLoad, endLoad } from './load.ts';
import { diskErrors, type Scene, until } from './scene.ts';
import { seconds } from '../support/drills/table.ts';

const INTACT = 'cd /data && sha256sum --quiet --check /root/sums && wc -l < /root/sums';

/** Returns the position of each line in the journal of the previous boot; -1: the line is missing. */
async function order({ client }: Scene, patterns: readonly string[]): Promise<number[]> {
  const journal = (await client.run('journalctl -b -1 --no-pager -o cat')).split('\n');
  return patterns.map((pattern) => journal.findLastIndex((line) => line.includes(pattern)));
}

export async function clientBoots(scene: Scene): Promise<void> {
  const { client, report } = scene;
  const tookMs = await client.reboot();
  await client.run(until('mountpoint -q /data'));
  report.check('after a reboot of the client, /data is mounted by itself', true, `everything started after ${seconds(tookMs)}`);
  report.check('the files are intact', true, `${await client.run(INTACT)} files`);
  const lines = ['Unmounted data.mount', 'Stopped target remote-fs-pre.target', 'Stopping rsiod.service', 'Stopped rsiod.service'];
  const at = await order(scene, lines);
  const isOrdered = at.every((line, index) => line >= 0 && line > (at[index - 1] ?? -1));
  report.check('it was unmounted before rsiod was stopped', isOrdered, lines.map((line, index) => `${at[index]} ${line}`).join(', '));
  const [killed] = await order(scene, ['rsiod.service: Killing process']);
  const errors = await diskErrors(client, '-1');
  report.check('nothing was cut off', killed === -1 && errors === '', errors);
  const fsck = await client.run('journalctl -b 0 --no-pager -o cat | grep "/dev/loop0: " || true');
  report.check('fsck at the boot found it clean', fsck.includes('clean'), fsck);
  const unit = await client.run('systemctl show rsiod -p Result -p NRestarts --value');
  report.check('rsiod was started once', unit.includes('success') && unit.includes('0'), unit.replaceAll('\n', ' '));
}

export async function bothBoot({ server, client, report }: Scene): Promise<void> {
  await server.cut();
  await client.cut();
  await client.powerOn();
  const waits = await client.run('systemctl is-active rsiod data.mount || true');
  report.check('without the server, the client boots, and data.mount waits', waits.startsWith('active\n'), waits.replaceAll('\n', ', '));
  await server.powerOn();
  await client.run(until('mountpoint -q /data'));
  report.check('after a power cut of both, /data is mounted when the server is there', true, `${await client.run(INTACT)} files`);
}

export async function serverBoots({ server, client, report }: Scene): Promise<void> {
  await beginLoad(client);
  const tookMs = await server.reboot();
  await client.run(until('rsconfig -m status | grep -q "connected tx: ok"'));
  await client.run('sleep 20');
  const { error, writes, reads, longestMs, output } = await endLoad(client);
  const figures = `${writes} writes, ${reads} verified, longest I/O ${seconds(longestMs)}, the server was away for ${seconds(tookMs)}`;
  report.check('a reboot of the server under fio: no error', error === 0 && writes > 0, error === 0 ? figures : output);
  const errors = await diskErrors(client, '0');
  report.check('and none in the log of the kernel', errors === '', errors);
}
