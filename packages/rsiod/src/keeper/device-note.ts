// Encodes and decodes the note that the keeper stores with each device. The note is one line of JSON with everything that the next process
// needs to resume the device. Another version of rsiod may have written the note, so the note is checked when it is read. Pure. Invariant:
// a note that is not completely valid is refused.

import { isRecord, isText, isWhole } from '@rsio/common/files/state-file';
import type { FuseFile } from '../frontends/fuse/fuse-session.ts';

export interface DeviceNote {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly id: string;
  readonly readonly: boolean;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly canDiscard: boolean;
  readonly raw: string;
  readonly block: string;
  readonly loop: LoopNote | null;
  readonly file: FuseFile;
  /**
   * Incarnation of the server's storage when the note was written. If the incarnation has changed since then, unflushed writes may be lost,
   * because the previous process's replay log is gone.
   */
  readonly life: string;
}

export interface LoopNote {
  readonly device: string;
  /** The sequence number (diskseq) that the kernel assigned when the loop device was set up; null if unknown. */
  readonly sequence: string | null;
  /** True if the node in /dev was created for the loop device. Notes from older releases lack this field. */
  readonly isNew?: boolean;
}

export function writeDeviceNote(note: DeviceNote): string {
  return JSON.stringify(note);
}

/** Decodes a note. Returns null if the text is not a valid note. */
export function readDeviceNote(text: string): DeviceNote | null {
  try {
    const value: unknown = JSON.parse(text);
    return isDeviceNote(value) ? value : null;
  } catch {
    return null;
  }
}

function isDeviceNote(value: unknown): value is DeviceNote {
  if (!isRecord(value)) return false;
  const { namespace, name, universe, id, readonly, sizeBytes, blockSizeBytes, canDiscard, raw, block, loop, file, life } = value;
  const areTexts = [namespace, name, id, raw, block, life].every(isText);
  const areNumbers = [universe, sizeBytes, blockSizeBytes].every(isWhole);
  return areTexts && areNumbers && [readonly, canDiscard].every((flag) => typeof flag === 'boolean') && isLoop(loop) && isFile(file);
}

function isLoop(value: unknown): boolean {
  if (value === null) return true;
  if (!isRecord(value) || !isText(value['device'])) return false;
  const { sequence, isNew } = value;
  return (sequence === null || isText(sequence)) && (isNew === undefined || typeof isNew === 'boolean');
}

function isFile(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { mode, uid, gid, madeMs, canResend } = value;
  return [mode, uid, gid, madeMs].every(isWhole) && typeof canResend === 'boolean';
}
