// Implements `rsconfig impact`, which asks all servers and this machine, and says what stops if machines are switched off (impact.ts in
// packages/api decides). It changes nothing.

import { type Impact, IMPACT_EFFECTS, type ImpactFacts, impactOf, type ImpactServer, impactText } from '@rsio/api/manage/impact';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { list, object, orNull, text, word } from '@rsio/base/lib/shape';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { INVENTORY_WAIT_MS, SERVERS_ASKED_AT_ONCE_MAX } from '../../limits.ts';
import type { CallAt, Place } from '@rsio/api/manage/asked-servers';
import { impactFacts } from '@rsio/api/manage/impact-facts';
import { callAt, placesOf } from '../server-volumes/servers.ts';

export const IMPACT = defineCommand({
  call: { by: 'words', words: 'impact' },
  synopsis: 'impact [--off S[,S]] [--client C[,C]] [--pool P[,P]]\n[--address A[,A]] [--namespace N]',
  summary: 'says what stops if machines are switched off',
  details: `The command asks all servers, and changes nothing. For each volume, mirror,
shared pool, replication, gate and application that does not stay as it is, it
prints one line: stops, moves (to another server or node), degraded (it goes on,
and has less redundancy) or unknown (a server does not answer, or no server
tells the state of a mirror). What to do first follows below the table. The exit
code is 0 if nothing stops and nothing is unknown, so that a script can ask
before it switches a machine off.

--off names servers, --client clients. --pool names pools: SERVER/POOL, or the
name of a shared pool. --address names addresses of servers or of this machine,
such as those behind one switch; what other clients lose then is not judged.
Gates and applications are those that this machine knows. The client needs the
right admin or view at the servers.`,
  options: {
    off: { kind: 'text', value: 'S', help: 'servers that are off, separated by commas' },
    client: { kind: 'text', value: 'C', help: 'clients that are off' },
    pool: { kind: 'text', value: 'P', help: 'pools whose disk is off' },
    address: { kind: 'text', value: 'A', help: 'addresses that are cut' },
    namespace: { kind: 'text', value: 'N', help: 'namespace of the servers' },
    json: JSON_OPTION,
  },
  json: object({
    namespace: text(),
    impacts: list(
      object({
        effect: word(IMPACT_EFFECTS, 'degraded: it goes on, with less redundancy'),
        kind: word(['volume', 'mirror', 'pool', 'replication', 'gate', 'application', 'server'], 'What it is'),
        name: text(),
        to: orNull(text(), 'Server or node where it goes on; null: nowhere, or it stays'),
        users: list(text(), 'Clients that use it now; of a gate, hosts'),
        why: text(),
        first: orNull(text(), 'What to do first; null: nothing'),
      }),
      'The worst first; what stays as it is has no entry',
    ),
  }),
  run: async (context, { off, client, pool, address, namespace, json }) => {
    if ([off, client, pool, address].every((one) => one === null))
      throw usageError('Nothing is off: give --off, --client, --pool or --address');
    const places = await placesOf(context, { server: null, namespace });
    const [name = '', another] = [...new Set(places.map((place) => place.namespace))];
    if (another !== undefined) throw usageError(`There are several namespaces, ${name} and ${another}: give --namespace`);
    const servers = namesOf(off);
    const unknown = [...servers].find((one) => !places.some(({ server }) => server === one));
    if (unknown !== undefined) throw usageError(`No server ${unknown}: known are ${places.map(({ server }) => server).join(', ')}`);
    const facts = await factsOf(context, places, name);
    const [pools, clients, addresses] = [namesOf(pool), namesOf(client), namesOf(address)];
    checkPools(pools, facts.servers);
    const isCut = (one: string): boolean => addresses.has(one);
    const unseen = [...addresses].find((one) => !facts.paths.some((path) => [path.localAddress, path.address].includes(one)));
    if (unseen !== undefined) throw usageError(`No path of this machine that is up has the address ${unseen}: see rsconfig -q -v`);
    const impacts = impactOf(facts, { namespace: name, servers, clients, pools, isCut });
    const code = impacts.some(({ effect }) => effect === 'stops' || effect === 'unknown') ? 1 : 0;
    if (json) return printJson(context, { namespace: name, impacts }) ?? code;
    show(context, impacts);
    return code;
  },
});

function namesOf(list_: string | null): ReadonlySet<string> {
  const names = list_ === null ? [] : list_.split(',').map((one) => one.trim());
  if (names.includes('')) throw usageError(`A name in ${list_} is empty`);
  return new Set(names);
}

/** Throws E_USAGE for a pool that no server has told of, because nothing would be said to stop. */
function checkPools(pools: ReadonlySet<string>, servers: readonly ImpactServer[]): void {
  const known = servers.flatMap(({ server, volumes, shared }) => [
    ...shared.map(({ name }) => name),
    ...volumes.flatMap(({ pool }) => (pool === null ? [] : [`${server}/${pool}`])),
  ]);
  const unknown = [...pools].find((one) => !known.includes(one));
  if (unknown !== undefined)
    throw usageError(
      `No volume is in a pool ${unknown}: give SERVER/POOL, or the name of a shared pool; there are ${[...new Set(known)].join(', ') || 'none'}`,
    );
}

async function factsOf(context: CommandContext, places: readonly Place[], namespace: string): Promise<ImpactFacts> {
  const { call, callApp } = context;
  const ask: CallAt = (place, method, params) => callAt(context, place, method, params, INVENTORY_WAIT_MS);
  const { namespaces } = await call('query', { refresh: false });
  return impactFacts({ call, callApp, callAt: ask, atOnce: SERVERS_ASKED_AT_ONCE_MAX }, places, namespaces, namespace);
}

function show(context: CommandContext, impacts: readonly Impact[]): void {
  if (impacts.length === 0) return context.note('Everything stays as it is');
  context.out(toText(alignColumns(['EFFECT', 'WHAT', 'NAME', 'TO', 'USED BY', 'WHY'], impactText(impacts))));
  for (const { name, first } of impacts) if (first !== null) context.note(`First, ${name}: ${first}`);
}
