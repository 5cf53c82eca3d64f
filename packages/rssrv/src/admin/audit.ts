// Writes the audit trail of orders about clients: for each change, a log line with `audit: true` and the name of the asker. The log line is
// also an event. server/reloader.ts writes the lines of reloads that change keys, rights or clients. Invariant: a line is written when the
// change is in force, and shows no key.

import type { Log } from '@rsio/common/log/log';
import { eventOf } from '../events/event-log.ts';
import type { Asker } from '../pools/asker.ts';

/** Logs that the asker has changed the state of a client. `to` is the new state of the client, in one word. */
export function auditClient(log: Pick<Log, 'info'>, { by }: Pick<Asker, 'by'>, client: string, to: string, sentence: string): void {
  log.info(`${sentence}, by ${by}`, { ...eventOf(`client ${client}`, '-', to, `${sentence}, by ${by}`), audit: true, client });
}
