// A virtual machine that boots from its first disk, with its serial console in a terminal of 80x24 (tmux): the drill presses keys and reads
// the screen, as an administrator does. Nothing else of the machine is reachable. Invariant: every wait has a bound, and an error contains
// the screen.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../support/programs/programs.ts';
import { boardArguments, cardArguments, type MachineOptions } from '../machine.ts';

const LOOK_AGAIN_MS = 500;
const ESCAPE_MS = 2_000;
/** Emulated processors are ten to thirty times slower than real ones. */
const SEES_MS = 120_000;
const BOOT_MS = 600_000;

export interface ConsoleDisk {
  readonly file: string;
  readonly serial: string;
}

export class ConsoleMachine {
  private readonly options: Pick<MachineOptions, 'name' | 'folder' | 'cards'>;
  disks: readonly ConsoleDisk[];

  constructor(options: Pick<MachineOptions, 'name' | 'folder' | 'cards'>, disks: readonly ConsoleDisk[]) {
    this.options = options;
    this.disks = disks;
  }

  private file(ending: string): string {
    return path.join(this.options.folder, `${this.options.name}.${ending}`);
  }

  /** Starts the machine, and waits for `text` on its screen. */
  async powerOn(text: string | RegExp = 'RSIO appliance'): Promise<void> {
    const settings = ['-g status off', '-s escape-time 0', '-g default-terminal screen', '-g remain-on-exit on'];
    writeFileSync(this.file('tmux.conf'), settings.map((one) => `set ${one}\n`).join(''));
    const disks = this.disks.flatMap(({ file, serial }, number) => [
      ...['-drive', `file=${file},id=d${number},if=none,format=raw,cache=unsafe`],
      ...['-device', `virtio-blk-pci,drive=d${number},serial=${serial}`],
    ]);
    const qemu = [
      ...['qemu-system-x86_64', ...boardArguments()],
      ...['-chardev', `stdio,id=console,signal=off,logfile=${this.file('console')},logappend=on`, '-serial', 'chardev:console'],
      ...['-pidfile', this.file('pid'), '-device', 'virtio-rng-pci', ...disks, ...cardArguments(this.options.cards)],
    ];
    rmSync(this.file('pid'), { force: true });
    // The terminal outlives this process, and its machine must not.
    process.once('exit', this.kill);
    await this.tmux('-f', this.file('tmux.conf'), 'new-session', '-d', '-x', '80', '-y', '24', ...qemu);
    await this.sees(text, BOOT_MS);
  }

  /** Returns the process of the machine; null if the machine is off. */
  private readonly kill = (): number | null => {
    try {
      const pid = Number(readFileSync(this.file('pid'), 'utf8'));
      rmSync(this.file('pid'), { force: true });
      process.kill(pid, 'SIGKILL');
      return pid;
    } catch {
      return null;
    }
  };

  /** Cuts the power. */
  async cut(): Promise<void> {
    const pid = this.kill();
    // The disks are locked until all threads of its process have ended, and only then does the terminal take the process away.
    for (let waitedMs = 0; pid !== null && existsSync(`/proc/${pid}`) && waitedMs < SEES_MS; waitedMs += LOOK_AGAIN_MS)
      await sleep(LOOK_AGAIN_MS);
    process.off('exit', this.kill);
    await this.tmux('kill-server').catch(() => undefined);
  }

  /** Presses keys by tmux's names, such as Enter and Down. */
  async press(...keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      await this.tmux('send-keys', key);
      // Together with the next key, Esc would be another key.
      if (key === 'Escape') await sleep(ESCAPE_MS);
    }
  }

  private async type(text: string): Promise<void> {
    await this.tmux('send-keys', '-l', '--', text);
  }

  async enter(line: string): Promise<void> {
    await this.type(line);
    await this.press('Enter');
  }

  /** Moves to the line that contains the text, and presses Enter. Further texts are on the pages that open. */
  async choose(...labels: readonly string[]): Promise<void> {
    for (const label of labels) await this.chooseOne(label);
  }

  private async chooseOne(label: string): Promise<void> {
    let before = '';
    for (let screen = await this.sees(label); ; ) {
      const marked = markedLine(screen);
      if (marked.includes(label)) break;
      if (marked === before) throw new Error(`${this.options.name}: no line with ${label} can be chosen:\n${screen}`);
      before = marked;
      await this.press('Down');
      screen = await this.sees((now) => markedLine(now) !== before);
    }
    await this.press('Enter');
  }

  /** Fills the fields of the open form from the first one, and applies the form. The empty text leaves a field as it is. */
  async fill(...texts: readonly string[]): Promise<void> {
    await this.press('PageUp');
    for (const text of texts) {
      if (text !== '') {
        await this.press('C-u', 'C-k');
        await this.type(text);
      }
      await this.press('Tab');
    }
    await this.press('F3');
  }

  /** Waits until the screen shows `text`; returns the screen. */
  async sees(text: string | RegExp | ((screen: string) => boolean), timeoutMs = SEES_MS): Promise<string> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const screen = await this.tmux('capture-pane', '-p');
      const words = screen.replaceAll(/[|\s]+/g, ' ');
      if (typeof text === 'function' ? text(screen) : typeof text === 'string' ? words.includes(text) : text.test(words)) return screen;
      if (performance.now() > endMs) throw new Error(`${this.options.name}: the screen does not show ${String(text)}:\n${screen}`);
      await sleep(LOOK_AGAIN_MS);
    }
  }

  private async tmux(...args: readonly string[]): Promise<string> {
    const result = await run('tmux', ['-S', this.file('tmux'), ...args], { env: { LC_ALL: 'C.UTF-8', TMUX: '', TERM: 'xterm' } });
    if (result.code !== 0) throw new Error(`tmux ${args[0]}: ${result.stderr}`);
    return result.stdout;
  }
}

/** Returns the marked line: that of a popup, or else that of the page. */
function markedLine(screen: string): string {
  const marked = screen.split('\n').filter((line) => line.includes('| > '));
  return marked.find((line) => line.indexOf('| > ') > 0) ?? marked[0] ?? '';
}
