// The events of rsiod and of rsapp as one list, in the order of time. Invariant: an rsapp that does not run, or that has no events, hides no
// event of rsiod.

import { EVENT, type EventsResult, EVENTS_RESULT } from '@rsio/common/control/method-table';
import { toRsError } from '@rsio/base/lib/errors';
import { list, object, type Of, orNull, word } from '@rsio/base/lib/shape';
import type { CommandContext } from '../../cli/context.ts';

const { last, missed, beganMs } = EVENTS_RESULT.form.fields;

export const MERGED_EVENTS = object({
  events: list(object({ ...EVENT.form.fields, by: word(['rsiod', 'rsapp'], 'Whose event it is; each of them has numbers of its own') })),
  missed,
  last,
  beganMs,
  applications: orNull(object({ missed, last, beganMs }), 'The same of rsapp; null: rsapp does not answer'),
});
export type MergedEvents = Of<typeof MERGED_EVENTS>;

/** Returns the latest `count` events of both. Throws the errors of rsiod. */
export async function mergedEvents({ call, callApp, note }: CommandContext, count: number): Promise<MergedEvents> {
  const client = await call('events', { count });
  const apps = await callApp('events', { count }).catch((thrown: unknown) => {
    const { code, message } = toRsError(thrown);
    if (code !== 'E_NOT_RUNNING') note(`The events of rsapp are missing: ${message}`);
    return null;
  });
  return merged(client, apps, count);
}

function merged({ events, ...client }: EventsResult, apps: EventsResult | null, count: number): MergedEvents {
  const all = [...events.map((event) => ({ ...event, by: 'rsiod' as const })), ...ofApps(apps)];
  // The sort is stable, so that events of one daemon stay in the order of their numbers unless the clock was set.
  const sorted = all.sort((a, b) => a.atMs - b.atMs).slice(-count);
  const applications = apps === null ? null : { missed: apps.missed, last: apps.last, beganMs: apps.beganMs };
  return { events: sorted, ...client, applications };
}

function ofApps(apps: EventsResult | null): MergedEvents['events'] {
  return (apps?.events ?? []).map((event) => ({ ...event, by: 'rsapp' as const }));
}
