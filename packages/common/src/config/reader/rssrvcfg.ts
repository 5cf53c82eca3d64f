// Parses the text of /etc/dvsc/rssrvcfg into an RssrvConfig, or throws one E_CONFIG that lists every problem. The parser accesses no files
// or devices. The schema checks single values; this file checks combinations of values.

import { availableParallelism } from 'node:os';
import { posix } from 'node:path';
import { assert } from '@rsio/base/lib/assert';
import { isName, NAME_ALLOWED, printEndpoint, quoteText } from '@rsio/base/lib/units';
import { addressKey } from '@rsio/base/lib/subnet';
import { INTERFACES_MAX } from '@rsio/base/lib/limits';
import { clientKeys } from '../schema/client-keys.ts';
import { byRole, LOCAL_ROLE_WORDS, type LocalGroupKey } from '../schema/local-roles.ts';
import { limitsField } from '../schema/io-limits.ts';
import { CLIENTS_MAX, PROCESSES_PER_CORE, VOLUMES_MAX } from '../schema/limits.ts';
import { type ConfigProblem, Findings, throwProblems, Uniques } from './findings.ts';
import { type IniContent, type IniSection, parseIni } from './ini-document.ts';
import { SCHEMA } from '../schema/schema.ts';
import { SectionReader } from './section-reader.ts';
import { readPeers } from './peers.ts';
import { readMetrics } from './metrics.ts';
import { readPools, readRights } from './storage-sections.ts';
import { readTriggers } from './triggers.ts';
import { knownSections } from './sections.ts';
import type {
  ConfigWarning,
  PeerConfig,
  RssrvConfig,
  ServerClientConfig,
  ServerInterfaceConfig,
  ServerVolumeConfig,
} from '../schema/types.ts';
import { isKeyText, keyText } from '../schema/value-types.ts';

const schema = SCHEMA.rssrvcfg;
type Sections = typeof schema;
type Reader<T extends keyof Sections> = SectionReader<Sections[T]['keys']>;

/** `file` is used only in messages. Throws E_CONFIG with `context` {file, problems: [{line, message}]}. */
export function parseRssrvConfig(text: string, file: string): RssrvConfig {
  const { config, problems } = examineRssrvConfig(text, file);
  throwProblems(file, problems);
  assert(config !== null, 'No configuration and no problem');
  return config;
}

export interface RssrvExamination {
  /** The configuration; null if the file has a problem. */
  readonly config: RssrvConfig | null;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigWarning[];
}

/** Never throws. `file` is used only in messages. */
export function examineRssrvConfig(text: string, file: string): RssrvExamination {
  const findings = new Findings(file);
  const sections = knownSections(parseIni(text), schema, findings);
  const namespaces = readersOf(sections, 'namespace', findings);
  const servers = readersOf(sections, 'server', findings);
  const interfaces = readInterfaces(readersOf(sections, 'interface', findings), namespaces[0], findings);
  const volumeReaders = readersOf(sections, 'volume', findings);
  const poolReaders = readersOf(sections, 'pool', findings);
  const volumes = readVolumes(volumeReaders, poolReaders.length > 0, findings);
  const clients = readClients(
    sections.find(({ type }) => type === 'clients'),
    namespaces.find((reader) => reader.value('tls') === 'require'),
    findings,
  );
  const pools = readPools(poolReaders, findings);
  const peers = peersOf(sections, namespaces[0], servers[0], findings);
  const triggers = readTriggers(readersOf(sections, 'trigger', findings), findings);
  const rightsSection = sections.find(({ type }) => type === 'rights');
  const rights = readRights(
    rightsSection,
    poolReaders.map(({ name }) => name),
    clients.map(({ name }) => name),
    findings,
  );
  for (const reader of namespaces) checkNamespace(reader, findings);
  for (const reader of servers) findings.checkLength(reader.lineOf('serverkey'), 'serverkey', reader.value('serverkey'));
  const [metrics = null] = servers.map((reader) => readMetrics(reader.value('metrics'), reader.value('metrics-token'), reader, findings));
  warnOfUnknownClients(volumes, clients, findings);
  const { problems, warnings } = findings;
  if (problems.length > 0) return { config: null, problems, warnings };

  const namespaceid = namespaces[0]?.value('namespaceid');
  const serverid = servers[0]?.value('serverid');
  assert(namespaces[0] !== undefined && typeof namespaceid === 'number', 'No namespace and no finding');
  const [ofServer] = servers;
  assert(ofServer !== undefined && typeof serverid === 'number', 'No server and no finding');
  const config: RssrvConfig = {
    file,
    namespace: {
      name: namespaces[0].name,
      namespaceid,
      ...namespaces[0].fields(),
    },
    server: {
      name: ofServer.name,
      serverid,
      ...ofServer.fields(),
      groups: byRole((role) => nameOf(ofServer, LOCAL_ROLE_WORDS[role].key)),
      user: nameOf(ofServer, 'user'),
      processes: ofServer.value('processes') ?? processesDefault(),
      metrics,
    },
    interfaces,
    volumes,
    pools,
    triggers,
    clients,
    peers,
    rights,
    hasRights: rightsSection !== undefined,
    warnings,
  };
  return { config, problems, warnings };
}

