// The commands that change a client at all servers of a namespace at once. rsadm has the same commands for one server. Each is a part of a
// file of the namespace (spread.ts). Invariants: a new key is printed only once, and only if a server has it; no other output has a key.

import { MAY_PASS, notDone, type SpreadOrder } from '@rsio/api/manage/namespace-spread';
import { CLIENT_NAME_METHODS } from '@rsio/api/rssrv/client-methods';
import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { NAMESPACE_SECTIONS } from '@rsio/common/config/schema/namespace-sections';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { assignmentsOf } from '@rsio/common/cli/assignments';
import { newKey } from '@rsio/common/cli/new-key';
import { isName, NAME_ALLOWED, plural, quoteText } from '@rsio/base/lib/units';
import { list, object, orNull, text } from '@rsio/base/lib/shape';
import { RsError } from '@rsio/base/lib/errors';
import { sleep } from '@rsio/base/lib/waiting';
import { CLIENT_BACK_MS, WAIT_POLL_MS } from '../../limits.ts';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { givenKey, keyFileOption } from '../../cli/key-input.ts';
import { PLACE_OPTIONS, PLACE_SYNOPSIS } from '../server-volumes/door.ts';
import type { Place } from '@rsio/api/manage/asked-servers';
import { askAll, callAt, type PlaceFilter, placesOf } from '../server-volumes/servers.ts';
import { showSpread } from './apply.ts';
import { checkEncrypted, PLAIN_OPTION, type Entry, SPREAD, type Spread, spreadJson, spreadPart, unprovenText } from './spread.ts';

const RENAMED = object({
  missed: list(text(), 'Shared pools that no server owned, and whose volumes have the old name'),
  servers: list(
    object({
      namespace: text(),
      server: text(),
      error: orNull(object({ code: text('Stable: E_...'), message: text() }), 'Why the server has not done it; null: it has'),
      result: orNull(CLIENT_NAME_METHODS['client-rename'].result),
    }),
  ),
});

/** Gives an order about one client to all servers of a namespace. */
async function order(
  context: CommandContext,
  places: readonly Place[],
  name: string,
  entries: readonly Entry[],
  clients: SpreadOrder['clients'] = 'known',
  endKeys: readonly string[] = [],
): Promise<Spread[]> {
  if (!isName(name)) throw usageError(`Wrong client name ${quoteText(name)}: allowed is ${NAME_ALLOWED}`);
  for (const [key, value] of entries) if (/[\r\n]/.test(value)) throw usageError(`Wrong ${key}: give it in one line`);
  return spreadPart(context, places, [{ header: `client ${name}`, entries }], { clients, endKeys });
}

/** Returns the servers of one namespace. Throws E_USAGE if there are several namespaces, and none is named. */
export async function serversOf(context: CommandContext, filter: PlaceFilter): Promise<Place[]> {
  const places = await placesOf(context, filter);
  const names = [...new Set(places.map(({ namespace }) => namespace))];
  if (names.length > 1) throw usageError(`The client belongs to one namespace, and there are ${names.join(', ')}: give --namespace`);
  return places;
}

export function ended(context: CommandContext, json: boolean, done: readonly Spread[]): number | undefined {
  const code = done.every(({ error }) => error === null) ? 0 : 1;
  if (json) return printJson(context, spreadJson(done)) ?? code;
  showSpread(context, done);
  return code;
}

/** Errors after which a server may have done what it was asked for. */
const UNSURE: readonly string[] = ['E_TIMEOUT', 'E_RESET', 'E_NO_SESSION', 'E_SHUTTING_DOWN'];

/** Shows what was done, and the new key unless every server has refused it. `key`: null if it was given. */
function shownKey(context: CommandContext, json: boolean, done: readonly Spread[], key: string | null): number {
  const shown = done.some(({ answer, error }) => answer !== null || UNSURE.includes(error?.code ?? '')) ? key : null;
  const code = done.every(({ error }) => error === null) ? 0 : 1;
  if (json) printJson(context, { ...spreadJson(done), key: shown });
  else {
    // Stdout has the key only.
    showSpread({ out: (line) => context.note(line.trimEnd()), note: context.note }, done);
    if (shown !== null) context.out(`${shown}\n`);
  }
  return code;
}

const ALL_SERVERS = `The command acts at all servers of the namespace where this client has the right
admin. A server that is away is named, and the exit code is 1 then: give the
command again. rsadm has the same command for one server.`;

