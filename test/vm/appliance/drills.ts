// The drills of npm run drill -- vm-appliance, in their order: each one goes on with the machines as the earlier one left them. Everything on the
// appliance is done with the keyboard of its serial console.

import { execFileSync } from 'node:child_process';
import { copyFileSync, truncateSync } from 'node:fs';
import path from 'node:path';
import type { Machine } from '../machine.ts';
import { seconds } from '../../support/drills/table.ts';
import type { Report } from '../report.ts';
import { until } from '../scene.ts';
import type { ConsoleDisk, ConsoleMachine } from './console-machine.ts';

export interface ApplianceScene {
  readonly appliance: ConsoleMachine;
  readonly client: Machine;
  readonly report: Report;
  /** Folder with the disks. */
  readonly folder: string;
  readonly image: string;
  /** Versions of the image and of the upgrade. */
  readonly versions: readonly [string, string];
}

const LONG_MS = 900_000;
const SUMS = 'sync; echo 3 > /proc/sys/vm/drop_caches; cd /data && sha256sum --quiet --check /root/sums && wc -l < /root/sums';
const ACKED = 'tail -1 /root/acked';

/** Makes an empty disk. */
export function disk(folder: string, name: string, mib = 600): ConsoleDisk {
  const file = path.join(folder, `${name}.disk`);
  execFileSync('truncate', ['-s', `${mib}M`, file]);
  return { file, serial: name };
}

/** Waits for the outcome of a change, closes it, and returns its text. */
async function outcome({ appliance }: ApplianceScene, expected: 'Done' | 'Not done' = 'Done'): Promise<string> {
  const screen = await appliance.sees(/- (?:Done|Not done) -/, LONG_MS);
  if (!screen.includes(`- ${expected} -`)) throw new Error(`Expected is ${expected}:\n${screen}`);
  await appliance.press('Enter');
  await appliance.sees((now) => !/- (?:Done|Not done) -/.test(now));
  return screen.replaceAll(/[|\s]+/g, ' ');
}

async function confirmed(scene: ApplianceScene, label = 'Yes, do it'): Promise<string> {
  await scene.appliance.choose(label);
  return outcome(scene);
}

/** Restarts the appliance, and waits until its boot loader has started a system. */
async function restarting(appliance: ConsoleMachine): Promise<void> {
  await appliance.choose('Restart');
  // The question has a line with the same name.
  await appliance.sees('Clients wait until the server is back');
  await appliance.choose('Restart');
  await appliance.sees('Booting', LONG_MS);
}

/** Restarts the appliance from its first page. */
async function restart({ appliance }: ApplianceScene): Promise<void> {
  await restarting(appliance);
  await appliance.sees('RSIO appliance', LONG_MS);
}

async function cutAndBoot({ appliance }: ApplianceScene): Promise<void> {
  await appliance.cut();
  await appliance.powerOn();
}

/** Verifies the files of the client from the disks of the appliance. */
async function intact({ client, report }: ApplianceScene, when: string): Promise<void> {
  await client.run(until('rsconfig -m status | grep -q "connected tx: ok"'));
  const before = await client.run(ACKED);
  await client.run(until(`[ $(${ACKED}) -gt ${before} ]`, 300));
  const lost = await client.run(`${SUMS}; for i in $(seq ${before}); do grep -qx $i /data/ledger || echo lost $i; done | head -3`);
  const seen = `${lost} files, ${before} acknowledged lines`;
  report.check(`${when}: the client writes on, and its files are intact`, /^\d+$/.test(lost), seen);
}

