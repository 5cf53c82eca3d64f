// Builds the page that lists the interfaces in the file and shows whether this machine has their addresses. An address that the machine
// lacks is marked, not refused, because the network interface may come back.

import { SCHEMA } from '@rsio/common/config/schema/schema';
import { interfaceOf } from '@rsio/protocol/explorer/interfaces';
import { missingInterfaces } from '../model/form-to-document.ts';
import { machineDetails } from '../model/forms.ts';
import { configOf, type State } from '../model/state.ts';
import { ADDRESS_COLUMNS, columnsOf, commandRow, type Page, type Row } from './page.ts';

export function interfacesPage(state: State): Page {
  const { interfaces } = configOf(state);
  const lines = columnsOf(
    interfaces.map(({ name, address, portGiven }) => {
      const own = interfaceOf(address, state.machine);
      const detail = own === null ? '! not on this machine now' : machineDetails(own);
      return [name, address + (portGiven === null ? '' : `, port ${portGiven}`), detail];
    }),
    [6, ADDRESS_COLUMNS],
  );
  const rows = interfaces.map(({ name }, index): Row => {
    const command = { do: 'edit', purpose: { kind: 'interface', name } } as const;
    return { lines: [lines[index] ?? ''], command, remove: { do: 'remove', what: { kind: 'interface', name } } };
  });
  const missing = missingInterfaces(state);
  const all =
    missing.length < 2
      ? []
      : [{ label: `Add all ${missing.length} interfaces of this machine`, command: { do: 'add-all-interfaces' } } as const];
  const add = { do: 'edit', purpose: { kind: 'interface', name: null } } as const;
  return {
    title: 'Interfaces',
    rows: [
      ...rows,
      commandRow(add, 'Add interface'),
      ...(interfaces.length > 0 ? [] : all.map(({ label, command }) => commandRow(command, label))),
    ],
    actions: [
      { label: 'Add interface', command: add },
      ...all,
      { label: 'Rescan the interfaces of this machine', command: { do: 'look-at-machine' } },
    ],
    hint: interfaces.length === 0 ? 'Enter adds one' : 'Enter changes, F8 removes',
    help: {
      title: 'Interfaces',
      text: `${SCHEMA.rscltcfg.interface.help}. Each interface has a name and an address. There are at most eight. With two interfaces on two subnets, I/O survives the loss of one cable.`,
    },
  };
}
