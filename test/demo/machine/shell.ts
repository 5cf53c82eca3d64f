// Runs commands and shows them as a user would type them, with their output as it arrives. The steps choose the commands. Invariant: an
// abort leaves no started process behind. If a daemon is just starting, the abort waits until the daemon is up, so that it can be ended
// properly.

import { join } from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import { GOOD_END, runProgram } from './program-run.ts';
import type { Screen } from './screen.ts';

const COMMAND_TIMEOUT_MS = 60_000;

export interface ShellOptions {
  readonly screen: Screen;
  /** Folder of the checkout, whose folder bin/ has the commands. */
  readonly repository: string;
  /** Value of `--root` for all commands. */
  readonly root: string;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
  readonly env: NodeJS.ProcessEnv;
}

type Program = 'rssrv' | 'rsiod' | 'rsconfig' | 'rsclogcat' | 'rsslogcat';

interface How {
  readonly signal?: AbortSignal;
  /** Called with the output. Default: the output is shown. */
  readonly output?: (text: string) => void;
}

export class Shell {
  private readonly options: ShellOptions;

  constructor(options: ShellOptions) {
    this.options = options;
  }

  lineOf(program: Program, ...args: readonly string[]): string {
    return [`bin/${program}`, '--root', this.options.root, ...args].join(' ');
  }

  async run(program: Program, ...args: readonly string[]): Promise<void> {
    const { repository, root, signal } = this.options;
    const argv = [join(repository, 'bin', program), '--root', root, ...args];
    await this.execute(this.lineOf(program, ...args), process.execPath, argv, { signal });
  }

  /** Starts a daemon and resolves when it is up; throws if the start fails. */
  async start(daemon: 'rssrv' | 'rsiod'): Promise<void> {
    const { repository, root, signal } = this.options;
    // An abort does not interrupt the start, because a daemon that has started is easier to end.
    await this.execute(this.lineOf(daemon), process.execPath, [join(repository, 'bin', daemon), '--root', root], {});
    signal.throwIfAborted();
  }

  /** Runs a program of the machine; throws when it fails. */
  async tool(path: string, ...args: readonly string[]): Promise<void> {
    await this.execute(lineOfTool(path, args), path, args, { signal: this.options.signal });
  }

  /** Runs a program like `tool`, but returns the output, and shows the output only if the program fails. */
  async quietTool(path: string, ...args: readonly string[]): Promise<string> {
    let said = '';
    try {
      await this.execute(lineOfTool(path, args), path, args, { signal: this.options.signal, output: (text) => (said += text) });
    } catch (thrown) {
      this.options.screen.output(said);
      throw thrown;
    }
    return said;
  }

  /** Shows the last lines of both logs, if the logs have lines. Also works after an abort. */
  async showLogs(lines: number): Promise<void> {
    const { repository, root } = this.options;
    for (const program of ['rsslogcat', 'rsclogcat'] as const) {
      const args = ['-n', String(lines)];
      const argv = [join(repository, 'bin', program), '--root', root, ...args];
      await this.execute(this.lineOf(program, ...args), process.execPath, argv, {}).catch(() => {});
    }
  }

  private async execute(line: string, file: string, args: readonly string[], how: How): Promise<void> {
    const { screen, repository, env, timeoutMs = COMMAND_TIMEOUT_MS } = this.options;
    const { signal, output = (text) => screen.output(text) } = how;
    signal?.throwIfAborted();
    screen.command(line);
    const ended = await runProgram(file, args, { cwd: repository, timeoutMs, env, signal, output });
    signal?.throwIfAborted();
    if (ended !== GOOD_END) throw new RsError('E_SYSTEM', `Command ${ended}: ${line}`);
  }
}

function lineOfTool(path: string, args: readonly string[]): string {
  return [path.slice(path.lastIndexOf('/') + 1), ...args].map(quoted).join(' ');
}

/** Quotes a word for a shell if it has special characters such as `?` and `*`. */
export function quoted(word: string): string {
  return /^[\w./:=,@+-]+$/.test(word) ? word : `'${word}'`;
}
