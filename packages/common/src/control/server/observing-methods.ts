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
  stats: method('Counters, rates and latencies of each client and volume, and the I/O that waits', {}, STATS),
  events: method(
    'The latest events, or those after the event with this number, the oldest first; with waitMs, the answer waits for such an event',
    EVENTS_PARAMS,
    EVENTS_RESULT,
  ),
  'config-check': method(
    'Checks a text as if it were the configuration file, and changes nothing; an error says why reload would refuse it',
    { text: { shape: text(), what: 'the text of a configuration file' } },
    object({ changes: list(text(), 'A sentence for each change that reload would make'), warnings: list(text()) }),
    SERVER_CHANGE_MS,
  ),
} as const;
