// Implements `events`, which shows past events of the server and, with -f, new events. rssrv answers the request for new events as soon as
// a new event occurs, so that -f shows it at once without polling. Invariant: -f shows each event once, even across a restart of rssrv, and
// reports if it may have missed events.

import { sleep } from '@rsio/base/lib/waiting';
import { parseSince, sinceHelp } from '@rsio/common/cli/since';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { EVENTS_KEPT, EVENTS_WAIT_MAX_MS } from '@rsio/common/control/limits';
import { SERVER_METHODS, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { EventView } from '@rsio/common/control/method-table';
import { type RsError, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { parseWhole, quoteText } from '@rsio/base/lib/units';
import { formatTime } from '@rsio/base/log/log-line';
import { type AdmContext, defineCommand, usageError } from '../cli/context.ts';
import { FOLLOW_RETRY_MS } from '../cli/limits.ts';

type Answer = ServerMethods['events']['result'];

const SHOWN_FIRST = 10;

export const EVENTS = defineCommand({
  call: { by: 'words', words: 'events' },
  synopsis: 'events [-n N] [--since TIME] [-f]',
  summary: 'shows what has changed on the server, and why',
  details: `An event is, for example, a client that connects, goes silent or is refused
after its proof, a change of a volume or a pool, a take-over, or a reload. rssrv
keeps the last ${EVENTS_KEPT} events, even across restarts; rsslogcat shows all of them.
With -f and --json, each event is a JSON document on its own line.`,
  options: {
    number: { kind: 'text', short: 'n', value: 'N', help: `show the last N events; default: all, with -f the last ${SHOWN_FIRST}` },
    since: { kind: 'text', value: 'TIME', help: sinceHelp('events') },
    follow: { kind: 'flag', short: 'f', help: 'wait for further events and show them, until Ctrl-C' },
    json: JSON_OPTION,
  },
  json: SERVER_METHODS.events.result,
  run: async (context, { number, since, follow, json }) => {
    const sinceMs = parseSince(since, context.clock.wallMs());
    const count = countOf(number, follow && since === null ? SHOWN_FIRST : EVENTS_KEPT);
    const show = (events: readonly EventView[]): void => {
      for (const event of events) context.out(json ? `${JSON.stringify(event)}\n` : eventLine(event));
    };
    const answer = await context.call('events', { count: Math.max(1, count), after: null, waitMs: 0 });
    const events = answer.events.filter(({ atMs }) => sinceMs === null || atMs >= sinceMs);
    if (json && !follow) return printJson(context, { ...answer, events });
    show(count === 0 ? [] : events);
    if (follow) return follows(context, answer, show);
    if (answer.events.length === 0) context.note('Nothing has happened yet');
    else if (events.length === 0) context.note('Nothing has happened since then');
    return undefined;
  },
});

function countOf(text: string | null, preset: number): number {
  if (text === null) return preset;
  const count = parseWhole(text);
  if (count !== undefined && count <= EVENTS_KEPT) return count;
  throw usageError(`Wrong -n ${quoteText(text)}: allowed is 0 to ${EVENTS_KEPT}`);
}

/** Shows new events until an error is thrown. */
async function follows(context: AdmContext, first: Answer, show: (events: readonly EventView[]) => void): Promise<never> {
  let { last, beganMs } = first;
  let isAway = false;
  for (;;) {
    try {
      const answer = await context.call('events', { count: EVENTS_KEPT, after: last, waitMs: EVENTS_WAIT_MAX_MS });
      if (isAway) context.note('rssrv answers again');
      isAway = false;
      if (answer.beganMs !== beganMs) {
        context.note('The events of rssrv begin anew, because the ones before were lost; rsslogcat shows them');
        // `last` is the number of an event of the previous rssrv process. The new process numbers its events from the start, so the old
        // number means nothing to the new process.
        ({ beganMs } = answer);
        last = 0;
        continue;
      }
      if (answer.missed > 0) context.note(`${answer.missed} events were missed: rsslogcat shows them`);
      show(answer.events);
      ({ last } = answer);
    } catch (thrown) {
      const error = toRsError(thrown);
      if (!isPassing(error)) throw error;
      if (!isAway) context.note(`${error.message}; waiting until it answers`);
      isAway = true;
      await sleep(context.clock, FOLLOW_RETRY_MS);
    }
  }
}

function isPassing({ code }: RsError): boolean {
  return code === 'E_NOT_RUNNING' || code === 'E_RESET' || code === 'E_TIMEOUT' || code === 'E_LIMIT';
}

function eventLine({ atMs, object, from, to, reason, repeated = 0 }: EventView): string {
  const change = from === '-' ? to : `${from} -> ${to}`;
  const more = repeated === 0 ? '' : ` (repeated: ${repeated})`;
  return `${escapeControls(`${formatTime(atMs)} ${object}: ${change}${more}${reason === '' ? '' : `: ${reason}`}`)}\n`;
}
