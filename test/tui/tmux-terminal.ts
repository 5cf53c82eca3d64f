// A terminal of a given size that runs a program of a host in a separate tmux server: it sends keys to the program, and returns the screen
// as text. The waits of the terminal end when a text is on the screen, and never after a fixed time. The tmux server has the host's mark in
// its environment, so that it always ends with the host. After the program has ended, the same terminal prints its exit code and the
// terminal settings.

import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Host } from '../support/hosts/host.ts';
import { run } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

export const SCREEN_DEADLINE_MS = 15_000;
const TMUX_TIMEOUT_MS = 30_000;
/** Time between two looks at the screen. Each look starts a process, which takes processor time from the awaited program. */
const LOOK_AGAIN_MS = 60;
/** Gives the whole window to the program, and does not delay an Esc. */
const TMUX_CONFIG = 'set -g status off\nset -s escape-time 0\n';
/**
 * Shell script that runs the program given as arguments, and then prints its exit code and the terminal settings. The script does not end,
 * so that the screen can be read.
 */
const RUNNER = 'cd /; "$@"; echo "exit code $?"; stty -a | grep -oE -- "-?icanon|-?echo( |$)" | tr -s " \\n" " "; echo; exec cat';

export interface TerminalOptions {
  readonly args?: readonly string[];
  /** The whole command line, in place of the launcher in bin/ and `args`. */
  readonly commandLine?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
}

export class TmuxTerminal {
  static #count = 0;
  readonly #host: Host;
  readonly #socket: string;

  private constructor(host: Host) {
    this.#host = host;
    TmuxTerminal.#count += 1;
    this.#socket = host.file(`tui/tmux-${TmuxTerminal.#count}`);
  }

  /** Starts `crsio --root ROOT ARGS`, or another command line, in a new terminal, 80x24 by default. */
  static async start(host: Host, options: TerminalOptions = {}): Promise<TmuxTerminal> {
    const terminal = new TmuxTerminal(host);
    const config = host.file('tui/tmux.conf');
    writeFileSync(config, TMUX_CONFIG);
    const { args = [], env = {}, columns = 80, rows = 24 } = options;
    const commandLine = options.commandLine ?? host.commandLine('crsio', args);
    const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
    const program = ['env', ...variables, ...commandLine];
    const size = ['-x', String(columns), '-y', String(rows)];
    await terminal.#tmux('-f', config, 'new-session', '-d', ...size, 'sh', '-c', RUNNER, 'sh', ...program);
    return terminal;
  }

  /** Presses keys by tmux's names: Enter, Escape, F3, Down, C-u. */
  async press(...keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.#tmux('send-keys', key);
  }

  /** Presses several keys at once, so that the program gets them in one read. */
  async pressAtOnce(...keys: readonly string[]): Promise<void> {
    await this.#tmux('send-keys', ...keys);
  }

  async type(text: string): Promise<void> {
    await this.#tmux('send-keys', '-l', '--', text);
  }

  /** Pastes text as a terminal does. If the program has requested bracketed paste, the text is in brackets. */
  async paste(text: string): Promise<void> {
    await this.#tmux('set-buffer', '--', text);
    await this.#tmux('paste-buffer', '-p');
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** Text of the screen, one line for each row. */
  screen(): Promise<string> {
    return this.#tmux('capture-pane', '-p');
  }

  /** Text of the screen with the escape sequences of its colours; the Escape character is shown as `^[`. */
  async colouredScreen(): Promise<string> {
    return (await this.#tmux('capture-pane', '-p', '-e')).replaceAll('\u001b', '^[');
  }

  /** Returns a property of the terminal by the name that tmux gives it, such as cursor_x or alternate_on. */
  async fact(name: string): Promise<string> {
    return (await this.#tmux('display-message', '-p', `#{${name}}`)).trim();
  }

  /** Waits until the screen shows `text` and does not show `not`; returns the screen. */
  async sees(text: string | RegExp, not: string | null = null): Promise<string> {
    let last = '';
    const isThere = async (): Promise<boolean> => {
      if (last !== '') await sleep(LOOK_AGAIN_MS);
      last = await this.screen();
      return (typeof text === 'string' ? last.includes(text) : text.test(last)) && (not === null || !last.includes(not));
    };
    try {
      await waitFor(isThere, SCREEN_DEADLINE_MS, `The screen says ${String(text)}`);
    } catch (error) {
      throw new Error(`The screen does not say ${String(text)}:\n${last}`, { cause: error });
    }
    return last;
  }

  /** Waits until the program has ended with this code; returns the screen. Fails unless the terminal settings are restored. */
  async ended(code: number): Promise<string> {
    const end = await this.sees(/^-?icanon -?echo *$/m);
    expect(end).toContain(`exit code ${code}\n`);
    expect(end, 'settings of the terminal').toMatch(/^icanon echo ?$/m);
    expect([await this.fact('alternate_on'), await this.fact('cursor_flag')], 'screen and cursor').toEqual(['0', '1']);
    return end;
  }

  async signal(name: NodeJS.Signals): Promise<void> {
    const shell = Number(await this.fact('pane_pid'));
    const { stdout } = await run('pgrep', ['-P', String(shell)]);
    process.kill(Number(stdout.trim().split('\n')[0]), name);
  }

  async #tmux(...args: readonly string[]): Promise<string> {
    const env = { ...this.#host.environment(), LC_ALL: 'C.UTF-8', TMUX: '' };
    const result = await run('tmux', ['-S', this.#socket, ...args], { env, timeoutMs: TMUX_TIMEOUT_MS });
    if (result.code !== 0) throw new Error(`tmux ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  }
}
