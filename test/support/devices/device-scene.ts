// The scene of the tests of devices: server and client on one host with its own mounts, a volume called oracle, and the file paths of its
// devices. devices.ts says what the machine needs for these tests.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { serverConfig, type ServerConfigOptions, startClient } from '../hosts/configs.ts';
import { DeviceHost } from './devices.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts, TestNetwork } from '../hosts/hosts.ts';
import { type Running, start } from '../programs/programs.ts';

const BESIDE_MS = 120_000;

export interface DeviceSceneOptions {
  /**
   * Volumes of the server. The scene adds path and size to the section of oracle, so the caller gives only further keys of this section.
   */
  readonly volumes?: (host: Host) => ServerConfigOptions['volumes'];
  /** Lines of `[rights]` of the server. */
  readonly rights?: ServerConfigOptions['rights'];
  /** Number of addresses of the server, and therefore of network paths; default 1. */
  readonly addresses?: number;
  /** Keys of `[defaults]` of the client. */
  readonly defaults?: Readonly<Record<string, string>>;
  /** Shell command that runs on the host before the daemons start. `$1`: root of the host. */
  readonly before?: string;
}

export class DeviceScene {
  readonly devices: DeviceHost;
  readonly host: Host;
  readonly network: TestNetwork;
  /** Devices of the volume oracle. */
  readonly raw: string;
  readonly block: string;
  private readonly hosts: Hosts;

  private constructor(hosts: Hosts, network: TestNetwork) {
    this.hosts = hosts;
    this.devices = new DeviceHost(hosts);
    this.network = network;
    this.host = this.devices.host;
    this.raw = this.place('roracle');
    this.block = this.place('oracle');
  }

  /** Starts the scene. `device`: value of the key `device` in the defaults of the client's configuration. */
  static async begin(hosts: Hosts, device: string, options: DeviceSceneOptions = {}): Promise<DeviceScene> {
    const scene = new DeviceScene(hosts, await hosts.network(options.addresses ?? 1));
    const { devices, host, network } = scene;
    await devices.ready;
    const volumes = options.volumes?.(host) ?? {};
    const oracle = { path: host.file('storage/oracle.img'), size: '96m', ...volumes['oracle'] };
    if (options.before !== undefined) await devices.well(options.before, host.root);
    host.writeConfig(
      'rssrv',
      serverConfig(network, { volumes: { ...volumes, oracle }, ...(options.rights === undefined ? {} : { rights: options.rights }) }),
    );
    await host.start('rssrv');
    await startClient(host, network, { defaults: { device, ...options.defaults } });
    return scene;
  }

  /** File path of the device with this name in universe 0. */
  place(name: string): string {
    return path.join(this.host.root, 'dev/av0', name);
  }

  /** Starts a program with the mounts of the host, and does not wait for its end. */
  beside(program: string, args: readonly string[]): Running {
    const [first = '', ...rest] = this.devices.command;
    const running = start(first, [...rest, program, ...args], { timeoutMs: BESIDE_MS });
    this.hosts.onClean(() => running.kill());
    return running;
  }

  folder(name: string): string {
    const made = this.host.file(name);
    mkdirSync(made, { recursive: true });
    return made;
  }

  /** Makes a named pipe between the test and the programs that it starts. */
  fifo(): string {
    const made = this.host.file('pipe');
    if (!existsSync(made)) spawnSync('mkfifo', [made]);
    return made;
  }
}
