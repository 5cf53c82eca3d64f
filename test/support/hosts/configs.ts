// The two configuration files of a usual pair: one server and its clients in namespace osl over every subnet of a test network. Tests that
// concern the configuration files themselves write their own text.

import type { Host } from './host.ts';
import type { TestNetwork } from './hosts.ts';

export interface ServerConfigOptions {
  /** For each volume, such as `oracle`: the keys of its section. */
  readonly volumes: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** For each pool: the keys of its section. */
  readonly pools?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The section `[rights]`: for each client, the value with its right. */
  readonly rights?: Readonly<Record<string, string>>;
  /** For each node name: the nodekey. Default: big-2 and venus, with the keys that clientConfig uses for them. */
  readonly clients?: Readonly<Record<string, string>>;
  /** Keys of `[server]`, without the number of the server. */
  readonly server?: Readonly<Record<string, string>>;
  /** Name of the server; default: big-9. */
  readonly name?: string;
  /** Namespace; default: osl, 200. */
  readonly namespace?: { readonly name: string; readonly id: number };
  readonly tls?: 'off' | 'allow' | 'require';
}

export interface ClientConfigOptions {
  /** Node name of the client; default: big-2. */
  readonly node?: string;
  readonly key?: string;
  readonly namespaceid?: number;
  /** Number that chooses the client's addresses in the subnets. Two clients on one network need different numbers. */
  readonly client?: number;
  /** Further keys of `[defaults]`. By default, the key `device` has the value for NBD, so that a test makes no device nodes. */
  readonly defaults?: Readonly<Record<string, string>>;
  /**
   * Addresses at which the client looks for the server; default: those of the network. The client uses only the given addresses, even if
   * the server announces others.
   */
  readonly serverAddresses?: readonly string[];
  readonly serverkey?: string;
}

/** Keys of `[defaults]` of a client whose paths are encrypted. */
export const ENCRYPTED: Readonly<Record<string, string>> = { tls: 'on' };

export const SERVER_NAME = 'big-9';

export function keyOf(node: string): string {
  return `0x${node}-secret-of-the-lab`;
}

export function serverConfig(network: Pick<TestNetwork, 'port' | 'serverAddresses'>, options: ServerConfigOptions): string {
  const clients = options.clients ?? { 'big-2': keyOf('big-2'), venus: keyOf('venus') };
  const { name, id } = options.namespace ?? { name: 'osl', id: 200 };
  const tls: Record<string, string> = options.tls === undefined ? {} : { tls: options.tls };
  return [
    section(`namespace ${name}`, { namespaceid: String(id), protocol: 'tcp', port: String(network.port), ...tls }),
    section(`server ${options.name ?? SERVER_NAME}`, { serverid: '1', ...options.server }),
    ...network.serverAddresses.map((address, index) => section(`interface if${index + 1}`, { address })),
    ...Object.entries(options.pools ?? {}).map(([name, keys]) => section(`pool ${name}`, keys)),
    ...Object.entries(options.volumes).map(([name, keys]) => section(`volume ${name}`, keys)),
    lines('clients', clients),
    ...(options.rights === undefined ? [] : [lines('rights', options.rights)]),
  ].join('\n');
}

export function clientConfig(network: Omit<TestNetwork, 'subnets'>, options: ClientConfigOptions = {}): string {
  const node = options.node ?? 'big-2';
  const addresses = options.serverAddresses ?? network.serverAddresses;
  const paths = options.serverAddresses === undefined ? {} : { paths: 'configured' };
  const serverkey = options.serverkey === undefined ? {} : { serverkey: options.serverkey };
  return [
    section('defaults', { protocol: 'tcp', port: String(network.port), device: 'nbd-socket', ...paths, ...options.defaults }),
    ...network.clientAddresses(options.client).map((address, index) => section(`interface if${index}`, { address })),
    section('namespace osl', { namespaceid: String(options.namespaceid ?? 200), nodename: node, nodekey: options.key ?? keyOf(node) }),
    ...addresses.map((address, index) => section(`server ${SERVER_NAME}-${index + 1}`, { address, ...serverkey })),
  ].join('\n');
}

export async function startServer(host: Host, network: TestNetwork, options: ServerConfigOptions): Promise<void> {
  host.writeConfig('rssrv', serverConfig(network, options));
  await host.start('rssrv');
}

/** Writes the client's file, starts rsiod and waits until all its paths are up. */
export async function startClient(host: Host, network: TestNetwork, options: ClientConfigOptions = {}): Promise<void> {
  host.writeConfig('rsiod', clientConfig(network, options));
  await host.start('rsiod');
  await host.pathsUp(network.subnets.length);
}

/** Makes a section of a configuration file with one line for each entry. */
function lines(heading: string, entries: Readonly<Record<string, string>>): string {
  return `[${heading}]\n${Object.entries(entries)
    .map(([name, rest]) => `${name} ${rest}\n`)
    .join('')}`;
}

function section(heading: string, keys: Readonly<Record<string, string>>): string {
  return `[${heading}]\n${Object.entries(keys)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')}`;
}
