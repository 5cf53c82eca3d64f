// The report of npm run vm-boot: a line for each check at its end.
// Invariant: the exit code is 0 exactly if no check has failed.

/** Seconds with one digit. */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

export class Report {
  private failed = 0;
  private passed = 0;
  private readonly startMs = performance.now();

  say(text: string): void {
    console.log(`${seconds(performance.now() - this.startMs).padStart(9)}  ${text}`);
  }

  check(what: string, isSo: boolean, seen = ''): void {
    if (isSo) this.passed += 1;
    else this.failed += 1;
    this.say(`${isSo ? 'ok  ' : 'FAIL'}  ${what}${seen === '' ? '' : `: ${seen.replaceAll('\n', '\n               | ')}`}`);
  }

  /** Plays a chapter; an error in it is a failure, and the next one is played. */
  async chapter(name: string, play: () => Promise<void>): Promise<void> {
    this.say(`-- ${name}`);
    try {
      await play();
    } catch (thrown) {
      this.check(name, false, thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  /** Prints the sum; returns the exit code. */
  end(): number {
    this.say(`${this.passed} ok, ${this.failed} failed`);
    return this.failed === 0 ? 0 : 1;
  }
}
