// The report of npm run drill -- vm-boot: each check prints a line when it ends.
// Invariant: the exit code is 0 exactly if no check has failed.

/** Returns the time in seconds, with one decimal. */
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

  /** Plays a chapter. An error counts as a failure of the chapter, but the next chapter still follows. */
  async chapter(name: string, play: () => Promise<void>): Promise<void> {
    this.say(`-- ${name}`);
    try {
      await play();
    } catch (thrown) {
      this.check(name, false, thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  /** Prints how many checks have passed and failed. Returns the exit code. */
  end(): number {
    this.say(`${this.passed} ok, ${this.failed} failed`);
    return this.failed === 0 ? 0 : 1;
  }
}
