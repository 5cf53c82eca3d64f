// The page that lists the interfaces in the file and shows whether this machine has their addresses. An address that the machine
// lacks is marked, not refused, because the network interface may return.

import { SCHEMA } from '@rsio/common/config/schema/schema';
import { interfaceOf } from '@rsio/protocol/explorer/interfaces';
import { machineDetails } from '../../machine/address-offers.ts';
import { pageOf } from '../../machine/machine.ts';
import { ADDRESS_COLUMNS, choiceRow, columnsOf } from '../../machine/rows.ts';
import { type ClientChoice, type ClientCommand, type ClientContent, type ClientRow, type ClientState, configOf } from '../model/state.ts';
import { addAllInterfaces, askRemoval, lookAtMachine, missingInterfaces } from '../work/edits.ts';
import { editSection } from '../work/section-forms.ts';

const RESCAN: ClientChoice = {
  label: 'Rescan the interfaces of this machine',
  command: (state) => lookAtMachine({ ...state, note: 'Rescanned the interfaces of this machine' }),
};

function editInterface(name: string | null): ClientCommand {
  return editSection({ kind: 'interface', name }, { actions: [RESCAN] });
}

export const ADD_INTERFACE: ClientChoice = { label: 'Add interface', command: editInterface(null) };

export const INTERFACES_PAGE = pageOf('interfaces', content);

function content(state: ClientState): ClientContent {
  const { interfaces } = configOf(state);
  const lines = columnsOf(
    interfaces.map(({ name, address, portGiven }) => {
      const own = interfaceOf(address, state.machine);
      const detail = own === null ? '! not on this machine now' : machineDetails(own);
      return [name, address + (portGiven === null ? '' : `, port ${portGiven}`), detail];
    }),
    [6, ADDRESS_COLUMNS],
  );
  const rows = interfaces.map(({ name }, index): ClientRow => {
    return { lines: [lines[index] ?? ''], command: editInterface(name), remove: askRemoval({ type: 'interface', name }) };
  });
  const missing = missingInterfaces(state);
  const all = missing.length < 2 ? [] : [{ label: `Add all ${missing.length} interfaces of this machine`, command: addAllInterfaces }];
  return {
    title: 'Interfaces',
    rows: [...rows, choiceRow(ADD_INTERFACE), ...(interfaces.length > 0 ? [] : all.map(choiceRow))],
    actions: [ADD_INTERFACE, ...all, RESCAN],
    hint: interfaces.length === 0 ? 'Enter adds one' : 'Enter changes, F8 removes',
    help: {
      title: 'Interfaces',
      text: `${SCHEMA.rscltcfg.interface.help}. Each interface has a name and an address. There are at most eight. With two interfaces on two subnets, I/O survives the loss of one cable.`,
    },
  };
}
