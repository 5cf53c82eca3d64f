// Changes to a running data centre, one after the other, chosen by a seed: servers are restarted and killed, volumes are added, grown and
// removed, clients and interfaces are added and removed, and wrong files are loaded. After each change, the commands of one client must
// print the state that the description of the site predicts. The caller runs and judges the I/O. Invariant: the same seed makes the same
// changes.

import { strictEqual } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { formatQuery, formatStatus } from '@rsio/rsconfig/output/format';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import type { DataCentre } from './data-centre.ts';
import { expectedQuery, expectedStatus, sizeBytes } from './expected.ts';
import { clientFile, type SiteClient, type SiteInterface, type SiteServer, type SiteVolume, serverFile } from './site.ts';

/** Clients find a restarted server again within this time, even on a busy machine. */
const SETTLED_MS = 30_000;
const MIB = 2 ** 20;
/** First host number, in each subnet, for server interfaces that a change adds. */
const SPARE_SERVER_HOST = 100;
const SPARE_CLIENT_HOST = 120;
const BAD_SERVER_EDITS: readonly (readonly [string, string])[] = [
  ['namespaceid = ', 'namespaceid = 7000'],
  ['protocol = tcp', 'protocol = carrier-pigeon'],
  ['[clients]\n', '[clients]\nnobody\n'],
  ['address = 127.', 'address = 192.0.2.'],
  ['serverid = ', 'serverid = 9'],
];
const BAD_CLIENT_EDITS: readonly (readonly [string, string])[] = [
  ['device = nbd-socket', 'device = tape'],
  ['nodename = ', 'nodename = no such name '],
  ['[interface if0]', '[interface if0'],
  ['namespaceid = ', 'namespaceid = 7000'],
];

type Change = (turmoil: Turmoil) => Promise<string>;

/** All changes by name. A run makes each change several times. */
const CHANGES: Readonly<Record<string, Change>> = {
  'server restarted': (turmoil) => turmoil.restart(),
  'server killed': (turmoil) => turmoil.kill(),
  'volume added': (turmoil) => turmoil.addVolume(),
  'volume removed': (turmoil) => turmoil.removeVolume(),
  'volume grown': (turmoil) => turmoil.growVolume(),
  'node added or removed': (turmoil) => turmoil.toggleNode(),
  'interface of a server added or removed': (turmoil) => turmoil.toggleServerInterface(),
  'wrong file of a server': (turmoil) => turmoil.wrongServerFile(),
  'interface of a client added or removed': (turmoil) => turmoil.toggleClientInterface(),
  'section added or removed': (turmoil) => turmoil.toggleSection(),
  'namespace added or removed': (turmoil) => turmoil.toggleNamespace(),
  'times changed': (turmoil) => turmoil.changeTimes(),
  'wrong file of a client': (turmoil) => turmoil.wrongClientFile(),
};

export class Turmoil {
  readonly seed: number;
  private readonly centre: DataCentre;
  private readonly random: SeededRandom;
  private readonly say: (line: string) => void;
  private readonly added: { readonly server: SiteServer; readonly volume: SiteVolume }[] = [];
  private readonly seconds: ReadonlyMap<SiteServer, SiteInterface>;
  private made = 0;
  private toggles = 0;

  /** `say` is called with every change before it is made. */
  constructor(centre: DataCentre, seed: number, say: (line: string) => void) {
    this.centre = centre;
    this.seed = seed;
    this.random = new SeededRandom(seed);
    this.say = say;
    this.seconds = new Map(centre.servers.map((server) => [server, server.interfaces[1]!]));
  }

  /** Makes `count` changes. If a change fails, throws an error that names the fault, the change and the seed. */
  async run(count: number): Promise<void> {
    const names = Object.keys(CHANGES);
    const order: string[] = [];
    while (order.length < count) {
      const round = names.map((name) => ({ name, at: this.random.unit() })).toSorted((left, right) => left.at - right.at);
      order.push(...round.map(({ name }) => name));
    }
    for (const [index, name] of order.slice(0, count).entries()) {
      this.made = index + 1;
      try {
        const what = await CHANGES[name]!(this);
        this.say(`${this.made}. ${name}: ${what}`);
        await this.settled(this.centre.clients[index % this.centre.clients.length]!);
      } catch (error) {
        throw new Error(`Change ${this.made} of seed ${this.seed} (${name})`, { cause: error });
      }
    }
    for (const client of this.centre.clients) await this.settled(client);
  }

  async restart(): Promise<string> {
    const server = this.pickServer();
    await this.centre.restart(server);
    return server.name;
  }