/** From the bare image to a pool. */
export async function firstHour(scene: ApplianceScene): Promise<void> {
  const { appliance, report } = scene;
  const bootMs = performance.now();
  await appliance.powerOn();
  report.check('the bare image boots to crsio, without a login', true, seconds(performance.now() - bootMs));
  await appliance.sees('First give an interface an address');
  await appliance.choose('Network', 'DHCP');
  await appliance.sees('gateway');
  await appliance.fill('big-9', '192.168.45.10/24');
  report.check('network', (await outcome(scene)).includes('has 192.168.45.10/24'));
  await appliance.press('Escape');
  await appliance.choose('Time');
  await appliance.fill('Europe/Oslo');
  report.check('time', (await outcome(scene)).includes('Europe/Oslo'));
  await appliance.choose('Server');
  await appliance.fill('', 'osl', '192.168.45.10');
  report.check('server', (await outcome(scene)).includes('Server big-9 runs'));
  await appliance.choose('Disks', 'New pool');
  await appliance.sees('level');
  await appliance.fill('fast', 'raid1', 'vdb, vda', 'vdb, vda');
  const own = await appliance.sees('is the disk of the appliance itself');
  report.check('the disk of the appliance is refused', own.includes('vda'));
  await appliance.fill('fast', 'raid1', 'vdb, vdc', 'vdb, vdc');
  const question = await appliance.sees('These disks are overwritten');
  const areNamed = ['serial data-1', 'serial data-2'].every((one) => question.includes(one));
  report.check('the question names the disks', areNamed);
  report.check('a RAID1 pool from two disks', (await confirmed(scene)).includes('Pool fast is ready'));
  await appliance.press('Escape');
}

/** Another machine uses the pool. */
export async function clientAttached(scene: ApplianceScene): Promise<void> {
  const { appliance, client, report } = scene;
  await appliance.press('Escape');
  await appliance.choose('Server', 'Clients', 'Add client');
  await appliance.sees('right');
  await appliance.fill('big-2', 'manage');
  const shown = await appliance.sees(/Key of client big-2, shown only here: [a-z0-9]{32} Run on big-2/);
  const key = /[^a-z0-9]([a-z0-9]{32})[^a-z0-9]/.exec(shown)?.[1] ?? '';
  report.check('a client is added, and its key is shown', key !== '');
  await appliance.press('Enter', 'Escape', 'Escape');
  await appliance.choose('Appliance');
  await attached(client, key);
  await writes(client);
  report.check('another machine attaches a volume and writes', true, `${await client.run(SUMS)} files`);
}

/** Before this, the card of the client takes no frames, and the queue of the other card stands still. */
export async function connected(client: Machine): Promise<void> {
  const network = '[Match]\\nMACAddress=52:54:00:00:00:01\\n[Network]\\nAddress=192.168.45.20/24\\n';
  await client.run(`printf '${network}' > /etc/systemd/network/10-if0.network; hostnamectl hostname big-2; networkctl reload`);
  await client.run(until('grep -q 192.168.45.20 /proc/net/fib_trie', 60));
}

async function attached(client: Machine, key: string): Promise<void> {
  await client.run('apt-get install --yes /share/packages/rsio-common_*.deb /share/packages/rsio-client_*.deb');
  const join = 'rsconfig join 192.168.45.10 --name big-2 --key-file big-2.key --no-start';
  await client.run(`(umask 077; echo ${key} > big-2.key); ${until(join, 20)}`);
  await client.run('systemctl start rsiod');
  await client.run(until('rsconfig -m status | grep -q "connected tx: ok"'));
  await client.run('rsconfig volume create db --size 128m');
  // An emulated server may take longer to open the volume than a client waits.
  await client.run(until('[ -b /dev/av0/db ] || rsconfig -a db', 20));
  await client.run('mkfs.ext4 -q /dev/av0/db && mkdir -p /data && mount /dev/av0/db /data');
  await client.run('cp -r /usr/lib/rsio/rsiod /data/tree && (cd /data && find tree -type f -exec sha256sum {} + > /root/sums)');
}

/** Attaches the volume, if it is not attached, and begins to write lines. */
export async function writes(client: Machine): Promise<void> {
  await client.run(`systemctl start rsiod; ${until('[ -b /dev/av0/db ] || rsconfig -a db', 20)}`);
  await client.run('mountpoint -q /data || mount /dev/av0/db /data');
  // A line counts as acknowledged only after it is on the disks of the appliance.
  const writer =
    'i=$(tail -qn 1 /root/acked 2>/dev/null || echo 0); while :; do i=$((i+1)); echo $i >> /data/ledger && sync /data/ledger && echo $i >> /root/acked; sleep 0.2; done';
  await client.run(`systemd-run -q --unit=writer sh -c '${writer}'; ${until('[ -s /root/acked ]')}`);
}

