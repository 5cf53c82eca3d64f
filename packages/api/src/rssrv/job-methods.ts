// The methods of rssrv about jobs, including the methods that begin a job. The rules for changing a table are in docs/CONTROL.md.
// Invariant: rssrv has a handler for each method (jobs/service/job-service.ts), and each changing method takes the id of the request.

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { flagParam } from '@rsio/common/control/method-table';
import { list, object } from '@rsio/common/lib/shape';
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
import { serverMethod } from './server-method.ts';
import { JOB } from './views.ts';

const one = object({ job: JOB });

export const JOB_METHODS = {
  'job-list': serverMethod({
    help: 'The jobs that have not ended, and the jobs that ended last',
    right: 'manage',
    reads: true,
    shows: { jobs: 'job' },
    params: { id: jobIdOrNull },
    result: object({ jobs: list(JOB, 'The oldest first') }),
  }),
  'job-cancel': serverMethod({
    help: 'Ends a job and undoes what it has done',
    right: 'manage',
    repeats: 'journal',
    shows: { job: 'job' },
    params: { id: jobId },
    result: one,
    waitMs: SERVER_CHANGE_MS,
  }),
  'job-limit': serverMethod({
    help: 'Limits the bandwidth of a job, also while it runs',
    right: 'manage',
    repeats: 'journal',
    shows: { job: 'job' },
    params: { id: jobId, limitBytes: bytesPerSecond },
    result: one,
    waitMs: SERVER_CHANGE_MS,
  }),
  'volume-move': serverMethod({
    help: 'Begins a job that moves a volume to another pool, also while clients use it. For a volume over several pools, it moves the files in pool `from`',
    right: 'manage',
    repeats: 'journal',
    shows: { job: 'job' },
    params: { name: volumeName, universe, from: poolOrNull, pool: poolName, limitBytes: bytesPerSecond },
    result: one,
    waitMs: SERVER_CHANGE_MS,
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
  }),
} as const;