function peersOf(
  sections: readonly IniSection[],
  namespace: Reader<'namespace'> | undefined,
  server: Reader<'server'> | undefined,
  findings: Findings,
): readonly PeerConfig[] {
  const defaults = {
    name: server?.name ?? '',
    port: namespace?.value('port') ?? Number(schema.namespace.keys.port.default),
    namespaceid: namespace?.value('namespaceid') ?? 0,
    pools: sections.flatMap(({ type, name }) => (type === 'pool' && name !== null ? [name] : [])),
  };
  return readPeers(readersOf(sections, 'peer', findings), defaults, findings);
}

function nameOf(server: Reader<'server'>, key: LocalGroupKey | 'user'): { readonly name: string; readonly line: number } | null {
  const name = server.value(key);
  return name === null ? null : { name, line: server.lineOf(key) };
}

/** Default of the key `processes`. More processes than the default would only compete for the CPU cores. */
export function processesDefault(): number {
  return PROCESSES_PER_CORE * availableParallelism();
}

function readersOf<T extends keyof Sections>(sections: readonly IniSection[], type: T, findings: Findings): readonly Reader<T>[] {
  const keys: Sections[T]['keys'] = schema[type].keys;
  return sections.filter((section) => section.type === type).map((section) => new SectionReader(section, keys, schema, findings));
}

function checkNamespace(reader: Reader<'namespace'>, findings: Findings): void {
  const namespacekey = reader.value('namespacekey');
  findings.checkLength(reader.lineOf('namespacekey'), 'namespacekey', namespacekey);
  if (reader.value('explore') === 'signed' && namespacekey === null) {
    findings.problem(reader.lineOf('explore'), 'explore = signed without a namespacekey: add "namespacekey = KEY", or use yes or no');
  }
}

function readInterfaces(
  readers: readonly Reader<'interface'>[],
  namespace: Reader<'namespace'> | undefined,
  findings: Findings,
): readonly ServerInterfaceConfig[] {
  if (readers.length === 0) findings.problem(0, 'No section [interface NAME]: add one for each address to listen on');
  const beyond = readers[INTERFACES_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${readers.length} interfaces: allowed are at most ${INTERFACES_MAX}`);
  const uniques = new Uniques(findings);
  const interfaces: ServerInterfaceConfig[] = [];
  for (const reader of readers) {
    uniques.claim(`name ${reader.name}`, reader.line, `interface name ${quoteText(reader.name)}`, 'give each interface a name of its own');
    const address = reader.value('address');
    const port = reader.value('port') ?? namespace?.value('port') ?? Number(schema.namespace.keys.port.default);
    if (address === null) continue;
    const shown = printEndpoint(address.address, port);
    const key = `address ${addressKey(address.address)} ${port}`;
    uniques.claim(key, reader.lineOf('address'), `address ${shown}`, 'each interface needs an address or port of its own');
    interfaces.push({ name: reader.name, ...address, port });
  }
  return interfaces;
}

function readVolumes(readers: readonly Reader<'volume'>[], hasPools: boolean, findings: Findings): readonly ServerVolumeConfig[] {
  const beyond = readers[VOLUMES_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${readers.length} volumes: allowed are at most ${VOLUMES_MAX}`);
  if (readers.length === 0 && !hasPools) findings.warn(0, 'No section [volume NAME] or [pool NAME]: the server offers nothing');
  const volumes = readers.map((reader) => {
    checkVolume(reader, findings);
    return readVolume(reader);
  });
  checkVolumeNames(volumes, findings);
  checkVolumeStorage(readers, findings);
  return volumes;
}

