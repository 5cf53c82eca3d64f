// A virtual machine in QEMU that boots an image: it runs commands that arrive through a virtio port, reboots, and loses its power. The
// machine's disk is an overlay of the image, and its console is written to a file. Invariant: every wait has a bound; if a machine does not
// answer in time, the error contains the last lines of its console.

import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { run } from '../support/programs/programs.ts';
import type { Image } from './image.ts';

export interface MachineOptions {
  readonly name: string;
  /** Folder for the overlay, the console and the sockets. */
  readonly folder: string;
  readonly image: Image;
  /** A folder of the real machine. The guest sees the folder read-only as /share. */
  readonly share: string;
  /** A further folder of the real machine, which the guest can mount read-only with the tag `checkout`. */
  readonly checkout?: string;
  /**
   * The cards. A card sends to the socket `theirs`, and the card of the other machine receives from this socket. The other machine may be
   * off.
   */
  readonly cards: readonly { readonly ours: string; readonly theirs: string; readonly mac: string }[];
}

export interface Outcome {
  readonly code: number;
  readonly text: string;
}

/** Longest time of a boot. This time is long, because emulated processors are ten to thirty times slower than real ones. */
const BOOT_TIMEOUT_MS = 900_000;
const COMMAND_TIMEOUT_MS = 1_800_000;
const MEMORY_MIB = 1_024;
const CPUS = 2;
const CONSOLE_TAIL = 3_000;
const MONITOR_TIMEOUT_MS = 30_000;

/** Arguments of QEMU for the processors and the memory. */
export function boardArguments(): string[] {
  const processor = Machine.accelerator() === 'kvm' ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg,thread=multi', '-cpu', 'max'];
  return [...processor, '-smp', `${CPUS}`, '-m', `${MEMORY_MIB}`, '-display', 'none', '-nodefaults'];
}

export function cardArguments(cards: MachineOptions['cards']): string[] {
  return cards.flatMap(({ ours, theirs, mac }, number) => [
    ...['-netdev', `dgram,id=n${number},local.type=unix,local.path=${ours},remote.type=unix,remote.path=${theirs}`],
    ...['-device', `virtio-net-pci,netdev=n${number},mac=${mac}`],
  ]);
}

/** The members of a machine that drills use. A container also has them. */
export type Guest = Pick<Machine, 'name' | 'run' | 'try' | 'powerOn' | 'reboot' | 'cut' | 'freeze'>;

export class Machine {
  readonly name: string;
  private readonly options: MachineOptions;
  private child: ChildProcess | undefined;
  private server: Server | undefined;
  private socket: Socket | undefined;
  private rest = '';
  private lastId = 0;
  private readonly waiting = new Map<string, (outcome: Outcome) => void>();
  private bootId = '';
  private whenReady: (() => void) | undefined;

  constructor(options: MachineOptions) {
    this.name = options.name;
    this.options = options;
  }

  /** Returns `kvm`, or `tcg` (emulation) if this machine does not support virtualization. */
  static accelerator(): string {
    try {
      accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
      return /\b(?:vmx|svm)\b/.test(readFileSync('/proc/cpuinfo', 'utf8')) ? 'kvm' : 'tcg';
    } catch {
      return 'tcg';
    }
  }

  private file(name: string): string {
    return path.join(this.options.folder, `${this.name}.${name}`);
  }

  /** Makes a new disk and boots. Resolves when commands can run and systemd has started everything. */
  async boot(): Promise<void> {
    const { folder, image } = this.options;
    mkdirSync(folder, { recursive: true });
    const made = await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', image.disk, '-F', 'raw', this.file('qcow2')]);
    if (made.code !== 0) throw new Error(`qemu-img failed: ${made.stderr}`);
    await this.powerOn();
  }

  async powerOn(): Promise<void> {
    const server = createServer((socket) => this.connected(socket));
    this.server = server;
    // An interrupted earlier run may have left this socket.
    rmSync(this.file('agent'), { force: true });
    await new Promise<void>((resolve) => server.listen(this.file('agent'), resolve));
    const ready = this.ready();
    const child = spawn('qemu-system-x86_64', this.arguments(), { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child = child;
    const end = (): void => void child.kill('SIGKILL');
    process.once('exit', end);
    child.once('exit', () => process.off('exit', end));
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const ended = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${this.name}: qemu ended with ${code}: ${errors.slice(-CONSOLE_TAIL)}`)));
    });
    ended.catch(() => undefined);
    await Promise.race([ready, ended]);
    await this.settled();
  }

  private arguments(): string[] {
    const { image, share, checkout, cards } = this.options;
    return [
      ...boardArguments(),
      ...['-kernel', image.kernel, '-initrd', image.initrd],
      ...['-append', 'root=LABEL=vm rw console=ttyS0 quiet loglevel=4 panic=-1 no_timer_check systemd.show_status=true'],
      ...['-drive', `file=${this.file('qcow2')},if=virtio,format=qcow2,cache=unsafe`],
      ...['-chardev', `file,id=console,path=${this.file('console')},append=on`, '-serial', 'chardev:console'],
      ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=agent,path=${this.file('agent')}`],
      ...['-device', 'virtserialport,chardev=agent,name=agent', '-device', 'virtio-rng-pci'],
      ...['-qmp', `unix:${this.file('monitor')},server=on,wait=off`],
      ...['-virtfs', `local,path=${share},mount_tag=share,security_model=none,readonly=on`],
      ...(checkout === undefined ? [] : ['-virtfs', `local,path=${checkout},mount_tag=checkout,security_model=none,readonly=on`]),
      ...cardArguments(cards),
    ];
  }

