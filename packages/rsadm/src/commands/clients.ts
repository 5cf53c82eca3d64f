// The commands that show and change which clients may connect, and the keys and rights of clients. Invariant: a key is printed only once,
// when it is made; no error shows a key.

import { firstColumnOf } from '@rsio/api/manage/derived';
import { KEY_NEW_CHARS } from '@rsio/common/config/schema/limits';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { newKey } from '@rsio/common/cli/new-key';
import { assignmentsOf } from '@rsio/common/cli/assignments';
import { addClient, changeClientLimits, changeRights, removeClient, setRights } from '@rsio/common/config/rssrvcfg-edit';
import { list, object, orNull, text } from '@rsio/base/lib/shape';
import { SESSION_PATH, type StatsView } from '@rsio/api/views/stats-views';
import { CLIENT } from '@rsio/api/views/views';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { plural } from '@rsio/base/lib/units';
import { type AdmContext, defineCommand } from '../cli/context.ts';
import { keyFrom } from '../cli/key-file.ts';
import { changeServerFile, checkServerFile } from '@rsio/api/manage/server-file';
import { formatTime } from '@rsio/base/log/log-line';
import { clientDetails, waitWarnings } from '@rsio/api/views/server-stats';
import { clientsTable, NO_CLIENT } from '@rsio/api/views/server-tables';

const COMPLETES_CLIENTS = firstColumnOf('client list');

export const CLIENT_LIST = defineCommand({
  call: { by: 'words', words: 'client list' },
  synopsis: 'client list [-v]',
  summary: 'lists clients with their rights, holds and state',
  options: {
    verbose: { kind: 'flag', short: 'v', help: 'also show the paths of each client, and why its I/O waits' },
    json: JSON_OPTION,
  },
  json: object({ clients: list(object({ ...CLIENT.form.fields, paths: list(SESSION_PATH, 'Paths of its session') })) }),
  run: async (context, { verbose, json }) => {
    const answer = await context.call('client-list', {});
    const stats = await context.call('stats', {});
    if (json) return printJson(context, { clients: answer.clients.map((client) => ({ ...client, paths: pathsOf(stats, client.name) })) });
    if (answer.clients.length === 0) context.note(NO_CLIENT);
    else context.out(clientsTable(answer.clients, stats));
    const nowMs = context.clock.wallMs();
    if (verbose && stats.sessions.length > 0) context.out(`\n${clientDetails(stats, nowMs, formatTime)}`);
    else for (const warning of waitWarnings(stats.waits, nowMs)) context.note(warning);
    return undefined;
  },
});

function pathsOf({ sessions }: StatsView, name: string): StatsView['sessions'][number]['paths'] {
  return sessions.find(({ client }) => client === name)?.paths ?? [];
}

export const CLIENT_ADD = defineCommand({
  call: { by: 'words', words: 'client add' },
  synopsis: 'client add NAME [--key-file F|-] [--rights R]',
  summary: 'lets a client connect, and prints its new key',
  details: `The key has ${KEY_NEW_CHARS} characters. Give the key to rsconfig join on the client, for
example with --key-file. If the server has tls = require, join encrypts the
paths even without --tls. A client has one key for all servers of a namespace:
on each further server, give that key with --key-file; no key is then printed. R
is use (default), view (for monitoring), copy, admin, or manage with pool= and
limit=, such as "manage pool=fast limit=500g".`,
  options: {
    'key-file': { kind: 'text', value: 'F', help: 'file with the key of the client, or - for stdin' },
    rights: { kind: 'text', value: 'R', help: 'what the client may do, as in [rights] of rssrvcfg(5)' },
    json: JSON_OPTION,
  },
  json: object({ name: text(), key: orNull(text('Its new key; shown only here'), 'null: it was given') }),
  operands: { min: 1, max: 1 },
  run: async (context, { 'key-file': file, rights, json }, [name = '']) => {
    const key = file === null ? newKey() : keyFrom(file);
    // Only the key goes to stdout, so that a script can read it.
    await changeServerFile(context, (document) => setRights(addClient(document, name, key), name, rights), context.note);
    if (json) return printJson(context, { name, key: file === null ? key : null });
    if (file === null) context.out(`${key}\n`);
    return undefined;
  },
});

export const CLIENT_RIGHTS = defineCommand({
  call: { by: 'words', words: 'client rights' },
  synopsis: 'client rights NAME R',
  summary: 'changes what a client may do',
  details: `R is use, view, copy, admin, or manage with pool= and limit=, such as "manage
pool=fast limit=500g". limit= counts the volumes of the client on this server. A
client that uses a volume cannot get view. The command takes effect at once.`,
  options: {},
  operands: { min: 2, max: 4 },
  completes: COMPLETES_CLIENTS,
  run: async (context, _, [name = '', ...rights]) => {
    await changeServerFile(context, (document) => changeRights(document, name, rights.join(' ')));
    return undefined;
  },
});

