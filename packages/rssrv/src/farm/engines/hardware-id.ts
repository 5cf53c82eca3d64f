// Identifies the hardware of a physical machine, so that a later boot of this machine can prove that the earlier one has ended: one machine
// runs one kernel at a time. Invariant: '' unless the machine is physical and its firmware names it. A virtual machine has no such id, because
// its disk and its ids can be copied, and because a frozen instance of it may wake beside the new one.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** Contents of files; '' for a file that cannot be read. */
export interface HardwareFacts {
  readonly cpuinfo: string;
  /** Manufacturer and product. */
  readonly product: string;
  readonly uuid: string;
  /** Serial numbers of product and board. */
  readonly serials: string;
}

const VIRTUAL = /qemu|kvm|vmware|virtual|innotek|xen|bochs|openstack|parallels/i;
/** Ids that manufacturers leave in many machines. */
const UNSET = /^(?:0[0-]*|f[f-]*|03000200-0400-0500-0006-000700080009)$/;
const DMI = '/sys/class/dmi/id';

/** Returns 32 hexadecimal digits, or ''. Pure. */
export function hardwareIdOf({ cpuinfo, product, uuid, serials }: HardwareFacts): string {
  const [, flags = null] = /^flags\s*:(.*)$/m.exec(cpuinfo) ?? [];
  const id = uuid.trim().toLowerCase();
  if (flags === null || flags.split(' ').includes('hypervisor') || VIRTUAL.test(product)) return '';
  if (!/^[0-9a-f-]{36}$/.test(id) || UNSET.test(id)) return '';
  return createHash('sha256').update(`${id}\n${serials}`).digest('hex').slice(0, 32);
}

export async function hardwareId(): Promise<string> {
  const read = (...paths: readonly string[]): Promise<string> =>
    Promise.all(paths.map((one) => readFile(one, 'utf8').catch(() => ''))).then((texts) => texts.join('\n'));
  const [cpuinfo, product, uuid, serials] = await Promise.all([
    read('/proc/cpuinfo'),
    read(`${DMI}/sys_vendor`, `${DMI}/product_name`),
    read(`${DMI}/product_uuid`),
    read(`${DMI}/product_serial`, `${DMI}/board_serial`),
  ]);
  return hardwareIdOf({ cpuinfo, product, uuid, serials });
}
