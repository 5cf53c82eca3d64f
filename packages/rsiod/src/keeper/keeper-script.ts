// How the keeper is started: helpers/keeper.pl, a program of its own, with its bounds as arguments. What it does stands there.
// Invariant: all that it is to know comes from here; it reads no configuration.

import {
  KEEPER_LIVES_MAX,
  KEEPER_PAUSE_MAX_MS,
  KEEPER_PAUSE_MIN_MS,
  KEEPER_QUIET_SECONDS,
  KEEPER_SETTLED_MS,
  KEEPER_SILENCE_SECONDS,
} from './limits.ts';
import { helperFile } from '../sys/helper-files.ts';

/** System call numbers: prctl of each architecture; those of descriptors are the same everywhere. */
const PRCTL: Readonly<Record<string, number>> = { x64: 157, arm64: 167 };

export interface KeeperCommand {
  /** The keeper ends with its parent. */
  readonly isBound: boolean;
  /** Descriptor of the channel to whoever starts the daemon; null: there is none. */
  readonly starterFd: number | null;
  readonly logFile: string;
  /** For the log. */
  readonly node: string;
  /** What it runs. */
  readonly command: readonly string[];
}

/** Arguments for perl, or null: the system call numbers of this architecture are not known. */
export function keeperArguments(architecture: string, { isBound, starterFd, logFile, node, command }: KeeperCommand): string[] | null {
  const prctl = PRCTL[architecture];
  if (prctl === undefined) return null;
  const bounds = [
    KEEPER_LIVES_MAX,
    KEEPER_SETTLED_MS,
    KEEPER_PAUSE_MIN_MS,
    KEEPER_PAUSE_MAX_MS,
    KEEPER_QUIET_SECONDS,
    KEEPER_SILENCE_SECONDS,
  ].map(String);
  return [helperFile('keeper.pl'), String(prctl), isBound ? '1' : '0', String(starterFd ?? '-'), logFile, node, ...bounds, ...command];
}
