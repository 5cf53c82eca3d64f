// A driver of an orchestrator as a real process, and a client of CSI at its socket, as the sidecars use it. Invariant: the driver ends with
// its host; a killed driver can be replaced by the next one at the same socket.

import { existsSync } from 'node:fs';
import { CsiClient } from '@rsio/csi/testing/csi-client';
import type { Host } from '../hosts/host.ts';
import type { Running } from '../programs/programs.ts';
import { waitFor } from '../programs/wait-for.ts';

const START_MS = 20_000;

export class CsiDriver {
  readonly client: CsiClient;
  readonly socket: string;
  private readonly host: Host;
  private readonly args: readonly string[];
  private running: Running;

  private constructor(host: Host, mode: 'controller' | 'node', more: readonly string[]) {
    this.host = host;
    this.socket = host.file(`${mode}.sock`);
    this.args = [`--${mode}`, '--socket', this.socket, ...more];
    this.running = host.beside('rsio-csi', this.args);
    this.client = new CsiClient(this.socket);
  }

  static async start(host: Host, mode: 'controller' | 'node', more: readonly string[] = []): Promise<CsiDriver> {
    const driver = new CsiDriver(host, mode, more);
    await driver.up();
    return driver;
  }

  /** Sends a signal to the driver, and waits until it has ended. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.running.kill(signal);
    await this.running.ended;
  }

  /** Starts the next driver at the same socket. */
  async again(): Promise<void> {
    this.running = this.host.beside('rsio-csi', this.args);
    await this.up();
  }

  private async up(): Promise<void> {
    const isReady = async (): Promise<boolean> => {
      if (!existsSync(this.socket)) return false;
      return ((await this.client.call('Identity', 'Probe')) as { ready: { value: boolean } }).ready.value;
    };
    await waitFor(isReady, START_MS, 'The driver is ready');
  }
}
