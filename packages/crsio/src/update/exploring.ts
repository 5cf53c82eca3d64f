// Updates three kinds of screens: the search for namespaces, the search for the servers of one namespace, and the path test. Invariant: a
// screen that the user has left receives no more results.

import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import type { Exploration, FoundServer } from '@rsio/protocol/explorer/exploration';
import type { ProbeReport } from '@rsio/protocol/explorer/probe-report';
import type { Finding } from '@rsio/protocol/explorer/finding';
import { fillField, focusOn, type Form } from '../model/form.ts';
import { formScreen } from '../model/forms.ts';
import { addServers } from './servers.ts';
import type { ExploreRequest } from '../model/command.ts';
import {
  configOf,
  type Failure,
  type FormScreen,
  type FoundScreen,
  notice,
  popScreen,
  pushPopup,
  pushScreen,
  type SearchedServer,
  type SearchScreen,
  type State,
  topScreen,
  withTop,
} from '../model/state.ts';
import { type Step, step } from '../model/step.ts';

const NO_INTERFACE = 'No interface to explore from: first add the interfaces of this machine';

export function findNamespace(state: State, request: ExploreRequest): Step {
  const config = configOf(state);
  if (config.interfaces.length === 0) return step(pushPopup(state, notice('Find NEW Namespace', NO_INTERFACE)));
  const run = state.runs + 1;
  const screen: FoundScreen = { kind: 'found', focus: 0, run, isRunning: true, request, servers: [], findings: [] };
  const base = topScreen(state).kind === 'found' ? withTop(state, screen) : pushScreen(state, screen);
  return step({ ...base, runs: run }, { kind: 'explore', run, config, request });
}

/** Adds a new server, or updates a known server that has answered over another pair of addresses. */
export function found(state: State, run: number, server: FoundServer): Step {
  return onFound(state, run, (screen) => {
    const isSame = (other: FoundServer): boolean =>
      other.namespaceid === server.namespaceid && other.serverid === server.serverid && other.instance === server.instance;
    const known = screen.servers.findIndex(isSame);
    const servers = known < 0 ? [...screen.servers, server] : screen.servers.with(known, server);
    return { ...screen, servers };
  });
}

export function explored(state: State, run: number, { servers, findings }: Exploration): Step {
  return onFound(state, run, (screen) => ({ ...screen, isRunning: false, servers, findings }));
}

/**
 * Fills in a login form for the namespace of the chosen server. If the screen beneath the search is a form for a new namespace, uses that
 * form; otherwise, opens a new form.
 */
export function takeFound(state: State, index: number): Step {
  const screen = topScreen(state);
  const server = screen.kind === 'found' ? screen.servers[index] : undefined;
  if (screen.kind !== 'found' || server === undefined) return step(state);
  const config = configOf(state);
  const known = config.namespaces.find(({ namespaceid }) => namespaceid === server.namespaceid);
  if (known !== undefined) {
    const text = `Namespace ${server.namespaceid} is in the file as ${known.name}: find its new servers from its own screen`;
    return step(pushPopup(state, notice('Known namespace', text)));
  }
  const below = popScreen(state);
  const isForNew = isNewNamespaceForm(topScreen(below));
  const empty = formScreen(state, { kind: 'namespace', name: null });
  const base = isForNew ? (topScreen(below) as FormScreen) : empty;
  const form = filledForm(base.form, server, screen.request, config.defaultPort);
  const filled: FormScreen = { ...base, form };
  const requested = screen.request.address === null ? [] : [screen.request.address];
  const addresses = [...server.interfaces.map(({ address }) => address), ...requested];
  const next: State = {
    ...(isForNew ? withTop(below, filled) : pushScreen(below, filled)),
    knownAddresses: { ...state.knownAddresses, [server.namespaceid]: addresses },
    note: `Namespace ${server.namespace} of server ${server.server}: enter the name and the key of this machine`,
  };
  return step(next);
}

