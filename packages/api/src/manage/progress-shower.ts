// Shows the progress of work that a command waits for: on a terminal as a line with a bar, elsewhere as a sentence for each further tenth.
// Invariant: the line is removed before anything else is printed, and a sentence is not repeated.

import { escapeControls } from '@rsio/base/lib/printable';
import type { WaitingPorts } from '@rsio/common/cli/waiting-ports';
import type { Progress } from '../views/views.ts';
import { percentOf, progressLine, progressText } from '../views/progress.ts';

const PERCENT_PER_SENTENCE = 10;

export class ProgressShower {
  private readonly waiting: Pick<WaitingPorts, 'progress'>;
  private readonly note: (sentence: string) => void;
  private said = '';

  constructor({ waiting, note }: { readonly waiting: Pick<WaitingPorts, 'progress'>; readonly note: (sentence: string) => void }) {
    [this.waiting, this.note] = [waiting, note];
  }

  /** `what`: begins the sentences, such as `Job 7`. */
  show(what: string, progress: Progress): void {
    const { progress: line } = this.waiting;
    if (line !== null) return line(escapeControls(progressLine(progress)));
    const percent = percentOf(progress);
    const tenth = percent === null ? '-' : Math.floor(percent / PERCENT_PER_SENTENCE);
    const now = `${tenth} ${progress.state} ${progress.waitsFor ?? ''}`;
    if (now === this.said) return;
    this.said = now;
    this.note(`${what}: ${progressText(progress)}`);
  }

  /** Removes the line. */
  end(): void {
    this.waiting.progress?.('');
  }
}
