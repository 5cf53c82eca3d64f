// Whether rsiod gets a keeper: where there may be devices that are to outlive its working process. Finds what is needed; pure but for that.
// Invariant: without a keeper rsiod is what it is with one, except that its devices end with it.

import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import type { RscltConfig } from '@rsio/protocol/config/types';
import type { DaemonKeeper } from '@rsio/protocol/lib/daemon-process';
import type { DeviceFacts } from '../doors/device-choice.ts';
import { KEEPER_VARIABLE } from './keeper-link.ts';
import { keeperArguments } from './keeper-script.ts';

/** Whether devices may be made with this configuration. */
export function mayHaveDevices(config: RscltConfig, { isRoot, hasFuse, hasOwnRoot }: DeviceFacts): boolean {
  const choices = config.namespaces.flatMap((namespace) => [
    namespace.device,
    ...namespace.volumes.flatMap(({ device }) => (device === null ? [] : [device])),
  ]);
  return isRoot && hasFuse && choices.some((choice) => choice === 'block' || choice === 'raw' || (choice === 'auto' && !hasOwnRoot));
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

/** The keeper to start under; null: this machine has no perl, or one for which the script does not know the system calls. */
export function keeperFor({ life, root, logFile, node }: KeeperSetup): DaemonKeeper | null {
  const perl = findProgram('perl', process.env['PATH'] ?? '');
  if (perl === null) return null;
  const argumentsFor = (command: readonly string[], starterFd: number | null, isBound: boolean): string[] | null =>
    keeperArguments(process.arch, { isBound, starterFd, logFile, node, command });
  if (argumentsFor([], null, false) === null) return null;
  return {
    life,
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
