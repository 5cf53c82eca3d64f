// The data centre of the tests as its administrators would describe it: servers, clients, their interfaces, volumes and keys, and the
// resulting configuration files. The file has only plain data and pure functions. A caller that changes the site must also write the
// changed configuration files. data-centre.ts runs the daemons, and expected.ts has the expected output.

export interface SiteInterface {
  readonly name: string;
  readonly address: string;
}

export interface SiteVolume {
  readonly name: string;
  /** Further keys of the section of the volume. */
  readonly keys: Readonly<Record<string, string>>;
}

export interface SiteNamespace {
  readonly name: string;
  readonly namespaceid: number;
  readonly port: number;
}

export interface SiteServer {
  readonly name: string;
  readonly namespace: SiteNamespace;
  readonly serverid: number;
  readonly serverkey: string | null;
  interfaces: SiteInterface[];
  volumes: SiteVolume[];
  /** Names of the nodes that may log in. */
  clients: string[];
}

export interface SiteSection {
  readonly name: string;
  readonly server: SiteServer;
  readonly address: string;
}

export interface SiteLogin {
  readonly namespace: SiteNamespace;
  readonly node: string;
  /** Further lines of `[namespace]`, such as `heartbeat = 2s`. */
  keys: Readonly<Record<string, string>>;
  sections: SiteSection[];
}

export interface SiteClient {
  readonly name: string;
  interfaces: SiteInterface[];
  logins: SiteLogin[];
}

export function keyOfNode(node: string): string {
  return `0x${node}-secret-of-the-data-centre`;
}

/** Makes the text of `/etc/dvsc/rssrvcfg` of a server. */
export function serverFile({ name, namespace, serverid, serverkey, interfaces, volumes, clients }: SiteServer): string {
  return [
    section(`namespace ${namespace.name}`, { namespaceid: namespace.namespaceid, protocol: 'tcp', port: namespace.port }),
    section(`server ${name}`, { serverid, ...(serverkey === null ? {} : { serverkey }) }),
    ...interfaces.map((one) => section(`interface ${one.name}`, { address: one.address })),
    ...volumes.map((volume) => section(`volume ${volume.name}`, volume.keys)),
    `[clients]\n${clients.map((node) => `${node} ${keyOfNode(node)}\n`).join('')}`,
  ].join('\n');
}

/** Makes the text of `/etc/rscltcfg` of a client. Devices are NBD sockets, so that a test makes no device nodes. */
export function clientFile({ interfaces, logins }: SiteClient): string {
  return [
    section('defaults', { protocol: 'tcp', device: 'nbd-socket' }),
    ...interfaces.map((one) => section(`interface ${one.name}`, { address: one.address })),
    ...logins.flatMap(({ namespace, node, keys, sections }) => [
      section(`namespace ${namespace.name}`, {
        namespaceid: namespace.namespaceid,
        nodename: node,
        nodekey: keyOfNode(node),
        port: namespace.port,
        ...keys,
      }),
      ...sections.map(({ name, server: { serverkey }, address }) =>
        section(`server ${name}`, { address, ...(serverkey === null ? {} : { serverkey }) }),
      ),
    ]),
  ].join('\n');
}

function section(heading: string, keys: Readonly<Record<string, string | number>>): string {
  return `[${heading}]\n${Object.entries(keys)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')}`;
}
