// Implements `progress`, which lists the work of the server that takes time. It changes nothing.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { progressOfServer, progressTable } from '@rsio/api/views/progress';
import { PROGRESS } from '@rsio/api/views/views';
import { list, object } from '@rsio/base/lib/shape';
import { defineCommand } from '../cli/context.ts';

export const PROGRESS_COMMAND = defineCommand({
  call: { by: 'words', words: 'progress' },
  synopsis: 'progress',
  summary: 'lists the work of the server that takes time',
  details: `The list has the jobs that have not ended, and the replications that copy a
moment: what is done, how fast, for how long it will last, and what it waits
for. rsadm jobs cancel ends a job, and rsadm jobs limit limits its rate; rsadm
volume replications shows all replications.`,
  options: { json: JSON_OPTION },
  json: object({ progress: list(PROGRESS) }),
  run: async (context, { json }) => {
    const [{ jobs }, { replications }] = [await context.call('job-list', { id: null }), await context.call('replication-list', {})];
    const progress = progressOfServer(jobs, replications);
    if (json) return printJson(context, { progress });
    if (progress.length === 0) context.note('No work that takes time');
    else context.out(progressTable(progress, null));
    return undefined;
  },
});
