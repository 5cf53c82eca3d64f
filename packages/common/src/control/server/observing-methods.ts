// The methods of rssrv that show the state of the server, and that check a configuration. The rules for changing a table are in
// docs/CONTROL.md.
// Invariant: these methods change nothing.

import { SERVER_CHANGE_MS } from '../limits.ts';
import { EVENTS_PARAMS, EVENTS_RESULT, method } from '../method-table.ts';
import { list, object, text } from '../../lib/shape.ts';
import { STATS } from './stats-views.ts';
import { INTERFACE } from './views.ts';

export const OBSERVING_METHODS = {
  'interface-list': method('The interfaces on which the server listens', {}, object({ interfaces: list(INTERFACE) })),
  stats: method('Counters, rates and latencies of each client and volume, and what waits', {}, STATS),
  events: method(
    'The last events, or those after a number, the oldest first; with waitMs, the answer waits for an event after that number',
    EVENTS_PARAMS,
    EVENTS_RESULT,
  ),
  'config-check': method(
    'Examines a text as the next configuration file and changes nothing; an error says why reload would refuse it',
    { text: { shape: text(), what: 'the text of a configuration file' } },
    object({ changes: list(text(), 'A sentence for each change that reload would make'), warnings: list(text()) }),
    SERVER_CHANGE_MS,
  ),
} as const;
