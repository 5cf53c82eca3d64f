// Parses the text of /etc/rscltcfg into an RscltConfig, or throws one E_CONFIG that lists every problem. The parser does not access the
// network. The schema checks single values; this file checks combinations of values. A [server] or [volume] section belongs to the nearest
// [namespace] section above.

import { printDuration, printEndpoint, quoteText } from '@rsio/base/lib/units';
import { assert } from '@rsio/base/lib/assert';
import { addressKey } from '@rsio/base/lib/subnet';
import { INTERFACES_MAX } from '@rsio/base/lib/limits';
import { NAMESPACES_PER_CLIENT_MAX, PORT_DEFAULT, SERVER_SECTIONS_MAX } from '../schema/limits.ts';
import { readApplications } from './applications.ts';
import { type ConfigProblem, Findings, throwProblems, Uniques } from './findings.ts';
import { type IniSection, parseIni } from './ini-document.ts';
import type { KeyDemand } from './short-keys.ts';
import { readGates } from './gates.ts';
import { namespaceSettings, volumeOverrides } from '../schema/inherited.ts';
import { SCHEMA } from '../schema/schema.ts';
import { readMetrics } from './metrics.ts';
import { SectionReader } from './section-reader.ts';
import { knownSections } from './sections.ts';
import { readTriggers } from './triggers.ts';
import type {
  ClientInterfaceConfig,
  ClientNamespaceConfig,
  ClientServerConfig,
  ConfigWarning,
  RscltConfig,
  VolumeOverride,
} from '../schema/types.ts';

const schema = SCHEMA.rscltcfg;
type Sections = typeof schema;
type Reader<T extends keyof Sections> = SectionReader<Sections[T]['keys']>;

interface Group {
  readonly namespace: Reader<'namespace'>;
  readonly servers: { readonly reader: Reader<'server'>; readonly position: number }[];
  readonly volumes: Reader<'volume'>[];
}

const TIMING_KEYS = ['heartbeat', 'suspect', 'dead'] as const;
type TimingKey = (typeof TIMING_KEYS)[number];

/** The methods that checkTiming needs from a section reader. */
interface TimingReader {
  value(key: TimingKey): number | null;
  isSet(key: TimingKey): boolean;
  lineOf(key: TimingKey): number;
}

type PortsOfConfig = Pick<RscltConfig, 'defaultPort'>;
type PortsOfNamespace = Pick<ClientNamespaceConfig, 'port'>;
type PortsOfServer = Pick<ClientServerConfig, 'port'>;
type PortsOfInterface = Pick<ClientInterfaceConfig, 'portGiven'>;

/**
 * Returns the port to which a path from `iface` to `server` connects. The first port that is set applies, in the order server, interface,
 * namespace, [defaults], PORT_DEFAULT.
 */
export function targetPort(config: PortsOfConfig, namespace: PortsOfNamespace, server: PortsOfServer, iface: PortsOfInterface): number {
  return server.port ?? iface.portGiven ?? namespace.port ?? config.defaultPort ?? PORT_DEFAULT;
}

/** The field `config` is null if the file has a problem. */
export interface RscltExamination {
  readonly config: RscltConfig | null;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigWarning[];
}

/** `file` is used only in messages. Throws E_CONFIG with `context` {file, problems: [{line, message}]}. */
export function parseRscltConfig(text: string, file: string): RscltConfig {
  const { config, problems } = examineRscltConfig(text, file);
  throwProblems(file, problems);
  assert(config !== null, 'No configuration and no problem');
  return config;
}

/** Never throws. `file` is used only in messages. */
export function examineRscltConfig(text: string, file: string): RscltExamination {
  const findings = new Findings(file);
  const sections = knownSections(parseIni(text), schema, findings);
  const defaults = readDefaults(sections, findings);
  const defaultPort = defaults.given('port');
  checkTiming(defaults, defaults, findings);
  const interfaces = readInterfaces(sections, defaults, findings);
  const groups = groupByNamespace(sections, findings);
  checkNamespaces(groups, defaults, findings);
  const namespaces = groups.map((group) => readNamespace(group, defaults, findings));
  for (const [index, namespace] of namespaces.entries()) {
    const group = groups[index];
    assert(group !== undefined, 'A namespace without its sections');
    checkServers(group, namespace, interfaces, defaultPort, findings);
  }
  const { gates, aoeGates } = readGates(
    sections.filter(({ type }) => type === 'gate').map((section) => new SectionReader(section, schema.gate.keys, schema, findings)),
    defaults.value('processes'),
    findings,
  );
  const applications = readApplications(
    sections
      .filter(({ type }) => type === 'application')
      .map((section) => new SectionReader(section, schema.application.keys, schema, findings)),
    findings,
  );
  const defaultTls = defaults.value('tls');
  const token = defaults.value('metrics-token');
  const metrics = readMetrics(defaults.value('metrics'), token, defaults, findings);
  const appMetrics = readMetrics(defaults.value('app-metrics'), token, defaults, findings, 'app-metrics');
  if (metrics !== null && appMetrics !== null && metrics.port === appMetrics.port && metrics.address === appMetrics.address)
    findings.problem(defaults.lineOf('app-metrics'), 'app-metrics has the address and port of metrics: use another port');
  const triggers = readTriggers(
    sections.filter(({ type }) => type === 'trigger').map((section) => new SectionReader(section, schema.trigger.keys, schema, findings)),
    findings,
  );
  // Read the lists only after all checks, because they contain only the findings so far.
  const { problems, warnings } = findings;
  const config = {
    file,
    defaultPort,
    defaultTls,
    ...defaults.fields(),
    metrics,
    appMetrics,
    interfaces,
    namespaces,
    gates,
    aoeGates,
    applications,
    triggers,
    warnings,
  };
  return { config: problems.length === 0 ? config : null, problems, warnings };
}

