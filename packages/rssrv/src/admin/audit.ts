// The audit trail: a log line with `audit: true`, which is an event too, for each order about a client that changes something, with its asker.
// server/reloader.ts writes the lines of reloads that change keys, rights or clients.
// Invariant: a line is written when the change is in force, and shows no key.

import type { Log } from '@rsio/common/log/log';
import { eventOf } from '../events/event-log.ts';
import type { Asker } from '../pools/asker.ts';

/** Who has asked, at the end of a sentence. */
export function byText({ node }: Pick<Asker, 'node'>): string {
  return node === null ? 'an administrator on the server' : `client ${node}`;
}

/** Logs what an asker has done to a client. `to`: the state that the client has now, in one word. */
export function auditClient(log: Pick<Log, 'info'>, asker: Pick<Asker, 'node'>, client: string, to: string, sentence: string): void {
  const by = byText(asker);
  log.info(`${sentence}, by ${by}`, { ...eventOf(`client ${client}`, '-', to, `${sentence}, by ${by}`), audit: true, client });
}