function isNewNamespaceForm(screen: State['screens'][number]): boolean {
  return screen.kind === 'form' && screen.purpose.kind === 'namespace' && screen.purpose.name === null;
}

function filledForm(form: Form, server: FoundServer, request: ExploreRequest, defaultPort: number | null): Form {
  const { port } = request;
  const values: readonly (readonly [string, string | null])[] = [
    ['name', server.namespace],
    ['namespaceid', String(server.namespaceid)],
    ['namespacekey', request.namespacekey],
    ['port', port === null || port === (defaultPort ?? PORT_DEFAULT) ? null : String(port)],
  ];
  const filled = values.reduce((next, [key, value]) => (value === null ? next : fillField(next, key, value)), form);
  return focusOn(filled, 'nodename');
}

export function findServers(state: State, namespace: string): Step {
  const config = configOf(state);
  const home = config.namespaces.find(({ name }) => name === namespace);
  if (home === undefined) return step(state);
  if (config.interfaces.length === 0) return step(pushPopup(state, notice('Find New Namespace Servers', NO_INTERFACE)));
  const run = state.runs + 1;
  const screen: SearchScreen = {
    kind: 'search',
    focus: 0,
    run,
    namespace,
    doing: 'Exploring',
    reports: [],
    outcomes: [],
    findings: [],
  };
  const addresses = [...new Set([...home.servers.map(({ address }) => address), ...(state.knownAddresses[home.namespaceid] ?? [])])];
  const base = topScreen(state).kind === 'search' ? withTop(state, screen) : pushScreen(state, screen);
  return step({ ...base, runs: run }, { kind: 'search', run, config, namespace, addresses });
}

export function searching(state: State, run: number, doing: string): Step {
  return onSearch(state, run, (screen) => ({ ...screen, doing }));
}

export function tried(state: State, run: number, report: ProbeReport): Step {
  return onSearch(state, run, (screen) => ({ ...screen, reports: [...screen.reports, report] }));
}

/** Adds the new [server] sections to the document once all pairs of interfaces have been tried. */
export function searched(state: State, run: number, servers: readonly SearchedServer[], findings: readonly Finding[]): Step {
  const screen = topScreen(state);
  if (screen.kind !== 'search' || screen.run !== run) return step(state);
  const { document, outcomes } = addServers(state.document, configOf(state), screen.namespace, servers);
  return step(withTop({ ...state, document }, { ...screen, doing: null, reports: [], outcomes, findings }));
}

/** Ends a run, such as a search, that has failed as a whole. */
export function runFailed(state: State, run: number, failure: Failure): Step {
  const popup = notice('Failed', `${failure.message} [${failure.code}]`);
  const screen = topScreen(state);
  if (!('run' in screen) || screen.run !== run) return step(state);
  if (screen.kind === 'found') return step(pushPopup(withTop(state, { ...screen, isRunning: false }), popup));
  if (screen.kind === 'search') return step(pushPopup(withTop(state, { ...screen, doing: null }), popup));
  return step(pushPopup(popScreen(state), popup));
}

export function testPaths(state: State): Step {
  const run = state.runs + 1;
  return step({ ...pushScreen(state, { kind: 'test', focus: 0, run, lines: null }), runs: run }, { kind: 'test-paths', run });
}

export function tested(state: State, run: number, lines: readonly string[]): Step {
  const screen = topScreen(state);
  return step(screen.kind === 'test' && screen.run === run ? withTop(state, { ...screen, lines }) : state);
}

function onFound(state: State, run: number, change: (screen: FoundScreen) => FoundScreen): Step {
  const screen = topScreen(state);
  return step(screen.kind === 'found' && screen.run === run ? withTop(state, change(screen)) : state);
}

function onSearch(state: State, run: number, change: (screen: SearchScreen) => SearchScreen): Step {
  const screen = topScreen(state);
  return step(screen.kind === 'search' && screen.run === run ? withTop(state, change(screen)) : state);
}
