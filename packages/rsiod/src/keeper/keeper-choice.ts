// Decides whether rsiod gets a keeper, and how the keeper is started. There is a keeper if rsiod may ever have devices, because devices
// must outlive rsiod's working process. The program helpers/keeper.pl is the keeper. As root, rsiod has a keeper from the start, because a
// reload or a kernel module may add devices at any time. Invariants: rsiod works in the same way without a keeper, except that devices stop
// working when rsiod exits. The keeper gets all settings as arguments and reads no configuration.

import { accessSync, constants } from 'node:fs';
import { effectiveVolume } from '@rsio/common/config/effective-volume';
import type { DeviceChoice, RscltConfig } from '@rsio/common/config/schema/types';
import type { DaemonKeeper } from '@rsio/base/daemon/daemon-process';
import type { DeviceFacts } from '../frontends/system/device-choice.ts';
import { helperFile } from '../sys/helper-files.ts';
import { KEEPER_VARIABLE } from './keeper-link.ts';
import {
  KEEPER_STARTS_MAX,
  KEEPER_PAUSE_MAX_MS,
  KEEPER_PAUSE_MIN_MS,
  KEEPER_QUIET_SECONDS,
  KEEPER_SETTLED_MS,
  KEEPER_SILENCE_SECONDS,
} from './limits.ts';

import path from 'node:path';

/** True if volumes may be shown as devices with this configuration and the machine's current device support. */
export function mayHaveDevices(config: RscltConfig, facts: DeviceFacts): boolean {
  return facts.isRoot && (devicesOf(config).some(isDevice) || (facts.hasFuse && !facts.hasOwnRoot && devicesOf(config).includes('auto')));
}

/**
 * True if rsiod must be started under a keeper. A keeper is needed even if devices can be created only later, after a reload or after a
 * kernel module has been loaded. If rsiod has its own root folder (--root), only `device = block` and `device = raw` create devices. If
 * neither setting is configured at start, rsiod has no keeper and refuses a reload that adds one of these settings.
 */
export function wantsKeeper(config: RscltConfig, { isRoot, hasOwnRoot }: DeviceFacts): boolean {
  return isRoot && (!hasOwnRoot || devicesOf(config).some(isDevice));
}

/** Returns the device setting of each namespace, and of each volume that has a section. */
function devicesOf({ namespaces }: RscltConfig): DeviceChoice[] {
  return namespaces.flatMap((one) => [one.device, ...one.volumes.map(({ name }) => effectiveVolume(one, name).device)]);
}

function isDevice(choice: DeviceChoice): boolean {
  return choice === 'block' || choice === 'raw';
}

export interface WithoutKeeper {
  /** Reason why a reload of this configuration is refused; null if the reload is accepted. */
  readonly obstacle: string | null;
  readonly warning: string | null;
}

export function withoutKeeper(config: RscltConfig, facts: DeviceFacts, lack: string | null): WithoutKeeper {
  if (lack === null) {
    const obstacle =
      'Devices cannot be added at runtime: this rsiod was started without a keeper, so that a crash would end everything that is mounted on them. Restore device, or restart rsiod (rsconfig stop, then rsiod)';
    return { obstacle: wantsKeeper(config, facts) && mayHaveDevices(config, facts) ? obstacle : null, warning: null };
  }
  const warning = `Devices end with rsiod, and a crash of rsiod ends everything that is mounted on them, because there is no keeper: ${lack}`;
  return { obstacle: null, warning: mayHaveDevices(config, facts) ? warning : null };
}

/** The keeper of this process, as the environment describes it. The keeper numbers its children from 1. */
export interface KeeperAbove {
  /** Descriptor of the link to the keeper. */
  readonly fd: number;
  readonly life: number;
  readonly version: number;
}

/** Returns null if there is no keeper. Keepers of older releases do not name the version of their protocol, which is 1. */
export function keeperAbove(environment: NodeJS.ProcessEnv): KeeperAbove | null {
  const [fd, life, version = 1] = (environment[KEEPER_VARIABLE] ?? '').split(' ').map(Number);
  return fd !== undefined && life !== undefined && Number.isInteger(fd) && life > 0 ? { fd, life, version } : null;
}

export interface KeeperSetup {
  /** The number of this process; 0 if there is no keeper yet. */
  readonly life: number;
  readonly root: string;
  readonly logFile: string;
  readonly node: string;
}

/** Returns the settings with which rsiod is started under a keeper, or a text with the reason why this machine cannot have a keeper. */
export function keeperFor({ life, root, logFile, node }: KeeperSetup): DaemonKeeper | string {
  const perl = findProgram('perl', process.env['PATH'] ?? '');
  if (perl === null) return 'perl is missing (install it)';
  const argumentsFor = (command: readonly string[], starterFd: number | null, isBound: boolean): string[] | null =>
    keeperArguments(process.arch, { isBound, starterFd, logFile, node, command });
  if (argumentsFor([], null, false) === null) return `its system calls on ${process.arch} are unknown (use device = nbd-socket)`;
  return {
    childNumber: life,
    // Later children have a different working directory, so --root is passed as an absolute path.
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

/** Key: architecture. Value: number of the system call prctl. The pidfd system calls have the same numbers on all architectures. */
export const PRCTL: Readonly<Record<string, number>> = { x64: 157, arm64: 167 };

export interface KeeperCommand {
  /** True if the keeper exits when its parent exits. */
  readonly isBound: boolean;
  /** Descriptor of the channel to the process that starts the daemon; null if there is no channel. */
  readonly starterFd: number | null;
  readonly logFile: string;
  /** The node name of the client, which the keeper writes in its log lines. */
  readonly node: string;
  /** The program that the keeper runs, with its arguments. */
  readonly command: readonly string[];
}

/** Returns the arguments for perl, or null if the number of the system call prctl on this architecture is unknown. */
export function keeperArguments(architecture: string, { isBound, starterFd, logFile, node, command }: KeeperCommand): string[] | null {
  const prctl = PRCTL[architecture];
  if (prctl === undefined) return null;
  const bounds = [
    KEEPER_STARTS_MAX,
    KEEPER_SETTLED_MS,
    KEEPER_PAUSE_MIN_MS,
    KEEPER_PAUSE_MAX_MS,
    KEEPER_QUIET_SECONDS,
    KEEPER_SILENCE_SECONDS,
  ].map(String);
  return [helperFile('keeper.pl'), String(prctl), isBound ? '1' : '0', String(starterFd ?? '-'), logFile, node, ...bounds, ...command];
}
