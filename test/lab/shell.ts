// Runs commands and shows them as a person would type them, with what they print as it comes. Leaves what they mean to the steps.
// Invariant: nothing that was started here is left behind by an abort; a daemon that is just starting is let come up, to be ended properly.

import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { RsError } from '@rsio/protocol/lib/errors';
import type { Screen } from './screen.ts';

/** mke2fs is here where the PATH of a plain user does not lead. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin'];
const COMMAND_TIMEOUT_MS = 60_000;

export interface ShellOptions {
  readonly screen: Screen;
  /** The checkout: commands of bin/ are named from here. */
  readonly repository: string;
  /** The `--root` of all commands. */
  readonly root: string;
  readonly signal: AbortSignal;
}

type Program = 'rssrv' | 'rsiod' | 'rsconfig' | 'rsclogcat' | 'rsslogcat';

export class Shell {
  private readonly options: ShellOptions;

  constructor(options: ShellOptions) {
    this.options = options;
  }

  /** The command line of a program of this project. */
  lineOf(program: Program, ...args: readonly string[]): string {
    return [`bin/${program}`, '--root', this.options.root, ...args].join(' ');
  }

  /** Runs a program of this project; throws when it fails. */
  async run(program: Program, ...args: readonly string[]): Promise<void> {
    const { repository, root, signal } = this.options;
    const argv = [join(repository, 'bin', program), '--root', root, ...args];
    await this.execute(this.lineOf(program, ...args), process.execPath, argv, signal);
  }

  /** Starts a daemon and comes back when it is up; throws when it is not. */
  async start(daemon: 'rssrv' | 'rsiod'): Promise<void> {
    const { repository, root, signal } = this.options;
    // No signal for the start itself: half a start is harder to end than a whole one.
    await this.execute(this.lineOf(daemon), process.execPath, [join(repository, 'bin', daemon), '--root', root], undefined);
    signal.throwIfAborted();
  }

  /** Runs a program of the machine; throws when it fails. */
  async tool(path: string, ...args: readonly string[]): Promise<void> {
    const words = [path.slice(path.lastIndexOf('/') + 1), ...args].map(quoted);
    await this.execute(words.join(' '), path, args, this.options.signal);
  }

  /** Shows the last lines of both logs, if there are any; also after an abort. */
  async showLogs(lines: number): Promise<void> {
    const { repository, root } = this.options;
    for (const program of ['rsslogcat', 'rsclogcat'] as const) {
      const args = ['-n', String(lines)];
      const argv = [join(repository, 'bin', program), '--root', root, ...args];
      await this.execute(this.lineOf(program, ...args), process.execPath, argv, undefined).catch(() => {});
    }
  }

  private async execute(line: string, file: string, args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const { screen, repository } = this.options;
    signal?.throwIfAborted();
    screen.command(line);
    // Detached: the terminal's Ctrl-C is for the lab alone, which then ends things in order.
    const child = spawn(file, [...args], {
      cwd: repository,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_TIMEOUT_MS,
    });
    const abort = (): void => void child.kill();
    signal?.addEventListener('abort', abort);
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => screen.output(text));
    try {
      const ended = await new Promise<string>((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (code, killedBy) => resolve(code === null ? `was ended by ${killedBy}` : `ended with exit code ${code}`));
      });
      signal?.throwIfAborted();
      if (ended !== 'ended with exit code 0') throw new RsError('E_SYSTEM', `Command ${ended}: ${line}`);
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }
}

/** Where a program of the machine is, or null. */
export function findTool(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_FOLDERS].filter((folder) => folder.startsWith('/'));
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** As it must be typed: `?` and `*` mean something to a shell. */
export function quoted(word: string): string {
  return /^[\w./:=,@+-]+$/.test(word) ? word : `'${word}'`;
}
