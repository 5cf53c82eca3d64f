// The report of the drills with virtual machines: each check prints a line when it ends, with the time since the beginning.
// The owner counts the checks.

import { seconds } from '../support/drills/table.ts';

export class Report {
  private readonly startMs = performance.now();
  private readonly checked: (what: string, isSo: boolean) => void;

  constructor(checked: (what: string, isSo: boolean) => void) {
    this.checked = checked;
  }

  say(text: string): void {
    console.log(`${seconds(performance.now() - this.startMs).padStart(9)}  ${text}`);
  }

  check(what: string, isSo: boolean, seen = ''): void {
    this.checked(what, isSo);
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
}