function readVolume(reader: Reader<'volume'>): ServerVolumeConfig {
  return {
    name: reader.name,
    ...reader.fields(),
    ...limitsField({ iops: reader.value('iops'), bytesPerSecond: reader.value('bandwidth'), burstMs: reader.value('burst') }),
    line: reader.line,
  };
}

function checkVolume(reader: Reader<'volume'>, findings: Findings): void {
  const type = reader.value('type');
  const sizeBytes = reader.value('size');
  const blockSizeBytes = reader.value('blocksize');
  const about = `Volume ${quoteText(reader.name)}`;
  const pathless = type === 'memory' || type === 'null';
  const isTypeWrong = reader.isSet('type') && reader.given('type') === null;
  // Do not report a path with a wrong value as missing, because the section reader has already reported the wrong value.
  if (!pathless && !isTypeWrong && !reader.isSet('path'))
    findings.problem(reader.line, `${about} has no path: add "path = ..." (type memory and null need none)`);
  if (pathless && !reader.isSet('size'))
    findings.problem(reader.line, `${about} of type ${type} has no size: add "size = ..." (such as 1g)`);
  if (pathless && reader.isSet('path')) findings.warn(reader.lineOf('path'), `${about} is of type ${type}: its path is not used`);
  if (sizeBytes !== null && sizeBytes % blockSizeBytes !== 0) {
    findings.problem(reader.lineOf('size'), `${about} has size ${sizeBytes}: allowed are multiples of its blocksize ${blockSizeBytes}`);
  }
}

/**
 * Volume names must be unique within a universe. Volumes X and rX cannot both exist in one universe, because the raw device of volume X is
 * also called rX.
 */
function checkVolumeNames(volumes: readonly ServerVolumeConfig[], findings: Findings): void {
  const lines = new Map<string, number>();
  const uniques = new Uniques(findings);
  for (const { name, universe, line } of volumes) {
    const key = `${universe} ${name}`;
    uniques.claim(key, line, `volume name ${quoteText(name)} in universe ${universe}`, 'give each volume a name or universe of its own');
    if (!lines.has(key)) lines.set(key, line);
  }
  for (const { name, universe, line } of volumes) {
    const other = lines.get(`${universe} r${name}`);
    if (other === undefined) continue;
    const [later, earlier] = [Math.max(line, other), Math.min(line, other)];
    const message = `Volumes ${quoteText(name)} and ${quoteText(`r${name}`)} in universe ${universe} (the other in line ${earlier})`;
    findings.problem(later, `${message}: r${name} is the raw device of ${name}; rename one or use another universe`);
  }
}

/**
 * Reports volumes that share an id or a path. Different clients can hold two volumes with the same path; this is safe only if both volumes
 * are read-only.
 */
