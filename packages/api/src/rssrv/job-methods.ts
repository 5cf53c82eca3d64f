// The methods of rssrv about jobs, including the methods that begin a job. The rules for changing a table are in docs/CONTROL.md.
// Invariant: rssrv has a handler for each method (jobs/service/job-service.ts), and each changing method takes the id of the request.

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { flagParam } from '@rsio/common/control/method-table';
import { list, object } from '@rsio/base/lib/shape';
import {
  blockSize,
  bytesPerSecond,
  copyTarget,
  imageFormat,
  importSource,
  jobId,
  jobIdOrNull,
  poolName,
  poolOrNull,
  snapshotOrNull,
  universe,
  volumeName,
} from './params.ts';
import { shownSize } from '@rsio/base/lib/units';
import { jobsTable } from '../views/server-tables.ts';
import { rate } from '../views/values.ts';
import { serverMethod } from './server-method.ts';
import { JOB } from '../views/views.ts';

const one = object({ job: JOB });

export const JOB_METHODS = {
  'job-list': serverMethod({
    help: 'The jobs that have not ended, and the jobs that ended last',
    right: 'manage',
    reads: true,
    shows: { jobs: 'job' },
    params: { id: jobIdOrNull },
    result: object({ jobs: list(JOB, 'The oldest first') }),
    command: {
      words: 'jobs',
      about: 'server',
      operands: [{ param: 'id', value: 'ID' }],
      mayEnd: true,
      summary: 'lists the jobs of the server, such as moves and copies',
      details: `The list contains the unfinished jobs, and the jobs that ended most recently. A
client sees only the jobs that it has begun. RESTART says whether a job
continues or starts over after a restart of the server.`,
      example: 'jobs',
      says: ({ jobs }) => (jobs.length === 0 ? { notes: ['No job'] } : { block: jobsTable(jobs) }),
    },
  }),
  'job-cancel': serverMethod({
    help: 'Ends a job and undoes what it has done',
    right: 'manage',
    repeats: 'journal',
    shows: { job: 'job' },
    params: { id: jobId },
    result: one,
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'jobs cancel',
      about: 'server',
      operands: [{ param: 'id', value: 'ID' }],
      summary: 'ends a job and undoes what it has done',
      example: 'jobs cancel 7f3a',
      says: ({ job }) => `Job ${job.id} is being cancelled`,
    },
  }),
  'job-limit': serverMethod({
    help: 'Limits the bandwidth of a job, also while it runs',
    right: 'manage',
    repeats: 'journal',
    shows: { job: 'job' },
    params: { id: jobId, limitBytes: bytesPerSecond },
    result: one,
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'jobs limit',
      about: 'server',
      operands: [
        { param: 'id', value: 'ID' },
        { param: 'limitBytes', value: 'RATE', type: rate },
      ],
      summary: 'limits the bandwidth of a job, even while it runs',
      details: 'RATE is in bytes per second, such as 100m; none removes the limit.',
      example: 'jobs limit 7f3a 100m',
      says: ({ job }, _, { limitBytes }) =>
        `Job ${job.id} copies ${limitBytes === null ? 'without limit' : `at most ${shownSize(limitBytes)} in a second`}`,
    },
  }),
  'volume-move': serverMethod({
    help: 'Begins a job that moves a volume to another pool, also while clients use it. For a volume over several pools, it moves the files in pool `from`',
    right: 'manage',
    repeats: 'journal',
    shows: { job: 'job' },
    params: { name: volumeName, universe, from: poolOrNull, pool: poolName, limitBytes: bytesPerSecond },
    result: one,
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume move', because: 'it waits for the job' },
  }),
  'volume-copy': serverMethod({
    help: 'Begins a job that copies a volume at one moment, or a snapshot of it, to a new volume',
    right: 'manage',
    repeats: 'journal',
    shows: { job: 'job' },
    params: {
      name: volumeName,
      universe,
      snapshot: snapshotOrNull,
      newName: volumeName,
      newUniverse: universe,
      pool: poolOrNull,
      limitBytes: bytesPerSecond,
    },
    result: one,
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume copy', because: 'it waits for the job' },
  }),
  // Clients may not call this method, because a client must not make the server write files or connect to other machines.
  'volume-export': serverMethod({
    help: 'Begins a job that copies a volume at one moment, or a snapshot of it, to a file on the server or an NBD server',
    right: null,
    repeats: 'journal',
    params: {
      name: volumeName,
      universe,
      snapshot: snapshotOrNull,
      target: copyTarget,
      format: imageFormat,
      force: flagParam,
      limitBytes: bytesPerSecond,
    },
    result: one,
    waitMs: SERVER_CHANGE_MS,
    command: { partOf: 'volume copy' },
  }),
  // Clients may not call this method, because a client must not make the server read files or connect to other machines.
  'volume-import': serverMethod({
    help: 'Begins a job that makes a volume of a file, of a block device, or of an export of an NBD server',
    right: null,
    repeats: 'journal',
    params: {
      source: importSource,
      format: imageFormat,
      name: volumeName,
      universe,
      pool: poolOrNull,
      blockSizeBytes: blockSize,
      limitBytes: bytesPerSecond,
    },
    result: one,
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume import', because: 'it waits for the job' },
  }),
} as const;
