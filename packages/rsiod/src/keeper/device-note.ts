// What the keeper is told of each device: all that the next process needs to go on with it. A line of JSON, which only processes of this
// program write; another version of it may, so it is checked when it is read. Pure. Invariant: a note that is not understood whole is refused.

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
  /** Paths of the raw device and of the block node. */
  readonly raw: string;
  readonly block: string;
  readonly loop: LoopNote | null;
  readonly file: FuseFile;
  /** Of the server's storage: in another one what was acknowledged and not flushed is lost with the process that had it in its log. */
  readonly life: string;
}

export interface LoopNote {
  /** `/dev/loop3` */
  readonly device: string;
  /** What the kernel calls this use of it; null: it does not say. */
  readonly sequence: string | null;
  /** Its node in /dev came with it; a process of an older release does not say. */
  readonly isNew?: boolean;
}

export function writeDeviceNote(note: DeviceNote): string {
  return JSON.stringify(note);
}

/** null: it is not one. */
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
