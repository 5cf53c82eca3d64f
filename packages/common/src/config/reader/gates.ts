// Reads the sections [gate NAME] of rscltcfg. The key `protocol` decides which other keys apply. Invariant: a volume that hosts of AoE may
// write is at no other gate, because reservations by hosts of another gate would not stop writes by AoE.

import { addressKey } from '@rsio/base/lib/subnet';
import { printEndpoint, quoteText } from '@rsio/base/lib/units';
import { GATE_PORT, GATES_MAX, ISCSI_PORT } from '../schema/limits.ts';
import type { SCHEMA } from '../schema/schema.ts';
import type { AoeGateConfig, ClientGateConfig } from '../schema/types.ts';
import { isIqn, isMac, isNqn } from '../schema/value-types.ts';
import { type Findings, Uniques } from './findings.ts';
import type { SectionReader } from './section-reader.ts';

type Keys = (typeof SCHEMA)['rscltcfg']['gate']['keys'];
type Reader = SectionReader<Keys>;
type Protocol = NonNullable<ReturnType<Keys['protocol']['type']['parse']>>;

/** The keys of each protocol, without the keys that all protocols have. The keys in `needed` must be set. */
const OWN_KEYS: Readonly<Record<Protocol, { readonly needed: readonly (keyof Keys)[]; readonly others: readonly (keyof Keys)[] }>> = {
  nvme: { needed: ['address'], others: ['nqn', 'member', 'secret-file', 'tls'] },
  iscsi: { needed: ['address'], others: ['iqn', 'member', 'secret-file'] },
  aoe: { needed: ['interface', 'shelf'], others: ['slots', 'aoe-writes'] },
};

const PROTOCOLS = Object.keys(OWN_KEYS) as Protocol[];

const HOSTS: Readonly<Record<Protocol, { readonly isHost: (text: string) => boolean; readonly called: string }>> = {
  nvme: { isHost: isNqn, called: 'NQNs' },
  iscsi: { isHost: isIqn, called: 'IQNs, such as iqn.2026-01.com.example:host' },
  aoe: { isHost: isMac, called: 'MAC addresses, such as 02:00:00:00:00:01' },
};

function keysOf(protocol: Protocol): (keyof Keys)[] {
  return [...OWN_KEYS[protocol].needed, ...OWN_KEYS[protocol].others];
}

export interface GatesOfFile {
  readonly gates: readonly ClientGateConfig[];
  readonly aoeGates: readonly AoeGateConfig[];
}

