// The page that lists the namespaces in the file, the page of one namespace with its servers, and the forms of namespaces and servers.
// Invariant: secret keys are shown only in the form of the namespace, and only after F2.

import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import { SCHEMA } from '@rsio/common/config/schema/schema';
import type { ClientNamespaceConfig } from '@rsio/common/config/schema/types';
import { plural } from '@rsio/base/lib/units';
import type { FoundServer } from '@rsio/protocol/explorer/exploration';
import { fillField, focusOn, type Form, formText } from '../../machine/form.ts';
import { acceptTop, withForm } from '../../machine/form-page.ts';
import { onTop, open, pageOf, popped, pushed, report, step, topOf, withTop } from '../../machine/machine.ts';
import { choiceRow, columnsOf, commandRow, EMPTY_ROW, headingRow, textRow } from '../../machine/rows.ts';
import type { ExploreRequest } from '../model/ports.ts';
import { type ClientChoice, type ClientCommand, type ClientContent, type ClientPage, type ClientRow } from '../model/state.ts';
import { type ClientState, type ClientStep, configOf, editing, SUBNETS } from '../model/state.ts';
import { askRemoval, pageId } from '../work/edits.ts';
import { editSection } from '../work/section-forms.ts';
import { exploreNamespaces, searchServers } from './found-page.ts';
import { TEST_PATHS } from './status-page.ts';

export const FIND_NAMESPACE: ClientChoice = { label: 'Find NEW Namespace', command: exploreNamespaces(SUBNETS, logIn) };
const NEW_NAMESPACE = {};
export const ADD_NAMESPACE = editNamespace(null);

export const NAMESPACES_PAGE = pageOf('namespaces', list);

function list(state: ClientState): ClientContent {
  const { namespaces } = configOf(state);
  const lines = columnsOf(
    namespaces.map(({ name, namespaceid, nodename, servers }) => [
      name,
      `id ${namespaceid}`,
      `as ${nodename}`,
      plural(servers.length, 'server interface'),
    ]),
    [12, 8, 12],
  );
  const rows = namespaces.map(({ name }, index): ClientRow => {
    return { lines: [lines[index] ?? ''], command: open(namespacePage(name)), remove: askRemoval({ type: 'namespace', name }) };
  });
  return {
    title: 'Namespaces',
    rows: [...rows, commandRow(ADD_NAMESPACE, 'Add NEW Namespace')],
    actions: [FIND_NAMESPACE, { label: 'Add NEW Namespace', command: ADD_NAMESPACE }],
    hint: namespaces.length === 0 ? 'Enter adds one, F7 finds one' : 'Enter opens, F8 removes, F7 finds more',
    help: { title: 'Namespaces', text: `${SCHEMA.rscltcfg.namespace.help}. Each namespaceid occurs at most once.` },
  };
}

function namespacePage(name: string): ClientPage {
  return pageOf(pageId({ type: 'namespace', name }), (state) => content(state, name));
}

/** Opens the form with the login data of a namespace. When the form closes, the page of the namespace is on top. */
export function editNamespace(name: string | null): ClientCommand {
  const find: ClientChoice = { label: 'Find New Namespace Servers', command: editing(searchFromForm) };
  return editSection(
    { kind: 'namespace', name },
    {
      actions: name === null ? [FIND_NAMESPACE, find] : [find],
      ...(name === null ? { owner: NEW_NAMESPACE } : {}),
      follow: (state, now) => {
        const page = name === null ? null : onTop(state, pageId({ type: 'namespace', name }));
        return page === null ? pushed(state, namespacePage(now)) : withTop(state, { ...namespacePage(now), focus: page.focus });
      },
    },
  );
}

/** Accepts the form on top. If the form closes, searches for the servers of the namespace. */
function searchFromForm(state: ClientState): ClientStep {
  const top = topOf(state);
  if (top.kind !== 'form') return step(state);
  const accepted = acceptTop(state);
  return topOf(accepted.state).kind === 'form' ? accepted : searchServers(formText(top.form, 'name'))(accepted.state);
}

/**
 * Opens a form for the namespace of the server, with the server's data. If the page below the search is a form for a new namespace, fills
 * in that form.
 */
function logIn(server: FoundServer, request: ExploreRequest): ClientCommand {
  return editing((state) => {
    const config = configOf(state);
    const known = config.namespaces.find(({ namespaceid }) => namespaceid === server.namespaceid);
    if (known !== undefined) {
      const text = `Namespace ${server.namespaceid} is in the file as ${known.name}: find its new servers from its own screen`;
      return step(report(state, 'Known namespace', text));
    }
    const below = popped(state);
    const top = topOf(below);
    const isThere = top.kind === 'form' && top.owner === NEW_NAMESPACE;
    const base = isThere ? below : ADD_NAMESPACE(below).state;
    const requested = request.address === null ? [] : [request.address];
    const addresses = [...server.interfaces.map(({ address }) => address), ...requested];
    return step({
      ...withForm(base, (form) => filledForm(form, server, request, config.defaultPort)),
      knownAddresses: { ...state.knownAddresses, [server.namespaceid]: addresses },
      note: `Namespace ${server.namespace} of server ${server.server}: enter the name and the key of this machine`,
    });
  });
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

export function editServer(namespace: string, name: string | null): ClientCommand {
  return editSection({ kind: 'server', namespace, name });
}

function content(state: ClientState, name: string): ClientContent {
  const namespace = configOf(state).namespaces.find((each) => each.name === name);
  const add = editServer(name, null);
  const edit: ClientChoice = { label: 'Login data and settings', command: editNamespace(name) };
  return {
    title: `Namespace ${name}`,
    rows: namespace === undefined ? [] : [...loginRows(namespace, edit), ...serverRows(namespace), commandRow(add, 'Add server interface')],
    actions: [
      { label: 'Find New Namespace Servers', command: searchServers(name) },
      { label: 'Add server interface', command: add },
      edit,
      TEST_PATHS,
      { label: `Remove namespace ${name}`, command: askRemoval({ type: 'namespace', name }) },
    ],
    hint: namespace?.servers.length === 0 ? 'F7 finds the servers of this namespace' : 'Enter changes, F8 removes, F7 finds more',
    help: { title: `Namespace ${name}`, text: `${SCHEMA.rscltcfg.namespace.help}.\n\n[server]: ${SCHEMA.rscltcfg.server.help}.` },
  };
}

function loginRows({ namespaceid, nodename, namespacekey }: ClientNamespaceConfig, edit: ClientChoice): ClientRow[] {
  const signed = namespacekey === null ? 'exploration is not signed' : 'exploration is signed';
  return [choiceRow(edit), textRow(`id ${namespaceid}, this machine is ${nodename}, ${signed}`), EMPTY_ROW];
}

function serverRows({ name: namespace, servers }: ClientNamespaceConfig): ClientRow[] {
  const lines = columnsOf(
    servers.map(({ name, address, port }) => [name, address + (port === null ? '' : `, port ${port}`)]),
    [12],
  );
  const rows = servers.map(({ name }, index): ClientRow => {
    return { lines: [lines[index] ?? ''], command: editServer(namespace, name), remove: askRemoval({ type: 'server', namespace, name }) };
  });
  return [headingRow('Server interfaces'), ...(rows.length === 0 ? [textRow('none yet')] : rows)];
}
