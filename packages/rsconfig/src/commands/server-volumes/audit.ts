// Shows who has ordered which change at all servers. Invariant: a server that does not answer, or does not show it to this client, is named
// with the reason, and does not hide the others.

import { AUDIT_ENTRY, AUDIT_METHODS, AUDIT_SHOWN, type AuditEntry, auditNotes, auditTable, WHO_HELP } from '@rsio/api/rssrv/audit-methods';
import { list, object, orNull, text } from '@rsio/base/lib/shape';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { sinceHelp } from '@rsio/common/cli/since';
import { defineCommand } from '../../cli/context.ts';
import { INVENTORY_WAIT_MS } from '../../limits.ts';
import { doorOf, PLACE_OPTIONS, PLACE_SYNOPSIS } from './door.ts';
import { namedVolume } from './find.ts';
import { askAll, placesOf } from './servers.ts';

const { command } = AUDIT_METHODS.audit;
if (!('words' in command)) throw new Error('The method audit has no command');

export const AUDIT = defineCommand({
  call: { by: 'words', words: command.words },
  synopsis: `${command.words} [VOLUME] [--since TIME] [--who TEXT]\n${PLACE_SYNOPSIS}`,
  summary: command.summary,
  details: `The list has the latest ${AUDIT_SHOWN} orders at all servers where this client has the
right admin: who gave each order, what it asked for, what changed, and its
outcome. Refused orders have an entry, too. If a server does not answer, the
command says why, shows the orders at the others, and exits with code 1.`,
  operands: { min: 0, max: 1 },
  options: {
    since: { kind: 'text', value: 'TIME', help: sinceHelp('orders') },
    who: { kind: 'text', value: 'TEXT', help: WHO_HELP },
    ...PLACE_OPTIONS,
    json: JSON_OPTION,
  },
  json: object({
    servers: list(
      object({
        namespace: text(),
        server: text(),
        error: orNull(object({ code: text('Stable: E_...'), message: text() }), 'Why there are no entries; null if the server answered'),
        entries: list(AUDIT_ENTRY, 'The oldest first'),
      }),
    ),
  }),
  run: async (context, { since, who, server, namespace: given, json }, [word]) => {
    doorOf(context, { server, namespace: given });
    const named = word === undefined ? null : namedVolume(word, given);
    const volume = named === null ? null : { name: named.name, universe: named.universe };
    const places = await placesOf(context, { server, namespace: named?.namespace ?? given });
    const asked = await askAll(context, places, 'audit', { since, who, volume, limit: AUDIT_SHOWN }, INVENTORY_WAIT_MS);
    const servers = asked.map(({ place, result, error }) => ({
      namespace: place.namespace,
      server: place.server,
      error: error === null ? null : { code: error.code, message: error.message },
      entries: [...(result?.entries ?? [])],
    }));
    const code = servers.every(({ error }) => error === null) ? 0 : 1;
    if (json) {
      printJson(context, { servers });
      return code;
    }
    const serverOf = new Map<AuditEntry, string>(servers.flatMap((one) => one.entries.map((entry) => [entry, one.server] as const)));
    const entries = [...serverOf.keys()].toSorted((a, b) => a.atMs - b.atMs).slice(-AUDIT_SHOWN);
    if (entries.length > 0) context.out(auditTable(entries, (entry) => serverOf.get(entry) ?? ''));
    const isWhole = entries.length === serverOf.size && asked.every(({ result }) => result?.isWhole !== false);
    // Nothing is said of servers that have not answered.
    for (const text of code === 0 ? auditNotes(entries, isWhole) : []) context.note(text);
    for (const { error } of servers) if (error !== null) context.note(error.message);
    return code;
  },
});
