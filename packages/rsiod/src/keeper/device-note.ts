// Encodes and decodes the note that the keeper stores with each device. The note is one line of JSON with everything that the next process
// needs to resume the device. Another version of rsiod may have written the note, so the note is checked when it is read. Pure. Invariant:
// a note that is not completely valid is refused.

import { flag, integer, misfit, object, type Of, optional, orNull, text } from '@rsio/base/lib/shape';

const LOOP = object({
  device: text(),
  /** The sequence number (diskseq) that the kernel assigned when the loop device was set up; null if unknown. */
  sequence: orNull(text()),
  /** True if the node in /dev was created for the loop device. Notes from older releases lack this field. */
  isNew: optional(flag()),
});
export type LoopNote = Of<typeof LOOP>;

const NOTE = object({
  namespace: text(),
  name: text(),
  universe: integer(),
  id: text(),
  readonly: flag(),
  sizeBytes: integer(),
  blockSizeBytes: integer(),
  canDiscard: flag(),
  raw: text(),
  block: text(),
  loop: orNull(LOOP),
  /** The properties of the raw device's file (see FuseFile). */
  file: object({ mode: integer(), uid: integer(), gid: integer(), madeMs: integer(), canResend: flag() }),
  /**
   * Incarnation of the server's storage when the note was written. If the incarnation has changed since then, unflushed writes may be lost,
   * because the previous process's replay log is gone.
   */
  life: text(),
});
export type DeviceNote = Of<typeof NOTE>;

export function writeDeviceNote(note: DeviceNote): string {
  return JSON.stringify(note);
}

/** Decodes a note. Returns null if the text is not a valid note. */
export function readDeviceNote(text: string): DeviceNote | null {
  try {
    const value: unknown = JSON.parse(text);
    return misfit(NOTE, value, 'stored') === null ? (value as DeviceNote) : null;
  } catch {
    return null;
  }
}
