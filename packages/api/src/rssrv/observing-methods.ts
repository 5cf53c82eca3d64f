// The methods of rssrv that show the state of the server, and that check a configuration. The rules for changing a table are in
// docs/CONTROL.md.
// Invariant: these methods change nothing.

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { EVENTS_PARAMS, EVENTS_RESULT } from '@rsio/common/control/method-table';
import { count, flag, list, number, object, type Of, optional, text, word } from '@rsio/base/lib/shape';
import { STATS } from '../views/stats-views.ts';
import { serverMethod } from './server-method.ts';
import { INTERFACE } from '../views/views.ts';

export const READINESS = object({
  server: text(),
  version: text(),
  startedMs: number('Time of the start'),
  pools: object({ ready: count(), total: count() }),
  sessions: count('Clients with a session'),
  mirrors: count('Replicas of mirrors that the server has'),
  votes: optional(
    count(
      'Mirrors in use for which it votes; it asks no other server which of theirs are away. Missing: the server is of an earlier release',
    ),
  ),
  isReady: flag('The server may be restarted now: only its own clients wait, until it is back'),
  reasons: list(
    object({ kind: word(['mirror', 'pool', 'job', 'client', 'change']), text: text('What stands against a restart, and what to do') }),
    'Empty if the server is ready',
  ),
  warnings: list(text(), 'What to know; nothing of it stands against a restart'),
});

export type Readiness = Of<typeof READINESS>;

const NOT_ASKED =
  'It does not know whether the other servers of its mirrors are there, and they stop if too few are: rsconfig servers at a client asks all servers';

export const OBSERVING_METHODS = {
  'interface-list': serverMethod({
    help: 'The interfaces on which the server listens',
    right: null,
    reads: true,
    params: {},
    result: object({ interfaces: list(INTERFACE) }),
    command: { byHand: 'interface list', because: 'without rssrv, it shows the file' },
  }),
  stats: serverMethod({
    help: 'Counters, rates and latencies of each client and volume, and the I/O that waits',
    right: null,
    reads: true,
    params: {},
    result: STATS,
    command: { byHand: 'stats', because: 'it asks twice, and shows rates' },
  }),
  events: serverMethod({
    help: 'The latest events, or those after the event with this number, the oldest first; with waitMs, the answer waits for such an event',
    right: null,
    reads: true,
    params: EVENTS_PARAMS,
    result: EVENTS_RESULT,
    command: { byHand: 'events', because: 'it follows the events' },
  }),
  readiness: serverMethod({
    help: 'Whether the server may be restarted now, and what stands against it',
    right: 'admin',
    reads: true,
    params: {},
    result: READINESS,
    command: {
      words: 'ready-to-restart',
      about: 'server',
      only: 'rsadm',
      summary: 'says whether this server may be restarted now',
      details: `The exit code is 0 if the server is ready, and 1 if not. A server is not ready
while a mirror has all its writes on this server alone, no other server would
take a shared pool that it serves, a job is open, a change is in progress, or a
client has not yet sent again what the storage may have lost. Clients of the
other volumes wait during a restart, as always, and get no error. To restart the
servers of a namespace one after the other, see rsconfig servers.

The server asks no other server. If it votes for mirrors in use, it does not
know whether their other servers are there, such as a witness. rsconfig servers,
at a client with the right admin or view, asks all of them.`,
      example: 'ready-to-restart',
      says: ({ server, isReady, reasons, warnings, votes }) => ({
        lines: [
          `${server} ${isReady ? `may be restarted${votes === 0 ? '' : ', as far as it knows'}` : 'must not be restarted now'}`,
          ...reasons.map((one) => one.text),
        ],
        notes: isReady && votes !== 0 ? [...warnings, NOT_ASKED] : warnings,
        ...(isReady ? {} : { code: 1 }),
      }),
    },
  }),
  'config-check': serverMethod({
    help: 'Checks a text as if it were the configuration file, and changes nothing; an error says why reload would refuse it',
    right: null,
    repeats: 'harmless',
    unrecorded: 'it changes nothing, and its text has keys',
    params: { text: { shape: text(), what: 'the text of a configuration file' } },
    result: object({ changes: list(text(), 'A sentence for each change that reload would make'), warnings: list(text()) }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'check', because: 'without rssrv, it checks the file by itself' },
  }),
} as const;
