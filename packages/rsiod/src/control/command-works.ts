// Keeps the progress that commands of this machine report about their own work, such as a backup, so that the pages and the metrics show it
// too. Invariants: at most COMMAND_WORKS_MAX works are kept. A work of which nothing was heard for COMMAND_WORK_SILENT_MS has ended.

import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { amounts } from '@rsio/api/views/progress';
import type { Progress } from '@rsio/api/views/views';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { RateMeter } from '@rsio/base/structures/rate-meter';
import { COMMAND_WORK_TEXT_MAX_CHARS } from '@rsio/common/control/limits';
import { COMMAND_WORK_SILENT_MS, COMMAND_WORKS_MAX } from './limits.ts';

type Note = ControlMethods['progress-note']['params'];

interface Heard {
  readonly note: Note;
  readonly atMs: number;
  readonly meter: RateMeter;
}

export class CommandWorks {
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  private readonly works = new Map<string, Heard>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.clock = clock;
  }

  /** Throws E_USAGE if a text is too long, and E_BUSY if too many works are known. */
  note(note: Note): void {
    const nowMs = this.clock.monotonicMs();
    for (const text of [note.id, note.name, note.about])
      if (text.length > COMMAND_WORK_TEXT_MAX_CHARS)
        throw new RsError('E_USAGE', `A text of a progress has ${text.length} characters: allowed are ${COMMAND_WORK_TEXT_MAX_CHARS}`);
    for (const [id, { atMs }] of this.works) if (nowMs - atMs > COMMAND_WORK_SILENT_MS) this.works.delete(id);
    if (note.ended) {
      this.works.delete(note.id);
      return;
    }
    const known = this.works.get(note.id);
    if (known === undefined && this.works.size >= COMMAND_WORKS_MAX)
      throw new RsError('E_BUSY', `${COMMAND_WORKS_MAX} commands report their progress already: this one works on, and is not shown`);
    const meter = known?.meter ?? new RateMeter();
    meter.add(nowMs, note.doneBytes);
    this.works.set(note.id, { note, atMs: nowMs, meter });
  }

  get list(): readonly Progress[] {
    const nowMs = this.clock.monotonicMs();
    return [...this.works.values()].flatMap(({ note, atMs, meter }) => {
      if (nowMs - atMs > COMMAND_WORK_SILENT_MS) return [];
      const { kind, id, name, about, doneBytes, totalBytes } = note;
      const said = { kind, id, name, about, state: 'running' as const, waitsFor: null, goesOn: false };
      return [{ ...said, ...amounts(doneBytes, totalBytes, meter.bytesPerSecond(nowMs, doneBytes)) }];
    });
  }
}