export const CLIENT_ADD = defineCommand({
  call: { by: 'words', words: 'client add' },
  synopsis: `client add NAME [--key-file F|-] [--rights R] [--plain]\n${PLACE_SYNOPSIS}`,
  summary: 'lets a client connect to all servers, and prints its key',
  details: `${ALL_SERVERS}
Only the key goes to stdout, so that it can be written to a file. To add the
client at a server that was away, give that key with --key-file.`,
  options: {
    'key-file': keyFileOption('key of the client; default: a new one'),
    rights: { kind: 'text', value: 'R', help: 'what the client may do, as in [rights] of rssrvcfg(5)' },
    ...PLAIN_OPTION,
    ...PLACE_OPTIONS,
    json: JSON_OPTION,
  },
  json: object({ ...SPREAD.form.fields, key: orNull(text('Its new key; shown only here'), 'null: it was given, or no server has it') }),
  operands: { min: 1, max: 1 },
  run: async (context, { 'key-file': file, rights, plain, server, namespace, json }, [name = '']) => {
    const places = await serversOf(context, { server, namespace });
    if (!plain) await checkEncrypted(context, places);
    const given = await givenKey(context, 'key', null, file);
    const key = given ?? newKey();
    const done = await order(context, places, name, [['key', key], ...(rights === null ? [] : [['rights', rights] as const])], 'new');
    return shownKey(context, json, done, given === null ? key : null);
  },
});

export const CLIENT_RIGHTS = defineCommand({
  call: { by: 'words', words: 'client rights' },
  synopsis: `client rights NAME R ${PLACE_SYNOPSIS}`,
  summary: 'changes what a client may do at all servers',
  details: `${ALL_SERVERS}
R is as in [rights] of rssrvcfg(5), such as "manage pool=fast limit=500g". A
server that has none of the pools gives the right use.`,
  options: { ...PLACE_OPTIONS, json: JSON_OPTION },
  json: SPREAD,
  operands: { min: 2, max: 4 },
  run: async (context, { server, namespace, json }, [name = '', ...rights]) =>
    ended(context, json, await order(context, await serversOf(context, { server, namespace }), name, [['rights', rights.join(' ')]])),
});

export const CLIENT_SET = defineCommand({
  call: { by: 'words', words: 'client set' },
  synopsis: `client set NAME KEY=VALUE... ${PLACE_SYNOPSIS}`,
  summary: 'limits the I/O of a client at all servers',
  details: `${ALL_SERVERS}
The keys are iops, bandwidth and burst; off removes a limit. Each server limits
the I/O of the client by itself.`,
  options: { ...PLACE_OPTIONS, json: JSON_OPTION },
  json: SPREAD,
  operands: { min: 2, max: 4 },
  run: async (context, { server, namespace, json }, [name = '', ...words]) => {
    const limits = assignmentsOf(words, 'rsconfig').map(([key, value]) => [key, value ?? 'off'] as const);
    const known = Object.keys(NAMESPACE_SECTIONS.group.keys).filter((key) => key !== 'rights');
    const wrong = limits.find(([key]) => !known.includes(key));
    if (wrong !== undefined) throw usageError(`No setting ${quoteText(wrong[0])} of a client: allowed are ${known.join(', ')}`);
    return ended(context, json, await order(context, await serversOf(context, { server, namespace }), name, limits));
  },
});

export const CLIENT_REMOVE = defineCommand({
  call: { by: 'words', words: 'client remove' },
  synopsis: `client remove NAME ${PLACE_SYNOPSIS}`,
  summary: 'removes a client at all servers',
  details: `${ALL_SERVERS}
A server refuses the order while the client holds a volume there.`,
  options: { ...PLACE_OPTIONS, json: JSON_OPTION },
  json: SPREAD,
  operands: { min: 1, max: 1 },
  run: async (context, { server, namespace, json }, [name = '']) =>
    ended(context, json, await order(context, await serversOf(context, { server, namespace }), name, [['state', 'absent']], 'any')),
});

