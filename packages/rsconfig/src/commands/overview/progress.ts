// Implements `rsconfig progress`, which lists the work of this machine and of all servers that takes time. It changes nothing. Invariant:
// what a server could not be asked about is said, and makes the exit code 1. A server where this client may see no jobs is no such server.

import { progressOfServer, progressTable } from '@rsio/api/views/progress';
import { type Progress, PROGRESS } from '@rsio/api/views/views';
import { toRsError } from '@rsio/base/lib/errors';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { list, object, orNull, text } from '@rsio/base/lib/shape';
import { defineCommand } from '../../cli/context.ts';
import { INVENTORY_WAIT_MS } from '../../limits.ts';
import { PLACE_OPTIONS, PLACE_SYNOPSIS } from '../server-volumes/door.ts';
import { askAll, placesOf } from '../server-volumes/servers.ts';

export const PROGRESS_COMMAND = defineCommand({
  call: { by: 'words', words: 'progress' },
  synopsis: `progress ${PLACE_SYNOPSIS}`,
  summary: 'lists the work of all machines that takes time',
  details: `The list has the copies and comparisons of the mirrors that are attached here,
backups and restores of this machine, and, of each server, the jobs that have
not ended and the replications that copy a moment: what is done, how fast, for
how long it will last, and what it waits for. Of a server, a client sees its own
jobs; with the right admin or view, it sees all, and with the right use, none.`,
  options: { ...PLACE_OPTIONS, json: JSON_OPTION },
  json: object({
    progress: list(object({ ...PROGRESS.form.fields, server: orNull(text(), 'null: this machine'), namespace: orNull(text()) })),
    gaps: list(text(), 'What could not be asked'),
  }),
  run: async (context, { server, namespace, json }) => {
    const places = await placesOf(context, { server, namespace });
    const [own, jobs, replications] = await Promise.all([
      context.call('progress', {}).then(
        (answer) => ({ progress: answer.progress, error: null }),
        (thrown: unknown) => ({ progress: [], error: toRsError(thrown) }),
      ),
      askAll(context, places, 'job-list', { id: null }, INVENTORY_WAIT_MS),
      askAll(context, places, 'replication-list', {}, INVENTORY_WAIT_MS),
    ]);
    const at = (where: { server: string | null; namespace: string | null }) => (one: Progress) => ({ ...one, ...where });
    const progress = [
      ...(server === null ? own.progress.map(at({ server: null, namespace: null })) : []),
      ...places.flatMap((place, index) =>
        progressOfServer(jobs[index]?.result?.jobs ?? [], replications[index]?.result?.replications ?? []).map(
          at({ server: place.server, namespace: place.namespace }),
        ),
      ),
    ];
    const isRefused = places.map((_, index) =>
      [jobs[index]?.error, replications[index]?.error].some((error) => error?.code === 'E_RIGHTS'),
    );
    const gaps = [
      ...(own.error === null ? [] : [`This machine: ${own.error.message}`]),
      ...places.flatMap((place, index) => {
        const errors = [jobs[index]?.error, replications[index]?.error];
        const error = errors.find((one) => (one ?? null) !== null && one?.code !== 'E_RIGHTS') ?? null;
        return error === null ? [] : [`${place.server}: ${error.message}`];
      }),
    ];
    const code = gaps.length === 0 ? 0 : 1;
    if (json) return printJson(context, { progress, gaps }) ?? code;
    if (progress.length > 0)
      context.out(
        progressTable(
          progress,
          progress.map((one) => one.server ?? 'here'),
        ),
      );
    else if (gaps.length === 0) context.note('No work that takes time');
    for (const gap of gaps) context.note(gap);
    const hidden = places.filter((_, index) => isRefused[index]).map((place) => place.server);
    if (hidden.length > 0) context.note(`Left out, because this client has no right to see jobs there: ${hidden.join(', ')}`);
    return code;
  },
});