  async kill(): Promise<string> {
    const server = this.pickServer();
    const waits = this.random.chance(0.5);
    await this.centre.killAndStart(server, waits);
    return `${server.name}, started ${waits ? 'when its processes had ended' : 'at once'}`;
  }

  /** Adds a volume. A client attaches the volume and detaches it again. */
  async addVolume(): Promise<string> {
    const server = this.pickServer();
    const name = `extra${this.made}`;
    const kind = this.random.pick(['file', 'memory'] as const);
    const storage = kind === 'file' ? { path: this.centre.file(server, `${name}.img`) } : { type: 'memory' };
    const volume: SiteVolume = { name, keys: { ...storage, size: '2m', id: randomUUID() } };
    server.volumes.push(volume);
    this.added.push({ server, volume });
    await this.applied(server);
    const client = this.random.pick(
      this.centre.clients.filter(({ logins }) => logins.some(({ namespace }) => namespace === server.namespace)),
    );
    const host = this.centre.host(client);
    await this.settled(client);
    await host.rsconfigWell('-a', `${server.namespace.name}:${name}`);
    const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, `${server.namespace.name}/${name}`);
    await nbd.verify(0, 64 * 1024).finally(() => nbd.close());
    await waitFor(
      async () => (await host.rsconfig('-d', `${server.namespace.name}:${name}`)).code === 0,
      SETTLED_MS,
      `${name} is detached`,
    );
    return `${name} of ${server.name}, used by ${client.name}`;
  }

  async removeVolume(): Promise<string> {
    if (this.added.length === 0) return this.addVolume();
    const index = this.random.int(0, this.added.length - 1);
    const [{ server, volume }] = this.added.splice(index, 1) as [Turmoil['added'][number]];
    server.volumes.splice(server.volumes.indexOf(volume), 1);
    await this.applied(server);
    return `${volume.name} of ${server.name}`;
  }

  /** Grows a volume that has I/O. */
  async growVolume(): Promise<string> {
    const { big9, mini1 } = this.centre.site.servers;
    const [server, name] = this.random.pick([
      [big9, 'oracle'],
      [big9, 'pool'],
      [mini1, 'oracle'],
    ] as const);
    const index = server.volumes.findIndex((volume) => volume.name === name);
    const volume = server.volumes[index]!;
    const size = `${sizeBytes(volume.keys['size'] ?? '') / MIB + 1}m`;
    server.volumes[index] = { ...volume, keys: { ...volume.keys, size } };
    await this.applied(server);
    return `${name} of ${server.name} to ${size}`;
  }

  async toggleNode(): Promise<string> {
    const server = this.pickServer();
    const isThere = server.clients.includes('mars');
    server.clients = isThere ? server.clients.filter((node) => node !== 'mars') : [...server.clients, 'mars'];
    await this.applied(server);
    return `mars at ${server.name} ${isThere ? 'removed' : 'added'}`;
  }

  async toggleServerInterface(): Promise<string> {
    const server = this.pickServer();
    const host = SPARE_SERVER_HOST + this.centre.servers.indexOf(server);
    const spare = { name: 'if3', address: this.centre.address(0, host) };
    const toggled = this.toggles++ % 2 === 0 ? this.secondOf(server) : spare;
    const isThere = server.interfaces.some(({ name }) => name === toggled.name);
    server.interfaces = isThere ? server.interfaces.filter(({ name }) => name !== toggled.name) : [...server.interfaces, toggled];
    await this.applied(server);
    return `${toggled.name} of ${server.name} ${isThere ? 'removed' : 'added'}`;
  }

  async wrongServerFile(): Promise<string> {
    const server = this.pickServer();
    const [from, to] = this.random.pick(BAD_SERVER_EDITS);
    const said = await this.centre.reloadServer(server, broken(serverFile(server), from, to));
    if (!said.includes('Reload refused')) throw new Error(`${server.name} took a wrong file (${to}): ${said}`);
    // The server accepts the corrected file.
    await this.applied(server);
    return `${to.trim()} at ${server.name}`;
  }

  async toggleClientInterface(): Promise<string> {
    const client = this.random.pick(this.centre.clients);
    const isThere = client.interfaces.length > 2;
    const spare = { name: 'if2', address: this.centre.address(1, SPARE_CLIENT_HOST + this.centre.clients.indexOf(client)) };
    client.interfaces = isThere ? client.interfaces.slice(0, 2) : [...client.interfaces, spare];
    await this.appliedAt(client);
    return `if2 of ${client.name} ${isThere ? 'removed' : 'added'}`;
  }

  /**
   * Adds or removes the section for the second interface of a server. Without the section, rsiod learns of the interface from the server.
   */
  async toggleSection(): Promise<string> {
    const client = this.random.pick(this.centre.clients);
    const login = client.logins[0]!;
    const server = this.random.pick([...new Set(login.sections.map((section) => section.server))]);
    const own = login.sections.filter((section) => section.server === server);
    const first = own[0]!;
    const second = { name: `${server.name}-2`, server, address: this.secondOf(server).address };
    const isThere = own.length > 1;
    login.sections = login.sections.flatMap((section) => {
      if (section.server !== server) return [section];
      if (section !== first) return [];
      return isThere ? [first] : [first, second];
    });
    await this.appliedAt(client);
    return `${second.name} of ${client.name} ${isThere ? 'removed' : 'added'}`;
  }

  /** Adds the namespace dev to the file of venus or removes it. venus has no volume of dev attached. */
  async toggleNamespace(): Promise<string> {
    const { venus } = this.centre.site.clients;
    const { mini1 } = this.centre.site.servers;
    const isThere = venus.logins.length > 1;
    const section = { name: 'mini-1-1', server: mini1, address: mini1.interfaces[0]!.address };
    const login = { namespace: mini1.namespace, node: 'venus', keys: {}, sections: [section] };
    venus.logins = isThere ? venus.logins.slice(0, 1) : [...venus.logins, login];
    await this.appliedAt(venus);
    return `dev at venus ${isThere ? 'removed' : 'added'}`;
  }

  async changeTimes(): Promise<string> {
    const client = this.random.pick(this.centre.clients);
    const keys = { heartbeat: `${this.random.int(600, 1200)}ms`, stall: `${this.random.int(300, 900)}s` };
    client.logins[0]!.keys = keys;
    await this.appliedAt(client);
    return `heartbeat = ${keys.heartbeat}, stall = ${keys.stall} at ${client.name}`;
  }

  async wrongClientFile(): Promise<string> {
    const client = this.random.pick(this.centre.clients);
    const [from, to] = this.random.pick(BAD_CLIENT_EDITS);
    const said = await this.centre.reloadClient(client, broken(clientFile(client), from, to));
    if (!said.includes('The configuration is unchanged')) throw new Error(`${client.name} took a wrong file (${to}): ${said}`);
    await this.appliedAt(client);
    return `${to.trim()} at ${client.name}`;
  }

  /** The second interface of a server; if a change has removed this interface, its earlier description. */
  private secondOf(server: SiteServer): SiteInterface {
    return this.seconds.get(server)!;
  }

  private pickServer(): SiteServer {
    return this.random.pick(this.centre.servers);
  }

  private async applied(server: SiteServer): Promise<void> {
    const said = await this.centre.reloadServer(server);
    // Only lines about the reload count, because the log may also have a line about a client that the server refused for another reason.
    if (/^Reload refused|^Reload: .*\[E_/m.test(said)) throw new Error(`${server.name} did not take its file: ${said}`);
  }

  private async appliedAt(client: SiteClient): Promise<void> {
    const said = await this.centre.reloadClient(client);
    if (said.includes('stays as it was')) throw new Error(`${client.name} did not take its file: ${said}`);
  }

  private async settled(client: SiteClient): Promise<void> {
    const host = this.centre.host(client);
    const seen = { query: '', status: '' };
    const isRight = (): boolean => seen.query === expectedQuery(client, 1) && seen.status === expectedStatus(client);
    const isSo = async (): Promise<boolean> => {
      // Asks over the control socket until the state fits, and starts the command only then, because starting a command takes far more
      // time.
      seen.status = formatStatus(await host.call('status', {}), 0);
      seen.query = formatQuery((await host.call('query', { refresh: true })).namespaces, 1);
      if (!isRight()) return false;
      const [query, status] = await Promise.all([host.rsconfig('-qv'), host.rsconfig('-m', 'status')]);
      [seen.query, seen.status] = [query.stdout, status.stdout];
      return isRight();
    };
    await waitFor(isSo, SETTLED_MS, `The outputs of ${client.name}`).catch((error: unknown) => {
      strictEqual(seen.query, expectedQuery(client, 1), `rsconfig -qv of ${client.name}`);
      strictEqual(seen.status, expectedStatus(client), `rsconfig -m status of ${client.name}`);
      throw error;
    });
  }
}

function broken(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`The file has no ${from}`);
  return text.replace(from, to);
}
