// A Linux host of NVMe/TCP subsystems: connects paths. Native multipath makes one device for each namespace, over all paths. Invariant: a
// path that fails is connected again until it is deleted.

import { randomUUID } from 'node:crypto';
import { IO_TIMEOUT_MS, LinuxHost } from '../multipath/linux-host.ts';
import { HOST_ADDRESS, type SmallMachine } from '../small/small-machine.ts';

export interface ConnectOptions {
  readonly nqn: string;
  /** A port of 127.0.0.1 of this machine. */
  readonly port: number;
  readonly keepAliveSeconds: number;
}

export const IO_QUEUES = 4;
/** What the guest uses for its device: `device NSID` prints the file of a namespace. */
const DEVICE = `device() {
  for block in /sys/block/nvme*n*; do
    case "\${block##*/}" in *c*) continue ;; esac
    [ "$(cat "$block/nsid")" = "$1" ] && echo "/dev/\${block##*/}"
  done
}`;

export class NvmeHost extends LinuxHost {
  private readonly id = randomUUID();

  constructor(machine: SmallMachine) {
    super(machine, DEVICE);
  }

  /**
   * Connects one path, with the same host identifier for each path: Linux 6.1 makes up one for each connection without it, and a path that
   * it connects again has the last one. A reservation then locks out the other path of its own holder.
   *
   * If the path fails later, the host tries every second to connect it again, and does not give up.
   */
  async connect({ nqn, port, keepAliveSeconds }: ConnectOptions): Promise<void> {
    const options = [
      `hostnqn=nqn.2014-08.org.nvmexpress:uuid:${this.id},hostid=${this.id}`,
      `transport=tcp,traddr=${HOST_ADDRESS},trsvcid=${port},nqn=${nqn}`,
      `nr_io_queues=${IO_QUEUES},keep_alive_tmo=${keepAliveSeconds},reconnect_delay=1,ctrl_loss_tmo=-1`,
    ];
    await this.run(`echo '${options.join(',')}' > /dev/nvme-fabrics`);
  }

  async disconnect(): Promise<void> {
    await this.run('for path in /sys/class/nvme/nvme*; do echo 1 > "$path/delete_controller"; done', IO_TIMEOUT_MS);
  }

  override async livePaths(): Promise<number> {
    return Number(await this.look('cat /sys/class/nvme/nvme*/state | grep -cx live || true'));
  }

  /** Returns the ANA state of a namespace on each path, keyed by the port of the path. */
  async anaStates(nsid: number): Promise<Readonly<Record<string, string>>> {
    const said = await this.look(`for path in /sys/class/nvme/nvme*/nvme*c*n*; do
      [ "$(cat "$path/nsid" 2> /run/nothing)" = ${nsid} ] && echo "$(cat "\${path%/*}/address") $(cat "$path/ana_state")"
    done; true`);
    return Object.fromEntries([...said.matchAll(/trsvcid=(\d+).* (\S+)$/gm)].map(([, port, state]) => [port, state]));
  }
}
