// Machines with their own network cards for one test: each machine is a network namespace with a Host (a root and daemons), and Ethernet
// segments connect the machines. A segment is a bridge in its own namespace, and a cable is a veth pair. Machines, segments and cables are
// removed after the test, even after a failure. Usage: `const netlab = useNetlab()`, then `await netlab.need(context)`, `netlab.segment()`,
// `netlab.machine('client')`, `machine.plug(...)`.

import type { ChildProcess } from 'node:child_process';
import { afterAll, afterEach, type TestContext } from 'vitest';
import type { Host } from '../hosts/host.ts';
import { Hosts } from '../hosts/hosts.ts';
import { type RunResult, run, runWell, wellOf } from '../programs/programs.ts';
import { shaper } from './shaper.ts';
import { addNamespace, removeNamespace, startNamespaceReaper, whyNoNetlab } from './netns.ts';

/** One Ethernet segment: each of its cards receives the frames of all others. */
export interface Segment {
  readonly bridge: string;
}

export interface Counters {
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export class Machine {
  readonly host: Host;
  readonly namespace: string;
  private readonly switchName: string;

  constructor(host: Host, namespace: string, switchName: string) {
    this.host = host;
    this.namespace = namespace;
    this.switchName = switchName;
  }

  /** Adds a card, which is up and connected to the segment. `address`: address and prefix length, such as `192.168.45.10/24`. */
  async plug(segment: Segment, device: string, address: string): Promise<void> {
    const port = this.port(device);
    const cable = ['link', 'add', port, 'type', 'veth', 'peer', 'name', device, 'netns', this.namespace];
    await runWell('ip', ['-n', this.switchName, ...cable]);
    await runWell('ip', ['-n', this.switchName, 'link', 'set', port, 'master', segment.bridge, 'up']);
    await this.ip('link', 'set', device, 'up');
    await this.ip('address', 'add', address, 'broadcast', '+', 'dev', device);
  }

  /** Pulls a card's cable out at the switch, or puts it back: the card loses its carrier and keeps everything else. */
  async cable(device: string, state: 'in' | 'out'): Promise<void> {
    await runWell('ip', ['-n', this.switchName, 'link', 'set', this.port(device), state === 'in' ? 'up' : 'down']);
  }

  /** Makes the switch silently drop this many of every thousand frames of the card. 0: the switch drops no frames. */
  async lose(device: string, perMille: number): Promise<void> {
    const port = this.port(device);
    const table = `netdev ${port}`;
    const chance = perMille < 1000 ? `numgen random mod 1000 < ${perMille} ` : '';
    const chain = `chain lost { type filter hook ingress device "${port}" priority 0; ${chance}drop; }`;
    // nft fails if it removes a missing table. The text therefore adds the table, removes it, and then makes it with the new rules.
    const rules = `table ${table} {}; delete table ${table}; ${perMille === 0 ? '' : `table ${table} { ${chain}; }`}`;
    await runWell('ip', ['netns', 'exec', this.switchName, 'nft', rules]);
  }

  /** Drops the packets that other machines send to the card if `isOn`; otherwise lets them pass. `from`: addresses of the senders; empty: all. */
  async deafen(device: string, isOn: boolean, from: readonly string[] = []): Promise<void> {
    const which = from.length === 0 ? '' : `ip saddr { ${from.join(', ')} } `;
    const chain = `chain lost { type filter hook ingress device "${device}" priority 0; ${which}drop; }`;
    const table = `netdev deaf-${device}`;
    await this.shell(`nft '${`table ${table} {}; delete table ${table}; ${isOn ? `table ${table} { ${chain}; }` : ''}`}'`);
  }

  /** Limits the bits per second that this card sends. `tc` shapes only outgoing traffic, so a link is shaped at both its cards. */
  async shape(device: string, bitsPerSecond: number): Promise<void> {
    await runWell('tc', ['-n', this.namespace, 'qdisc', 'replace', 'dev', device, 'root', ...shaper(bitsPerSecond)]);
  }

  /** Makes this card send each frame separately, so that single frames can be lost. */
  async sendSingleFrames(device: string): Promise<void> {
    await this.ip('link', 'set', 'dev', device, 'gso_max_segs', '1');
  }

  /**
   * Sets the congestion control for new connections through this card, until the card loses its address or link. The congestion control is
   * set for the route and not for the namespace, because the default of a namespace must be an algorithm that the administrator of the
   * machine allows to all users.
   */
  async setCongestion(device: string, address: string, algorithm: string): Promise<void> {
    const subnet = `${address.slice(0, address.lastIndexOf('.'))}.0/24`;
    await this.ip('route', 'replace', subnet, 'dev', device, 'proto', 'kernel', 'scope', 'link', 'src', address, 'congctl', algorithm);
  }

  /** `ip ARGS` on this machine, which must succeed; returns its output. */
  ip(...args: readonly string[]): Promise<string> {
    return runWell('ip', ['-n', this.namespace, ...args]);
  }

  /** The prefix that runs a program on this machine. */
  get command(): readonly string[] {
    return ['ip', 'netns', 'exec', this.namespace];
  }

  /** Runs a program on this machine; any exit code is accepted. */
  run(program: string, ...args: readonly string[]): Promise<RunResult> {
    return run('ip', ['netns', 'exec', this.namespace, program, ...args]);
  }

  /** Runs lines of a shell on this machine, which must succeed as a whole. */
  async shell(script: string): Promise<string> {
    return wellOf(script, await this.run('sh', '-ec', script));
  }

  async counters(device: string): Promise<Counters> {
    const [link] = JSON.parse(await this.ip('-json', '-statistics', 'link', 'show', 'dev', device)) as {
      stats64: { rx: { bytes: number }; tx: { bytes: number } };
    }[];
    if (link === undefined) throw new Error(`No interface ${device}`);
    return { receivedBytes: link.stats64.rx.bytes, sentBytes: link.stats64.tx.bytes };
  }

  /**
   * Device name of the end of the card's cable at the switch. The name contains the number of the machine and not its name, because device
   * names have at most 15 bytes.
   */
  private port(device: string): string {
    return `p${this.namespace.split('-')[3]}-${device}`;
  }
}

export class Netlab {
  private readonly hosts = new Hosts();
  private readonly names: string[] = [];
  private reaper: ChildProcess | undefined;
  private switchName = '';
  private segments = 0;

