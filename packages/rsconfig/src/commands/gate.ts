// Implements `gate add`, `gate remove`, `gate list` and `gate show`. The first two edit the [gate] sections of the client's configuration
// file; the others ask rsiod.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { alignColumns } from '@rsio/common/cli/table';
import { addGate, removeConfigSection } from '@rsio/common/config/rscltcfg-edit';
import { GATE, type GateView } from '@rsio/common/control/methods';
import { RsError } from '@rsio/common/lib/errors';
import { list, object } from '@rsio/common/lib/shape';
import { printSize } from '@rsio/common/lib/units';
import { type CommandContext, defineCommand } from '../cli/context.ts';
import { changeConfig, givenKeys, RELOAD_OPTION } from '../cli/config-edit.ts';

const COMPLETES_GATE = '"${ask[@]}" gate list | tail -n +2 | cut -d " " -f 1';

export const GATE_ADD = defineCommand({
  call: { by: 'words', words: 'gate add' },
  synopsis: 'gate add NAME ADDRESS[:PORT][,...] --hosts NQN[,...]|all\n[--offers NAME[,...]] [--member N] [--nqn NQN] [--reload]',
  summary: 'adds a gate for hosts without rsiod to rscltcfg',
  details: `Hosts use the volumes of the gate by NVMe/TCP, with the initiator of their own
kernel. A Linux host shows its NQN with cat /etc/nvme/hostnqn. An NQN is not
secret: give the gate an address in a network that only its hosts reach.`,
  options: {
    hosts: { kind: 'text', value: 'NQN[,...]', help: 'hosts that may log in; all: every host' },
    offers: { kind: 'text', value: 'NAME[,...]', help: 'attached volumes that the gate offers; default: all' },
    member: { kind: 'text', value: 'N', help: 'number among the gates of this NAME on several machines' },
    nqn: { kind: 'text', value: 'NQN', help: 'name of the subsystem for hosts; default: made from the\nnamespaceid and NAME' },
    reload: RELOAD_OPTION,
  },
  operands: { min: 2, max: 2 },
  run: async (context, { hosts, offers, member, nqn, reload }, [name = '', address = '']) => {
    if (hosts === null) throw new RsError('E_USAGE', 'No hosts: name them with --hosts NQN,..., or admit every host with --hosts all');
    const keys = givenKeys({ address, hosts, volumes: offers, member, nqn });
    await changeConfig(context, (document) => addGate(document, name, keys), `gate ${name} added`, reload);
    return 0;
  },
});

export const GATE_REMOVE = defineCommand({
  call: { by: 'words', words: 'gate remove' },
  synopsis: 'gate remove NAME [--reload]',
  summary: 'removes a gate from rscltcfg, and cuts its hosts off at the reload',
  options: { reload: RELOAD_OPTION },
  operands: { min: 1, max: 1 },
  completes: COMPLETES_GATE,
  run: async (context, { reload }, [name = '']) => {
    await changeConfig(context, (document) => removeConfigSection(document, { type: 'gate', name }), `gate ${name} removed`, reload);
    return 0;
  },
});

export const GATE_LIST = defineCommand({
  call: { by: 'words', words: 'gate list' },
  synopsis: 'gate list',
  summary: 'lists the gates of rsiod',
  options: { json: JSON_OPTION },
  json: object({ gates: list(GATE) }),
  operands: { min: 0, max: 0 },
  run: async (context, { json }) => {
    const { gates } = await context.call('gates', {});
    if (json) return printJson(context, { gates });
    if (gates.length === 0) {
      context.note('rsiod has no gate: add one with rsconfig gate add NAME ADDRESS --hosts NQN --reload');
      return 0;
    }
    const rows = gates.map(({ name, addresses, hosts, volumes, listening }) => [
      name,
      addresses.map((one) => (listening.includes(one) ? one : `${one} (not listening)`)).join(', '),
      String(hosts.length),
      String(volumes.length),
    ]);
    context.out(`${alignColumns(['NAME', 'ADDRESS', '>HOSTS', '>VOLUMES'], rows).join('\n')}\n`);
    return gates.every(({ addresses, listening }) => addresses.length === listening.length) ? 0 : 1;
  },
});

export const GATE_SHOW = defineCommand({
  call: { by: 'words', words: 'gate show' },
  synopsis: 'gate show NAME',
  summary: 'shows the hosts and volumes of a gate, and how a host connects',
  options: { json: JSON_OPTION },
  json: GATE,
  operands: { min: 1, max: 1 },
  completes: COMPLETES_GATE,
  run: async (context, { json }, [name = '']) => {
    const { gates } = await context.call('gates', {});
    const gate = gates.find((one) => one.name === name);
    if (gate === undefined) {
      const known = gates.map((one) => one.name).join(', ');
      throw new RsError('E_USAGE', `rsiod has no gate ${name}: ${known === '' ? 'it has none' : `it has ${known}`}`);
    }
    if (json) return printJson(context, gate);
    printGate(context, gate);
    return 0;
  },
});

function printGate(context: CommandContext, { nqn, member, addresses, listening, trouble, hosts, volumes }: GateView): void {
  const rows = volumes.map(({ nsid, label, sizeBytes, state }) => [String(nsid), label, printSize(sizeBytes), state]);
  const lines = [
    `Subsystem   ${nqn}`,
    ...(member === null ? [] : [`Member      ${member}`]),
    ...addresses.map((one) => `Address     ${one}${listening.includes(one) ? '' : ', where rsiod does not listen: see its log'}`),
    ...(trouble === null ? [] : [`Trouble     ${trouble}`]),
    ...(hosts.length === 0 ? ['Hosts       none has logged in'] : hosts.map((host) => `Host        ${host}`)),
    ...(rows.length === 0 ? ['Volumes     none is attached'] : ['', ...alignColumns(['>NSID', 'VOLUME', '>SIZE', 'STATE'], rows)]),
    ...volumes.flatMap(({ label, why }) => (why === null ? [] : ['', `${label}: ${why}`])),
  ];
  context.out(`${lines.join('\n')}\n`);
}