function checkVolumeStorage(readers: readonly Reader<'volume'>[], findings: Findings): void {
  const firsts = new Map<string, Reader<'volume'>>();
  const ids = new Uniques(findings);
  for (const reader of readers) {
    const id = reader.value('id');
    if (id !== null) ids.claim(id, reader.lineOf('id'), `volume id ${id}`, 'an id belongs to one volume; remove the line to get a new one');
    const path = reader.value('path');
    if (path === null || ['memory', 'null'].includes(reader.value('type'))) continue;
    const key = posix.normalize(path);
    const first = firsts.get(key);
    if (first === undefined) {
      firsts.set(key, reader);
    } else if (!first.value('readonly') || !reader.value('readonly')) {
      const where = `path ${quoteText(path)} (first in line ${first.lineOf('path')})`;
      findings.problem(reader.lineOf('path'), `Duplicate ${where}: two volumes may have one path only if both are readonly`);
    }
  }
}

/** `requiring`: the [namespace] section if it sets `tls = require`, otherwise undefined. With `tls = require`, short keys are refused. */
function readClients(
  section: IniSection | undefined,
  requiring: Reader<'namespace'> | undefined,
  findings: Findings,
): readonly ServerClientConfig[] {
  const contents = section?.contents ?? [];
  const beyond = contents[CLIENTS_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${contents.length} clients: allowed are at most ${CLIENTS_MAX}`);
  if (contents.length === 0) findings.warn(section?.line ?? 0, 'No client in [clients]: no client can connect');
  const uniques = new Uniques(findings);
  const namesOfKeys = new Map<string, string>();
  const clients: ServerClientConfig[] = [];
  for (const content of contents) {
    const client = readClient(content, findings);
    if (client === null) continue;
    uniques.claim(client.name, content.line, `client ${client.name}`, 'give each client one line');
    for (const key of clientKeys(client)) {
      const remedy = `and rsadm client rekey ${client.name} changes it while tls is allow`;
      const demand = requiring === undefined ? null : { setting: 'tls = require', line: requiring.lineOf('tls'), remedy };
      findings.checkLength(content.line, `key of client ${client.name}`, key, demand);
      const other = namesOfKeys.get(key);
      if (other !== undefined)
        findings.warn(content.line, `Clients ${other} and ${client.name} have the same key: each can impersonate the other`);
      namesOfKeys.set(key, client.name);
    }
    clients.push(client);
  }
  return clients;
}

/**
 * Reads the line of a client. The messages show at most the client's name, because any other word of a malformed line may be a secret key.
 */
function readClient({ text, line }: IniContent, findings: Findings): ServerClientConfig | null {
  const form = schema.clients.lines;
  const [, name = '', keys = ''] = /^(\S+)\s+(.*)$/su.exec(text) ?? [];
  const [key = '', newKey = null, ...more] = keys.split(/\s+/);
  if (name === '') {
    findings.problem(line, `Line in [clients] is one word: allowed is ${form}`);
  } else if (!isName(name)) {
    findings.problem(line, `Wrong client name in [clients]: allowed is ${form}, NAME being ${NAME_ALLOWED}`);
  } else if (key === '=') {
    findings.problem(line, `Line of client ${name} in [clients] has "=" between name and key: allowed is ${form}`);
  } else if (more.length > 0) {
    findings.problem(line, `Client ${name} has ${2 + more.length} keys: allowed is ${form}`);
  } else if (!isKeyText(key) || (newKey !== null && !isKeyText(newKey))) {
    findings.problem(line, `Wrong key of client ${name}: allowed is ${keyText.allowed}`);
  } else if (key === newKey) {
    findings.problem(line, `Client ${name} has the same key twice: remove one of them`);
  } else {
    if (keys.startsWith('=')) findings.warn(line, `Key of client ${name} begins with "=": it is taken as part of the key`);
    return { name, key, newKey };
  }
  return null;
}

function warnOfUnknownClients(volumes: readonly ServerVolumeConfig[], clients: readonly ServerClientConfig[], findings: Findings): void {
  const known = new Set(clients.map(({ name }) => name));
  for (const volume of volumes) {
    const unknown = volume.clients?.filter((name) => !known.has(name)) ?? [];
    if (unknown.length === 0) continue;
    findings.warn(volume.line, `Volume ${quoteText(volume.name)} is for ${unknown.join(', ')}, not listed in [clients]`);
  }
}
