// Builds the first page, which summarizes the file and leads to every other page. The hint names the next step, and so leads a new user to
// a working client.

import { plural } from '@rsio/common/lib/units';
import { open } from '../../machine/machine.ts';
import { columnsOf, commandRow, EMPTY_ROW, textRow } from '../../machine/rows.ts';
import { KEYS_HELP } from '../model/help-text.ts';
import {
  type ClientCommand,
  type ClientContent,
  clientPage,
  type ClientPage,
  type ClientState,
  configOf,
  isUnsaved,
} from '../model/state.ts';
import { readAgain, saveAll } from '../work/file.ts';
import { editSection } from '../work/section-forms.ts';
import { ADD_INTERFACE, INTERFACES_PAGE } from './interfaces-page.ts';
import { OPEN_MIRRORS } from './mirrors-page.ts';
import { ADD_NAMESPACE, FIND_NAMESPACE, NAMESPACES_PAGE } from './namespaces-page.ts';
import { OPEN_STATUS } from './status-page.ts';

const COMMANDS: readonly ClientCommand[] = [
  open(INTERFACES_PAGE),
  open(NAMESPACES_PAGE),
  ADD_NAMESPACE,
  editSection({ kind: 'defaults' }),
  OPEN_MIRRORS,
  OPEN_STATUS,
  saveAll(false),
  (state) => state.role.leave(state),
];
/** Lines of the menu. */
const LINE = { interfaces: 0, namespaces: 1, newNamespace: 2, status: 5, save: 6 } as const;

export const MENU_PAGE: ClientPage = { ...clientPage('menu', content), focusOnReturn };

function content(state: ClientState): ClientContent {
  const { interfaces, namespaces } = configOf(state);
  const servers = namespaces.reduce((sum, each) => sum + each.servers.length, 0);
  const labels = columnsOf(
    [
      ['Interfaces', plural(interfaces.length, 'interface')],
      ['Namespaces', `${plural(namespaces.length, 'namespace')}, ${plural(servers, 'server interface')}`],
      ['Add NEW Namespace', 'log in to a namespace, or find one'],
      ['Defaults', 'values for everything that does not set its own'],
      ['Mirrors', 'volumes on two or three servers'],
      ['Status', 'paths, rates and volumes of the running rsiod'],
      ['Save', 'F3'],
      ['Leave', 'F10'],
    ],
    [0],
  );
  const rows = COMMANDS.map((command, index) => commandRow(command, labels[index] ?? ''));
  return {
    title: 'RSIO client',
    rows: [...rows, EMPTY_ROW, textRow(`File ${state.configFile}${state.stored.fingerprint === null ? ' (new)' : ''}`)],
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

/** The line of the next step. */
function focusOnReturn(state: ClientState): number {
  const { interfaces, namespaces } = configOf(state);
  if (interfaces.length === 0) return LINE.interfaces;
  if (namespaces.length === 0) return LINE.newNamespace;
  if (namespaces.every(({ servers }) => servers.length === 0)) return LINE.namespaces;
  return isUnsaved(state) ? LINE.save : LINE.status;
}
