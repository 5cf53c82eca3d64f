// The methods of rssrv about jobs, including the methods that begin a job. The rules for changing a table are in docs/CONTROL.md.
// Invariant: rssrv has a handler for each method (jobs/service/job-service.ts), and each changing method takes the id of the request.

import { CONTROL_ANSWER_MS, SERVER_CHANGE_MS } from '../limits.ts';
import { flagParam, method } from '../method-table.ts';
import { list, object } from '../../lib/shape.ts';
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
  request,
  snapshotOrNull,
  universe,
  volumeName,
} from './params.ts';
import { JOB } from './views.ts';

const one = object({ job: JOB });

export const JOB_METHODS = {
  'job-list': method(
    'The jobs that have not ended, and the jobs that ended last',
    { id: jobIdOrNull },
    object({ jobs: list(JOB, 'The oldest first') }),
    CONTROL_ANSWER_MS,
    'manage',
  ),
  'job-cancel': method('Ends a job and undoes what it has done', { id: jobId, request }, one, SERVER_CHANGE_MS, 'manage'),
  'job-limit': method(
    'Limits the bandwidth of a job, also while it runs',
    { id: jobId, limitBytes: bytesPerSecond, request },
    one,
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-move': method(
    'Begins a job that moves a volume to another pool, also while clients use it. For a volume over several pools, it moves the files in pool `from`',
    { name: volumeName, universe, from: poolOrNull, pool: poolName, limitBytes: bytesPerSecond, request },
    one,
    SERVER_CHANGE_MS,
    'manage',
  ),
  'volume-copy': method(
    'Begins a job that copies a volume at one moment, or a snapshot of it, to a new volume',
    {
      name: volumeName,
      universe,
      snapshot: snapshotOrNull,
      newName: volumeName,
      newUniverse: universe,
      pool: poolOrNull,
      limitBytes: bytesPerSecond,
      request,
    },
    one,
    SERVER_CHANGE_MS,
    'manage',
  ),
  // Clients may not call this method, because a client must not make the server write files or connect to other machines.
  'volume-export': method(
    'Begins a job that copies a volume at one moment, or a snapshot of it, to a file on the server or an NBD server',
    {
      name: volumeName,
      universe,
      snapshot: snapshotOrNull,
      target: copyTarget,
      format: imageFormat,
      force: flagParam,
      limitBytes: bytesPerSecond,
      request,
    },
    one,
    SERVER_CHANGE_MS,
    null,
  ),
  // Clients may not call this method, because a client must not make the server read files or connect to other machines.
  'volume-import': method(
    'Begins a job that makes a volume of a file, of a block device, or of an export of an NBD server',
    {
      source: importSource,
      format: imageFormat,
      name: volumeName,
      universe,
      pool: poolOrNull,
      blockSizeBytes: blockSize,
      limitBytes: bytesPerSecond,
      request,
    },
    one,
    SERVER_CHANGE_MS,
    null,
  ),
} as const;
