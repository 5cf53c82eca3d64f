// Makes the settings effective: at each boot, and after each change. Invariants: a restored configuration is completed before the settings
// are read; the password comes first, so that nothing that fails later leaves a console without it; the network login is started only if there
// is a password.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { replaceFile } from '@rsio/base/files/durable-write';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { type ApplianceMachine, appliancePaths, exclusively } from './machine.ts';
import { finishRestore, presentHostKey } from './saved-config.ts';
import { readSettings, SETTINGS, type Settings, writeSettings } from './settings.ts';
import { misfit } from '@rsio/base/lib/shape';
import { mountUnitOf, NETWORK_PREFIX, systemFiles } from './system-files.ts';

const NETWORK_FOLDER = '/run/systemd/network';

/** `isBoot`: the programs that the settings concern have not started yet. */
export async function applySettings(machine: ApplianceMachine, isBoot: boolean): Promise<void> {
  const { root, run } = machine;
  const { restored, refused } = appliancePaths(root);
  try {
    await finishRestore(root);
  } catch (thrown) {
    // The present configuration is better than none. crsio says that the other one was refused, or waits: after an error of the disk, the
    // next boot completes it.
    if (toRsError(thrown).code === 'E_CONFIG') renameSync(restored, refused);
  }
  const settings = await readSettings(root);
  await run('usermod', ['--password', settings.passwordHash ?? '!', 'root']);
  const changed = writeFiles(root, systemFiles(settings));
  rmSync(`${root}/etc/localtime`, { force: true });
  symlinkSync(`/usr/share/zoneinfo/${settings.zone}`, `${root}/etc/localtime`);
  await run('hostname', [settings.hostname]);
  await run('systemctl', ['daemon-reload']);
  for (const { name } of settings.pools) await run('systemctl', ['start', '--no-block', '--', mountUnitOf(name)]);
  await applyLogin(machine, settings);
  if (isBoot) return;
  const isChanged = (folder: string): boolean => changed.some((path) => path.startsWith(folder));
  // Only the interfaces whose files have changed are configured again.
  if (isChanged(NETWORK_FOLDER)) await run('networkctl', ['reload']);
  for (const one of ['resolved', 'timesyncd'])
    if (isChanged(`/run/systemd/${one}.conf.d`)) await run('systemctl', ['try-restart', `systemd-${one}.service`]);
}

/** Returns the paths of the files that were changed. Connections of clients end with the network, so that it changes only if it must. */
function writeFiles(root: string, files: ReadonlyMap<string, string>): readonly string[] {
  mkdirSync(root + NETWORK_FOLDER, { recursive: true });
  const present = readdirSync(root + NETWORK_FOLDER).map((name) => `${NETWORK_FOLDER}/${name}`);
  const removed = present.filter((path) => basename(path).startsWith(NETWORK_PREFIX) && !files.has(path));
  for (const path of removed) rmSync(root + path);
  const changed = [...files].filter(([path, text]) => !existsSync(root + path) || readFileSync(root + path, 'utf8') !== text);
  for (const [path, text] of changed) {
    mkdirSync(dirname(root + path), { recursive: true });
    writeFileSync(root + path, text);
  }
  return [...removed, ...changed.map(([path]) => path)];
}

async function applyLogin({ root, run }: ApplianceMachine, { passwordHash }: Settings): Promise<void> {
  if (passwordHash === null) return void (await run('systemctl', ['stop', '--no-block', 'ssh.service']));
  const { hostKey, volatile } = appliancePaths(root);
  if (presentHostKey(root) === null) {
    // ssh-keygen does not sync: after a power cut, the key could be empty, and sshd would never start again.
    const made = `${volatile}/${basename(hostKey)}`;
    mkdirSync(volatile, { recursive: true });
    rmSync(made, { force: true });
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', basename(hostKey), '-f', made]);
    await replaceFile(hostKey, readFileSync(made));
    for (const one of [made, `${made}.pub`]) rmSync(one, { force: true });
  }
  await run('systemctl', ['start', '--no-block', 'ssh.service']);
}

/**
 * Changes the settings and makes them effective. If they cannot be made effective, the earlier settings are effective again, and the error is
 * thrown. Throws E_CONFIG if the new settings are not valid.
 */
export function changeSettings(machine: ApplianceMachine, change: (settings: Settings) => Settings): Promise<void> {
  return exclusively(machine, 'settings', () => changeLockedSettings(machine, change));
}

export async function changeLockedSettings(machine: ApplianceMachine, change: (settings: Settings) => Settings): Promise<void> {
  const before = await readSettings(machine.root);
  const after = change(before);
  const wrong = misfit(SETTINGS, after, 'stored');
  if (wrong !== null) throw new RsError('E_CONFIG', `The settings were not changed: ${wrong}`);
  await writeSettings(machine.root, after);
  try {
    await applySettings(machine, false);
  } catch (thrown) {
    await writeSettings(machine.root, before);
    await applySettings(machine, false).catch(() => undefined);
    throw thrown;
  }
}
