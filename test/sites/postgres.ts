// `npm run drill -- sites --postgres`: PostgreSQL on a volume of the source, under pgbench and a ledger. In each round, under a fault, PostgreSQL
// starts at the target on a clone of the newest moment. Invariant: every row that was acknowledged before the source made the moment must be
// there, and no page may be damaged. Both servers and the ledger have one clock, because they are on one machine.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from '../postgres-mirror/database.ts';
import { Ledger } from '../postgres-mirror/ledger.ts';
import { DeviceHost } from '../support/devices/devices.ts';
import type { Scene } from '../support/drills/scene.ts';
import { chaosProxies } from '../support/faults/chaos-proxy.ts';
import { type ClientConfigOptions, clientConfig } from '../support/hosts/configs.ts';
import type { Hosts, TestNetwork } from '../support/hosts/hosts.ts';
import { type FaultStage, SITE_FAULTS } from './faults.ts';
import { CLIENT, FAR_CLIENT, Sites } from './site.ts';

const [VOLUME, CLONE] = ['pg', 'pg-drill'] as const;
const DISK_BYTES = 24 * 1024 ** 3;
const UP_MS = 30_000;

export class PostgresRounds {
  readonly stage: FaultStage;
  private readonly database: Database;
  private readonly ledger: Ledger;
  private readonly far: DeviceHost;
  private readonly scene: Scene;

  private constructor(stage: FaultStage, database: Database, ledger: Ledger, far: DeviceHost, scene: Scene) {
    [this.stage, this.database, this.ledger, this.far, this.scene] = [stage, database, ledger, far, scene];
  }

  static async begin(scene: Scene): Promise<PostgresRounds> {
    const { hosts, random } = scene;
    const [source, target] = [hosts.host(), hosts.host()];
    const [network, ownNetwork] = [await hosts.network(2), await hosts.network(1)];
    const { proxies, serverAddresses } = await chaosProxies(hosts, network);
    const parts = { source, target, network, ownNetwork, peerAddresses: serverAddresses, diskBytes: DISK_BYTES, tls: false };
    const sites = await Sites.start(hosts, parts);
    await sites.create([VOLUME], '1g');
    const near = await client(hosts, network, { node: CLIENT });
    await near.host.rsconfigWell('-a', VOLUME);
    const far = await client(hosts, ownNetwork, { node: FAR_CLIENT });
    const ledger = new Ledger();
    const database = new Database({ name: CLIENT, devices: near, device: device(near, VOLUME) }, ledger);
    await database.make();
    database.startLoad();
    await sites.replicate('--every', '2s', '--keep', '60');
    await sites.newerMoment(Date.now());
    return new PostgresRounds({ sites, proxies, random }, database, ledger, far, scene);
  }

  async round(): Promise<void> {
    const { stage, ledger, far } = this;
    const { sites, random } = stage;
    const fault = random.pick(SITE_FAULTS);
    const faulted = fault.run(stage);
    await sleep(random.int(0, 2_000));
    if (fault.isAtTarget) await faulted;
    const clones = await sites.drill();
    if (typeof clones === 'string') throw new Error(`The drill failed: ${clones}`);
    await faulted;
    const wanted = ledger.before(await sites.madeMs(clones.group));
    const problems = await sites.compare(clones.group);
    if (problems.length > 0) throw new Error(`${problems[0]} (${fault.name})`);
    problems.push(...this.database.failures);
    await sites.target.rsadmWell('volume', 'allow', CLONE, FAR_CLIENT);
    await far.host.rsconfigWell('-a', CLONE);
    const database = new Database({ name: FAR_CLIENT, devices: far, device: device(far, CLONE) }, ledger);
    await database.open();
    problems.push(...(await database.compareLedger(wanted)), ...(await database.readAll()), ...(await database.amcheck()));
    const transactions = await database.transactions();
    problems.push(...(await database.complaints()), ...(await database.close()));
    await far.host.rsconfigWell('-d', CLONE);
    await sites.removeClones();
    const all = `${wanted.size} rows acknowledged before the moment, ${transactions} transactions of pgbench`;
    this.scene.say(
      `round ${String(this.scene.rounds).padEnd(4)} ${fault.name.padEnd(28)} ${all}: ${problems.length === 0 ? 'all there, no damage' : 'PROBLEMS'}`,
    );
    this.scene.problem(...problems);
    await sites.newerMoment(Date.now());
  }

  async end(): Promise<void> {
    const problems = [...(await this.database.stopLoad()), ...(await this.database.close()), ...(await this.stage.sites.findings())];
    this.scene.problem(...problems);
    this.scene.say(`${this.ledger.commits} rows acknowledged`);
  }
}

async function client(hosts: Hosts, network: TestNetwork, options: ClientConfigOptions): Promise<DeviceHost> {
  const devices = new DeviceHost(hosts);
  await devices.ready;
  const { serverAddresses } = network;
  devices.host.writeConfig(
    'rsiod',
    clientConfig(network, { ...options, serverAddresses, defaults: { device: 'block', stall: 'forever' } }),
  );
  await devices.host.start('rsiod');
  await devices.host.pathsUp(serverAddresses.length, UP_MS);
  return devices;
}

function device({ host }: DeviceHost, volume: string): string {
  return path.join(host.root, 'dev/av0', volume);
}
