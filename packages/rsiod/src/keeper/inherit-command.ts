// Makes the command that starts a process of rsiod with descriptors that the keeper holds. The program helpers/inherit.pl copies the
// descriptors. Pure. Invariants: the descriptors have consecutive numbers from INHERITED_FD, in the order of `places`. The new process
// never outlives the process that starts the command.

import { RsError } from '@rsio/base/lib/errors';
import { helperFile } from '../sys/helper-files.ts';
import { PRCTL } from './keeper-choice.ts';

/** The first number after stdin, stdout, stderr and the IPC channel of Node. */
export const INHERITED_FD = 4;

export interface Heir {
  /** Pid of the keeper, which is the parent of this process. */
  readonly keeper: number;
  /** Pid of this process. The new process is killed when this process ends, even if the new process is stopped. */
  readonly parent: number;
  /** The answers of `KeeperLink.places`. The keeper must hold the descriptors until the new process runs. */
  readonly places: readonly number[];
}

/**
 * Returns the program to spawn with its arguments. If the descriptors cannot be copied, the exit code is 126, and stderr has the reason.
 * Throws E_SYSTEM on an architecture that no keeper supports.
 */
export function inheritCommand(
  { keeper, parent, places }: Heir,
  command: readonly string[],
  architecture: string = process.arch,
): string[] {
  const prctl = PRCTL[architecture];
  if (prctl === undefined) throw new RsError('E_SYSTEM', `The system calls on ${architecture} are unknown`);
  return ['perl', helperFile('inherit.pl'), String(prctl), String(parent), String(keeper), places.join(','), ...command];
}