/** `processes`: value of the key in [defaults]. */
export function readGates(readers: readonly Reader[], processes: number | 'auto', findings: Findings): GatesOfFile {
  const beyond = readers[GATES_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${readers.length} gates: allowed are at most ${GATES_MAX}`);
  const [first] = readers;
  if (first !== undefined && processes !== 1)
    findings.problem(first.line, 'A gate with several data processes: allowed is processes = 1 in [defaults]');
  const uniques = new Uniques(findings);
  const gates: ClientGateConfig[] = [];
  const aoeGates: AoeGateConfig[] = [];
  for (const reader of readers) {
    uniques.claim(`name ${reader.name}`, reader.line, `gate name ${quoteText(reader.name)}`, 'give each gate a name of its own');
    const protocol = reader.value('protocol');
    checkKeys(reader, protocol, findings);
    if (!reader.isSet('volumes'))
      findings.warn(reader.line, `No volumes in [gate ${reader.name}]: add volumes = NAME,... Until then, it offers as with volumes = all`);
    if (protocol === 'aoe') aoeGates.push(...readAoe(reader, uniques, findings));
    else gates.push(...readGate(reader, protocol, uniques, findings));
  }
  checkWriters(readers, findings);
  return { gates, aoeGates };
}

function checkKeys(reader: Reader, protocol: Protocol, findings: Findings): void {
  for (const key of OWN_KEYS[protocol].needed)
    if (!reader.isSet(key))
      findings.problem(reader.line, `No ${key} in [gate ${reader.name}], which has protocol = ${protocol}: add "${key} = ..."`);
  const own = keysOf(protocol);
  for (const key of new Set(PROTOCOLS.flatMap(keysOf)))
    if (reader.isSet(key) && !own.includes(key)) {
      const others = PROTOCOLS.filter((one) => keysOf(one).includes(key)).join(' or ');
      findings.problem(reader.lineOf(key), `Key ${key} of a gate with protocol = ${protocol}: it is for protocol = ${others}, remove it`);
    }
  const { isHost, called } = HOSTS[protocol];
  if (reader.value('hosts')?.every(isHost) === false)
    findings.problem(reader.lineOf('hosts'), `Hosts of a gate with protocol = ${protocol} are ${called}, or all`);
}

function readGate(reader: Reader, protocol: 'nvme' | 'iscsi', uniques: Uniques, findings: Findings): ClientGateConfig[] {
  const key = protocol === 'nvme' ? 'nqn' : 'iqn';
  const [nqn, called] = [reader.value(key), key.toUpperCase()];
  if (nqn !== null)
    uniques.claim(`${key} ${nqn}`, reader.lineOf(key), `${called} ${quoteText(nqn)}`, `give each gate an ${called} of its own`);
  const [given, secretFile, tls] = [reader.value('address'), reader.value('secret-file'), reader.value('tls') === 'required'];
  const addresses = given?.map(({ address, port }) => ({ address, port: port ?? (protocol === 'nvme' ? GATE_PORT : ISCSI_PORT) })) ?? null;
  if (tls && secretFile === null)
    findings.problem(reader.lineOf('tls'), 'A gate with tls = required needs the TLS keys of its hosts: add secret-file = PATH');
  for (const { address, port } of addresses ?? []) {
    const shown = printEndpoint(address, port);
    uniques.claim(
      `address ${addressKey(address)} ${port}`,
      reader.lineOf('address'),
      `address ${shown}`,
      'give each gate a port of its own',
    );
  }
  const member = reader.value('member');
  if (member !== null && volumesOf(reader) === 'all')
    findings.problem(reader.lineOf('member'), 'A gate with the key member needs the names of its volumes: add volumes = NAME,...');
  if (addresses === null) return [];
  return [
    {
      name: reader.name,
      protocol,
      nqn,
      addresses,
      hosts: reader.value('hosts'),
      volumes: volumesOf(reader),
      member,
      secretFile,
      // load-config.ts reads the file. Until then, no host has a secret, so no host can log in.
      secrets: secretFile === null ? null : new Map(),
      tls,
      tlsKeys: new Map(),
    },
  ];
}

function readAoe(reader: Reader, uniques: Uniques, findings: Findings): AoeGateConfig[] {
  const [name, shelf, volumes, slots] = [reader.value('interface'), reader.value('shelf'), volumesOf(reader), reader.value('slots')];
  if (shelf !== null) uniques.claim(`shelf ${shelf}`, reader.lineOf('shelf'), `shelf ${shelf}`, 'give each gate a shelf of its own');
  const strange = [...(slots?.keys() ?? [])].find((one) => volumes !== 'all' && !volumes.includes(one));
  if (strange !== undefined)
    findings.problem(reader.lineOf('slots'), `Slot of ${strange}, which the key volumes does not name: add it there, or remove the slot`);
  const hasUnsafeWrites = reader.value('aoe-writes') === 'unsafe';
  if (hasUnsafeWrites && volumes === 'all')
    findings.problem(reader.lineOf('aoe-writes'), 'Unsafe writes to all volumes: name the volumes of this gate with volumes = NAME,...');
  if (name === null || shelf === null) return [];
  const hosts = reader.value('hosts');
  return [{ name: reader.name, interface: name, shelf, hosts, volumes, slots: slots ?? new Map(), hasUnsafeWrites }];
}

/** Files of earlier releases may lack the key, which had the default `all`. Refusing them would take all volumes of the machine away. */
function volumesOf(reader: Reader): ClientGateConfig['volumes'] {
  return reader.value('volumes') ?? 'all';
}

function checkWriters(readers: readonly Reader[], findings: Findings): void {
  for (const writer of readers) {
    if (writer.value('protocol') !== 'aoe' || writer.value('aoe-writes') !== 'unsafe') continue;
    const own = volumesOf(writer);
    for (const other of readers) {
      const theirs = volumesOf(other);
      const both = own === 'all' ? [] : own.filter((name) => theirs === 'all' || theirs.includes(name));
      if (other !== writer && both.length > 0)
        findings.problem(
          writer.lineOf('aoe-writes'),
          `Unsafe writes to ${both.join(' and ')}, which gate ${other.name} offers, too: only one gate may offer a volume with unsafe writes`,
        );
    }
  }
}
