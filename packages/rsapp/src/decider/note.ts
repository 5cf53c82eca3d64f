// The note of an application at its first volume: what the administrator wants, and which nodes have failed. Pure. Invariants: the holder
// alone writes it; a note fits into VOLUME_NOTE; an unreadable note is an error, and never counts as a missing note.

import { RsError } from '@rsio/base/lib/errors';
import {
  atMost,
  count,
  filledText,
  flag,
  list,
  misfit,
  number,
  object,
  type Of,
  oneOf,
  optional,
  orNull,
  text,
} from '@rsio/base/lib/shape';
import { FAILURE_WINDOW_MS, FAILURES_KEPT_MAX, NOTE_WHY_MAX_CHARS } from '../limits.ts';

const NOTE = object({
  version: oneOf(1),
  application: filledText(),
  /** False after `app disable`: no node starts it, and `app start` is refused. */
  enabled: flag(),
  /** False after `app stop`, or when it has failed on all nodes. */
  started: flag(),
  /** The node that a move names, and when (wall ms). */
  preferred: orNull(filledText()),
  preferredMs: number(),
  /** `final`: the node could not start it at all. `passed`: nothing failed; the node has not taken it in its turn. */
  failures: atMost(FAILURES_KEPT_MAX, list(object({ node: filledText(), atMs: number(), final: flag(), passed: optional(flag()) }))),
  /** False from the start until the service is well; missing if an earlier release has started the application. */
  runs: optional(flag()),
  why: text(),
  /** Grows with each change. */
  changes: count(),
  /**
   * Identifies the notes that were made from one first note; missing in a note of an earlier release. `changes` tells which of two notes is
   * older only if both have the same line.
   */
  line: optional(filledText()),
});
export type Note = Of<typeof NOTE>;

/** `line`: a text that no other first note of the application has. */
export function newNote(application: string, line: string): Note {
  return {
    version: 1,
    application,
    enabled: true,
    started: true,
    preferred: null,
    preferredMs: 0,
    failures: [],
    why: '',
    changes: 0,
    line,
  };
}

/** Returns the note; null if there is none. Throws E_VOLUME if the text is not a note of this application. */
export function parseNote(text: string | null, application: string): Note | null {
  if (text === null) return null;
  let parsed: unknown;
  let why: string | null = 'it is not JSON';
  try {
    parsed = JSON.parse(text);
    why = misfit(NOTE, parsed);
  } catch {
    // The reason is set already.
  }
  if (why !== null)
    throw new RsError(
      'E_VOLUME',
      `The note at the first volume of ${application} cannot be used (${why}): is this rsapp older than others?`,
    );
  const note = parsed as Note;
  if (note.application === application) return note;
  throw new RsError(
    'E_VOLUME',
    `The first volume of ${application} has the note of application ${note.application}: give each application volumes of its own`,
  );
}

/** Prints printable ASCII. */
export function printNote(note: Note): string {
  return JSON.stringify({ ...note, why: ascii(note.why) });
}

export function changed(note: Note, changes: Partial<Omit<Note, 'version' | 'application' | 'changes'>>): Note {
  return { ...note, ...changes, why: ascii(changes.why ?? note.why), changes: note.changes + 1 };
}

export function withFailure(note: Note, node: string, atMs: number, final: boolean, why: string): Note {
  const counted = note.failures.filter((one) => isRecent(one.atMs, atMs));
  return changed(note, { failures: [...counted, { node, atMs, final }].slice(-FAILURES_KEPT_MAX), why });
}

/** The node has not taken the application in its turn. */
export function withPassed(note: Note, node: string, atMs: number): Note {
  const others = note.failures.filter((one) => isRecent(one.atMs, atMs) && !(one.node === node && one.passed === true));
  const failures = [...others, { node, atMs, final: false, passed: true }].slice(-FAILURES_KEPT_MAX);
  return changed(note, { failures, why: `${node} has not taken it` });
}

/** Clocks of nodes may differ, so a failure in the future also counts. */
export function isRecent(atMs: number, wallMs: number): boolean {
  return Math.abs(wallMs - atMs) < FAILURE_WINDOW_MS;
}

function ascii(why: string): string {
  return why.replace(/[^ -~]/g, '?').slice(0, NOTE_WHY_MAX_CHARS);
}
