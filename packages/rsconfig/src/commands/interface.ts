// Implements `interface add`, `interface remove` and `interface list`, which edit and list the interfaces in the client's configuration
// file. If this machine does not have the given address, `interface add` only warns, because the network card may be added later.

import { loadRscltConfig } from '@rsio/common/config/load-config';
import { addInterface, removeConfigSection } from '@rsio/common/config/rscltcfg-edit';
import { isSingleHost } from '@rsio/base/lib/subnet';
import { parsePrefixedAddress } from '@rsio/base/lib/units';
import { interfaceOf, machineInterfaces, systemFacts } from '@rsio/protocol/explorer/interfaces';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { type CommandContext, defineCommand } from '../cli/context.ts';
import { changeConfig, givenKeys, RELOAD_OPTION } from '../cli/config-edit.ts';
import { INTERFACES_SHAPE } from '../cli/json-shapes.ts';
import { alignColumns } from '@rsio/common/cli/table';

export const INTERFACE_ADD = defineCommand({
  call: { by: 'words', words: 'interface add' },
  synopsis: 'interface add NAME ADDRESS[/LENGTH] [--port P] [--reload]',
  summary: 'adds an interface of this machine to rscltcfg',
  details: `Paths use this interface to reach the servers on its subnet. The subnet of an
interface is the one that the machine reports, unless /LENGTH overrides it. If
rscltcfg does not exist, the command creates it.`,
  options: {
    port: { kind: 'text', value: 'P', help: 'port of the servers; default: the port that rscltcfg sets,\nelse 5000' },
    reload: RELOAD_OPTION,
  },
  operands: { min: 2, max: 2 },
  run: async (context, { port, reload }, [name = '', address = '']) => {
    const keys = givenKeys({ address, port });
    await changeConfig(context, (document) => addInterface(document, name, keys), `interface ${name} added`, reload);
    warnOfForeignAddress(context, address);
    return 0;
  },
});

export const INTERFACE_REMOVE = defineCommand({
  call: { by: 'words', words: 'interface remove' },
  synopsis: 'interface remove NAME [--reload]',
  summary: 'removes an interface from rscltcfg',
  options: { reload: RELOAD_OPTION },
  operands: { min: 1, max: 1 },
  completes: '"${ask[@]}" interface list | tail -n +2 | cut -d " " -f 1',
  run: async (context, { reload }, [name = '']) => {
    await changeConfig(
      context,
      (document) => removeConfigSection(document, { type: 'interface', name }),
      `interface ${name} removed`,
      reload,
    );
    return 0;
  },
});

export const INTERFACE_LIST = defineCommand({
  call: { by: 'words', words: 'interface list' },
  synopsis: 'interface list',
  summary: 'lists the interfaces in rscltcfg',
  options: { json: JSON_OPTION },
  json: INTERFACES_SHAPE,
  operands: { min: 0, max: 0 },
  run: async (context, { json }) => {
    const machine = machineInterfaces(systemFacts);
    const interfaces = loadRscltConfig(context.configFile).interfaces.map(({ name, address, prefixLength, port }) => {
      return { name, address, prefixLength, port, device: interfaceOf(address, machine)?.device ?? null };
    });
    if (json) return printJson(context, { interfaces });
    if (interfaces.length === 0) {
      context.note('The file has no interface: add one with rsconfig interface add NAME ADDRESS');
      return 0;
    }
    const rows = interfaces.map(({ name, address, prefixLength, port, device }) => [
      name,
      prefixLength === null ? address : `${address}/${prefixLength}`,
      String(port),
      device ?? '-',
    ]);
    context.out(`${alignColumns(['NAME', 'ADDRESS', '>PORT', 'DEVICE'], rows).join('\n')}\n`);
    return 0;
  },
});

function warnOfForeignAddress(context: CommandContext, text: string): void {
  const { address } = parsePrefixedAddress(text);
  const isHere = isSingleHost(address) && interfaceOf(address, machineInterfaces(systemFacts)) !== null;
  if (!isHere) context.note(`No interface of this machine has address ${address} now: no path uses it until one does`);
}
