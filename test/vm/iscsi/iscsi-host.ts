// A Linux host of iSCSI targets: iscsid connects a session for each path, and dm-multipath makes one device of all paths, and asks ALUA for
// their states. The guest has no multipathd; a script instead puts a path back into use when its session is up again. Invariant: the device
// queues I/O while it has no path, so that the user of the device sees no error of a path.

import { IO_TIMEOUT_MS, LinuxHost } from '../multipath/linux-host.ts';
import { HOST_ADDRESS, type SmallMachine } from '../small/small-machine.ts';

/** Modules of the kernel, and programs of this machine, that the guest needs. */
export const ISCSI_MODULES: readonly string[] = ['crc32c_generic', 'iscsi_tcp', 'sd_mod', 'scsi_dh_alua', 'dm_multipath', 'dm_round_robin'];
export const ISCSI_PROGRAMS: readonly string[] = ['iscsid', 'iscsiadm', 'dmsetup'];

const DEVICE = 'device() { [ ! -b /dev/dm-0 ] || echo /dev/dm-0; }';
/** A path that does not answer is given up after about ten seconds: with shorter times, hosts may not use gates (docs/HOSTS.md). */
const CONFIG = `node.startup = manual
node.session.auth.authmethod = None
node.session.timeo.replacement_timeout = 1
node.session.initial_login_retry_max = 20
node.conn[0].timeo.login_timeout = 5
node.conn[0].timeo.noop_out_interval = 5
node.conn[0].timeo.noop_out_timeout = 5
`;
const INITIATOR = 'iqn.1993-08.org.debian:01:guest';
/** Prints the session folder of a SCSI device. */
const SESSION = 'session() { dirname "$(dirname "$(readlink -f "/sys/dev/block/$1/device")")"; }';
const PUTS_BACK = `${SESSION}
while sleep 1; do
  for path in $(dmsetup status mp 2> /run/nothing | grep -o '8:[0-9]* F' | cut -d ' ' -f 1); do
    [ "$(cat "$(session "$path")"/iscsi_session/*/state)" = LOGGED_IN ] || continue
    [ "$(cat "/sys/dev/block/$path/device/state")" = running ] && dmsetup message mp 0 "reinstate_path $path"
  done
done > /run/puts-back 2>&1 &`;

export class IscsiHost extends LinuxHost {
  private constructor(machine: SmallMachine) {
    super(machine, DEVICE);
  }

  /** Starts iscsid in the guest. */
  static async begin(machine: SmallMachine): Promise<IscsiHost> {
    const host = new IscsiHost(machine);
    const files = `mkdir -p /etc/iscsi /run/lock/iscsi /var/lib/iscsi; ln -s /run /var/run
echo InitiatorName=${INITIATOR} > /etc/iscsi/initiatorname.iscsi
echo 'root:x:0:0:root:/root:/bin/sh' > /etc/passwd
printf '%s' '${CONFIG}' > /etc/iscsi/iscsid.conf`;
    await host.run(`${files}\niscsid -f > /run/iscsid 2>&1 &\n${PUTS_BACK}`);
    return host;
  }

  /** Connects a session to each port of 127.0.0.1 of this machine, and makes one device of their disks. The first path has priority. */
  async connect(target: string, ports: readonly number[]): Promise<void> {
    for (const port of ports) {
      const node = `iscsiadm -m node -T ${target} -p ${HOST_ADDRESS}:${port}`;
      await this.run(`${node} -o new && ${node} --login`, IO_TIMEOUT_MS);
    }
    const groups: string[] = [];
    let sectors = '';
    for (const port of ports) {
      const disk = await this.disk(port);
      const [number, size = ''] = (await this.run(`cat /sys/block/${disk}/dev /sys/block/${disk}/size`)).split('\n');
      if (sectors === '') sectors = size;
      groups.push(`round-robin 0 1 1 ${number} 1`);
    }
    const table = `0 ${sectors} multipath 1 queue_if_no_path 1 alua ${groups.length} 1 ${groups.join(' ')}`;
    await this.run(`dmsetup create mp --noudevsync --table '${table}'`);
  }

  override async livePaths(): Promise<number> {
    return Number(await this.look(`dmsetup status mp | grep -o '8:[0-9]* A' | wc -l`));
  }

  /** Returns the disk of the session with this port, such as `sda`. */
  private disk(port: number): Promise<string> {
    return this.run(`for tries in 1 2 3 4 5 6 7 8 9 10; do
  for connection in /sys/class/iscsi_connection/*; do
    [ "$(cat "$connection/persistent_port")" = ${port} ] || continue
    for disk in "$(readlink -f "$connection")"/../../../target*/*/block/*; do [ ! -d "$disk" ] || { basename "$disk"; exit; }; done
  done
  sleep 1
done
echo "The session with port ${port} has no disk"; exit 1`);
  }
}
