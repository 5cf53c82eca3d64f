// Explores the network for namespaces, and searches for the servers of one namespace. Invariant: a page that the user has left receives no
// more results.

import { addressKey } from '@rsio/base/lib/subnet';
import type { Exploration, FoundServer } from '@rsio/protocol/explorer/exploration';
import type { Finding } from '@rsio/protocol/explorer/finding';
import { onTop, pushed, report, reportFailure, request, step, type Tell, withTop } from '../../machine/machine.ts';
import type { ExploreRequest } from '../model/ports.ts';
import { type ClientCommand, type ClientPage, type ClientState, configOf, editing } from '../model/state.ts';
import type { Found, Search } from '../model/state.ts';
import { addServers, type SearchedServer } from './servers.ts';

export const FOUND = 'found';
const SEARCH = 'search';
const NO_INTERFACE = 'No interface to explore from: first add the interfaces of this machine';

export function findNamespace(asked: ExploreRequest, page: ClientPage): ClientCommand {
  return (state) => {
    const config = configOf(state);
    if (config.interfaces.length === 0) return step(report(state, 'Find NEW Namespace', NO_INTERFACE));
    const run = state.runs + 1;
    const update = (change: (found: Found) => Found): ClientCommand => ifTop(FOUND, run, (now) => ({ ...now, found: change(now.found) }));
    const effect = request<ClientState, Exploration>(
      (tell) =>
        state.ports.explore(config, asked, (server) => tell(update((found) => ({ ...found, servers: withServer(found.servers, server) })))),
      ({ servers, findings }) => update((found) => ({ ...found, isRunning: false, servers, findings })),
      (failure) =>
        ifTop(FOUND, run, (now) => reportFailure<ClientState>({ ...now, found: { ...now.found, isRunning: false } }, 'Failed', failure)),
    );
    const found: Found = { run, isRunning: true, request: asked, servers: [], findings: [] };
    return step({ ...shown(state, page), runs: run, found }, effect);
  };
}

/** Opens the page of a run, or replaces the page of an earlier run with this page. */
function shown(state: ClientState, page: ClientPage): ClientState {
  return onTop(state, page.id) === null ? pushed(state, page) : withTop(state, page);
}

/** Returns a command that applies `change`, unless the user has left the page or has begun a newer run. */
function ifTop(page: typeof FOUND | typeof SEARCH, run: number, change: (state: ClientState) => ClientState): ClientCommand {
  return (state) => step(onTop(state, page) !== null && state[page].run === run ? change(state) : state);
}

/** Adds a new server, or replaces the entry of a server that is already known. */
function withServer(servers: readonly FoundServer[], server: FoundServer): readonly FoundServer[] {
  const { namespaceid, serverid, instance } = server;
  const known = servers.findIndex((each) => each.namespaceid === namespaceid && each.serverid === serverid && each.instance === instance);
  return known < 0 ? [...servers, server] : servers.with(known, server);
}

/** Searches for the servers of a namespace, and adds their sections to the document. */
export function findServers(namespace: string, page: ClientPage): ClientCommand {
  return editing((state) => {
    const config = configOf(state);
    const home = config.namespaces.find(({ name }) => name === namespace);
    if (home === undefined) return step(state);
    if (config.interfaces.length === 0) return step(report(state, 'Find New Namespace Servers', NO_INTERFACE));
    const run = state.runs + 1;
    const addresses = [...new Set([...home.servers.map(({ address }) => address), ...(state.knownAddresses[home.namespaceid] ?? [])])];
    const update = (change: (search: Search) => Partial<Search>): ClientCommand =>
      ifTop(SEARCH, run, (now) => ({ ...now, search: { ...now.search, ...change(now.search) } }));
    const effect = request<ClientState, Searched>(
      (tell) => search(state, { namespace, addresses }, tell, update),
      ({ servers, findings }) => ifTop(SEARCH, run, (now) => searched(now, servers, findings)),
      (failure) =>
        ifTop(SEARCH, run, (now) => reportFailure<ClientState>({ ...now, search: { ...now.search, doing: null } }, 'Failed', failure)),
    );
    const begun: Search = { run, namespace, doing: 'Exploring', reports: [], outcomes: [], findings: [] };
    return step({ ...shown(state, page), runs: run, search: begun }, effect);
  });
}

/** Adds the new [server] sections to the document once all pairs of interfaces have been tried. */
function searched(state: ClientState, servers: readonly SearchedServer[], findings: readonly Finding[]): ClientState {
  const { document, outcomes } = addServers(state.document, configOf(state), state.search.namespace, servers);
  return { ...state, document, search: { ...state.search, doing: null, reports: [], outcomes, findings } };
}

interface Searched {
  readonly servers: readonly SearchedServer[];
  readonly findings: readonly Finding[];
}

interface Wanted {
  readonly namespace: string;
  /** Addresses of the servers that the search asks directly. */
  readonly addresses: readonly string[];
}

async function search(
  state: ClientState,
  { namespace, addresses }: Wanted,
  tell: Tell<ClientState>,
  update: (change: (search: Search) => Partial<Search>) => ClientCommand,
): Promise<Searched> {
  const { ports } = state;
  const config = configOf(state);
  const say = (doing: string): void => tell(update(() => ({ doing })));
  const explored = await ports.exploreNamespace(config, namespace, addresses);
  const servers = [...explored.servers];
  // Addresses that did not answer over UDP are tried over TCP, because a firewall may drop UDP, or the server may be configured not to
  // answer explorations.
  const silent: Finding[] = [];
  for (const address of addresses) {
    if (servers.some(({ interfaces }) => interfaces.some((each) => addressKey(each.address) === addressKey(address)))) continue;
    say(`Asking ${address} by TCP`);
    const identified = await ports.identify(config, namespace, address);
    if ('server' in identified) servers.push(identified.server);
    else silent.push(identified.finding);
  }
  const done: SearchedServer[] = [];
  for (const server of servers) {
    say(`Trying the interfaces of ${server.server}`);
    const examination = await ports.examine(config, namespace, server, (report, count, total) => {
      say(`Tried ${count} of ${total} pairs of interfaces with ${server.server}`);
      tell(update(({ reports }) => ({ reports: [...reports, report] })));
    });
    done.push({ server, examination });
  }
  // Findings about addresses that did not answer over UDP are dropped, because all these addresses have been tried over TCP.
  const heard = explored.findings.filter(({ kind }) => kind !== 'no-answer');
  const onTheWay = done.flatMap(({ examination }) => [...examination.findings, ...examination.reports.flatMap(({ findings }) => findings)]);
  return { servers: done, findings: [...heard, ...silent, ...onTheWay] };
}
