// Finds where a job that an order has begun can be looked at. Pure. Invariant: it follows from the shapes of the tables: an order begins a job
// if its answer has a job, and the operation that lists jobs by their id shows it.

import { JOB, type JobView } from '@rsio/api/views/views';
import { OPERATIONS, type Operation, type Place } from './operations.ts';

/** Returns true if the order begins or changes a job. */
export function isOfJob({ entry, isRead }: Operation): boolean {
  return !isRead && entry.result.form.fields['job'] === JOB;
}

/** Returns the part of a path with its query that shows the job, such as `job-list?id=7f3a`; null if the job has ended. */
export function jobPart(operation: Operation, result: object): string | null {
  if (!isOfJob(operation)) return null;
  const { job } = result as { readonly job: JobView };
  const method = job.endedMs === null ? listMethod(operation.place) : undefined;
  return method === undefined ? null : `${method}?id=${encodeURIComponent(job.id)}`;
}

function listMethod(place: Place): string | undefined {
  return [...OPERATIONS[place].values()].find(({ isRead, params, entry }) => isRead && 'id' in params && listsJobs(entry))?.method;
}

function listsJobs({ result }: Operation['entry']): boolean {
  const form = result.form.fields['jobs']?.form;
  return form?.kind === 'list' && form.of === JOB;
}
