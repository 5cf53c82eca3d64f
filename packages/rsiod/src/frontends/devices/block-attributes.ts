// Reads and writes attributes of block devices in /sys, which the kernel has in memory. Invariant: no access reaches the device itself, so
// that no access waits for a volume.

import { readFile, writeFile } from 'node:fs/promises';

export function baseName(device: string): string {
  return device.slice(device.lastIndexOf('/') + 1);
}

/**
 * Reads an attribute of a block device in /sys/block. The attribute `dev`, for example, is the device number, such as `7:3`. Returns null
 * if the device or the attribute does not exist.
 */
export async function ofBlock(device: string, what: string): Promise<string | null> {
  return await readFile(`/sys/block/${baseName(device)}/${what}`, 'utf8').then(
    (text) => text.replace(/\n$/, ''),
    () => null,
  );
}

/**
 * Makes the kernel announce a device again after its link has been created. The udev rule in packaging/rsio.rules then tells systemd the
 * name of the link, for units that wait for the device. In a container without udev, the call does nothing.
 */
export async function announce(device: string, folder = '/sys/block'): Promise<void> {
  await writeFile(`${folder}/${baseName(device)}/uevent`, 'change', { flag: 'r+' }).catch(() => undefined);
}
