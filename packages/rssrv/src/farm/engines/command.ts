// Engine for any disk that several servers reach: a command of the administrator is the fence. Rule: F15. The command must cut off the
// machine of the writer: power it off, reset it, or close its port of the fabric. The command may exit with 0 only after this has happened,
// and only if the storage then executes no more requests of this machine. A command that only asks a server to stop is no fence.

import { sleep } from '@rsio/base/lib/waiting';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { programRunner, type RunProgram } from '@rsio/common/triggers/run-program';
import type { Engine, Sight, StorageClient } from '../engine.ts';
import type { FarmRecord, Note, Writer } from '../farm-record.ts';
import { FENCE_MS, OWN_WATCH_LOOKS, WATCH_MS } from '../limits.ts';
import { hardwareId } from './hardware-id.ts';
import {
  type ClientName,
  DiskClient,
  newClientName,
  parseClientName,
  SharedDisk,
  type SharedDiskOptions,
  thisMachine,
} from './shared-disk.ts';

export interface CommandOptions extends SharedDiskOptions {
  readonly pool: string;
  /**
   * The program and its first arguments. The engine adds the arguments `SERVER GENERATION CLIENT`, and passes the same values in the
   * environment as RSIO_...
   */
  readonly command: readonly [program: string, ...args: string[]];
  /** True if the administrator has consented that the command runs for the name of this server, with RSIO_SELF=yes. */
  readonly fencesSelf: boolean;
  /** Id of the hardware of this machine; '' if it has none. */
  readonly hardware?: () => Promise<string>;
}

export class CommandEngine implements Engine {
  readonly kind = 'command';
  private readonly disk: SharedDisk;
  private readonly options: CommandOptions;
  private readonly run: RunProgram;
  private hasPosted = false;

  constructor(options: CommandOptions) {
    this.options = options;
    this.disk = new SharedDisk(options);
    this.run = programRunner(options.clock);
  }

  prepare(owners: readonly string[]): Promise<void> {
    return this.disk.prepare(owners);
  }

  look(): Promise<Sight> {
    return this.disk.look();
  }

  swap(seen: FarmRecord | null, next: FarmRecord): Promise<boolean> {
    return this.disk.swap(seen, next);
  }

  async post(note: Note): Promise<void> {
    await this.disk.post(note);
    this.hasPosted = true;
  }

  clear(): Promise<void> {
    return this.disk.clear();
  }

  close(): Promise<void> {
    return this.disk.close();
  }

  async connect(): Promise<StorageClient> {
    return new DiskClient(await newClientName(await this.hardware()), this.disk, {
      open: async () => undefined,
      close: async () => undefined,
    });
  }

  /**
   * Runs the command. For an earlier generation of this server in this boot, no command is needed, because an ended loop device has no I/O.
   * The same is true for an earlier boot of the same hardware. Any other boot with the name of this server may be a copy of this machine, or
   * the machine it was copied from: only a command with consent decides, because most commands would switch this machine off.
   */
  async fence(writer: Writer): Promise<void> {
    const { pool, server, command, fencesSelf } = this.options;
    const past = parseClientName(writer.client);
    const isOwn = writer.server === server;
    if (isOwn && (await this.hasFencedOwn(writer, past))) return;
    if (isOwn && !fencesSelf)
      throw new RsError(
        'E_FENCE',
        `Generation ${writer.generation} ran in another boot with the name of this server, and perhaps on a copy of this machine that still ` +
          'runs: stop rssrv here, so that another owner fences this machine and takes the pool, or set fence-self = yes ' +
          `beside fence = command:PROGRAM in [pool ${pool}], for a program that heeds RSIO_SELF, and restart rssrv`,
        { server, generation: writer.generation },
      );
    const [program, ...args] = command;
    const { generation, client } = writer;
    const { failure, output } = await this.run(program, '', FENCE_MS, [...args, writer.server, String(generation), client], {
      RSIO_POOL: pool,
      RSIO_SERVER: writer.server,
      RSIO_GENERATION: String(generation),
      RSIO_CLIENT: client,
      RSIO_SELF: isOwn ? 'yes' : 'no',
    });
    if (failure === null) return;
    const said = output.trim().replaceAll(/\s*\n\s*/g, '; ');
    throw new RsError(
      'E_FENCE',
      `Server ${writer.server} is not proven dead: ${program} failed: ${failure}` +
        `${said === '' ? '' : ` (${said})`}; correct the command of fence =, or run it yourself until it exits with 0`,
      { server: writer.server, generation },
    );
  }

  /** Returns true if the writer has ended on this machine, and false if that is not proven because it belongs to another boot. */
  private async hasFencedOwn({ server, generation }: Writer, past: ClientName): Promise<boolean> {
    const now = await thisMachine();
    if (past.machine !== now.machine)
      throw new RsError(
        'E_FENCE',
        `Generation ${generation} of ${server} ran on another machine (${past.machine}), and no machine fences its own name: ` +
          'end that machine, and let another server take the pool',
        { server, generation },
      );
    if (past.boot !== now.boot) {
      if (past.key === '' || past.key !== (await this.hardware())) return false;
      await this.watchOwnNote(generation);
      return true;
    }
    if (!(await this.disk.isClear()))
      throw new RsError(
        'E_FENCE',
        `Generation ${generation} of this server still has a loop device over ${this.options.disk}: see losetup --list, unmount it`,
        { server, generation },
      );
    return true;
  }

  /**
   * Throws E_FENCE if another process posts notes under the name of this server: a look then finds that the own note was replaced. Silence
   * alone proves nothing, because a frozen machine posts nothing and may wake; but notes disprove that the other boot ran on this machine.
   */
  private async watchOwnNote(generation: number): Promise<void> {
    const { clock, server } = this.options;
    const refusal = (why: string): RsError =>
      new RsError('E_FENCE', `Generation ${generation} of this server is not proven dead: ${why}`, { server, generation });
    if (!this.hasPosted) throw refusal('this server has posted no note yet that would show a copy of this machine');
    for (let looks = 0; looks < OWN_WATCH_LOOKS; looks++) {
      await sleep(clock, WATCH_MS);
      await this.disk.look().catch((thrown: unknown) => {
        throw refusal(`a copy of this machine may be running: ${toRsError(thrown).message}`);
      });
    }
  }

  private hardware(): Promise<string> {
    return (this.options.hardware ?? hardwareId)();
  }
}