export const CLIENT_SET = defineCommand({
  call: { by: 'words', words: 'client set' },
  synopsis: 'client set NAME KEY=VALUE...',
  summary: 'limits the I/O of a client',
  details: `The keys iops, bandwidth and burst, as in "iops=500 bandwidth=50m", limit the
I/O of the client over all its volumes, in addition to the limits of each
volume. Limits take effect at once, even during I/O. off removes a limit. The
limits are in the line of the client in [rights] of rssrvcfg(5). rsadm client
rights does not change them.`,
  options: {},
  operands: { min: 2, max: 4 },
  completes: COMPLETES_CLIENTS,
  run: async (context, _, [name = '', ...words]) => {
    const changes = assignmentsOf(words, 'rsadm').map(([key, value]) => [key, value ?? 'off'] as const);
    let isFirst = false;
    await changeServerFile(context, (document) => {
      const changed = changeClientLimits(document, name, changes);
      const has = ({ sections }: typeof document): boolean => sections.some(({ type }) => type === 'rights');
      isFirst = has(changed) && !has(document);
      return changed;
    });
    if (isFirst) context.note('The file now has a section [rights], so that only clients with the right admin may force a take-over');
    return undefined;
  },
});

export const CLIENT_RENAME = defineCommand({
  call: { by: 'words', words: 'client rename' },
  synopsis: 'client rename OLD NEW',
  summary: 'gives a client another name',
  details: `NEW takes the place of OLD in rssrvcfg and in all pools: key, rights, limits,
the lists of clients, and the ownership of volumes and snapshots. First detach
the volumes of the client and stop its rsiod, because holds and fences are kept
by the name: the command is refused while the client holds a volume, is
connected or fenced, or has a job. Give the command at each server of the
namespace. Then, on the client, rsconfig namespace set NAMESPACE nodename=NEW,
and start rsiod. Programs that fence the client by its name, such as fence_rsio,
need the new name, too.`,
  options: {},
  operands: { min: 2, max: 2 },
  completes: COMPLETES_CLIENTS,
  run: async (context, _, [name = '', to = '']) => {
    const { volumes, snapshots, held = 0, elsewhere = [] } = await context.call('client-rename', { name, to, file: true, plan: false });
    context.out(`client ${name} is ${to} now: ${plural(volumes, 'volume')} and ${plural(snapshots, 'snapshot')} of pools named it\n`);
    if (held > 0)
      context.note(
        `${name} has attached ${plural(held, 'volume')} meanwhile: rsadm client release ${name} ends that when rsiod is stopped there`,
      );
    if (elsewhere.length > 0)
      context.note(`Not here: shared pool ${elsewhere.join(', ')}; give the command at its owner, and again here if no server owns it now`);
    return undefined;
  },
});

export const CLIENT_REMOVE = defineCommand({
  call: { by: 'words', words: 'client remove' },
  synopsis: 'client remove NAME [--force]',
  summary: 'removes a client; its session ends, its holds stay',
  details: `The command is refused while the client holds volumes, because its I/O would
stop: detach them there first. With --force, the holds stay until rsadm client
release NAME ends them.`,
  options: { force: { kind: 'flag', help: 'also while the client holds volumes' } },
  operands: { min: 1, max: 1 },
  completes: COMPLETES_CLIENTS,
  run: async (context, { force }, [name = '']) => {
    const edit = (document: Parameters<typeof removeClient>[0]) => removeClient(document, name);
    checkServerFile(context, edit);
    const held = await heldBy(context, name);
    if (held.length > 0 && !force) {
      const remedy = 'detach there first, or give --force, which stops its I/O';
      throw new RsError('E_IN_USE', `Client ${name} holds ${held.join(', ')}: ${remedy}`, { client: name });
    }
    await changeServerFile(context, edit);
    if (held.length > 0)
      context.note(`${name} still holds ${held.join(', ')}: rsadm client release ${name} ends that when it cannot come back`);
    return undefined;
  },
});

/** Returns the volumes that a client holds. If rssrv is not running, the holds are unknown, and the list is empty. */
async function heldBy(context: AdmContext, name: string): Promise<readonly string[]> {
  try {
    const { clients } = await context.call('client-list', {});
    return clients.find((client) => client.name === name)?.volumes ?? [];
  } catch (thrown) {
    if (toRsError(thrown).code === 'E_NOT_RUNNING') return [];
    throw thrown;
  }
}