  private connected(socket: Socket): void {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('error', () => undefined);
    socket.on('data', (text: string) => {
      const lines = (this.rest + text).split('\n');
      this.rest = lines.pop() ?? '';
      for (const line of lines) this.heard(line);
    });
  }

  private heard(line: string): void {
    const [id = '', code = '', text = ''] = line.split(' ');
    if (id === 'ready') {
      if (code === this.bootId) return;
      this.bootId = code;
      this.whenReady?.();
      return;
    }
    this.waiting.get(id)?.({ code: Number(code), text: Buffer.from(text, 'base64').toString('utf8') });
  }

  /** Resolves at the next boot of the guest. */
  private ready(): Promise<void> {
    return this.bounded(new Promise((resolve) => (this.whenReady = resolve)), BOOT_TIMEOUT_MS, 'boot');
  }

  private bounded<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.name}: no end of "${what}" in ${timeoutMs} ms\n${this.consoleTail()}`)),
        timeoutMs,
      );
      promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  /** Waits until systemd has nothing left to start, and mounts the share. */
  private async settled(): Promise<void> {
    await this.try('systemctl is-system-running --wait', BOOT_TIMEOUT_MS);
    await this.run('mkdir -p /share; mountpoint -q /share || mount -t 9p -o trans=virtio,version=9p2000.L,ro share /share');
  }

  try(script: string, timeoutMs = COMMAND_TIMEOUT_MS): Promise<Outcome> {
    this.lastId += 1;
    const id = `${this.lastId}`;
    const answer = new Promise<Outcome>((resolve) => this.waiting.set(id, resolve));
    this.socket?.write(`${id} ${Buffer.from(script).toString('base64')}\n`);
    return this.bounded(answer, timeoutMs, script).finally(() => this.waiting.delete(id));
  }

  /** Runs a script of bash that must succeed. Returns the output; throws if the script fails. */
  async run(script: string, timeoutMs?: number): Promise<string> {
    const { code, text } = await this.try(script, timeoutMs);
    if (code !== 0) throw new Error(`${this.name}: ${script}\nexit code ${code}: ${text}`);
    return text.trimEnd();
  }

  /** Reboots the guest as an administrator does. Returns the time until systemd has started everything, in ms. */
  async reboot(): Promise<number> {
    const startMs = performance.now();
    const ready = this.ready();
    await this.try('systemctl reboot --no-block');
    await ready;
    await this.settled();
    return performance.now() - startMs;
  }

  /** Resets the guest at once, as the reset button does, and resolves when systemd has started everything again. */
  async reset(): Promise<void> {
    const ready = this.ready();
    await this.monitor('system_reset');
    await ready;
    await this.settled();
  }

  /** Stops all processors of the machine, or lets them go on. */
  freeze(isFrozen: boolean): Promise<void> {
    return this.monitor(isFrozen ? 'stop' : 'cont');
  }

  /** Unplugs the cable of card `number`, or plugs it in. */
  plug(number: number, isPlugged: boolean): Promise<void> {
    return this.monitor('set_link', { name: `n${number}`, up: isPlugged });
  }

  /** Gives the monitor of QEMU a command (QMP). */
  private monitor(execute: string, given: object = {}): Promise<void> {
    const answer = new Promise<void>((resolve, reject) => {
      const socket = connect(this.file('monitor'));
      let text = '';
      socket.setEncoding('utf8').on('error', reject);
      socket.on('data', (part: string) => {
        text += part;
        const answers = text.split('\n').filter((line) => /^\{"(?:return|error)"/.test(line));
        if (answers.length < 2) return;
        socket.destroy();
        if (answers[1]?.startsWith('{"return"') === true) resolve();
        else reject(new Error(`${this.name}: ${execute}: ${answers[1]}`));
      });
      const commands = [{ execute: 'qmp_capabilities' }, { execute, arguments: given }];
      socket.write(commands.map((command) => `${JSON.stringify(command)}\n`).join(''));
    });
    return this.bounded(answer, MONITOR_TIMEOUT_MS, execute);
  }

  console(): string {
    return readFileSync(this.file('console'), 'utf8');
  }

  private consoleTail(): string {
    return this.console().slice(-CONSOLE_TAIL);
  }

  async cut(): Promise<void> {
    const { child, server } = this;
    this.child = undefined;
    server?.close();
    this.socket?.destroy();
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.kill('SIGKILL');
    });
  }
}
