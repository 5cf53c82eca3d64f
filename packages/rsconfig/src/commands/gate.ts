// Implements the `gate` commands. `gate add` and `gate remove` edit the [gate] sections of the client's configuration file, `gate secret`
// makes a secret, and the others ask rsiod.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { newChapSecret, newGateSecret, newTlsKey } from '@rsio/common/config/gate-secrets';
import { addGate, removeConfigSection } from '@rsio/common/config/rscltcfg-edit';
import { isIqn, isNqn } from '@rsio/common/config/schema/value-types';
import { AOE_GATE, GATE, type GateView } from '@rsio/api/rsiod/methods';
import { RsError } from '@rsio/base/lib/errors';
import { list, object, text } from '@rsio/base/lib/shape';
import { printSize, quoteText } from '@rsio/base/lib/units';
import { aoeRow, aoeText } from '../output/aoe-gates.ts';
import { type CommandContext, defineCommand } from '../cli/context.ts';
import { changeConfig, givenKeys, RELOAD_OPTION } from '../cli/config-edit.ts';

const COMPLETES_GATE = '"${ask[@]}" gate list | tail -n +2 | cut -d " " -f 1';

export const GATE_ADD = defineCommand({
  call: { by: 'words', words: 'gate add' },
  synopsis:
    'gate add NAME ADDRESS[:PORT][,...]|INTERFACE --hosts HOST[,...]\n--offers NAME[,...] [--member N] [--iscsi|--aoe]\n[--nqn NQN] [--iqn IQN] [--secrets FILE [--tls]]\n[--shelf N] [--slots NAME=N[,...]] [--unsafe-writes]\n[--reload]',
  summary: 'adds a gate for hosts without rsiod to rscltcfg',
  details: `Hosts use the volumes of the gate by NVMe/TCP, with the initiator of their own
kernel. A Linux host shows its NQN with cat /etc/nvme/hostnqn. With --iscsi,
they use iSCSI, with their IQNs (in /etc/iscsi/initiatorname.iscsi).
Neither name is secret: use --secrets, or give the gate an address in a network
that only its hosts reach. Only --tls encrypts the data; iSCSI has no TLS.
With --aoe, hosts on the Ethernet segment of INTERFACE read the volumes by ATA
over Ethernet, which nothing protects: read rsio-aoe(7), above all before
--unsafe-writes.`,
  options: {
    hosts: { kind: 'text', value: 'HOST[,...]', help: 'hosts that may log in, by NQN or IQN, or by MAC address\nfor AoE; all: every host' },
    iscsi: { kind: 'flag', help: 'hosts use iSCSI in place of NVMe/TCP' },
    aoe: { kind: 'flag', help: 'hosts use ATA over Ethernet in place of NVMe/TCP' },
    offers: {
      kind: 'text',
      value: 'NAME[,...]',
      help: 'attached volumes that the gate offers, and that get\nno device here; all: those with device = none',
    },
    member: { kind: 'text', value: 'N', help: 'number among the gates of this NAME on several machines' },
    nqn: { kind: 'text', value: 'NQN', help: 'name of the subsystem for hosts; default: made from the\nnamespaceid and NAME' },
    iqn: { kind: 'text', value: 'IQN', help: 'the same for iSCSI' },
    secrets: {
      kind: 'text',
      value: 'FILE',
      help: 'file with the secrets of hosts: see gate secret;\ndefault: hosts do not authenticate',
    },
    tls: { kind: 'flag', help: 'hosts have to use TLS, with the keys in FILE' },
    shelf: { kind: 'text', value: 'N', help: 'for aoe: first part of the addresses SHELF.SLOT' },
    slots: { kind: 'text', value: 'NAME=N[,...]', help: 'for aoe: slots of volumes; the gate gives the others' },
    'unsafe-writes': {
      kind: 'flag',
      help: 'for aoe: hosts may write; a frame that the network\ndelays can then revert an acknowledged block',
    },
    reload: RELOAD_OPTION,
  },
  operands: { min: 2, max: 2 },
  run: async (context, { iscsi, aoe, hosts, secrets, tls, reload, ...given }, [name = '', place = '']) => {
    if (iscsi && aoe) throw new RsError('E_USAGE', '--iscsi and --aoe: a gate has one protocol');
    if (hosts === null)
      throw new RsError('E_USAGE', `No hosts: name them with --hosts ${aoe ? 'MAC' : 'NQN'},..., or admit every host with --hosts all`);
    if (tls && secrets === null) throw new RsError('E_USAGE', '--tls without keys: name the file that has them with --secrets FILE');
    if (given.offers === null)
      throw new RsError('E_USAGE', 'No volumes: name those that the gate offers with --offers NAME,...; programs here do not get them');
    const keys = givenKeys({
      protocol: aoe ? 'aoe' : iscsi ? 'iscsi' : null,
      [aoe ? 'interface' : 'address']: place,
      hosts,
      volumes: given.offers,
      member: given.member,
      nqn: given.nqn,
      iqn: given.iqn,
      'secret-file': secrets,
      tls: tls ? 'required' : null,
      shelf: given.shelf,
      slots: given.slots,
      'aoe-writes': given['unsafe-writes'] ? 'unsafe' : null,
    });
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

export const GATE_SECRET = defineCommand({
  call: { by: 'words', words: 'gate secret' },
  synopsis: 'gate secret NQN|IQN [--tls]',
  summary: 'prints a line with a new secret for the secret-file of a gate',
  details: `Append the line to the secret-file, which only root may read. NQN names a host,
which gets the same secret (dhchap-secret of nvme connect on Linux); or the gate
itself, so that it can prove itself to hosts (dhchap-ctrl-secret). With --tls,
the secret is the key of a host for TLS (nvme check-tls-key on Linux). For an
IQN, it is a secret for CHAP (node.session.auth.password of open-iscsi; the
secret of the gate is node.session.auth.password_in).`,
  options: { tls: { kind: 'flag', help: 'a key for TLS' }, json: JSON_OPTION },
  json: object({ nqn: text(), secret: text('In the form of NVMe, DHHC-1:HASH:BASE64: or NVMeTLSkey-1:HASH:BASE64:; of CHAP for an IQN') }),
  operands: { min: 1, max: 1 },
  run: async (context, { tls, json }, [nqn = '']) => {
    const isChap = isIqn(nqn.toLowerCase());
    if (!isNqn(nqn) && !isChap)
      throw new RsError('E_USAGE', `${quoteText(nqn)} is no NQN or IQN: a Linux host shows its own with cat /etc/nvme/hostnqn`);
    if (isChap && tls) throw new RsError('E_USAGE', '--tls is for an NQN: iSCSI has no TLS');
    const secret = isChap ? newChapSecret() : tls ? newTlsKey() : newGateSecret();
    if (json) return printJson(context, { nqn, secret });
    context.out(`${nqn} ${secret}\n`);
    return 0;
  },
});

export const GATE_LIST = defineCommand({
  call: { by: 'words', words: 'gate list' },
  synopsis: 'gate list',
  summary: 'lists the gates of rsiod',
  options: { json: JSON_OPTION },
  json: object({ gates: list(GATE), aoe: list(AOE_GATE) }),
  operands: { min: 0, max: 0 },
  run: async (context, { json }) => {
    const { gates, aoe = [] } = await context.call('gates', {});
    if (json) return printJson(context, { gates, aoe });
    if (gates.length + aoe.length === 0) {
      context.note('rsiod has no gate: add one with rsconfig gate add NAME ADDRESS --hosts NQN --reload');
      return 0;
    }
    const rows = gates.map(({ name, protocol, addresses, hosts, volumes, listening }) => [
      name,
      protocol,
      addresses.map((one) => (listening.includes(one) ? one : `${one} (not listening)`)).join(', '),
      String(hosts.length),
      String(volumes.length),
    ]);
    rows.push(...aoe.map(aoeRow));
    context.out(`${alignColumns(['NAME', 'PROTOCOL', 'ADDRESS', '>HOSTS', '>VOLUMES'], rows).join('\n')}\n`);
    const areListening = gates.every(({ addresses, listening }) => addresses.length === listening.length);
    return areListening && aoe.every(({ trouble }) => trouble === null) ? 0 : 1;
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
    const { gates, aoe = [] } = await context.call('gates', {});
    const gate = gates.find((one) => one.name === name);
    const other = aoe.find((one) => one.name === name);
    if (other !== undefined) {
      if (json) throw new RsError('E_USAGE', `Gate ${name} has protocol = aoe: rsconfig gate list --json has all about it`);
      context.out(aoeText(other));
      return 0;
    }
    if (gate === undefined) {
      const known = [...gates, ...aoe].map((one) => one.name).join(', ');
      throw new RsError('E_USAGE', `rsiod has no gate ${name}: ${known === '' ? 'it has none' : `it has ${known}`}`);
    }
    if (json) return printJson(context, gate);
    printGate(context, gate);
    return 0;
  },
});

function printGate(context: CommandContext, view: GateView): void {
  const { nqn, protocol, member, addresses, listening, trouble, hosts, authenticates, tls, volumes } = view;
  const rows = volumes.map(({ nsid, label, sizeBytes, state }) => [String(nsid), label, printSize(sizeBytes), state]);
  const lines = [
    `${protocol === 'nvme' ? 'Subsystem  ' : 'Target     '} ${nqn}`,
    ...(member === null ? [] : [`Member      ${member}`]),
    ...addresses.map((one) => `Address     ${one}${listening.includes(one) ? '' : ', where rsiod does not listen: see its log'}`),
    ...(trouble === null ? [] : [`Trouble     ${trouble}`]),
    ...(tls ? ['TLS         required'] : []),
    `Secrets     ${authenticates ? 'hosts authenticate' : 'none: hosts do not authenticate'}`,
    ...(hosts.length === 0 ? ['Hosts       none has logged in'] : hosts.map((host) => `Host        ${host}`)),
    ...(rows.length === 0
      ? ['Volumes     none is attached']
      : ['', ...alignColumns([protocol === 'nvme' ? '>NSID' : '>LUN', 'VOLUME', '>SIZE', 'STATE'], rows)]),
    ...volumes.flatMap(({ label, why }) => (why === null ? [] : ['', `${label}: ${why}`])),
  ];
  context.out(toText(lines));
}
