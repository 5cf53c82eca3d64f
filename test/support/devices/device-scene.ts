// The scene of the tests of devices: server and client on one host with mounts of its own, a volume called oracle, and the paths of its
// devices. Requirements of the machine are in devices.ts.

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
  /** Of the server; its options of oracle besides path and size. */
  readonly volumes?: (host: Host) => ServerConfigOptions['volumes'];
  /** Of the server: lines of `[rights]`. */
  readonly rights?: ServerConfigOptions['rights'];
  /** Of the server, as many paths there are; default 1. */
  readonly addresses?: number;
  /** Of the client. */
  readonly defaults?: Readonly<Record<string, string>>;
  /** A shell command, run on the host before its programs; `$1`: its root. */
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

  /** Attached volumes are shown as `device` says. */
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

  /** A device in universe 0. */
  place(name: string): string {
    return path.join(this.host.root, 'dev/av0', name);
  }

  /** A program beside the test, with the mounts of the host. */
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

  /** A pipe that both sides of a test know. */
  fifo(): string {
    const made = this.host.file('pipe');
    if (!existsSync(made)) spawnSync('mkfifo', [made]);
    return made;
  }
}
