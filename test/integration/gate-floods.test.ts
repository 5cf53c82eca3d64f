// A real rsiod under floods of logins, and with a host that uses all that it may use and reads no answers: the other hosts continue to
// write and read, a new host gets in at its first attempt, and neither connections nor memory grow without a bound. Rules: G47.

import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { GATE_HOST_LOGINS_MAX, GATE_SESSION_COMMANDS, GATE_UNPROVEN_EACH_MAX } from '@rsio/gates/limits';
import { HOST } from '@rsio/gates/iscsi/testing/iscsi-host';
import { SocketInitiator } from '@rsio/gates/iscsi/testing/socket-initiator';
import { iscsiFloods, LoginFlood, NVME_FLOODS } from '@rsio/gates/testing/login-flood';
import { SocketHost } from '@rsio/gates/testing/socket-host';
import { clientConfig, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 60_000;
const BLOCK = 4096;
const [FLOOD, COUNT, ROUNDS] = ['127.0.0.7', 100, 2];
const GREEDY = 'iqn.2026-01.org.example:greedy';
const READ_BYTES = 256 * 1024;
/** Permitted growth of rsiod's memory: data and answers of a greedy host, pooled memory, and memory that Node has not freed. */
const GROWTH_MAX_KIB = 300 * 1024;

const hosts = useHosts('file');
let client: Host;
const ports = { iscsi: 0, nvme: 0 };
let secret: string;
let greedySecret: string;

beforeAll(async () => {
  const network = await hosts.network(1);
  client = hosts.host();
  const server = hosts.host();
  const volumes = { oracle: { path: server.file('oracle.img'), size: '16m' } };
  await startServer(server, network, { volumes });
  client.writeConfig('rsiod', clientConfig(network, { defaults: { attach: 'all' } }));
  await client.start('rsiod');
  for (const name of ['iscsi', 'nvme'] as const) ports[name] = await freePort('127.0.0.1');
  const lines = [];
  for (const name of [HOST, GREEDY]) lines.push((await client.rsconfigWell('gate', 'secret', name)).trim());
  const file = client.file('secrets');
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
  [, secret = ''] = lines[0]!.split(' ');
  greedySecret = lines[1]!.split(' ')[1] ?? '';
  await client.rsconfigWell('gate', 'add', 'plain', `127.0.0.1:${ports.nvme}`, '--hosts', 'all', '--offers', 'oracle');
  await client.rsconfigWell(
    'gate',
    'add',
    'hv',
    `127.0.0.1:${ports.iscsi}`,
    '--hosts',
    'all',
    '--offers',
    'oracle',
    '--iscsi',
    '--secrets',
    file,
    '--reload',
  );
  const areOpen = async (): Promise<boolean> => {
    const found = (await client.call('gates', {})).gates;
    return found.length === 2 && found.every(({ listening, volumes: shown }) => listening.length === 1 && shown.length === 1);
  };
  await waitFor(areOpen, WAIT_MS, 'The gates listen');
});

async function gate(name: 'hv' | 'plain') {
  return (await client.call('gates', {})).gates.find((one) => one.name === name)!;
}

/** One attempt to log in. */
async function login(host = HOST, isid = '400001370000'): Promise<SocketInitiator> {
  const { nqn, volumes } = await gate('hv');
  const names = { target: nqn, lun: volumes[0]!.nsid, host, isid, secret: host === HOST ? secret : greedySecret };
  const made = await SocketInitiator.login(ports.iscsi, names);
  hosts.onClean(() => made.close());
  return made;
}

async function residentKib(): Promise<number> {
  const { pid } = await client.call('daemon', {});
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Writes a block and reads it back, again and again, until `end`. */
class Load {
  rounds = 0;
  private isOver = false;
  private readonly ended: Promise<void>;

  constructor(host: SocketInitiator, at: number) {
    this.ended = this.run(host, at);
    this.ended.catch(() => undefined);
  }

  async goesOn(what: string): Promise<void> {
    const until = this.rounds + 5;
    await waitFor(() => this.rounds >= until || this.isOver, WAIT_MS, what);
    expect(this.isOver).toBe(false);
  }

  async end(): Promise<void> {
    this.isOver = true;
    await this.ended;
  }

  private async run(host: SocketInitiator, at: number): Promise<void> {
    try {
      for (; !this.isOver; this.rounds++) {
        const data = Buffer.alloc(BLOCK, (this.rounds % 250) + 1);
        expect(await host.writeBlock(8 * at, data)).toMatchObject({ status: 0 });
        expect((await host.readBlock(8 * at, BLOCK)).equals(data)).toBe(true);
      }
    } finally {
      this.isOver = true;
    }
  }
}

it('floods of logins of all kinds stop neither hosts that have logged in nor new ones', async () => {
  const load = new Load(await login(), 1);
  const { nqn } = await gate('plain');
  const known = await SocketHost.both(ports.nvme, { nqn });
  hosts.onClean(() => [known.admin, known.io].forEach((one) => one.close()));
  const before = await residentKib();
  const scripts = [...Object.values(iscsiFloods((await gate('hv')).nqn)).map((one) => [ports.iscsi, one] as const)];
  const floods = [...scripts, ...Object.values(NVME_FLOODS).map((one) => [ports.nvme, one] as const)].map(
    ([port, script]) => new LoginFlood(port, FLOOD, script),
  );
  for (const flood of floods) hosts.onClean(() => flood.close());
  for (let round = 0; round < ROUNDS; round++) {
    for (const flood of floods) {
      await flood.grow(COUNT / ROUNDS);
      const isBounded = async (): Promise<boolean> => {
        const open = (await gate('hv')).figures.connections + (await gate('plain')).figures.connections;
        return open <= 8 + GATE_UNPROVEN_EACH_MAX;
      };
      await waitFor(isBounded, WAIT_MS, 'The number of connections is within its bound');
    }
    await load.goesOn(`An initiator goes on in round ${round}`);
    expect(await known.io.writeBlock(5, 64, Buffer.alloc(512, round))).toBe(0);
    const later = await login(HOST, `40000137000${round + 1}`);
    expect((await later.readBlock(64, 512)).equals(Buffer.alloc(512, round))).toBe(true);
    later.close();
    const other = await SocketHost.both(ports.nvme, { nqn });
    expect(await other.io.writeBlock(5, 80, Buffer.alloc(512, round))).toBe(0);
    for (const one of [other.admin, other.io]) one.close();
  }
  expect((await residentKib()) - before).toBeLessThan(GROWTH_MAX_KIB);
  for (const flood of floods) flood.close();
  await load.end();
  for (const one of [known.admin, known.io]) one.close();
});

it('a host that takes all that it may and reads nothing disturbs no other one', async () => {
  const load = new Load(await login(), 1);
  const before = await residentKib();
  const greedy: SocketInitiator[] = [];
  for (let at = 0; at < GATE_HOST_LOGINS_MAX; at++) greedy.push(await login(GREEDY, `4000013700${at.toString(16).padStart(2, '0')}`));
  await expect(login(GREEDY, '4000013700ff')).rejects.toThrow('Login: 0x302');
  for (const host of greedy) {
    await host.run([0, 0, 0, 0, 0, 0]);
    host.stopReading();
    for (let at = 0; at < GATE_SESSION_COMMANDS / 2; at++) {
      host.write(host.readCommand(1024, READ_BYTES));
      host.write(host.writeCommand(1024, Buffer.alloc(READ_BYTES / 4, 'g')));
    }
  }
  await waitFor(async () => (await gate('hv')).figures.waiting > GATE_SESSION_COMMANDS, WAIT_MS, 'Commands of the greedy host wait');
  for (let round = 0; round < ROUNDS; round++) {
    await load.goesOn('An initiator goes on beside the greedy one');
    const later = await login(HOST, `40000137000${round + 1}`);
    const all = Buffer.alloc(64 * 1024, round + 1);
    expect(await later.writeBlock(2048, all)).toMatchObject({ status: 0 });
    expect((await later.readBlock(2048, all.length)).equals(all)).toBe(true);
    later.close();
  }
  expect((await residentKib()) - before).toBeLessThan(GROWTH_MAX_KIB);
  for (const host of greedy) host.close();
  await waitFor(async () => (await gate('hv')).figures.waiting === 0, WAIT_MS, 'Nothing waits any more');
  await load.end();
});
