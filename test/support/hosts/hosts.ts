// Hosts and addresses for a test file. All hosts are removed, and all addresses freed, after each test or after the file, even after a
// failure. Usage: `const hosts = useHosts()` at the top of the file, then `hosts.host()` and `await hosts.network(2)` in the tests.

import { afterAll, afterEach } from 'vitest';
import { type CommandsRun, Host } from './host.ts';
import { freePort, type LoopbackSubnet, uniqueLoopbackSubnets } from './loopback.ts';
import { endPrograms } from '../programs/programs.ts';

const SERVER_HOST = 10;
const CLIENT_HOST = 20;

/** Some subnets, and a port that is free on the server's address in each subnet. */
export interface TestNetwork {
  readonly port: number;
  readonly subnets: readonly LoopbackSubnet[];
  /** 127.A.B.10 in each subnet. */
  readonly serverAddresses: readonly string[];
  /** 127.A.B.20 in each subnet; 127.A.B.21 for the next client. */
  clientAddresses(client?: number): string[];
}

export class Hosts {
  private readonly made: Host[] = [];
  private readonly undo: (() => unknown)[] = [];
  private readonly commands: CommandsRun;

  constructor(commands: CommandsRun = 'here') {
    this.commands = commands;
  }

  /** Makes a host. `command`: prefix of the command lines of its programs, such as `ip netns exec NAME`. */
  host(command: readonly string[] = []): Host {
    const host = new Host(command, this.commands);
    this.made.push(host);
    return host;
  }

  async network(subnetCount = 2): Promise<TestNetwork> {
    const subnets = await uniqueLoopbackSubnets(subnetCount);
    for (const subnet of subnets) this.onClean(() => subnet.release());
    const serverAddresses = subnets.map((subnet) => subnet.address(SERVER_HOST));
    const port = await freePort(serverAddresses[0] ?? '');
    return {
      port,
      subnets,
      serverAddresses,
      clientAddresses: (client = 0) => subnets.map((subnet) => subnet.address(CLIENT_HOST + client)),
    };
  }

  /** Registers an action that runs before the hosts are removed. Actions run in reverse order, even if one fails. */
  onClean(action: () => unknown): void {
    this.undo.push(action);
  }

  /** Cleans everything, and throws the first error afterwards. */
  async clean(): Promise<void> {
    const failures: unknown[] = [];
    const attempt = async (action: () => unknown): Promise<void> => {
      try {
        await action();
      } catch (error) {
        failures.push(error);
      }
    };
    await attempt(endPrograms);
    for (const action of this.undo.splice(0).reverse()) await attempt(action);
    for (const host of this.made.splice(0)) await attempt(() => host.clean());
    if (failures.length > 0) throw failures[0];
  }
}

/** `per`: the hosts are cleaned after each test, or after the file. Use `file` if the tests of the file share running daemons. */
export function useHosts(per: 'test' | 'file' = 'test', commands: CommandsRun = 'here'): Hosts {
  const hosts = new Hosts(commands);
  if (per === 'test') afterEach(() => hosts.clean());
  else afterAll(() => hosts.clean());
  return hosts;
}
