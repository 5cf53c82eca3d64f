// The commands of a page, and a shell that runs them as a reader would: scripts (```sh), and commands with the output that the page shows
// below them (```console). Blocks of other languages are left out. Invariant: a step ends only when its command has ended.

import { createServer } from 'node:net';
import { type Running, type RunOptions, start } from './programs.ts';
import { waitFor } from './wait-for.ts';

export interface Step {
  readonly command: string;
  /** Lines of output that the page shows; null: the page shows no output, and the output is not compared. */
  readonly output: string | null;
  /** What the page shows before the command, such as `$` or `big-9#`; empty in a script. */
  readonly prompt: string;
}

const STEP_TIMEOUT_MS = 60_000;
/** How long a page waits for the pages of other test files; their tests have this time on top of their own. */
export const PAGE_TURN_MS = 240_000;
/** The page that runs listens here. */
const PAGE_TURN = { host: '127.255.45.1', port: 45_451, exclusive: true };
const PROMPT = /^((?:[\w-]+)?[$#]) /m;

/** Returns the commands of a page in their order. */
export function stepsOf(page: string): Step[] {
  return [...page.matchAll(/^```(sh|console)\n([^]*?)^```$/gm)].flatMap(([, kind, block = '']) =>
    kind === 'sh' ? [{ command: block, output: null, prompt: '' }] : commandsOf(block),
  );
}

/** Returns the section of a page that has this heading, with its subsections and without the heading. Throws if the page has none. */
export function sectionOf(page: string, heading: string): string {
  const level = heading.indexOf(' ');
  const lines = page.split('\n');
  const start = lines.indexOf(heading) + 1;
  if (start === 0) throw new Error(`The page has no section "${heading}"`);
  let isCode = false;
  const length = lines.slice(start).findIndex((line) => {
    if (line.startsWith('```')) isCode = !isCode;
    return !isCode && (/^#+(?= )/.exec(line)?.[0].length ?? level + 1) <= level;
  });
  return lines.slice(start, length < 0 ? undefined : start + length).join('\n');
}

function commandsOf(block: string): Step[] {
  const [, ...parts] = block.split(PROMPT);
  return parts.flatMap((prompt, index) => {
    if (index % 2 === 1) return [];
    const text = parts[index + 1] ?? '';
    const end = text.indexOf('\n');
    return [{ prompt, command: text.slice(0, end), output: text.slice(end + 1) }];
  });
}

/**
 * Waits until no page of another test file runs: all pages have the namespaceid that a reader sees, and their hosts would find one another
 * by exploration. `onClean`: called with the end of the turn.
 */
export async function pageTurn(onClean: (end: () => void) => void): Promise<void> {
  const isMine = (): Promise<boolean> =>
    new Promise((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(PAGE_TURN, () => {
        onClean(() => server.close());
        resolve(true);
      });
    });
  await waitFor(isMine, PAGE_TURN_MS, 'The page of another test ends');
}

export class PageShell {
  private readonly shell: Running;
  private steps = 0;

  constructor(options: Omit<RunOptions, 'isWrittenTo'>) {
    this.shell = start('bash', [], { ...options, isWrittenTo: true });
  }

  /** Waits until the command has ended; returns its output and exit code. */
  async run(command: string): Promise<{ code: number; output: string }> {
    const { shell } = this;
    const number = this.steps++;
    const before = shell.stdout().length;
    const end = new RegExp(`^\\(step ${number}: (\\d+)\\)$`, 'm');
    const printed = (): string => shell.stdout().slice(before);
    shell.write(`{ ${command.trimEnd()}\n} < /dev/null 2>&1; echo "(step ${number}: $?)"\n`);
    await waitFor(() => end.test(printed()), STEP_TIMEOUT_MS, `The step ends: ${command}`);
    const [marker = '', code] = end.exec(printed()) ?? [];
    return { code: Number(code), output: printed().slice(0, printed().indexOf(marker)) };
  }

  end(): void {
    this.shell.kill();
  }
}