export const CLIENT_RENAME = defineCommand({
  call: { by: 'words', words: 'client rename' },
  synopsis: 'client rename OLD NEW [--namespace N]',
  summary: 'gives a client another name at all servers',
  details: `${ALL_SERVERS}
First detach the volumes of the client and stop its rsiod (rsconfig stop). All
servers are asked before one changes anything: the command is refused while the
client holds a volume, is connected or fenced, or has a job. A server that is
away keeps the old name until the command is given again. Then, on the client,
rsconfig namespace set NAMESPACE nodename=NEW, and start rsiod. Write the new
name into the file of the namespace, too.`,
  options: { namespace: PLACE_OPTIONS.namespace, json: JSON_OPTION },
  json: RENAMED,
  operands: { min: 2, max: 2 },
  run: async (context, { namespace, json }, [name = '', to = '']) => {
    const places = await serversOf(context, { server: null, namespace });
    const ask = (plan: boolean) => askAll(context, places, 'client-rename', { name, to, file: true, plan }, SERVER_CHANGE_MS);
    const planned = await ask(true);
    const refusal = planned.find(({ error }) => error !== null && !MAY_PASS.includes(error.code))?.error ?? null;
    const done =
      refusal === null ? await ask(false) : planned.map((one) => ({ ...one, result: null, error: one.error ?? notDone(refusal) }));
    const servers = done.map(({ place, result, error }) => ({
      namespace: place.namespace,
      server: place.server,
      error: error === null ? null : { code: error.code, message: error.message },
      result,
    }));
    const looked = new Set(done.flatMap(({ result }) => result?.pools ?? []));
    const missed = [...new Set(done.flatMap(({ result }) => result?.elsewhere ?? []))].filter((pool) => !looked.has(pool));
    const code = servers.every(({ error }) => error === null) && missed.length === 0 ? 0 : 1;
    if (json) return printJson(context, { servers, missed }) ?? code;
    for (const { server, error, result } of servers) {
      if (result === null) context.note(`${server}: ${error?.message ?? 'no answer'}`);
      else context.out(`${server}: client ${result.name} is ${result.to} now\n`);
      const held = result?.held ?? 0;
      if (held > 0)
        context.note(`${server}: ${name} has attached ${plural(held, 'volume')} meanwhile: rsadm client release ${name} there ends that`);
    }
    if (missed.length > 0) context.note(`No server owned shared pool ${missed.join(', ')}: give the command again when one does`);
    return code;
  },
});

export const CLIENT_REKEY = defineCommand({
  call: { by: 'words', words: 'client rekey' },
  synopsis: 'client rekey NAME [--key-file F|- [--finish]]\n[--plain] [--namespace N]',
  summary: 'changes the key of a client at all servers',
  details: `In three steps:
  1. rsconfig client rekey NAME > F makes a new key. All servers accept both
     keys then. For a server that was away, give it again with --key-file F.
  2. On the client, rsconfig namespace set NAMESPACE --nodekey-file F --reload
     writes the new key to /etc/rscltcfg.
  3. rsconfig client rekey NAME --key-file F --finish makes the client log in
     again with the new key, and drops the old one. It is refused unless all
     servers have the new key, and the session at each of them uses it. The I/O
     of the client pauses meanwhile, and nothing is lost. A client that changes
     its own key first logs in again with rsconfig restart.
Only the key goes to stdout, so that it can be written to a file.`,
  options: {
    'key-file': keyFileOption('new key, from an earlier call'),
    finish: { kind: 'flag', help: 'drop the old key' },
    ...PLAIN_OPTION,
    namespace: PLACE_OPTIONS.namespace,
    json: JSON_OPTION,
  },
  json: object({ ...SPREAD.form.fields, key: orNull(text('The new key; shown only here'), 'null: none was made') }),
  operands: { min: 1, max: 1 },
  run: async (context, { 'key-file': file, finish, plain, namespace, json }, [name = '']) => {
    if (finish && file === null) throw usageError('--finish needs --key-file: it compares the new key at all servers');
    const places = await serversOf(context, { server: null, namespace });
    if (!plain) await checkEncrypted(context, places);
    const given = await givenKey(context, 'key', null, file);
    const key = given ?? newKey();
    const done = finish ? await finished(context, places, name, key) : await order(context, places, name, [['key', key]]);
    return shownKey(context, json, done, given === null ? key : null);
  },
});

/**
 * Makes the client log in again where its session uses the old key, and drops the old key when all its sessions use the new one. Throws
 * E_IN_USE if they do not within CLIENT_BACK_MS; both keys stay valid then.
 */
async function finished(context: CommandContext, places: readonly Place[], name: string, key: string): Promise<Spread[]> {
  const { clock } = context;
  const untilMs = clock.monotonicMs() + CLIENT_BACK_MS;
  let hasKicked = false;
  for (;;) {
    const done = await order(context, places, name, [['key', key]], 'known', [name]);
    const waiting = done.filter(({ answer }) => answer?.secondKeys.some(({ client }) => client === name) === true);
    if (waiting.length === 0 || done.some(({ answer }) => answer === null)) return done;
    const stale = waiting.filter(({ answer }) =>
      answer?.secondKeys.some(({ client, isProven, sessionKey }) => client === name && !isProven && sessionKey !== null),
    );
    if (stale.some(({ place }) => place.nodename === name))
      throw new RsError(
        'E_IN_USE',
        `This client still uses its old key: rsconfig restart makes it log in again; give the order again then`,
      );
    for (const { place } of hasKicked ? [] : stale) await callAt(context, place, 'client-kick', { name });
    hasKicked = true;
    if (clock.monotonicMs() > untilMs) throw new RsError('E_IN_USE', unprovenText(name, waiting));
    await sleep(clock, WAIT_POLL_MS);
  }
}
