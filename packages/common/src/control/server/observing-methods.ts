// The methods of rssrv that show the state of the server, and that check a configuration. The rules for changing a table are in
// docs/CONTROL.md.
// Invariant: these methods change nothing.

import { CONTROL_ANSWER_MS, SERVER_CHANGE_MS } from '../limits.ts';
import { EVENTS_PARAMS, EVENTS_RESULT, method } from '../method-table.ts';
import { count, flag, list, number, object, type Of, text, word } from '../../lib/shape.ts';
import { STATS } from './stats-views.ts';
import { INTERFACE } from './views.ts';

export const READINESS = object({
  server: text(),
  version: text(),
  startedMs: number('Time of the start'),
  pools: object({ ready: count(), total: count() }),
  sessions: count('Clients with a session'),
  mirrors: count('Replicas of mirrors that the server has'),
  isReady: flag('The server may be restarted now: only its own clients wait, until it is back'),
  reasons: list(
    object({ kind: word(['mirror', 'pool', 'job', 'client', 'change']), text: text('What stands against a restart, and what to do') }),
    'Empty if the server is ready',
  ),
  warnings: list(text(), 'What to know; nothing of it stands against a restart'),
});

export type Readiness = Of<typeof READINESS>;

export const OBSERVING_METHODS = {
  'interface-list': method('The interfaces on which the server listens', {}, object({ interfaces: list(INTERFACE) })),
  stats: method('Counters, rates and latencies of each client and volume, and the I/O that waits', {}, STATS),
  events: method(
    'The latest events, or those after the event with this number, the oldest first; with waitMs, the answer waits for such an event',
    EVENTS_PARAMS,
    EVENTS_RESULT,
  ),
  readiness: method('Whether the server may be restarted now, and what stands against it', {}, READINESS, CONTROL_ANSWER_MS, 'admin'),
  'config-check': method(
    'Checks a text as if it were the configuration file, and changes nothing; an error says why reload would refuse it',
    { text: { shape: text(), what: 'the text of a configuration file' } },
    object({ changes: list(text(), 'A sentence for each change that reload would make'), warnings: list(text()) }),
    SERVER_CHANGE_MS,
  ),
} as const;
