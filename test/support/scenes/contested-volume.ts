// A volume that clients take from each other, with its server and the clients. The test makes the take-overs and the faults that hinder
// them, and examines the file of the volume directly.

import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { keyOf, startClient, startServer } from '../hosts/configs.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { StampedFile, type StampedWriter } from '../io/stamped-writes.ts';
import { waitFor } from '../programs/wait-for.ts';

export const CONTESTED = 'osl/oracle';
/** Node names of the clients, in the order of the member `clients`. */
export const CONTENDERS = ['big-2', 'venus', 'mars'] as const;
const WRITES_BEFORE = 40;
/** Pause of each connection of a writer, about as long as a write, so that some writes are always in flight. */
const PAUSE_MS = 2;

export class ContestedVolume {
  readonly server: Host;
  readonly clients: readonly Host[];
  /** File of the volume on the server. */
  readonly path: string;
  readonly file: StampedFile;
  /** For each host: length of its log when the test began. */
  private readonly lengths = new Map<Host, number>();

  private constructor(server: Host, clients: readonly Host[], path: string) {
    this.server = server;
    this.clients = clients;
    this.path = path;
    this.file = new StampedFile(path);
  }

  /** Starts the server and `count` clients, and attaches the volume to the first client. */
  static async begin(hosts: Hosts, count: number): Promise<ContestedVolume> {
    const server = hosts.host();
    const network = await hosts.network(2);
    const path = server.file('oracle.img');
    const names = Object.fromEntries(CONTENDERS.map((node) => [node, keyOf(node)]));
    await startServer(server, network, { volumes: { oracle: { path, size: '4m', 'take-over-force': 'yes' } }, clients: names });
    const clients: Host[] = [];
    for (const [client, node] of CONTENDERS.slice(0, count).entries()) {
      const host = hosts.host();
      await startClient(host, network, { node, client });
      clients.push(host);
    }
    await clients[0]!.rsconfigWell('-a', 'oracle');
    return new ContestedVolume(server, clients, path);
  }

  /**
   * Prepares another test with the same running daemons: the first client gets the volume, and earlier lines of the logs no longer count.
   */
  async beginAgain(): Promise<void> {
    const [first] = this.clients;
    const isHeld = async (): Promise<boolean> => (await first!.rsconfig('-a', '--take-over', 'oracle')).code === 0;
    await waitFor(isHeld, 30_000, 'The first client has the volume');
    // Waits until each client that lost the volume has noticed the loss. A client that has not noticed the loss yet would answer an attach
    // with the message that the volume is already attached.
    const isWithOthers = async (host: Host): Promise<boolean> => (await host.call('local', {})).attachments.length > 0;
    for (const host of this.clients.slice(1))
      await waitFor(async () => !(await isWithOthers(host)), 30_000, 'The other clients have noticed that');
    for (const host of this.clients) this.lengths.set(host, host.log('rsiod').length);
    this.lengths.set(this.server, this.server.log('rssrv').length);
  }

  /** Returns what the server or a client has logged since the beginning of this test. */
  said(host: Host): string {
    return host.log(host === this.server ? 'rssrv' : 'rsiod').slice(this.lengths.get(host) ?? 0);
  }

  /** Returns the holder in the state file of the server. */
  kept(): { node: string; epoch: number } {
    const { content } = JSON.parse(readFileSync(this.server.rssrvPaths.holdersFile, 'utf8')) as {
      content: { volumes: Record<string, { epoch: number; holds: { node: string }[] }> };
    };
    const [volume] = Object.values(content.volumes);
    return { node: (volume?.holds ?? []).map(({ node }) => node).join(), epoch: volume?.epoch ?? 0 };
  }

  takenBy(host: Host): Promise<string> {
    return host.rsconfigWell('-a', '--take-over', 'oracle');
  }

  writer(host: Host): Promise<StampedWriter> {
    return this.file.writer(host, CONTESTED, PAUSE_MS);
  }

  async writes(writer: StampedWriter): Promise<void> {
    const before = writer.count;
    await waitFor(() => writer.count >= before + WRITES_BEFORE, 20_000, 'The holder writes');
  }

  /** Waits until a client reports which client took the volume. */
  async lostTo(host: Host, node: string): Promise<void> {
    await waitFor(() => new RegExp(`oracle was taken over by ${node} at 127\\.`).test(this.said(host)), 20_000, `The log names ${node}`);
  }

  /**
   * Waits until the I/O of this host has failed, until the host reports which client took the volume, and until the host no longer has the
   * volume.
   */
  async loses(host: Host, writer: StampedWriter, node: string): Promise<void> {
    expect(await writer.ended).not.toEqual([]);
    await this.lostTo(host, node);
    expect((await host.call('local', {})).attachments).toEqual([]);
  }

  async finish(writer: StampedWriter): Promise<void> {
    expect(await writer.stop()).toEqual([]);
    this.file.look('At the end', writer);
    expect(this.file.breaches).toEqual([]);
  }
}
