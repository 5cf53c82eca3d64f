// What a test file works with: hosts and addresses of its own, all gone after each test (or after the file), whatever happened in it.
// Usage: `const lab = useLab()` at the top of the file, then `lab.host()` and `await lab.network(2)` in the tests.

import { afterAll, afterEach } from 'vitest';
import { Host } from './host.ts';
import { freePort, type LoopbackSubnet, uniqueLoopbackSubnets } from './loopback.ts';
import { endPrograms } from './programs.ts';

const SERVER_HOST = 10;
const CLIENT_HOST = 20;

/** Subnets with one server port that is free on the server's address in each. */
export interface LabNetwork {
  readonly port: number;
  readonly subnets: readonly LoopbackSubnet[];
  /** 127.A.B.10 in each subnet. */
  readonly serverAddresses: readonly string[];
  /** 127.A.B.20, the next client's 127.A.B.21. */
  clientAddresses(client?: number): string[];
}

export class Lab {
  private readonly hosts: Host[] = [];
  private readonly undo: (() => unknown)[] = [];

  /** `command`: what its programs are run by, such as `ip netns exec NAME`. */
  host(command: readonly string[] = []): Host {
    const host = new Host(command);
    this.hosts.push(host);
    return host;
  }

  async network(subnetCount = 2): Promise<LabNetwork> {
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

  /** Runs before the hosts are removed, the last one first, whatever the others do. */
  onClean(action: () => unknown): void {
    this.undo.push(action);
  }

  /** Throws the first of what went wrong, after all was tried. */
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
    for (const host of this.hosts.splice(0)) await attempt(() => host.clean());
    if (failures.length > 0) throw failures[0];
  }
}

/** `per`: what is cleaned up after; a lab per file is for tests that only look at the same running daemons. */
export function useLab(per: 'test' | 'file' = 'test'): Lab {
  const lab = new Lab();
  if (per === 'test') afterEach(() => lab.clean());
  else afterAll(() => lab.clean());
  return lab;
}
