// A Linux host of NVMe/TCP subsystems, in a small virtual machine: connects paths, and writes and reads the device that native multipath
// makes of them. Invariant: all I/O bypasses the page cache of the guest, so that what is read comes from the subsystem.

import { waitFor } from '../../support/programs/wait-for.ts';
import { HOST_ADDRESS, type SmallMachine } from '../small/small-machine.ts';

export interface ConnectOptions {
  readonly nqn: string;
  /** A port of 127.0.0.1 of this machine. */
  readonly port: number;
  readonly keepAliveSeconds: number;
}

export const IO_QUEUES = 4;
export const BLOCK_BYTES = 4096;
/** What the guest uses for its device: `device NSID` prints the file of a namespace. */
const DEVICE = `device() {
  for block in /sys/block/nvme*n*; do
    case "\${block##*/}" in *c*) continue ;; esac
    [ "$(cat "$block/nsid")" = "$1" ] && echo "/dev/\${block##*/}"
  done
}`;
/** Longest time for a command that must wait for a path. */
const IO_TIMEOUT_MS = 60_000;
const PATHS_MS = 30_000;

export class LinuxHost {
  private readonly machine: SmallMachine;

  constructor(machine: SmallMachine) {
    this.machine = machine;
  }

  /** Connects one path. If it fails later, the host connects it again every second, and does not give up. */
  async connect({ nqn, port, keepAliveSeconds }: ConnectOptions): Promise<void> {
    const options = [
      `transport=tcp,traddr=${HOST_ADDRESS},trsvcid=${port},nqn=${nqn}`,
      `nr_io_queues=${IO_QUEUES},keep_alive_tmo=${keepAliveSeconds},reconnect_delay=1,ctrl_loss_tmo=-1`,
    ];
    await this.run(`echo '${options.join(',')}' > /dev/nvme-fabrics`);
  }

  async disconnect(): Promise<void> {
    await this.run('for path in /sys/class/nvme/nvme*; do echo 1 > "$path/delete_controller"; done', IO_TIMEOUT_MS);
  }

  /** Returns the number of paths in use. */
  async livePaths(): Promise<number> {
    return Number(await this.look('cat /sys/class/nvme/nvme*/state | grep -cx live || true'));
  }

  async pathsLive(count: number): Promise<void> {
    await waitFor(async () => (await this.livePaths()) === count, PATHS_MS, `The host uses ${count} paths`);
  }

  /** Resolves when the host has the namespace. */
  async has(nsid: number): Promise<void> {
    await waitFor(async () => (await this.look(`device ${nsid}`)) !== '', PATHS_MS, `The host has namespace ${nsid}`);
  }

  /** Returns the ANA state of a namespace by the port of each path. */
  async anaStates(nsid: number): Promise<Readonly<Record<string, string>>> {
    const said = await this.look(`for path in /sys/class/nvme/nvme*/nvme*c*n*; do
      [ "$(cat "$path/nsid" 2> /run/nothing)" = ${nsid} ] && echo "$(cat "\${path%/*}/address") $(cat "$path/ana_state")"
    done; true`);
    return Object.fromEntries([...said.matchAll(/trsvcid=(\d+).* (\S+)$/gm)].map(([, port, state]) => [port, state]));
  }

  async sizeBytes(nsid: number): Promise<number> {
    return Number(await this.look(`blockdev --getsize64 "$(device ${nsid})"`));
  }

  /** Fills a block with a letter. */
  async write(nsid: number, block: number, letter: string): Promise<void> {
    const fill = `head -c ${BLOCK_BYTES} /dev/zero | tr '\\0' ${letter}`;
    await this.run(
      `${fill} | dd of="$(device ${nsid})" bs=${BLOCK_BYTES} iflag=fullblock oflag=direct seek=${block} status=none`,
      IO_TIMEOUT_MS,
    );
  }

  /** Returns the letter with which a block is filled. Throws if the bytes of the block differ. */
  async read(nsid: number, block: number): Promise<string> {
    const read = `dd if="$(device ${nsid})" of=/run/block bs=${BLOCK_BYTES} iflag=direct skip=${block} count=1 status=none`;
    return await this.run(
      `${read} && letter=$(head -c 1 /run/block) && [ -z "$(tr -d "$letter" < /run/block)" ] && echo "$letter"`,
      IO_TIMEOUT_MS,
    );
  }

  /** For what is awaited: a pause, because the guest is slow, and many scripts would slow it down further. */
  private look(script: string): Promise<string> {
    return this.run(`sleep 0.2; ${script}`);
  }

  /** Runs a script of busybox that may use `device NSID`. */
  run(script: string, timeoutMs?: number): Promise<string> {
    return this.machine.run(`${DEVICE}\n${script}`, timeoutMs);
  }
}
