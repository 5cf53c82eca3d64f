// The commands of an appliance: its state, upgrades and the way back, and its configuration as one file. `apply` and `confirm` are for its
// units. Invariant: on other machines, every command is refused.

import { existsSync, readFileSync } from 'node:fs';
import { applySettings } from '@rsio/appliance/apply';
import { isConfigLost, lookAtAppliance } from '@rsio/appliance/look';
import { type ApplianceMachine, isAppliance } from '@rsio/appliance/machine';
import { onMedia } from '@rsio/appliance/media';
import { acceptConfig, presentConfig } from '@rsio/appliance/saved-config';
import { readSettings } from '@rsio/appliance/settings';
import { confirmSlot, goBack, upgrade } from '@rsio/appliance/upgrade';
import { replaceFile } from '@rsio/base/files/durable-write';
import { RsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { type AdmContext, defineCommand } from '../cli/context.ts';

const WITHOUT_FILE = { options: {}, operands: { min: 0, max: 0 } };
const WITH_FILE = {
  options: { disk: { kind: 'text', value: 'D', help: 'partition that has FILE, such as sdb1' } },
  operands: { min: 1, max: 1 },
  completes: 'files',
} as const;
const RESTART = 'the restart makes it effective: systemctl reboot';

function machineOf({ root, run }: AdmContext): ApplianceMachine {
  if (!isAppliance(root)) throw new RsError('E_USAGE', 'This machine is not an RSIO appliance: run the command on an appliance');
  return { root, run };
}

export const APPLIANCE_SHOW = defineCommand({
  call: { by: 'words', words: 'appliance show' },
  synopsis: 'appliance show',
  summary: 'shows the slots, arrays and problems of an appliance',
  ...WITHOUT_FILE,
  run: async (context) => {
    const { version, slots, storage, problems, isRestoreWaiting } = await lookAtAppliance(machineOf(context), null);
    const boots = slots?.choice.once ?? slots?.choice.good ?? '-';
    const lines = [
      `version ${version}, slot ${slots?.running ?? '-'}${slots?.isTrial === true ? ' on trial' : ''}`,
      `slot a: ${slots?.systems.a?.version ?? '-'}, slot b: ${slots?.systems.b?.version ?? '-'}; the next boot takes ${boots}`,
      ...storage.arrays.map(
        ({ name, level, working, wanted, activity }) => `array ${name}: ${level}, ${working} of ${wanted} disks, ${activity ?? 'idle'}`,
      ),
      ...(isRestoreWaiting ? ['a restored configuration waits for the next boot'] : []),
      ...problems.map((one) => `! ${one}`),
    ];
    for (const line of lines) context.out(`${escapeControls(line)}\n`);
    return problems.length === 0 ? 0 : 1;
  },
});

export const APPLIANCE_UPGRADE = defineCommand({
  call: { by: 'words', words: 'appliance upgrade' },
  synopsis: 'appliance upgrade FILE [--disk D]',
  summary: 'writes a new system to the idle slot of an appliance',
  details: `Checks the file, writes it to the idle slot, and reads the slot back. The next
boot tries the new system once. If it does not come up, the boot after that
takes the present system again. A power cut leaves the present system bootable.`,
  ...WITH_FILE,
  run: async (context, { disk }, [file = '']) => {
    const machine = machineOf(context);
    const { version } = await onMedia(machine, { disk, file, isWritten: false }, (path) => upgrade(machine, path, context.note));
    context.out(`Version ${version} is installed; ${RESTART}\n`);
    return undefined;
  },
});

export const APPLIANCE_BACK = defineCommand({
  call: { by: 'words', words: 'appliance back' },
  synopsis: 'appliance back',
  summary: 'lets the next boot of an appliance try the other slot',
  ...WITHOUT_FILE,
  run: async (context) => {
    const { version } = await goBack(machineOf(context));
    context.out(`Version ${version} boots next; ${RESTART}\n`);
    return undefined;
  },
});

export const APPLIANCE_SAVE = defineCommand({
  call: { by: 'words', words: 'appliance save' },
  synopsis: 'appliance save FILE [--disk D]',
  summary: 'saves the configuration of an appliance in one file',
  details: `The file has the settings, rssrvcfg with the keys of clients, and the key of the
SSH server. Keep it secret. The volumes and the state of rssrv are not in it.`,
  ...WITH_FILE,
  run: async (context, { disk }, [file = '']) => {
    const machine = machineOf(context);
    const text = await presentConfig(context.root);
    await onMedia(machine, { disk, file, isWritten: true }, (path) => replaceFile(path, text));
    context.out(`The configuration is in ${escapeControls(file)}\n`);
    return undefined;
  },
});

export const APPLIANCE_RESTORE = defineCommand({
  call: { by: 'words', words: 'appliance restore' },
  synopsis: 'appliance restore FILE [--disk D]',
  summary: 'replaces the configuration of an appliance at its next boot',
  details: `The whole file is checked first. The next boot replaces the configuration as a
whole, also if the power is cut while it does.`,
  ...WITH_FILE,
  run: async (context, { disk }, [file = '']) => {
    const machine = machineOf(context);
    await onMedia(machine, { disk, file, isWritten: false }, (path) => acceptConfig(context.root, path));
    context.out(`The configuration is accepted; ${RESTART}\n`);
    return undefined;
  },
});

export const APPLIANCE_APPLY = defineCommand({
  call: { by: 'words', words: 'appliance apply' },
  synopsis: 'appliance apply',
  summary: 'makes the settings of an appliance effective at its boot',
  ...WITHOUT_FILE,
  run: async (context) => {
    await applySettings(machineOf(context), true);
    return undefined;
  },
});

export const APPLIANCE_CONFIRM = defineCommand({
  call: { by: 'words', words: 'appliance confirm' },
  synopsis: 'appliance confirm',
  summary: 'confirms that a new system of an appliance has come up',
  details: `Fails if the configuration cannot be read, or if rssrv is configured and does
not answer. The unit that runs the command then restarts the machine, and the
boot loader takes the earlier slot.`,
  ...WITHOUT_FILE,
  run: async (context) => {
    const machine = machineOf(context);
    if (isConfigLost(context.root)) throw new RsError('E_SYSTEM', 'The configuration partition is not mounted: see its disk');
    await readSettings(context.root);
    const isServer = existsSync(context.configFile) && /^\s*\[/m.test(readFileSync(context.configFile, 'utf8'));
    if (isServer) await context.call('daemon', {});
    context.out(`Slot ${await confirmSlot(machine, context.clock)} is confirmed\n`);
    return undefined;
  },
});
