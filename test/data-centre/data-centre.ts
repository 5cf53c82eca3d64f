// The running data centre: real daemons for every server and client of the standard site, each with its own root. This file also has the
// actions of administrators: to start, restart and kill a daemon, and to change a file and reload it. The callers judge the effects.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Host } from '../support/hosts/host.ts';
import type { Hosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { clientFile, type SiteClient, type SiteServer, serverFile } from './site.ts';
import { type StandardSite, standardSite } from './standard-site.ts';

const RELOAD_MS = 20_000;
const GONE_MS = 10_000;

export class DataCentre {
  readonly site: StandardSite;
  /** Address of a host in the first or second subnet. */
  readonly address: (subnet: 0 | 1, host: number) => string;
  private readonly storage: string;
  private readonly hostOf: ReadonlyMap<SiteServer | SiteClient, Host>;

  private constructor(hosts: Hosts, storage: string, site: StandardSite, address: DataCentre['address']) {
    this.storage = storage;
    this.site = site;
    this.address = address;
    this.hostOf = new Map([...this.servers, ...this.clients].map((one) => [one, hosts.host()]));
  }

  static async make(hosts: Hosts): Promise<DataCentre> {
    const { subnets, serverAddresses, port } = await hosts.network(2);
    const address = (subnet: 0 | 1, host: number): string => subnets[subnet]?.address(host) ?? '';
    let dev = port;
    while (dev === port) dev = await freePort(serverAddresses[0] ?? '');
    const storage = mkdtempSync(path.join(tmpdir(), 'rsio-storage-'));
    // A file that a daemon still has open takes space until the daemon ends.
    hosts.onClean(() => rmSync(storage, { recursive: true, force: true }));
    const site = standardSite({ address, ports: { osl: port, dev }, file: (server, name) => storageFile(storage, server, name) });
    return new DataCentre(hosts, storage, site, address);
  }

  get servers(): SiteServer[] {
    return Object.values(this.site.servers);
  }

  get clients(): SiteClient[] {
    return Object.values(this.site.clients);
  }

  host(one: SiteServer | SiteClient): Host {
    const host = this.hostOf.get(one);
    if (host === undefined) throw new Error(`${one.name} is not of this site`);
    return host;
  }

  file(server: SiteServer, name: string): string {
    return storageFile(this.storage, server.name, name);
  }

  /** Writes the file and starts the daemon; returns its stderr. */
  async startServer(server: SiteServer): Promise<string> {
    this.write(server);
    return (await this.host(server).start('rssrv')).stderr;
  }

  async startClient(client: SiteClient): Promise<string> {
    this.write(client);
    return (await this.host(client).start('rsiod')).stderr;
  }

  /**
   * Starts all daemons, and waits for every path of every client. The servers start one after the other, because the first one creates a file
   * that two of them offer.
   */
  async start(): Promise<void> {
    for (const server of this.servers) await this.startServer(server);
    await Promise.all(this.clients.map((client) => this.startClient(client)));
    await Promise.all(this.clients.map((client) => this.allPathsUp(client)));
  }

  async restart(server: SiteServer): Promise<void> {
    await this.host(server).stop('rssrv');
    await this.host(server).start('rssrv');
  }

  /**
   * Kills the listener and starts the next one. `waits`: whether to wait until the processes of the killed listener have ended. If `waits`
   * is false, the next listener starts at once, as a supervisor would start it.
   */
  async killAndStart(server: SiteServer, waits: boolean): Promise<void> {
    const host = this.host(server);
    await host.kill('rssrv');
    if (waits) await waitFor(() => host.processes().length === 0, GONE_MS, `The processes of ${server.name} are gone`);
    await host.start('rssrv');
  }

  /**
   * Writes the server's file and sends SIGHUP. By default, the file has the text that the site describes. Returns all log lines about the
   * reload.
   */
  async reloadServer(server: SiteServer, text = serverFile(server)): Promise<string> {
    const host = this.host(server);
    const outcomes = (): number => (host.log('rssrv').match(/^Reload refused|^Reload: (?!.*\[E_)/gm) ?? []).length;
    const [length, count] = [host.log('rssrv').length, outcomes()];
    host.writeConfig('rssrv', text);
    process.kill(host.pid('rssrv'), 'SIGHUP');
    await waitFor(() => outcomes() > count, RELOAD_MS, `The reload of ${server.name} has ended`);
    return host.log('rssrv').slice(length);
  }

  async reloadClient(client: SiteClient, text = clientFile(client)): Promise<string> {
    const host = this.host(client);
    const outcomes = (): number => (host.log('rsiod').match(/^The configuration is unchanged|was reloaded: /gm) ?? []).length;
    const [length, count] = [host.log('rsiod').length, outcomes()];
    host.writeConfig('rsiod', text);
    process.kill(host.pid('rsiod'), 'SIGHUP');
    await waitFor(() => outcomes() > count, RELOAD_MS, `The reload of ${client.name} has ended`);
    return host.log('rsiod').slice(length);
  }

  /** Resolves when every path of a client is up. The client's file and the files of the servers determine these paths. */
  async allPathsUp(client: SiteClient): Promise<void> {
    await this.host(client).pathsUp(this.pathCount(client), RELOAD_MS);
  }

  /** Number of paths of the client: pairs of a client interface and a server interface in the same subnet. */
  private pathCount({ interfaces, logins }: SiteClient): number {
    const far = logins.flatMap(({ sections }) => [...new Set(sections.map(({ server }) => server))].flatMap((server) => server.interfaces));
    return interfaces.flatMap((near) => far.filter((one) => sameSubnet(near.address, one.address))).length;
  }

  private write(one: SiteServer | SiteClient): void {
    if ('logins' in one) this.host(one).writeConfig('rsiod', clientFile(one));
    else this.host(one).writeConfig('rssrv', serverFile(one));
  }
}

/** Whether two addresses are in the same subnet. All subnets of the site are /24. */
export function sameSubnet(left: string, right: string): boolean {
  return left.slice(0, left.lastIndexOf('.')) === right.slice(0, right.lastIndexOf('.'));
}

function storageFile(storage: string, server: string, name: string): string {
  const file = path.join(storage, server, name);
  mkdirSync(path.dirname(file), { recursive: true });
  return file;
}
