// Builds the page that lists the namespaces in the file, and the page that shows one namespace with its servers. Secret keys are shown only
// in the form of the namespace, and only on request.

import { SCHEMA } from '@rsio/common/config/schema/schema';
import type { ClientNamespaceConfig } from '@rsio/common/config/schema/types';
import { configOf, type State } from '../model/state.ts';
import { columnsOf, commandRow, EMPTY_ROW, headingRow, type Page, type Row, textRow } from './page.ts';

const ADD = { do: 'edit', purpose: { kind: 'namespace', name: null } } as const;
const FIND = {
  label: 'Find NEW Namespace',
  command: { do: 'find-namespace', request: { address: null, port: null, namespacekey: null } },
} as const;

export function namespacesPage(state: State): Page {
  const { namespaces } = configOf(state);
  const lines = columnsOf(
    namespaces.map(({ name, namespaceid, nodename, servers }) => [
      name,
      `id ${namespaceid}`,
      `as ${nodename}`,
      serverCount(servers.length),
    ]),
    [12, 8, 12],
  );
  const rows = namespaces.map(({ name }, index): Row => {
    return {
      lines: [lines[index] ?? ''],
      command: { do: 'open-namespace', name },
      remove: { do: 'remove', what: { kind: 'namespace', name } },
    };
  });
  return {
    title: 'Namespaces',
    rows: [...rows, commandRow(ADD, 'Add NEW Namespace')],
    actions: [FIND, { label: 'Add NEW Namespace', command: ADD }],
    hint: namespaces.length === 0 ? 'Enter adds one, F7 finds one' : 'Enter opens, F8 removes, F7 finds more',
    help: { title: 'Namespaces', text: `${SCHEMA.rscltcfg.namespace.help}. Each namespaceid occurs at most once.` },
  };
}

export function namespacePage(state: State, name: string): Page {
  const namespace = configOf(state).namespaces.find((each) => each.name === name);
  const add = { do: 'edit', purpose: { kind: 'server', namespace: name, name: null } } as const;
  const find = { label: 'Find New Namespace Servers', command: { do: 'find-servers' } } as const;
  return {
    title: `Namespace ${name}`,
    rows: namespace === undefined ? [] : [...loginRows(namespace), ...serverRows(namespace), commandRow(add, 'Add server interface')],
    actions: [
      find,
      { label: 'Add server interface', command: add },
      { label: 'Login data and settings', command: { do: 'edit', purpose: { kind: 'namespace', name } } },
      { label: 'Test paths', command: { do: 'test-paths' } },
      { label: `Remove namespace ${name}`, command: { do: 'remove', what: { kind: 'namespace', name } } },
    ],
    hint: namespace?.servers.length === 0 ? 'F7 finds the servers of this namespace' : 'Enter changes, F8 removes, F7 finds more',
    help: { title: `Namespace ${name}`, text: `${SCHEMA.rscltcfg.namespace.help}.\n\n[server]: ${SCHEMA.rscltcfg.server.help}.` },
  };
}

function loginRows({ name, namespaceid, nodename, namespacekey }: ClientNamespaceConfig): Row[] {
  const signed = namespacekey === null ? 'exploration is not signed' : 'exploration is signed';
  return [
    commandRow({ do: 'edit', purpose: { kind: 'namespace', name } }, 'Login data and settings'),
    textRow(`id ${namespaceid}, this machine is ${nodename}, ${signed}`),
    EMPTY_ROW,
  ];
}

function serverRows({ name: namespace, servers }: ClientNamespaceConfig): Row[] {
  const lines = columnsOf(
    servers.map(({ name, address, port }) => [name, address + (port === null ? '' : `, port ${port}`)]),
    [12],
  );
  const rows = servers.map(({ name }, index): Row => {
    return {
      lines: [lines[index] ?? ''],
      command: { do: 'edit', purpose: { kind: 'server', namespace, name } },
      remove: { do: 'remove', what: { kind: 'server', namespace, name } },
    };
  });
  return [headingRow('Server interfaces'), ...(rows.length === 0 ? [textRow('none yet')] : rows)];
}

function serverCount(count: number): string {
  return `${count} server interface${count === 1 ? '' : 's'}`;
}
