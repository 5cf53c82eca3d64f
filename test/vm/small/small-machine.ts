// A virtual machine that boots in seconds, even without virtualization: a kernel of Debian and an initrd in memory, without a disk. The
// machine runs scripts of busybox, several at the same time. It reaches the loopback address of this machine as 10.0.2.2 (user networking
// of QEMU), so that no root and no bridge is needed. Invariant: every wait has a bound, and the error contains the end of the console.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'vitest';
import { needTool, type Running, start } from '../../support/programs/programs.ts';
import { waitFor } from '../../support/programs/wait-for.ts';
import { Machine, type Outcome } from '../machine.ts';
import { initrd } from './initrd.ts';
import { Kernel, type KernelKind } from './kernel.ts';

export interface SmallMachineOptions {
  /** Folder for the initrd and the console. */
  readonly folder: string;
  /** Modules of the kernel, without those that they need. */
  readonly modules: readonly string[];
  /** Programs of this machine that the guest gets, with their libraries. */
  readonly programs?: readonly string[];
  /**
   * A second network card of the guest, eth1, for frames of up to 9,000 bytes. Its other end is the interface `tap`. QEMU makes this
   * interface in its own network namespace, in which the prefix `command` runs QEMU.
   */
  readonly card?: { readonly command: readonly string[]; readonly tap: string };
  /** Default: for clouds. */
  readonly kernel?: KernelKind;
  /** Disk for QEMU. The guest boots from its ext4 file system, and first runs the program `init` of this file system, not the initrd's. */
  readonly root?: string;
}

/** Address at which the guest reaches 127.0.0.1 of this machine. */
export const HOST_ADDRESS = '10.0.2.2';
const BOOTS_MAX = 2;
const BOOT_TIMEOUT_MS = 60_000;
const SCRIPT_TIMEOUT_MS = 30_000;
/** The guest turns itself off after this time, too. */
const LIFE_MS = 3_600_000;
const MEMORY_MIB = 256;
/** The kernel makes at most as many I/O queues as it has processors. */
const CPUS = 4;
const CONSOLE_TAIL = 3_000;
/** Modules for the network card, and those for a disk from which the guest boots. */
const BASE = ['virtio_pci', 'virtio_net'];
const DISK = ['virtio_blk', 'crc32c_generic', 'ext4'];

/** Skips the test if this machine has no QEMU, no busybox or no kernel for small machines. */
export function needSmallMachine(context: TestContext, kind: KernelKind = 'cloud'): void {
  needTool(context, 'qemu-system-x86_64', 'qemu-system-x86');
  needTool(context, 'busybox', 'busybox-static');
  const command = `test/vm/small/get-kernel${kind === 'whole' ? ' whole' : ''}`;
  context.skip(Kernel.found(kind) === null, `needs a kernel for virtual machines: run ${command}`);
}

export class SmallMachine {
  private readonly qemu: Running;
  private readonly consoleFile: string;
  /** Rejects when the machine has ended, for example because QEMU has not started. */
  private readonly gone: Promise<never>;
  /** Signal that has ended QEMU; null if it runs, or has ended by itself. */
  private crashed: NodeJS.Signals | null = null;
  private lastId = 0;

  private constructor(qemu: Running, consoleFile: string) {
    this.qemu = qemu;
    this.consoleFile = consoleFile;
    this.gone = qemu.ended.then(({ code, signal, stderr }) => {
      this.crashed = signal;
      throw new Error(`QEMU has ended (${signal ?? `code ${code}`}): ${stderr}`);
    });
    this.gone.catch(() => undefined);
  }

  /** Resolves when scripts can run. The machine ends with the programs of the test. */
  static async boot({ folder, modules, programs = [], card, root, kernel: kind = 'cloud' }: SmallMachineOptions): Promise<SmallMachine> {
    const kernel = Kernel.found(kind);
    if (kernel === null) throw new Error('There is no kernel for virtual machines: run test/vm/small/get-kernel');
    mkdirSync(folder, { recursive: true });
    const [archive, consoleFile] = [path.join(folder, 'initrd'), path.join(folder, 'console')];
    writeFileSync(archive, await initrd(kernel, [...BASE, ...(root === undefined ? [] : DISK), ...modules], programs));
    writeFileSync(consoleFile, '');
    // One thread emulates all processors, because emulation with several threads crashes on busy machines.
    const processor = Machine.accelerator() === 'kvm' ? ['kvm', '-cpu', 'host'] : ['tcg,thread=single', '-cpu', 'max'];
    const command = [
      ...[
        '--pdeathsig',
        'KILL',
        '--',
        ...(card?.command ?? []),
        'nice',
        '-n',
        '10',
        'qemu-system-x86_64',
        '-accel',
        ...processor,
        '-smp',
        `${CPUS}`,
        '-m',
        `${MEMORY_MIB}`,
      ],
      ...['-display', 'none', '-nodefaults', '-no-reboot', '-kernel', kernel.image, '-initrd', archive],
      // no_timer_check: the kernel counts ticks of the timer at boot, and panics if a busy machine gives an emulator too few of them.
      ...['-append', `console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off no_timer_check${root === undefined ? '' : ' root=/dev/vda'}`],
      ...(root === undefined ? [] : ['-drive', `if=virtio,format=raw,cache=none,file=${root}`]),
      ...['-chardev', `file,id=console,path=${consoleFile}`, '-serial', 'chardev:console'],
      ...['-chardev', 'stdio,id=scripts,signal=off', '-serial', 'chardev:scripts'],
      ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='],
      ...(card === undefined ? [] : ['-netdev', `tap,id=card,ifname=${card.tap},script=no,downscript=no`]),
      ...(card === undefined ? [] : ['-device', 'virtio-net-pci,netdev=card,romfile=,host_mtu=9000']),
    ];
    for (let boot = 1; ; boot++) {
      const machine = new SmallMachine(start('setpriv', command, { isWrittenTo: true, timeoutMs: LIFE_MS }), consoleFile);
      try {
        await machine.said(/^ready\r?\n/m, BOOT_TIMEOUT_MS, 'The guest boots');
        return machine;
      } catch (error) {
        // The emulator itself sometimes crashes on a busy machine. That says nothing about a gate.
        if (machine.crashed === null || boot === BOOTS_MAX) throw error;
      }
    }
  }

  /** Runs a script of busybox. Scripts that were started before may still run. */
  async try(script: string, timeoutMs = SCRIPT_TIMEOUT_MS): Promise<Outcome> {
    const id = `s${++this.lastId}`;
    this.qemu.write(`${id} ${Buffer.from(script).toString('base64')}\n`);
    const [, code, text = ''] = await this.said(new RegExp(`^${id} (\\d+) (\\S*)\\r?\\n`, 'm'), timeoutMs, script);
    return { code: Number(code), text: Buffer.from(text, 'base64').toString('utf8') };
  }

  /** Runs a script that must succeed; returns its output. */
  async run(script: string, timeoutMs?: number): Promise<string> {
    const { code, text } = await this.try(script, timeoutMs);
    if (code !== 0) throw new Error(`Guest: ${script}\nexit code ${code}: ${text}`);
    return text.trimEnd();
  }

  private async said(pattern: RegExp, timeoutMs: number, what: string): Promise<RegExpExecArray> {
    try {
      return await Promise.race([waitFor(() => pattern.exec(this.qemu.stdout()), timeoutMs, what), this.gone]);
    } catch (error) {
      throw new Error(`Guest: no end of "${what}"\n${readFileSync(this.consoleFile, 'utf8').slice(-CONSOLE_TAIL)}`, { cause: error });
    }
  }
}