/** Without a password, nobody can log in over the network. With one, the console and the network ask for it. */
export async function password(scene: ApplianceScene): Promise<void> {
  const { appliance, client, report } = scene;
  const ssh = 'timeout 20 bash -c "head -c 7 < /dev/tcp/192.168.45.10/22" || echo refused';
  report.check('without a password, there is no login over the network', (await client.run(ssh)).includes('refused'));
  await appliance.choose('Password');
  await appliance.fill('correct horse', 'correct horse');
  await outcome(scene);
  report.check('with a password, there is one', (await client.run(until(`${ssh} | grep SSH-2`, 60))).includes('SSH-2.0'));
  await appliance.cut();
  await appliance.powerOn('login:');
  await appliance.enter('root');
  await appliance.sees('Password:');
  await appliance.enter('correct horse');
  await appliance.sees('set: login over the network');
  report.check('the console asks for the password', true);
  await appliance.choose('Password');
  await appliance.press('F3');
  await confirmed(scene);
  report.check('the password is removed', (await appliance.sees('none: no login over the network')) !== '');
}

export async function powerCut(scene: ApplianceScene): Promise<void> {
  await cutAndBoot(scene);
  await intact(scene, 'after a power cut');
}

async function openForm({ appliance }: ApplianceScene, label: string, file: string): Promise<void> {
  await appliance.choose('System', label);
  // The focus begins in the first empty field.
  await appliance.sees(/Removable disk|Name of the file on it/);
  await appliance.fill('', file);
}

/** Leaves a form whose change was refused, and its page. */
async function discarded({ appliance }: ApplianceScene): Promise<void> {
  await appliance.press('Escape');
  await appliance.choose('Discard');
  await appliance.press('Escape');
}

/** Installs the upgrade. */
async function upgraded(scene: ApplianceScene): Promise<void> {
  const { appliance, versions } = scene;
  await openForm(scene, 'Upgrade', 'new.upgrade');
  const said = await outcome(scene);
  if (!said.includes(`Version ${versions[1]} is in the other slot`)) throw new Error(said);
  await appliance.press('Escape');
}

async function runs({ appliance, report }: ApplianceScene, what: string, slot: string, version: string): Promise<void> {
  const menu = await appliance.sees(`version ${version};`).catch(() => null);
  await appliance.choose('System');
  const screen = await appliance.sees(new RegExp(`Slot ${slot} runs: version [^ ]+(?: on trial)? Slot . waits`));
  const [slots = ''] = /Slot . runs.*?Next boot: slot .(?:, on trial)?/.exec(screen.replaceAll(/[|\s]+/g, ' ')) ?? [];
  report.check(`${what}: slot ${slot}, version ${version}`, menu !== null, slots);
  await appliance.press('Escape');
}

/** Waits on the page of the system until it shows that the trial has ended. */
async function trialEnds({ appliance, report }: ApplianceScene, shown: string | RegExp, what: string): Promise<void> {
  await appliance.choose('System');
  await appliance.sees(shown, LONG_MS);
  report.check(what, true);
  await appliance.press('Escape');
}

export async function upgrades(scene: ApplianceScene): Promise<void> {
  const { appliance, report, versions } = scene;
  const [older, newer] = versions;
  await openForm(scene, 'Upgrade', 'bad.upgrade');
  report.check('a damaged upgrade is refused', (await outcome(scene, 'Not done')).includes('is not a usable system'));
  await discarded(scene);
  await openForm(scene, 'Upgrade', 'new.upgrade');
  await appliance.sees(/Upgrading \.\.\. (?:[5-9]|\d\d) s/, LONG_MS);
  await cutAndBoot(scene);
  await runs(scene, 'after a power cut during the upgrade', 'A', older);
  await upgraded(scene);
  await restarting(appliance);
  await cutAndBoot(scene);
  await runs(scene, 'the new system did not come up, so the machine went back', 'A', older);
  await upgraded(scene);
  await restart(scene);
  await runs(scene, 'after the upgrade', 'B', newer);
  await trialEnds(scene, /Next boot: slot B(?!, on trial)/, 'the new system is confirmed');
  await intact(scene, 'after the upgrade');
  await cutAndBoot(scene);
  await runs(scene, 'after a power cut', 'B', newer);
  await appliance.choose('System', 'Go back');
  await appliance.sees('The next boot takes the system in the other slot');
  report.check('the way back', (await confirmed(scene, 'Go back')).includes(`Version ${older} boots next`));
  await appliance.press('Escape');
  await restart(scene);
  await runs(scene, 'after the way back', 'A', older);
  await trialEnds(scene, 'Next boot: slot A', 'the earlier system is confirmed');
  await intact(scene, 'after the way back');
}

