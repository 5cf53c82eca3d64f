// Freezes file systems while a snapshot is made. A shell in a separate session freezes and thaws them with fsfreeze(8). The shell thaws
// them when its stdin is closed, for example because rsconfig was killed, or after FREEZE_MAX_S. Invariants: this process writes nothing
// while file systems are frozen. If the shell exits without thawing them, this process thaws them. Each wait is bounded.

import { within } from '@rsio/base/lib/waiting';
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { FrozenMount } from './frozen-mounts.ts';
import { FREEZE_MAX_S, FREEZE_WAIT_MS, THAW_WAIT_MS } from '../limits.ts';

/**
 * The shell script, whose arguments are the limit in seconds and the mount points. The script first prints `frozen` or `failed TEXT`.
 * Before it exits, it prints `thawed` or `stuck MOUNTPOINT`.
 */
const SCRIPT = `
trap '' HUP INT TERM QUIT PIPE
limit=$1; shift; frozen=0; why=
for at in "$@"; do
  why=$(fsfreeze -f "$at" 2>&1) || { why="\${why:-fsfreeze $at failed}"; break; }
  frozen=$((frozen + 1)); why=
done
if [ "$frozen" -eq "$#" ]; then echo frozen; timeout "$limit" cat >/dev/null; fi
number=0; result=thawed
for at in "$@"; do
  number=$((number + 1)); [ "$number" -le "$frozen" ] || break
  for try in 1 2 3 4 5; do
    text=$(fsfreeze -u "$at" 2>&1) && break
    case $text in *[Ii]nvalid*) break ;; esac
    [ "$try" -lt 5 ] && sleep 1 || result="stuck $at"
  done
done
[ "$frozen" -eq "$#" ] || echo "failed $why"
echo "$result"
`;

interface Shell {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly closed: Promise<void>;
  /** Resolves when the shell has printed a line or has exited. */
  said(): Promise<void>;
}

/**
 * Executes `work` while the file systems are frozen, and returns its result. Throws an error if a file system was not frozen during the
 * whole of `work`.
 */
export async function whileFrozen<T>(clock: Clock, mounts: readonly FrozenMount[], work: () => Promise<T>): Promise<T> {
  const shell = startShell(mounts);
  try {
    await within(clock, FREEZE_WAIT_MS, shell.said(), () => undefined);
    if (shell.lines[0] !== 'frozen') throw notFrozen(shell);
    const result = await work();
    if (shell.lines.length > 1 || shell.child.exitCode !== null || shell.child.signalCode !== null)
      throw new RsError(
        'E_TIMEOUT',
        `The snapshot was made, but after ${FREEZE_MAX_S}s the file systems had been thawed: it may be of a time after that; remove it, and repeat the command`,
      );
    return result;
  } finally {
    shell.child.stdin?.end();
    await within(clock, THAW_WAIT_MS, shell.closed, () => undefined);
    // A shell that still waits for a freeze must not prevent this program from exiting.
    shell.child.unref();
    shell.child.stdout?.destroy();
    await thawRest(clock, shell, mounts);
  }
}

function notFrozen({ lines }: Shell): RsError {
  const [line] = lines;
  if (line === undefined)
    return new RsError(
      'E_TIMEOUT',
      `No snapshot was made, because the file systems were not frozen within ${printDuration(FREEZE_WAIT_MS)}: their storage is slow or hangs (rsconfig -m status); they are thawed as soon as they are frozen`,
    );
  return new RsError('E_SYSTEM', `No snapshot was made, because a file system could not be frozen: ${line.replace(/^failed /, '')}`);
}

/** Thaws the file systems if the shell was killed before it thawed them. Throws E_SYSTEM if a file system may stay frozen. */
async function thawRest(clock: Clock, { lines, child }: Shell, mounts: readonly FrozenMount[]): Promise<void> {
  const last = lines.at(-1) ?? '';
  if (last === 'thawed') return;
  const hasEnded = child.exitCode !== null || child.signalCode !== null;
  const stuck = mounts.map(({ mountPoint }) => `fsfreeze -u ${mountPoint}`).join('; ');
  if (hasEnded && !last.startsWith('stuck ')) {
    const thawing = mounts.map(
      ({ mountPoint }) =>
        new Promise<void>((resolve) => {
          const thaw = spawn('fsfreeze', ['-u', mountPoint], { stdio: 'ignore', detached: true });
          thaw.on('error', () => resolve());
          thaw.on('close', () => resolve());
        }),
    );
    await within(clock, THAW_WAIT_MS, Promise.all(thawing), () => undefined);
    return;
  }
  // If the shell has printed nothing, it is still freezing a file system. The shell then thaws all file systems when this freeze has ended.
  if (lines.length > 0)
    throw new RsError('E_SYSTEM', `File systems may still be frozen, and programs that write to them wait: run ${stuck}`);
}

function startShell(mounts: readonly FrozenMount[]): Shell {
  const points = mounts.map(({ mountPoint }) => mountPoint);
  // `detached` gives the shell its own session, so that Ctrl-C and a hang-up of the terminal do not reach it.
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'rsio-freeze', String(FREEZE_MAX_S), ...points], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
    cwd: '/',
    env: { ...process.env, LC_ALL: 'C' },
  });
  const lines: string[] = [];
  const waiting: (() => void)[] = [];
  const wake = (): void => {
    for (const each of waiting.splice(0)) each();
  };
  let rest = '';
  child.stdout.on('data', (bytes: Buffer) => {
    const parts = (rest + bytes.toString('utf8')).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
    if (parts.length > 0) wake();
  });
  child.stdin.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    child.on('error', (error) => {
      lines.push(`failed ${error.message}`);
      resolve();
    });
    child.on('close', () => resolve());
  });
  void closed.then(wake);
  return { child, lines, closed, said: () => new Promise((resolve) => (lines.length > 0 ? resolve() : waiting.push(resolve))) };
}
