// What the server remembers of a job, in STATE/jobs.json. Pure: jobs.ts reads and writes the file. Invariant: what the server writes, it
// reads again with the same meaning.

import { isListOf, isRecord, isText, isWhole } from '@rsio/common/files/state-file';
import { JOBS_KEPT_MAX, JOBS_OPEN_MAX } from './limits.ts';

/** What a move remembers of its files. A stamp names one file, whatever its path. */
export interface MoveState {
  readonly copyStamp: string | null;
  readonly baseStamp: string | null;
  readonly nextStamp: string | null;
  /** Of what differs between `base` and `next`, the copy has everything before this offset. */
  readonly positionBytes: number;
}

const STATES = ['waiting', 'running', 'cancelling', 'done', 'failed', 'cancelled'] as const;

/** `cancelling`: it is to end, and undoes what it has done. */
export type JobState = (typeof STATES)[number];

export interface JobRecord {
  /** A small number as a text, used once. */
  readonly id: string;
  readonly kind: 'move';
  readonly volumeId: string;
  /** The volume as it was named when the job began. */
  readonly name: string;
  readonly universe: number;
  /** Names and ids of the pools. */
  readonly from: string;
  readonly fromId: string;
  readonly to: string;
  readonly toId: string;
  /** Client that asked for it; null for an administrator on the server. */
  readonly by: string | null;
  readonly createdMs: number;
  readonly endedMs: number | null;
  readonly state: JobState;
  /** Why it waits or has failed. */
  readonly reason: string | null;
  readonly limitBytes: number | null;
  /** Number of times that it has copied what differs. */
  readonly rounds: number;
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly move: MoveState | null;
}

export interface JobsContent {
  readonly lastId: number;
  readonly jobs: readonly JobRecord[];
}

export function isJobsContent(value: unknown): value is JobsContent {
  if (!isRecord(value)) return false;
  const { lastId, jobs } = value;
  return isWhole(lastId) && isListOf(jobs, isJob) && jobs.length <= JOBS_OPEN_MAX + JOBS_KEPT_MAX;
}

function isJob(value: unknown): value is JobRecord {
  if (!isRecord(value)) return false;
  const texts = ['id', 'volumeId', 'name', 'from', 'fromId', 'to', 'toId'].every((field) => isText(value[field]));
  const numbers = ['universe', 'createdMs', 'rounds', 'doneBytes', 'totalBytes'].every((field) => isWhole(value[field]));
  return (
    texts &&
    numbers &&
    value['kind'] === 'move' &&
    STATES.some((state) => state === value['state']) &&
    isTextOrNull(value['by']) &&
    isTextOrNull(value['reason']) &&
    isWholeOrNull(value['endedMs']) &&
    isWholeOrNull(value['limitBytes']) &&
    (value['move'] === null || isMoveState(value['move']))
  );
}

function isMoveState(value: unknown): value is MoveState {
  if (!isRecord(value)) return false;
  return isWhole(value['positionBytes']) && ['copyStamp', 'baseStamp', 'nextStamp'].every((field) => isTextOrNull(value[field]));
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || isText(value);
}

function isWholeOrNull(value: unknown): value is number | null {
  return value === null || isWhole(value);
}
