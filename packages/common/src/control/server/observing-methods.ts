// The methods of rssrv that show the server itself, and that examine a configuration. The rules for changing a table are in docs/CONTROL.md.
// Invariant: these methods change nothing.

import { EVENTS_WAIT_MAX_MS, SERVER_CHANGE_MS } from '../limits.ts';
import { eventCount, method, type Param } from '../method-table.ts';
import { count, list, number, object, orNull, text, whole } from '../shape.ts';
import { STATS } from './stats-views.ts';
import { INTERFACE, SERVER_EVENT } from './views.ts';

const after: Param<number | null> = { shape: orNull(whole(0, null)), what: 'the number of an event or null', default: null };
const waitMs: Param<number> = {
  shape: whole(0, EVENTS_WAIT_MAX_MS),
  what: `a whole number from 0 to ${EVENTS_WAIT_MAX_MS}`,
  default: 0,
};

export const OBSERVING_METHODS = {
  'interface-list': method('The interfaces on which the server listens', {}, object({ interfaces: list(INTERFACE) })),
  stats: method('Counters, rates and latencies of each client and volume, and what waits', {}, STATS),
  events: method(
    'The last events, or those after a number, the oldest first; with waitMs, the answer waits for an event after that number',
    { count: eventCount, after, waitMs },
    object({
      events: list(SERVER_EVENT),
      missed: count('Events after that number that are no longer kept'),
      last: count('Number of the last event of this answer; 0: there was none yet'),
      beganMs: number('When rssrv began to count; it differs after a restart'),
    }),
  ),
  'config-check': method(
    'Examines a text as the next configuration file and changes nothing; an error says why reload would refuse it',
    { text: { shape: text(), what: 'the text of a configuration file' } },
    object({ changes: list(text(), 'A sentence for each change that reload would make'), warnings: list(text()) }),
    SERVER_CHANGE_MS,
  ),
} as const;
