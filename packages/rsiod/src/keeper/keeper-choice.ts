// Whether rsiod gets a keeper: where there can ever be devices, which are to outlive its working process. Finds what is needed; pure but for that.
// Invariant: without a keeper rsiod is what it is with one, except that its devices end with it.

import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { effectiveVolume } from '@rsio/common/config/effective-volume';
import type { DeviceChoice, RscltConfig } from '@rsio/common/config/schema/types';
import type { DaemonKeeper } from '@rsio/common/daemon/daemon-process';
import type { DeviceFacts } from '../frontends/system/device-choice.ts';
import { KEEPER_VARIABLE } from './keeper-link.ts';
import { keeperArguments } from './keeper-script.ts';

/** Whether volumes may be shown by devices with this configuration, on this machine as it is now. */
export function mayHaveDevices(config: RscltConfig, facts: DeviceFacts): boolean {
  return facts.isRoot && (devicesOf(config).some(isDevice) || (facts.hasFuse && !facts.hasOwnRoot && devicesOf(config).includes('auto')));
}

/**
 * Whether rsiod is started below a keeper: wherever a device can come later, too, by a reload or a module that is loaded. With a root of its
 * own only what asks for devices by name makes any: there a reload that asks for them is refused instead.
 */
export function wantsKeeper(config: RscltConfig, { isRoot, hasOwnRoot }: DeviceFacts): boolean {
  return isRoot && (!hasOwnRoot || devicesOf(config).some(isDevice));
}

/** Of each namespace, and of each volume that has a section. */
function devicesOf({ namespaces }: RscltConfig): DeviceChoice[] {
  return namespaces.flatMap((one) => [one.device, ...one.volumes.map(({ name }) => effectiveVolume(one, name).device)]);
}

function isDevice(choice: DeviceChoice): boolean {
  return choice === 'block' || choice === 'raw';
}

/** What a daemon without a keeper says of a configuration; `lack`: why there can be none, null: it was started without. */
export interface WithoutKeeper {
  /** Why the configuration cannot be taken under way, or null. */
  readonly obstacle: string | null;
  /** What is to be known of it, or null. */
  readonly warning: string | null;
}

export function withoutKeeper(config: RscltConfig, facts: DeviceFacts, lack: string | null): WithoutKeeper {
  if (lack === null) {
    const obstacle =
      'Devices cannot begin under way: this rsiod was started without a keeper, so a crash of it would end what is mounted on them; put device back, or stop rsiod and start it anew (rsconfig stop, then rsiod)';
    return { obstacle: wantsKeeper(config, facts) && mayHaveDevices(config, facts) ? obstacle : null, warning: null };
  }
  const warning = `Devices end with rsiod, and a crash of it ends what is mounted on them, because there can be no keeper: ${lack}`;
  return { obstacle: null, warning: mayHaveDevices(config, facts) ? warning : null };
}

/** Its link's descriptor, and which child of it this process is; null: there is no keeper. */
export function keeperAbove(environment: NodeJS.ProcessEnv): { readonly fd: number; readonly life: number } | null {
  const [fd, life] = (environment[KEEPER_VARIABLE] ?? '').split(' ').map(Number);
  return fd !== undefined && life !== undefined && Number.isInteger(fd) && life > 0 ? { fd, life } : null;
}

export interface KeeperSetup {
  /** Above this process already; 0: none is. */
  readonly life: number;
  readonly root: string;
  readonly logFile: string;
  readonly node: string;
}

/** The keeper to start under, or why this machine can have none. */
export function keeperFor({ life, root, logFile, node }: KeeperSetup): DaemonKeeper | string {
  const perl = findProgram('perl', process.env['PATH'] ?? '');
  if (perl === null) return 'there is no perl (install it)';
  const argumentsFor = (command: readonly string[], starterFd: number | null, isBound: boolean): string[] | null =>
    keeperArguments(process.arch, { isBound, starterFd, logFile, node, command });
  if (argumentsFor([], null, false) === null) return `its system calls on ${process.arch} are not known (use device = nbd-socket)`;
  return {
    childNumber: life,
    // A later child works in another folder: what --root said counts for all of them.
    wrap: (command, starterFd, isBound) => [
      perl,
      ...(argumentsFor([...command, '--root', root === '' ? '/' : root], starterFd, isBound) ?? []),
    ],
  };
}

function findProgram(name: string, folders: string): string | null {
  const isProgram = (file: string): boolean => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  };
  const candidates = folders.split(':').filter((folder) => path.isAbsolute(folder));
  return candidates.map((folder) => path.join(folder, name)).find(isProgram) ?? null;
}
