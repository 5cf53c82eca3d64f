// `npm run drill -- impact`: random volumes and mirrors on four servers. Asks `rsconfig impact` what stops if some of the servers are switched
// off, kills them, and compares it with what has stopped (G55). In some rounds, a server is away before, so that replicas lack writes.
// Invariant: a volume counts as stopped only if a write to it was not done in PROBE_MS.

import { setTimeout as pause } from 'node:timers/promises';
import { defineDrill } from '../support/drills/harness.ts';
import { count, seed } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const NAMES = ['big-9', 'big-8', 'big-7', 'big-6'];
const FIRST_ADDRESS = 10;
const PROBE_MS = 20_000;
const BACK_MS = 120_000;
const REMOVE_MS = 60_000;
const GONE_MS = 10_000;
const BLOCK = Buffer.alloc(4_096, 'x');

interface Said {
  readonly effect: string;
  readonly kind: string;
  readonly name: string;
  readonly why: string;
}

class ImpactLab {
  private readonly on: Scene;
  private readonly servers = new Map<string, Host>();
  private client!: Host;
  private compared = 0;
  private stopped = 0;

  constructor(on: Scene) {
    this.on = on;
  }

  async play(rounds: number): Promise<void> {
    const { on } = this;
    const network = await on.hosts.network(1);
    const addresses = NAMES.map((_, index) => network.subnets[0]!.address(FIRST_ADDRESS + index));
    for (const [index, name] of NAMES.entries()) {
      const host = on.hosts.host();
      this.servers.set(name, host);
      await startServer(
        host,
        { ...network, serverAddresses: [addresses[index]!] },
        {
          name,
          server: { serverid: String(index + 1), processes: '1' },
          volumes: {},
          pools: { fast: { path: await emptyPool(host) } },
          rights: { 'big-2': 'admin' },
        },
      );
    }
    this.client = on.hosts.host();
    this.client.writeConfig('rsiod', clientConfig(network, { serverAddresses: addresses, defaults: { stall: 'forever' } }));
    await this.client.start('rsiod');
    await this.client.pathsUp(NAMES.length);
    for (let round = 1; round <= rounds && !on.isEnding; round++) {
      on.rounds += 1;
      await this.round(`r${round}`);
    }
    on.say(`${this.compared} volumes and mirrors were compared, of which ${this.stopped} had stopped`);
  }

  private pick(count_: number, from: readonly string[] = NAMES): string[] {
    const left = [...from];
    return Array.from({ length: count_ }, () => left.splice(this.on.random.int(0, left.length - 1), 1)[0]!);
  }

  private async round(prefix: string): Promise<void> {
    const { on, client } = this;
    const { random } = on;
    const labels = new Map<string, NbdIo>();
    const mirrors: string[] = [];
    for (let index = 0; index < 2 + random.int(0, 2); index++) {
      const name = `${prefix}-${index}`;
      if (random.int(0, 2) === 0)
        await client.rsconfigWell('volume', 'create', name, '--size', '1m', '--server', this.pick(1)[0]!, '--attach');
      else {
        const [first, ...others] = this.pick(3);
        const kind = random.int(0, 2);
        const replicas = [first, ...(kind === 2 ? others : others.slice(0, 1))].join(',');
        const witness = kind === 1 ? ['--witness', others[1]!] : [];
        await client.rsconfigWell('mirror', 'create', name, '--size', '1m', '--servers', replicas, ...witness, '--attach');
        mirrors.push(name);
      }
      labels.set(name, await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${name}`, PROBE_MS));
    }
    const before = random.int(0, 2) === 0 ? this.pick(1) : [];
    await this.kill(before);
    const usable = before.length === 0 ? [...labels] : await this.written(labels);
    const off = this.pick(
      1 + random.int(0, 1),
      NAMES.filter((one) => !before.includes(one)),
    );
    // The state of a mirror is known to its voters when its holder has told them.
    if (before.length > 0) await pause(1_000);
    const { impacts } = JSON.parse((await client.rsconfig('impact', '--off', off.join(','), '--json')).stdout) as { impacts: Said[] };
    await this.kill(off);
    const probed = await this.written(new Map(usable));
    const went = new Set(probed.map(([name]) => name));
    for (const [name] of usable) {
      const said = impacts.find((one) => one.name === `osl:${name}@0`);
      this.compared += 1;
      if (!went.has(name)) this.stopped += 1;
      if (said?.effect !== 'unknown' && (said?.effect === 'stops') === !went.has(name)) continue;
      const what = said === undefined ? 'stays' : `${said.effect}: ${said.why}`;
      on.problem(
        `${name} ${went.has(name) ? 'went on' : 'has stopped'}, and impact had said "${what}"; away before: ${before.join() || '-'}, off: ${off.join()}`,
      );
    }
    for (const io of labels.values()) io.close();
    for (const name of [...before, ...off]) await this.servers.get(name)!.start('rssrv');
    await client.pathsUp(NAMES.length, BACK_MS);
    await waitFor(async () => (await this.removed([...labels.keys()], mirrors)) === '', REMOVE_MS, 'The volumes of the round are removed');
  }

  /** Ends all processes of these servers, as a power cut does. */
  private async kill(names: readonly string[]): Promise<void> {
    const hosts = names.map((name) => this.servers.get(name)!);
    for (const host of hosts) for (const pid of host.processes()) process.kill(pid, 'SIGKILL');
    await waitFor(() => hosts.every((host) => host.processes().length === 0), GONE_MS, 'The processes of the servers are gone');
  }

  /** Writes to all volumes at once. Returns those that were written. */
  private async written(labels: ReadonlyMap<string, NbdIo>): Promise<[string, NbdIo][]> {
    const tried = [...labels].map(async ([name, io]): Promise<[string, NbdIo][]> => {
      try {
        await io.write(0, BLOCK);
        await io.flush();
        return [[name, io]];
      } catch {
        return [];
      }
    });
    return (await Promise.all(tried)).flat();
  }

  /** Removes what is left. Returns why something is left. */
  private async removed(names: readonly string[], mirrors: readonly string[]): Promise<string> {
    const { client } = this;
    const { attachments } = await client.call('local', {});
    const attached = attachments.map(({ name }) => name).filter((name) => names.includes(name));
    if (attached.length > 0) {
      const { code, stderr } = await client.rsconfig('-d', ...attached, '--wait=10s');
      if (code !== 0) return stderr;
    }
    const listed = (
      JSON.parse(await client.rsconfigWell('volume', 'list', '--json')) as {
        servers: { server: string; volumes: { name: string; mirror: string | null }[] }[];
      }
    ).servers;
    for (const name of mirrors) {
      if (!listed.some(({ volumes }) => volumes.some((one) => one.name === name && one.mirror !== null))) continue;
      const { code, stderr } = await client.rsconfig('mirror', 'remove', name, '--volumes');
      if (code !== 0) return stderr;
    }
    for (const { server, volumes } of listed)
      for (const { name, mirror } of volumes) {
        if (mirror !== null) continue;
        const { code, stderr } = await client.rsconfig('volume', 'remove', name, '--yes', '--server', server);
        if (code !== 0) return stderr;
      }
    return '';
  }
}

export const drill = defineDrill({
  about: `Starts four servers and a client. In each round, random volumes and mirrors are made and attached, rsconfig impact says what stops if one
    or two servers are switched off, these servers are killed, and a write to each volume shows what has stopped.`,
  needs: [],
  options: { rounds: count(20, 'number of rounds'), seed: seed() },
  play: (on: Scene, { rounds }) => new ImpactLab(on).play(rounds),
});
