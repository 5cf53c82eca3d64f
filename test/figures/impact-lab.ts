// `npm run drill -- impact`: random volumes, mirrors and gates on four servers. Asks `rsconfig impact` what stops if some of the servers are switched
// off, kills them, and compares it with what has stopped (G55). In some rounds, a server is away before, so that replicas lack writes.
// Invariant: a volume or gate counts as stopped only if a write to it was not done in PROBE_MS.

import { setTimeout as pause } from 'node:timers/promises';
import { SocketInitiator } from '@rsio/gates/iscsi/testing/socket-initiator';
import { defineDrill } from '../support/drills/harness.ts';
import { count, seed } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const NAMES = ['big-9', 'big-8', 'big-7', 'big-6'];
const FIRST_ADDRESS = 10;
const PROBE_MS = 20_000;
const BACK_MS = 120_000;
const REMOVE_MS = 60_000;
const GONE_MS = 10_000;
const GATE_MS = 60_000;
const BLOCK = Buffer.alloc(4_096, 'x');

/** What can be written to: a volume or mirror by NBD, or one behind a gate by iSCSI. */
interface Probe {
  readonly kind: 'volume' | 'gate';
  /** As impact names it. */
  readonly label: string;
  write(): Promise<void>;
  close(): void;
}

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
  private readonly ports = new Map<string, number>();
  private compared = 0;
  private gates = 0;
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
    on.say(`${this.compared} volumes, mirrors and gates (${this.gates}) were compared, of which ${this.stopped} had stopped`);
  }

  private pick(count_: number, from: readonly string[] = NAMES): string[] {
    const left = [...from];
    return Array.from({ length: count_ }, () => left.splice(this.on.random.int(0, left.length - 1), 1)[0]!);
  }

  private async round(prefix: string): Promise<void> {
    const { on, client } = this;
    const { random } = on;
    const probes: Probe[] = [];
    const [names, mirrors]: [string[], string[]] = [[], []];
    const gates = random.int(0, 1) === 0 ? [`${prefix}-0`] : [];
    for (const name of gates) await this.addGate(name);
    for (let index = 0; index < 2 + random.int(0, 2); index++) {
      const name = `${prefix}-${index}`;
      names.push(name);
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
      probes.push(gates.includes(name) ? await this.gateProbe(name) : await this.volumeProbe(name));
    }
    const before = random.int(0, 2) === 0 ? this.pick(1) : [];
    await this.kill(before);
    const usable = before.length === 0 ? probes : await written(probes);
    const off = this.pick(
      1 + random.int(0, 1),
      NAMES.filter((one) => !before.includes(one)),
    );
    // The state of a mirror is known to its voters when its holder has told them.
    if (before.length > 0) await pause(1_000);
    const { impacts } = JSON.parse((await client.rsconfig('impact', '--off', off.join(','), '--json')).stdout) as { impacts: Said[] };
    await this.kill(off);
    const went = new Set(await written(usable));
    for (const probe of usable) {
      const said = impacts.find((one) => one.name === probe.label && (one.kind === 'gate') === (probe.kind === 'gate'));
      this.compared += 1;
      if (probe.kind === 'gate') this.gates += 1;
      if (!went.has(probe)) this.stopped += 1;
      if (said?.effect !== 'unknown' && (said?.effect === 'stops') === !went.has(probe)) continue;
      const what = said === undefined ? 'stays' : `${said.effect}: ${said.why}`;
      on.problem(
        `${probe.kind} ${probe.label} ${went.has(probe) ? 'went on' : 'has stopped'}, and impact had said "${what}"; away before: ${before.join() || '-'}, off: ${off.join()}`,
      );
    }
    for (const probe of probes) probe.close();
    for (const name of [...before, ...off]) await this.servers.get(name)!.start('rssrv');
    await client.pathsUp(NAMES.length, BACK_MS);
    for (const name of gates) await client.rsconfigWell('gate', 'remove', name, '--reload');
    await waitFor(async () => (await this.removed(names, mirrors)) === '', REMOVE_MS, 'The volumes of the round are removed');
  }

  /** Adds a gate for a volume of the same name, which has no device then. */
  private async addGate(name: string): Promise<void> {
    const port = await freePort('127.0.0.1');
    this.ports.set(name, port);
    await this.client.rsconfigWell('gate', 'add', name, `127.0.0.1:${port}`, '--hosts', 'all', '--iscsi', '--offers', name, '--reload');
  }

  private async volumeProbe(name: string): Promise<Probe> {
    const io = await NbdIo.open(this.client.rsiodPaths.nbdSocket, `osl/${name}`, PROBE_MS);
    const write = async (): Promise<void> => {
      await io.write(0, BLOCK);
      await io.flush();
    };
    return { kind: 'volume', label: `osl:${name}@0`, write, close: () => io.close() };
  }

  private async gateProbe(name: string): Promise<Probe> {
    const lun = async (): Promise<{ nqn: string; nsid: number } | null> => {
      const { gates } = await this.client.call('gates', {});
      const gate = gates.find((one) => one.name === name);
      const nsid = gate?.volumes[0]?.nsid ?? 0;
      return gate === undefined || gate.listening.length === 0 || nsid === 0 ? null : { nqn: gate.nqn, nsid };
    };
    const { nqn, nsid } = await waitFor(lun, GATE_MS, `Gate ${name} has its volume`);
    const login = () => SocketInitiator.login(this.ports.get(name)!, { target: nqn, lun: nsid, isid: '400001370000' }).catch(() => null);
    const host = await waitFor(login, GATE_MS, `A host logs in at gate ${name}`);
    const write = async (): Promise<void> => {
      const late = pause(PROBE_MS).then(() => Promise.reject(new Error('late')));
      const { status } = await Promise.race([host.writeBlock(0, BLOCK), late]);
      if (status !== 0) throw new Error(`Status ${status}`);
    };
    return { kind: 'gate', label: name, write, close: () => host.close() };
  }

  /** Ends all processes of these servers, as a power cut does. */
  private async kill(names: readonly string[]): Promise<void> {
    const hosts = names.map((name) => this.servers.get(name)!);
    for (const host of hosts) for (const pid of host.processes()) process.kill(pid, 'SIGKILL');
    await waitFor(() => hosts.every((host) => host.processes().length === 0), GONE_MS, 'The processes of the servers are gone');
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

/** Writes to all at once. Returns those that were written to. */
async function written(probes: readonly Probe[]): Promise<Probe[]> {
  const tried = probes.map(async (probe): Promise<Probe[]> => {
    try {
      await probe.write();
      return [probe];
    } catch {
      return [];
    }
  });
  return (await Promise.all(tried)).flat();
}

export const drill = defineDrill({
  about: `Starts four servers and a client. In each round, random volumes and mirrors are made and
    attached, some for a host of an iSCSI gate, rsconfig impact says what stops if one
    or two servers are switched off, these servers are killed, and a write to each volume shows what has stopped.`,
  needs: [],
  options: { rounds: count(20, 'number of rounds'), seed: seed() },
  play: (on: Scene, { rounds }) => new ImpactLab(on).play(rounds),
});
