// Writes the audit trail of orders about clients: for each change, a log line with `audit: true` and the asker, which is also an event.
// server/reloader.ts writes the lines of reloads that change keys, rights or clients. Invariant: a line is written when the change is in
// force, and shows no key.

import type { Log } from '@rsio/common/log/log';
import { eventOf } from '../events/event-log.ts';
import type { Asker } from '../pools/asker.ts';

/** Names the asker at the end of a sentence. */
export function byText({ node }: Pick<Asker, 'node'>): string {
  return node === null ? 'an administrator on the server' : `client ${node}`;
}

/** Logs an asker's change of a client. `to`: the state that the client has now, in one word. */
export function auditClient(log: Pick<Log, 'info'>, asker: Pick<Asker, 'node'>, client: string, to: string, sentence: string): void {
  const by = byText(asker);
  log.info(`${sentence}, by ${by}`, { ...eventOf(`client ${client}`, '-', to, `${sentence}, by ${by}`), audit: true, client });
}
