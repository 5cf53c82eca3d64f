// Builds the first page, which summarizes the file and leads to every other page. The hint names the next step, and so leads a new user to
// a working client.

import { plural } from '@rsio/common/lib/units';
import { configOf, type State } from '../model/state.ts';
import { columnsOf, commandRow, EMPTY_ROW, type Page, textRow } from './page.ts';
import { KEYS_HELP } from './help-text.ts';

export function menuPage(state: State): Page {
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
  const commands = [
    { do: 'open', screen: 'interfaces' },
    { do: 'open', screen: 'namespaces' },
    { do: 'edit', purpose: { kind: 'namespace', name: null } },
    { do: 'edit', purpose: { kind: 'defaults' } },
    { do: 'open', screen: 'mirrors' },
    { do: 'open', screen: 'status' },
    { do: 'save' },
    { do: 'leave' },
  ] as const;
  const rows = commands.map((command, index) => commandRow(command, labels[index] ?? ''));
  return {
    title: 'RSIO client',
    rows: [...rows, EMPTY_ROW, textRow(`File ${state.configFile}${state.stored.fingerprint === null ? ' (new)' : ''}`)],
    actions: [
      { label: 'Find NEW Namespace', command: { do: 'find-namespace', request: { address: null, port: null, namespacekey: null } } },
      { label: 'Add interface', command: { do: 'edit', purpose: { kind: 'interface', name: null } } },
      { label: 'Reread the file', command: { do: 'read-file' } },
    ],
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
