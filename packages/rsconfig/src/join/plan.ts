// Plans the changes that `join` makes to rscltcfg: proved paths become sections, in a new file or beside existing sections. The function
// planJoin returns a new document and writes no file. Invariants: existing sections stay unchanged, except that a namespace may get `tls =
// on` and an old section a new address; an address that the file already has is not added again; a namespace that the file lists with another node name or key is refused.

import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import { printIni } from '@rsio/common/config/reader/ini-document';
import { examineRscltConfig, targetPort } from '@rsio/common/config/reader/rscltcfg';
import { addInterface, addNamespace, addServer, changeSection, newRscltcfg, setKey } from '@rsio/common/config/rscltcfg-edit';
import type { ClientNamespaceConfig, RscltConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import { addressKey } from '@rsio/base/lib/subnet';
import { isName } from '@rsio/base/lib/units';
import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import { INTERFACES_MAX, NAME_MAX_BYTES } from '@rsio/base/lib/limits';

/** A proved path from an address of this machine to an interface of a server. */
export interface UsablePath {
  readonly device: string;
  readonly local: string;
  readonly server: string;
  readonly serverid: number;
  readonly address: string;
  readonly port: number;
}

export interface JoinIdentity {
  readonly namespaceid: number;
  /** Name for the namespace if the file does not contain the namespace yet. */
  readonly label: string;
  readonly nodename: string;
  readonly nodekey: string;
  readonly namespacekey: string | null;
  readonly serverkey: string | null;
  /** True if the paths were proved with TLS. */
  readonly tls: boolean;
}

/** A [server] section with an address that its server has given up. */
export interface OldSection {
  readonly section: string;
  readonly serverid: number;
  readonly address: string;
}

export interface JoinPlan {
  readonly document: IniDocument;
  /** Descriptions of the new and changed sections. */
  readonly added: readonly string[];
  /** Interfaces of this machine that are left out because the file already has the maximum number of interfaces. */
  readonly leftOut: readonly { readonly device: string; readonly local: string; readonly reason: string }[];
  /** Name of the namespace in the file. */
  readonly namespace: string;
}

/** Throws E_CONFIG if the file has faults, or lists the namespace under another nodename or nodekey. */
export function planJoin(
  old: IniDocument,
  paths: readonly UsablePath[],
  oldSections: readonly OldSection[],
  identity: JoinIdentity,
  file: string,
): JoinPlan {
  const isNew = old.sections.length === 0;
  let document = old.lines.length === 0 ? newRscltcfg() : old;
  const port = paths[0]?.port ?? PORT_DEFAULT;
  if (isNew && port !== PORT_DEFAULT) document = setKey(document, { type: 'defaults' }, 'port', String(port));
  const before = configOf(document, file);
  const known = before.namespaces.find(({ namespaceid }) => namespaceid === identity.namespaceid);
  if (known !== undefined) checkSame(known, identity, file);
  const interfaces = addInterfaces(document, before, paths);
  const namespace = addMissingNamespace(interfaces.document, before, known, identity);
  const kept = paths.filter(({ local }) => !interfaces.leftOut.some((one) => one.local === local));
  const servers = addServers(namespace.document, kept, oldSections, namespace.name, identity.serverkey, file);
  return {
    document: servers.document,
    added: [...interfaces.added, ...namespace.added, ...servers.added],
    leftOut: interfaces.leftOut,
    namespace: namespace.name,
  };
}

function configOf(document: IniDocument, file: string): RscltConfig {
  const { config, problems } = examineRscltConfig(printIni(document), file);
  if (config !== null) return config;
  const [first] = problems;
  const place = first === undefined || first.line === 0 ? file : `${file}:${first.line}`;
  throw new RsError('E_CONFIG', `${place}: ${first?.message ?? 'The file has faults'}`, { file, problems });
}

function checkSame(known: ClientNamespaceConfig, { nodename, nodekey }: JoinIdentity, file: string): void {
  if (known.nodename === nodename && known.nodekey === nodekey) return;
  const what = known.nodename === nodename ? 'another key' : `node name ${known.nodename}`;
  throw new RsError(
    'E_CONFIG',
    `${file} already has namespaceid ${known.namespaceid}, as ${known.name} with ${what}: correct it there, or run rsconfig namespace remove ${known.name}`,
  );
}

function addInterfaces(
  old: IniDocument,
  { interfaces }: RscltConfig,
  paths: readonly UsablePath[],
): Pick<JoinPlan, 'document' | 'added' | 'leftOut'> {
  let document = old;
  const added: string[] = [];
  const leftOut: { device: string; local: string; reason: string }[] = [];
  const taken = new Set(interfaces.map(({ name }) => name));
  const missing = firstOfEach(paths, ({ local }) => addressKey(local)).filter(
    ({ local }) => !interfaces.some(({ address }) => addressKey(address) === addressKey(local)),
  );
  for (const { device, local } of missing) {
    if (taken.size >= INTERFACES_MAX) {
      leftOut.push({ device, local, reason: `the file has ${INTERFACES_MAX} interfaces, the maximum` });
      continue;
    }
    const isAlone = missing.filter((other) => other.device === device).length === 1;
    const name = isAlone && isName(device) && !taken.has(device) ? device : freeName('if', 0, taken);
    taken.add(name);
    document = addInterface(document, name, { address: local });
    added.push(`interface ${name}, ${local}`);
  }
  return { document, added, leftOut };
}

function addMissingNamespace(
  document: IniDocument,
  { namespaces, defaultTls }: RscltConfig,
  known: ClientNamespaceConfig | undefined,
  identity: JoinIdentity,
): { readonly document: IniDocument; readonly name: string; readonly added: readonly string[] } {
  if (known !== undefined) {
    const { name } = known;
    if (!identity.tls || known.tls) return { document, name, added: [] };
    return { document: setKey(document, { type: 'namespace', name }, 'tls', 'on'), name, added: [`namespace ${name}, tls = on`] };
  }
  const { label, namespaceid, nodename, nodekey, namespacekey, tls } = identity;
  const isTaken = namespaces.some(({ name }) => name === label);
  const name = isTaken ? fitting(label, `-${namespaceid}`) : label;
  const optional = { ...(namespacekey === null ? {} : { namespacekey }), ...(tls && !defaultTls ? { tls: 'on' } : {}) };
  const keys = { namespaceid: String(namespaceid), nodename, nodekey, ...optional };
  return {
    document: addNamespace(document, name, keys),
    name,
    added: [`namespace ${name}, id ${namespaceid}, as node ${nodename}${tls ? ', with tls = on' : ''}`],
  };
}

function addServers(
  old: IniDocument,
  paths: readonly UsablePath[],
  oldSections: readonly OldSection[],
  namespace: string,
  serverkey: string | null,
  file: string,
): Pick<JoinPlan, 'document' | 'added'> {
  let document = old;
  const added: string[] = [];
  const config = configOf(document, file);
  const home = config.namespaces.find(({ name }) => name === namespace);
  const taken = new Set(home?.servers.map(({ name }) => name));
  // For each interface in the file, the port of a [server] section that has no key `port`.
  const ports = config.interfaces.map((one) => targetPort(config, home ?? { port: null }, { port: null }, one));
  const left = [...oldSections];
  for (const { server, serverid, address, port } of firstOfEach(paths, (path) => `${addressKey(path.address)} ${path.port}`)) {
    const isThere = home?.servers.some(
      (one) =>
        addressKey(one.address) === addressKey(address) &&
        config.interfaces.some((local) => targetPort(config, home, { port: one.port }, local) === port),
    );
    if (isThere === true) continue;
    const portKey = ports.every((usual) => usual === port) ? null : String(port);
    const key = serverkey === null ? {} : { serverkey };
    const old = left.find((one) => one.serverid === serverid);
    if (old !== undefined) {
      left.splice(left.indexOf(old), 1);
      const place = { type: 'server', namespace, name: old.section } as const;
      document = changeSection(document, place, { address, port: portKey, ...key });
      added.push(`server ${old.section}, ${address} (before: ${old.address})`);
      continue;
    }
    const name = freeName(`${server}-`, 1, taken);
    taken.add(name);
    document = addServer(document, namespace, name, { address, ...(portKey === null ? {} : { port: portKey }), ...key });
    added.push(`server ${name}, ${address}`);
  }
  return { document, added };
}

function freeName(prefix: string, first: number, taken: ReadonlySet<string>): string {
  let number = first;
  while (taken.has(fitting(prefix, String(number)))) number += 1;
  return fitting(prefix, String(number));
}

/** Returns `prefix` followed by `end`. `prefix` is truncated if necessary, because a server's name may already have the maximum length. */
function fitting(prefix: string, end: string): string {
  return `${prefix.slice(0, NAME_MAX_BYTES - end.length)}${end}`;
}

function firstOfEach<T>(all: readonly T[], keyOf: (one: T) => string): T[] {
  const keys = all.map(keyOf);
  return all.filter((one, index) => keys.indexOf(keyOf(one)) === index);
}