function readDefaults(sections: readonly IniSection[], findings: Findings): Reader<'defaults'> {
  const none: IniSection = { type: 'defaults', name: null, line: 0, fault: null, contents: [] };
  const section = sections.find(({ type }) => type === 'defaults') ?? none;
  return new SectionReader(section, schema.defaults.keys, schema, findings);
}

function readInterfaces(
  sections: readonly IniSection[],
  defaults: Reader<'defaults'>,
  findings: Findings,
): readonly ClientInterfaceConfig[] {
  const own = sections.filter(({ type }) => type === 'interface');
  if (own.length === 0)
    findings.warn(
      0,
      'No section [interface NAME], so that no path can be made: add the interfaces of this machine with rsconfig interface add',
    );
  const beyond = own[INTERFACES_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${own.length} interfaces: allowed are at most ${INTERFACES_MAX}`);
  const uniques = new Uniques(findings);
  const interfaces: ClientInterfaceConfig[] = [];
  for (const section of own) {
    const reader: Reader<'interface'> = new SectionReader(section, schema.interface.keys, schema, findings);
    uniques.claim(`name ${reader.name}`, reader.line, `interface name ${quoteText(reader.name)}`, 'give each interface a name of its own');
    const given = reader.value('address');
    if (given === null) continue;
    const line = reader.lineOf('address');
    uniques.claim(`address ${addressKey(given.address)}`, line, `address ${given.address}`, 'each interface needs an address of its own');
    const portGiven = reader.value('port');
    interfaces.push({ name: reader.name, ...given, port: portGiven ?? defaults.value('port'), portGiven });
  }
  return interfaces;
}

/**
 * Assigns the [server] and [volume] sections to their namespaces. Sections above the first namespace have been reported as misplaced, and
 * are read only to find further problems.
 */
function groupByNamespace(sections: readonly IniSection[], findings: Findings): readonly Group[] {
  const groups: Group[] = [];
  let position = 0;
  for (const section of sections) {
    if (section.type === 'namespace') {
      groups.push({ namespace: new SectionReader(section, schema.namespace.keys, schema, findings), servers: [], volumes: [] });
    } else if (section.type === 'server') {
      const reader: Reader<'server'> = new SectionReader(section, schema.server.keys, schema, findings);
      groups.at(-1)?.servers.push({ reader, position });
      position += 1;
      if (position === SERVER_SECTIONS_MAX + 1) {
        findings.problem(section.line, `More than ${SERVER_SECTIONS_MAX} [server] sections: allowed is one per server interface`);
      }
    } else if (section.type === 'volume') {
      const reader: Reader<'volume'> = new SectionReader(section, schema.volume.keys, schema, findings);
      groups.at(-1)?.volumes.push(reader);
    }
  }
  return groups;
}

function checkNamespaces(groups: readonly Group[], defaults: Reader<'defaults'>, findings: Findings): void {
  const beyond = groups[NAMESPACES_PER_CLIENT_MAX]?.namespace;
  if (beyond !== undefined) findings.problem(beyond.line, `${groups.length} namespaces: allowed are at most ${NAMESPACES_PER_CLIENT_MAX}`);
  if (groups.length === 0)
    findings.warn(
      0,
      'No section [namespace NAME], so that there is nothing to log in to: add one with rsconfig join or rsconfig namespace add',
    );
  const uniques = new Uniques(findings);
  for (const { namespace: reader, servers, volumes } of groups) {
    uniques.claim(`name ${reader.name}`, reader.line, `namespace name ${quoteText(reader.name)}`, 'give each namespace a name of its own');
    const id = reader.value('namespaceid');
    if (id !== null)
      uniques.claim(`id ${id}`, reader.lineOf('namespaceid'), `namespaceid ${id}`, 'name all its servers below one [namespace]');
    if (servers.length === 0)
      findings.warn(reader.line, `Namespace ${quoteText(reader.name)} has no [server NAME] below it: it cannot be reached`);
    findings.checkLength(reader.lineOf('nodekey'), 'nodekey', reader.value('nodekey'), demandOf(reader, defaults));
    findings.checkLength(reader.lineOf('namespacekey'), 'namespacekey', reader.value('namespacekey'));
    const names = new Uniques(findings);
    for (const volume of volumes) {
      const what = `section [volume ${volume.name}] in namespace ${quoteText(reader.name)}`;
      names.claim(volume.name, volume.line, what, 'put all keys of a volume into one section');
    }
  }
}

/**
 * Returns why a short nodekey is a problem; null if a short nodekey is allowed. With `tls = on`, a short nodekey is refused, because
 * encryption is only as strong as the key.
 */
function demandOf(reader: Reader<'namespace'>, defaults: Reader<'defaults'>): KeyDemand | null {
  if (!(reader.value('tls') ?? defaults.value('tls'))) return null;
  const line = reader.isSet('tls') ? reader.lineOf('tls') : defaults.lineOf('tls');
  const node = reader.value('nodename') ?? 'NAME';
  return { setting: 'tls = on', line, remedy: `and rsadm client rekey ${node} changes it on the servers` };
}

function readNamespace({ namespace, servers, volumes }: Group, defaults: Reader<'defaults'>, findings: Findings): ClientNamespaceConfig {
  checkTiming(namespace, defaults, findings);
  // Placeholders replace wrong or missing values, which have been reported; the caller then discards the object.
  return {
    name: namespace.name,
    namespaceid: namespace.value('namespaceid') ?? 0,
    nodename: namespace.value('nodename') ?? '',
    nodekey: namespace.value('nodekey') ?? '',
    namespacekey: namespace.value('namespacekey'),
    port: namespace.value('port'),
    ...namespaceSettings(namespace, defaults),
    servers: servers.flatMap(({ reader, position }) => readServer(reader, position) ?? []),
    volumes: volumes.map(readVolume),
  };
}

function readServer(reader: Reader<'server'>, position: number): ClientServerConfig | null {
  const address = reader.value('address');
  if (address === null) return null;
  return { name: reader.name, address, port: reader.value('port'), serverkey: reader.value('serverkey'), position };
}

function readVolume(reader: Reader<'volume'>): VolumeOverride {
  return {
    name: reader.name,
    ...volumeOverrides(reader),
    attach: reader.value('attach'),
    readonly: reader.value('readonly'),
    path: reader.value('path'),
  };
}

/** Reports every [server] section that would connect an interface a second time to the same address and port. */
function checkServers(
  { servers, namespace: reader }: Group,
  namespace: ClientNamespaceConfig,
  interfaces: readonly ClientInterfaceConfig[],
  defaultPort: number | null,
  findings: Findings,
): void {
  const names = new Uniques(findings);
  const places = new Map<string, number>();
  const ways: readonly PortsOfInterface[] = interfaces.length > 0 ? interfaces : [{ portGiven: null }];
  for (const { reader: server } of servers) {
    const what = `server name ${quoteText(server.name)} in namespace ${quoteText(reader.name)}`;
    names.claim(server.name, server.line, what, 'give each [server] section a name of its own');
    findings.checkLength(server.lineOf('serverkey'), 'serverkey', server.value('serverkey'));
    const address = server.value('address');
    if (address === null) continue;
    const ports = ways.map((way) => targetPort({ defaultPort }, namespace, { port: server.value('port') }, way));
    const keys = ports.map((port, way) => `${way} ${addressKey(address)} ${port}`);
    const known = keys.findIndex((key) => places.has(key));
    if (known >= 0) {
      const shown = printEndpoint(address, ports[known] ?? null);
      const first = places.get(keys[known] ?? '');
      findings.problem(
        server.lineOf('address'),
        `Duplicate address ${shown} (first in line ${first}): allowed is one [server] section for each`,
      );
    }
    for (const key of keys) places.set(key, places.get(key) ?? server.lineOf('address'));
  }
}

/**
 * If the section sets heartbeat, suspect or dead, checks that suspect < heartbeat < dead / 2. A key that the section does not set has its
 * inherited value.
 */
function checkTiming(reader: TimingReader, defaults: Reader<'defaults'>, findings: Findings): void {
  const line = Math.max(...TIMING_KEYS.map((key) => (reader.isSet(key) ? reader.lineOf(key) : 0)));
  if (line === 0) return;
  const heartbeatMs = reader.value('heartbeat') ?? defaults.value('heartbeat');
  const suspectMs = reader.value('suspect') ?? defaults.value('suspect');
  const deadMs = reader.value('dead') ?? defaults.value('dead');
  const [heartbeat, suspect, dead] = [heartbeatMs, suspectMs, deadMs].map(printDuration);
  if (suspectMs >= heartbeatMs) {
    findings.problem(line, `suspect ${suspect} with heartbeat ${heartbeat}: suspect must be below heartbeat`);
  }
  if (2 * heartbeatMs >= deadMs) {
    findings.problem(line, `dead ${dead} with heartbeat ${heartbeat}: dead must be above twice the heartbeat`);
  }
}
