// The site with which every test of the data centre starts. The site has three servers in two namespaces and three clients, one of which is
// in both namespaces. Each server and client has two interfaces. big-9 of osl and mini-1 of dev run on one machine: they have the same
// addresses and the same serverid, but different ports. The volumes archive (a read-only file) and scratch (a null volume) are each on both
// servers of osl. Both servers of osl also have their own volume with the name `data`.

import { randomUUID } from 'node:crypto';
import type { SiteClient, SiteNamespace, SiteServer, SiteVolume } from './site.ts';

export interface StandardSite {
  readonly servers: { readonly big9: SiteServer; readonly big5: SiteServer; readonly mini1: SiteServer };
  readonly clients: { readonly big2: SiteClient; readonly venus: SiteClient; readonly big6: SiteClient };
  /** The id of each volume, by `SERVER:VOLUME`. */
  readonly ids: Readonly<Record<string, string>>;
}

export interface SiteGround {
  /** Address of a host in the first or second subnet. */
  readonly address: (subnet: 0 | 1, host: number) => string;
  readonly ports: { readonly osl: number; readonly dev: number };
  /** Path of a file with this name on the storage of the server. */
  readonly file: (server: string, name: string) => string;
}

const BIG_9 = 10;
const BIG_5 = 11;
const FIRST_CLIENT = 30;
export const BIG_5_KEY = '0xthe-word-of-big-5-itself';

export function standardSite(ground: SiteGround): StandardSite {
  const { address, ports } = ground;
  const osl: SiteNamespace = { name: 'osl', namespaceid: 200, port: ports.osl };
  const dev: SiteNamespace = { name: 'dev', namespaceid: 300, port: ports.dev };
  const volumes = standardVolumes(ground);
  const interfaces = (host: number) => [
    { name: 'if1', address: address(0, host) },
    { name: 'if2', address: address(1, host) },
  ];
  const server = (name: keyof typeof volumes, rest: Omit<SiteServer, 'name' | 'volumes'>): SiteServer => ({
    name,
    ...rest,
    volumes: [...volumes[name]],
  });
  const common = { serverkey: null, clients: ['big-2', 'venus'] };
  const big9 = server('big-9', { ...common, namespace: osl, serverid: 1, interfaces: interfaces(BIG_9) });
  const big5 = server('big-5', { ...common, namespace: osl, serverid: 2, serverkey: BIG_5_KEY, interfaces: interfaces(BIG_5) });
  const devClients = ['dev-2', 'big-6', 'venus'];
  const mini1 = server('mini-1', { ...common, namespace: dev, serverid: 1, interfaces: interfaces(BIG_9), clients: devClients });
  const sections = (...servers: readonly SiteServer[]) =>
    servers.flatMap((one) => one.interfaces.map((its, index) => ({ name: `${one.name}-${index + 1}`, server: one, address: its.address })));
  const client = (name: string, order: number, logins: SiteClient['logins']): SiteClient => ({
    name,
    interfaces: [
      { name: 'if0', address: address(0, FIRST_CLIENT + order) },
      { name: 'if1', address: address(1, FIRST_CLIENT + order) },
    ],
    logins,
  });
  return {
    servers: { big9, big5, mini1 },
    clients: {
      big2: client('big-2', 0, [
        { namespace: osl, node: 'big-2', keys: {}, sections: sections(big9, big5) },
        // The file of the client has only the first interface of the server. rsiod learns of the second interface from the server.
        { namespace: dev, node: 'dev-2', keys: {}, sections: sections(mini1).slice(0, 1) },
      ]),
      // The sections of venus have another order. This order must affect only the order of the output.
      venus: client('venus', 1, [{ namespace: osl, node: 'venus', keys: {}, sections: sections(big5, big9) }]),
      big6: client('big-6', 2, [{ namespace: dev, node: 'big-6', keys: {}, sections: sections(mini1) }]),
    },
    ids: Object.fromEntries(
      [big9, big5, mini1].flatMap(({ name, volumes: its }) => its.map((volume) => [`${name}:${volume.name}`, volume.keys['id'] ?? ''])),
    ),
  };
}

function standardVolumes({ file }: SiteGround): Readonly<Record<'big-9' | 'big-5' | 'mini-1', readonly SiteVolume[]>> {
  const volume = (name: string, keys: Readonly<Record<string, string>>): SiteVolume => ({ name, keys: { id: randomUUID(), ...keys } });
  const fileOf = (server: string, name: string, size: string, more: Readonly<Record<string, string>> = {}): SiteVolume =>
    volume(name, { path: file(server, `${name}.img`), size, ...more });
  // Volumes on storage that both servers of osl reach.
  const both = [fileOf('big-9', 'archive', '8m', { readonly: 'yes' }), volume('scratch', { type: 'null', size: '64m' })];
  return {
    'big-9': [
      fileOf('big-9', 'oracle', '48m'),
      fileOf('big-9', 'logs', '16m', { universe: '1', clients: 'big-2' }),
      fileOf('big-9', 'pool', '32m', { universe: '2', shared: 'yes' }),
      ...both,
      fileOf('big-9', 'data', '4m'),
    ],
    'big-5': [
      ...both,
      volume('data', { type: 'memory', size: '6m' }),
      fileOf('big-5', 'ora_db', '32m', { blocksize: '4096', clients: 'venus' }),
    ],
    'mini-1': [
      fileOf('mini-1', 'oracle', '32m'),
      volume('a-name-that-is-longer-than-its-column', { type: 'null', size: '1m', clients: 'big-6' }),
      fileOf('mini-1', 'play', '32m', { clients: 'big-6' }),
    ],
  };
}
