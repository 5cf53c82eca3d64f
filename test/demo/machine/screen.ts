// Prints everything that the user of the demo sees: numbered steps with their times, commands as a user types them, and their real output.
// The screen uses colour only on request. The steps decide what is shown. Invariant: without colour, the output consists of plain lines.

const BOLD = '1';
const DIM = '2';
const RED = '31';
const GREEN = '32';
const CYAN = '36';

export interface ScreenOptions {
  readonly out: (text: string) => void;
  readonly colour: boolean;
}

/** Whether to use colour: on a terminal with colours, unless NO_COLOR is set (https://no-color.org). */
export function wantsColour(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): boolean {
  return isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export class Screen {
  private readonly options: ScreenOptions;
  private steps = 0;

  constructor(options: ScreenOptions) {
    this.options = options;
  }

  /** Prints the heading of a step, does its work, and prints how long the work took. */
  async step<T>(title: string, work: () => Promise<T>): Promise<T> {
    this.steps += 1;
    this.line(`\n${this.paint(BOLD, `${this.steps}. ${title}`)}`);
    const startMs = performance.now();
    const result = await work();
    this.line(this.paint(DIM, `(${seconds(performance.now() - startMs)})`));
    return result;
  }

  command(line: string): void {
    this.line(`${this.paint(GREEN, '$')} ${this.paint(CYAN, line)}`);
  }

  output(text: string): void {
    this.options.out(text);
  }

  line(text: string): void {
    this.options.out(`${text}\n`);
  }

  good(text: string): void {
    this.line(this.paint(GREEN, text));
  }

  bad(text: string): void {
    this.line(this.paint(RED, text));
  }

  private paint(code: string, text: string): string {
    return this.options.colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}