  /** Skips the test if this machine cannot make a netlab. */
  async need(context: TestContext): Promise<void> {
    const reason = await whyNoNetlab();
    context.skip(reason !== null, reason ?? '');
  }

  async segment(): Promise<Segment> {
    const bridge = `br${this.segments++}`;
    const name = await this.switchNamespace();
    await runWell('ip', ['-n', name, 'link', 'add', bridge, 'type', 'bridge']);
    await runWell('ip', ['-n', name, 'link', 'set', bridge, 'up']);
    return { bridge };
  }

  async machine(label: string): Promise<Machine> {
    const switchName = await this.switchNamespace();
    const namespace = await this.namespace(label);
    return new Machine(this.hosts.host(['ip', 'netns', 'exec', namespace]), namespace, switchName);
  }

  async clean(): Promise<void> {
    try {
      await this.hosts.clean();
    } finally {
      for (const name of this.names.splice(0)) await removeNamespace(name);
      this.switchName = '';
      this.reaper?.kill('SIGKILL');
      this.reaper = undefined;
    }
  }

  private async switchNamespace(): Promise<string> {
    if (this.switchName === '') this.switchName = await this.namespace('switch');
    return this.switchName;
  }

  private async namespace(label: string): Promise<string> {
    this.reaper ??= startNamespaceReaper();
    const name = await addNamespace(label);
    this.names.push(name);
    return name;
  }
}

/** Ends the hosts of a program, and then removes their machines. */
export async function cleanLab(hosts: Hosts, netlab: Netlab): Promise<void> {
  try {
    await hosts.clean();
  } finally {
    await netlab.clean();
  }
}

/** Makes a netlab for each test of a file, or one for all tests of the file. A netlab for all tests must be unchanged after each test. */
export function useNetlab(per: 'test' | 'file' = 'test'): Netlab {
  const netlab = new Netlab();
  if (per === 'test') afterEach(() => netlab.clean());
  else afterAll(() => netlab.clean());
  return netlab;
}
