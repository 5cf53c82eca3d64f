// The changes of settings that crsio offers, and power; apply.ts makes the settings effective. Invariant: a password is never in a command
// line, a file or an error in plain text.

import { randomBytes } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { RsError } from '@rsio/base/lib/errors';
import { changeSettings } from './apply.ts';
import { type ApplianceMachine, appliancePaths } from './machine.ts';
import { isZone, type Settings } from './settings.ts';

/** Terminals with crsio, as scripts/appliance/system.mjs enables them. */
const CONSOLES = ['tty1', 'ttyS0'];

export type InterfaceSettings = Settings['interfaces'][number];

export function setInterface(
  machine: ApplianceMachine,
  wanted: InterfaceSettings,
  dns: readonly string[],
  hostname: string,
): Promise<void> {
  return changeSettings(machine, (now) => {
    return { ...now, hostname, dns, interfaces: [...now.interfaces.filter(({ mac }) => mac !== wanted.mac), wanted] };
  });
}

export async function setTime(machine: ApplianceMachine, zone: string, ntp: readonly string[]): Promise<void> {
  // Folders and tables lie beside the zones.
  const file = isZone(zone) ? await readFile(`${machine.root}/usr/share/zoneinfo/${zone}`, 'latin1').catch(() => '') : '';
  if (!file.startsWith('TZif')) throw new RsError('E_CONFIG', `No time zone ${JSON.stringify(zone)}: give a zone such as Europe/Oslo`);
  await changeSettings(machine, (now) => ({ ...now, zone, ntp }));
}

/** The empty password removes the password and with it the login over the network. */
export async function setPassword(machine: ApplianceMachine, password: string): Promise<void> {
  const passwordHash = password === '' ? null : await hashOf(machine, password);
  await changeSettings(machine, (now) => ({ ...now, passwordHash }));
  if (passwordHash === null) return;
  // The other consoles may have been opened without a password.
  const own = await readlink('/proc/self/fd/0');
  for (const tty of CONSOLES.filter((one) => own !== `/dev/${one}`))
    await machine.run('systemctl', ['try-restart', '--no-block', `rsio-console@${tty}.service`]);
}

async function hashOf({ root, run }: ApplianceMachine, password: string): Promise<string> {
  const salt = randomBytes(12)
    .toString('base64')
    .replaceAll(/[^A-Za-z0-9]/g, '.');
  return (await run(appliancePaths(root).hashPassword, [`$6$${salt}`], { input: password })).trim();
}

export async function power({ run }: ApplianceMachine, what: 'reboot' | 'poweroff'): Promise<void> {
  await run('systemctl', [what, '--no-block']);
}
