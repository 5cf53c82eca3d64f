// Collects what crsio and rsadm show of the appliance: settings, network, disks and slots. Invariant: looking changes nothing, and a part that
// cannot be read does not hide the others.

import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { isRecord } from '@rsio/base/lib/shape';
import { toRsError } from '@rsio/base/lib/errors';
import { storageNow } from './arrays.ts';
import { arrayTrouble, otherAppliances, type Storage } from './disks.ts';
import { type ApplianceMachine, appliancePaths, exclusively, ownPartitions } from './machine.ts';
import { FIRST_SETTINGS, readSettings, type Settings } from './settings.ts';
import { type Slots, slotsNow } from './upgrade.ts';

/** Begins the ids of partitions in an image, as scripts/appliance/disk.mjs writes them. */
const IMAGE_IDS = '52534f49-0000-4000-8000-';

export interface NetworkDevice {
  readonly name: string;
  readonly mac: string;
  readonly hasCarrier: boolean;
  readonly addresses: readonly string[];
}

export interface ApplianceView {
  readonly version: string;
  readonly settings: Settings;
  readonly devices: readonly NetworkDevice[];
  readonly storage: Storage;
  /** Null while another command changes the slots, or if they cannot be read. */
  readonly slots: Slots | null;
  readonly isRestoreWaiting: boolean;
  /** Sentences about what is wrong. */
  readonly problems: readonly string[];
}

/** `slots`: the slots as they were last read; null: they are read again. */
export async function lookAtAppliance(machine: ApplianceMachine, slots: Slots | null): Promise<ApplianceView> {
  const { root, run } = machine;
  const paths = appliancePaths(root);
  const problems: string[] = [];
  const orElse = async <T>(what: string, read: () => Promise<T>, fallback: T): Promise<T> => {
    try {
      return await read();
    } catch (thrown) {
      problems.push(`${what}: ${toRsError(thrown).message}`);
      return fallback;
    }
  };
  if (isConfigLost(root)) problems.push('The configuration partition cannot be mounted: settings are lost at the next boot');
  if (existsSync(paths.refused)) problems.push('The restored configuration could not be used: restore another one');
  const settings = await orElse('Settings', () => readSettings(root), FIRST_SETTINGS);
  const storage = await orElse('Disks', () => storageNow(machine), { disks: [], arrays: [], media: [] });
  const others = otherAppliances(storage);
  if (others.length > 0)
    problems.push(`Another appliance is on ${others.join(', ')}: take it out or erase it, or the machine may start from it`);
  // The boot replaces these ids, unless the disk cannot be written to.
  if (Object.values(ownPartitions(root)).some((id) => id.startsWith(IMAGE_IDS)))
    problems.push('The partitions of the appliance have the ids of its image, which others know: restart it, or use another system disk');
  for (const array of storage.arrays) {
    const trouble = arrayTrouble(array);
    if (trouble !== null) problems.push(`Array ${array.name}: ${trouble}`);
  }
  return {
    version: versionOf(readFileSync(paths.release, 'utf8')),
    settings,
    devices: await orElse('Network', async () => devicesOf(await run('ip', ['-json', 'link', 'show'])), []),
    storage,
    slots: slots ?? (await orElse('Slots', () => exclusively(machine, 'slots', () => slotsNow(machine)), null)),
    isRestoreWaiting: existsSync(paths.restored),
    problems,
  };
}

export function isConfigLost(root: string): boolean {
  return /^rsio-no-config \S*\/config /m.test(readFileSync(`${root}/proc/mounts`, 'utf8'));
}

function versionOf(release: string): string {
  const parsed: unknown = JSON.parse(release);
  return isRecord(parsed) && typeof parsed['version'] === 'string' ? parsed['version'] : 'unknown';
}

/** `links`: the output of `ip -json link show`. */
function devicesOf(links: string): NetworkDevice[] {
  const own = networkInterfaces();
  const parsed: unknown = JSON.parse(links);
  return (Array.isArray(parsed) ? parsed.filter(isRecord) : [])
    .filter((link) => link['link_type'] === 'ether')
    .map((link) => {
      const name = String(link['ifname']);
      const flags = Array.isArray(link['flags']) ? link['flags'] : [];
      const addresses = (own[name] ?? []).filter(({ address }) => !address.startsWith('fe80:')).map(({ cidr, address }) => cidr ?? address);
      return { name, mac: String(link['address']), hasCarrier: flags.includes('LOWER_UP'), addresses };
    });
}
