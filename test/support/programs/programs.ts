// Runs programs for a test: `run` waits for the end of the program, and `start` does not. Output is kept, the running time is bounded, and
// programs that are still running when the hosts are cleaned up are killed by pid. host.ts runs daemons, which outlive the command that starts them.

import { type ChildProcess, type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'vitest';

export interface RunOptions {
  /** The program is killed after this time, and the result says that it was killed. Default: 90 s. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
  /** Variables for the program, in addition to the environment of the test process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the program has an input, to which `write` writes. Default: the program has no input. */
  readonly isWrittenTo?: boolean;
}

export interface RunResult {
  /** Exit code; null: a signal ended the program. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  readonly elapsedMs: number;
}

/** A program that runs while the test continues. */
export interface Running {
  readonly pid: number;
  readonly ended: Promise<RunResult>;
  /** The output so far. */
  stdout(): string;
  /** Writes to the program's input; only with `isWrittenTo`. */
  write(text: string): void;
  kill(signal?: NodeJS.Signals): void;
}

const RUN_TIMEOUT_MS = 90_000;
const LAUNCHERS = launchersAbove(path.dirname(fileURLToPath(import.meta.url)));
const children = new Set<ChildProcess>();
/** The launcher of the server for tests (scripts/bundle.mjs). */
export const FAULTY_SERVER = path.join(LAUNCHERS, '../test/dist/faulty-server/bin/rssrv');

/** Path of a launcher of this project: rssrv, rsiod, rsconfig, rsclogcat, rsslogcat. */
export function launcher(program: string): string {
  return path.join(LAUNCHERS, program);
}

/** Finds the folder bin of this checkout, both from the source file and from the compiled one. */
function launchersAbove(folder: string): string {
  const bin = path.join(folder, 'bin');
  if (existsSync(path.join(bin, 'launch.js'))) return bin;
  const above = path.dirname(folder);
  if (above === folder) throw new Error('The launchers of this checkout are not there');
  return launchersAbove(above);
}

/** Starts a program without a shell. The promise `ended` of the result rejects only if the program could not be started. */
export function start(program: string, args: readonly string[], options: RunOptions = {}): Running {
  const startMs = performance.now();
  const child = spawn(program, args, {
    stdio: [options.isWrittenTo === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  }) as ChildProcessByStdio<Writable | null, Readable, Readable>;
  // Ignores an error of the input: the error only means that the program has ended and no longer reads. The exit code of the program gives
  // the reason.
  child.stdin?.on('error', () => undefined);
  children.add(child);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, options.timeoutMs ?? RUN_TIMEOUT_MS);
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8');
    child[name].on('data', (text: string) => {
      texts[name] += text;
    });
  }
  const ended = new Promise<RunResult>((resolve, reject) => {
    const over = (): void => {
      clearTimeout(timer);
      children.delete(child);
    };
    child.on('error', (error) => {
      over();
      reject(error);
    });
    child.on('close', (code, signal) => {
      over();
      resolve({ code, signal, ...texts, timedOut, elapsedMs: performance.now() - startMs });
    });
  });
  // A caller that only starts a program and cleans up later must not get an unhandled rejection.
  ended.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    ended,
    stdout: () => texts.stdout,
    write: (text) => void child.stdin?.write(text),
    kill: (signal = 'SIGKILL') => void child.kill(signal),
  };
}

/** Runs a program to its end; any exit code is accepted. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return start(program, args, options).ended;
}

/** Runs a program that must succeed; returns its stdout. Throws with command, exit code and whole output. */
export async function runWell(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return wellOf(`${program} ${args.join(' ')}`, await run(program, args, options));
}

/** Returns stdout of a program that succeeded. Throws otherwise. */
export function wellOf(what: string, result: RunResult): string {
  if (result.code === 0) return result.stdout;
  const end = result.timedOut
    ? `did not end within ${Math.round(result.elapsedMs)} ms`
    : `ended with ${result.signal ?? `code ${result.code}`}`;
  throw new Error(`${what} ${end}\n${result.stdout}${result.stderr}`);
}

/** Kills all programs that `start` and `run` have started and that still run. */
export async function endPrograms(): Promise<void> {
  const closed = [...children].map((child) => new Promise((resolve) => child.once('close', resolve)));
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(closed);
}

/** Skips the test, naming the Debian package, when the program is missing. */
export function needTool(context: TestContext, program: string, debianPackage: string): void {
  context.skip(!isThere(program), `needs ${program}: install ${debianPackage}`);
}

/** Skips the test if fio is missing, or was installed without its NBD engine. */
export function needFio(context: TestContext): void {
  needTool(context, 'fio', 'fio');
  const engines = spawnSync('fio', ['--enghelp'], { encoding: 'utf8' }).stdout;
  context.skip(!/^\s*nbd$/m.test(engines), 'needs fio with its nbd engine: install fio and libnbd0');
}

function isThere(program: string): boolean {
  return spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', program], { stdio: 'ignore' }).status === 0;
}