/** Replaces a missing disk and then a working one by empty disks, and takes all others away. */
export async function diskReplaced(scene: ApplianceScene): Promise<void> {
  const { appliance, report, folder } = scene;
  const [system, first, , media] = appliance.disks;
  if (system === undefined || first === undefined || media === undefined) throw new Error('The appliance has too few disks');
  await appliance.cut();
  const [third, fourth] = [disk(folder, 'data-3'), disk(folder, 'data-4')];
  appliance.disks = [system, first, third, fourth, media];
  await appliance.powerOn();
  await appliance.sees('Array fast: 1 of 2 disks work', LONG_MS);
  await intact(scene, 'with one disk of two');
  await appliance.choose('Disks', 'fast: raid1');
  await replaced(scene, '', 'vdc', 'data-3');
  report.check('the missing disk is replaced, and the array is whole', true);
  await replaced(scene, 'vdb', 'vdd', 'data-4');
  await appliance.choose('Take vdb out');
  await confirmed(scene, 'Take the failed disks out');
  report.check('a working disk is replaced, and taken out', true);
  await appliance.cut();
  appliance.disks = [system, fourth, media];
  await appliance.powerOn();
  await intact(scene, 'with the second new disk alone');
}

/** Replaces a disk on the open page of the array, and waits until the array is whole. */
async function replaced(scene: ApplianceScene, old: string, by: string, serial: string): Promise<void> {
  const { appliance, report } = scene;
  await appliance.choose('Replace a disk');
  await appliance.sees('takes its place');
  await appliance.fill(old, by, by);
  report.check('the question names the new disk', (await appliance.sees('These disks are overwritten')).includes(`serial ${serial}`));
  await confirmed(scene);
  const isWhole = old === '' ? /all disks work(?!, (?:recovery|resync|waits))/ : `${old}: failed`;
  await appliance.sees(isWhole, LONG_MS);
}

/** The machine gets a new disk with the bare image, and its configuration from the file. */
export async function restored(scene: ApplianceScene): Promise<void> {
  const { appliance, report, image } = scene;
  const [system, ...others] = appliance.disks;
  const media = others.at(-1);
  if (system === undefined || media === undefined) throw new Error('The appliance has too few disks');
  await appliance.cut();
  appliance.disks = [system, disk(scene.folder, 'data-3'), disk(scene.folder, 'data-4'), media];
  await appliance.powerOn();
  await openForm(scene, 'Save configuration', 'saved.json');
  report.check('the configuration is one file', (await outcome(scene)).includes('saved.json'));
  await appliance.cut();
  copyFileSync(image, system.file);
  await appliance.powerOn();
  await appliance.sees('not set up yet');
  await openForm(scene, 'Restore configuration', 'bad.upgrade');
  await appliance.choose('Yes, do it');
  report.check('another file is refused', (await outcome(scene, 'Not done')).includes('bad.upgrade'));
  await discarded(scene);
  await openForm(scene, 'Restore configuration', 'saved.json');
  await confirmed(scene);
  await appliance.press('Escape');
  await restart(scene);
  await appliance.sees('Server big-9');
  await intact(scene, 'with a new system disk and the restored configuration');
}

/** Makes the removable disk with the upgrade, and with a damaged copy. */
export function mediaDisk(folder: string, upgrade: string): ConsoleDisk {
  const made = disk(folder, 'stick', 512);
  const bad = path.join(folder, 'bad.upgrade');
  copyFileSync(upgrade, bad);
  truncateSync(bad, 10_000_000);
  execFileSync('mkfs.vfat', [made.file], { stdio: 'ignore' });
  execFileSync('mcopy', ['-i', made.file, upgrade, '::/new.upgrade']);
  execFileSync('mcopy', ['-i', made.file, bad, '::/bad.upgrade']);
  return made;
}
