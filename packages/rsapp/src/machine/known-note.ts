// Keeps the note that this node saw last, below /run, so that a restart of rsapp does not take an application whose note was lost for new.
// Invariant: a file that cannot be read counts as missing, because the note at the volume decides wherever there is one.

import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { replaceFile } from '@rsio/base/files/durable-write';
import { accepts, filledText, object } from '@rsio/base/lib/shape';
import type { Memory } from '../decider/facts.ts';
import { parseNote, printNote } from '../decider/note.ts';

const isKept = accepts(object({ volumeId: filledText(), note: filledText() }));

export class KnownNote {
  private readonly file: string;
  private readonly application: string;

  constructor(file: string, application: string) {
    this.file = file;
    this.application = application;
  }

  read(): Memory['known'] {
    try {
      const kept: unknown = JSON.parse(readFileSync(this.file, 'utf8'));
      const note = isKept(kept) ? parseNote(kept.note, this.application) : null;
      return isKept(kept) && note !== null ? { volumeId: kept.volumeId, note } : null;
    } catch {
      return null;
    }
  }

  /** Writes the note if it has changed. An error only makes the file older, and the next change writes it again. */
  async keep(before: Memory['known'], after: Memory['known']): Promise<void> {
    const isSame = after?.volumeId === before?.volumeId && after?.note.line === before?.note.line;
    if (after === null || (isSame && after.note.changes === before?.note.changes)) return;
    const text = JSON.stringify({ volumeId: after.volumeId, note: printNote(after.note) });
    try {
      mkdirSync(dirname(this.file), { recursive: true });
      await replaceFile(this.file, text);
    } catch {
      // Nothing depends on the file while there is a note at the volume.
    }
  }
}
