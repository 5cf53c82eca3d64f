// The first page of the client, which summarizes rscltcfg and leads to every other page. Invariant: the hint names the next step, so that a
// new user who follows the hints gets a working client.

import { plural } from '@rsio/base/lib/units';
import { open, pageOf } from '../../machine/machine.ts';
import { EMPTY_ROW, menuRows, textRow } from '../../machine/rows.ts';
import { KEYS_HELP } from '../model/help-text.ts';
import { type ClientChoice, type ClientContent, type ClientPage, type ClientState, configOf, isUnsaved } from '../model/state.ts';
import { readAgain, saveAll } from '../work/file.ts';
import { editSection } from '../work/section-forms.ts';
import { OPEN_APPLICATIONS } from './applications-page.ts';
import { ADD_INTERFACE, INTERFACES_PAGE } from './interfaces-page.ts';
import { OPEN_MIRRORS } from './mirrors-page.ts';
import { ADD_NAMESPACE, FIND_NAMESPACE, NAMESPACES_PAGE } from './namespaces-page.ts';
import { OPERATIONS_PAGE } from './operations.ts';
import { OPEN_STATUS } from './status-page.ts';

const EDIT_DEFAULTS = editSection({ kind: 'defaults' });

export const MENU_PAGE: ClientPage = { ...pageOf('menu', content), focusOnReturn };

function content(state: ClientState): ClientContent {
  const { interfaces, namespaces } = configOf(state);
  const servers = namespaces.reduce((sum, each) => sum + each.servers.length, 0);
  return {
    title: 'RSIO client',
    rows: [...menuRows(linesOf(state)), EMPTY_ROW, textRow(`File ${state.configFile}${state.stored.fingerprint === null ? ' (new)' : ''}`)],
    actions: [FIND_NAMESPACE, ADD_INTERFACE, { label: 'Reread the file', command: readAgain }],
    hint: nextStep(interfaces.length, namespaces.length, servers),
    help: { title: 'crsio', text: KEYS_HELP },
  };
}

function nextStep(interfaces: number, namespaces: number, servers: number): string {
  if (interfaces === 0) return 'First add the interfaces of this machine that lead to servers';
  if (namespaces === 0) return 'Now add a namespace: Add NEW Namespace, there F7 finds it';
  if (servers === 0) return 'Now find the servers of the namespace: Namespaces, there F7';
  return 'Enter opens the selected line, F1 shows help';
}

function linesOf(state: ClientState): readonly (ClientChoice & { readonly detail: string })[] {
  const { interfaces, namespaces, applications } = configOf(state);
  const servers = namespaces.reduce((sum, each) => sum + each.servers.length, 0);
  const moving = applications.length === 0 ? 'services that move' : plural(applications.length, 'application');
  const counted = `${plural(namespaces.length, 'namespace')}, ${plural(servers, 'server interface')}`;
  return [
    { label: 'Interfaces', command: open(INTERFACES_PAGE), detail: plural(interfaces.length, 'interface') },
    { label: 'Namespaces', command: open(NAMESPACES_PAGE), detail: counted },
    { label: 'Add NEW Namespace', command: ADD_NAMESPACE, detail: 'log in to a namespace, or find one' },
    { label: 'Defaults', command: EDIT_DEFAULTS, detail: 'values for everything that does not set its own' },
    { label: 'Mirrors', command: OPEN_MIRRORS, detail: 'volumes on two or three servers' },
    { label: 'Applications', command: OPEN_APPLICATIONS, detail: moving },
    { label: 'Status', command: OPEN_STATUS, detail: 'paths, rates and volumes of the running rsiod' },
    { label: 'All operations', command: open(OPERATIONS_PAGE), detail: 'everything that rsiod and rsapp can do' },
    { label: 'Save', command: saveAll(false), detail: 'F3' },
    { label: 'Leave', command: (now) => now.role.leave(now), detail: 'F10' },
  ];
}

/** Returns the index of the menu line that leads to the next step. */
function focusOnReturn(state: ClientState): number {
  const { interfaces, namespaces } = configOf(state);
  const isWithoutServers = namespaces.every(({ servers }) => servers.length === 0);
  const after = isWithoutServers ? 'Namespaces' : isUnsaved(state) ? 'Save' : 'Status';
  const wanted = interfaces.length === 0 ? 'Interfaces' : namespaces.length === 0 ? 'Add NEW Namespace' : after;
  return linesOf(state).findIndex(({ label }) => label === wanted);
}
