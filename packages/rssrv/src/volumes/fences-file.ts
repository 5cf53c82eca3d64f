// The content of the file of fenced clients. Pure; state-file.ts reads and writes the file. Invariant: the next start can read every
// content that this server writes.

import { isRecord, isRecordOf, isText, isWhole, type StateForm } from '@rsio/common/files/state-file';
import { isName } from '@rsio/common/lib/units';
import { TIME_MAX_MS } from '@rsio/common/log/log-line';
import { FENCES_MAX } from './limits.ts';

/** Keeps a client out. */
export interface Fence {
  readonly sinceMs: number;
  /** Client that ordered the fence; null for an administrator on the server. */
  readonly by: string | null;
}

export interface FencesFileContent {
  /** Maps the name of each fenced client to its fence. */
  readonly clients: Readonly<Record<string, Fence>>;
}

export const FENCES_FILE: StateForm<FencesFileContent> = {
  version: 1,
  accepts: (content): content is FencesFileContent =>
    isRecord(content) &&
    isRecordOf(content['clients'], isFence) &&
    Object.keys(content['clients']).length <= FENCES_MAX &&
    Object.keys(content['clients']).every(isName),
  remedy: 'restore it, or move it away together with holders.json if no client is to be kept out and all clients have ended',
};

function isFence(value: unknown): value is Fence {
  if (!isRecord(value)) return false;
  const { sinceMs, by } = value;
  return isWhole(sinceMs) && sinceMs >= 0 && sinceMs <= TIME_MAX_MS && (by === null || isText(by));
}
