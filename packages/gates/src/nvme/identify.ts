// The data structures of the Identify command. Pure: each structure depends only on the subsystem, the controller and the volume. Offsets
// follow NVMe Base 2.0, figures 275 to 284, and NVM Command Set 1.0, figure 97; version 1.4 is announced, so that hosts ask for nothing
// newer.

import { GATE_NAMESPACE_ID_MAX } from '@rsio/rsiod/notes/limits';
import {
  GATE_ANA_S,
  GATE_CROSS_RESET_LIMIT,
  GATE_EVENTS_MAX,
  GATE_IN_CAPSULE_BYTES,
  GATE_QUEUE_ENTRIES,
  GATE_QUIESCE_AFTER_KEEP_ALIVE_MS,
  GATE_TRANSFER_BITS,
  GATE_VOLUMES_MAX,
} from '../limits.ts';
import { ANA_CAPABILITIES } from './ana.ts';
import type { ControllerInstance } from './cross-resets.ts';
import { NOTICES } from './notices.ts';
import type { NvmeCommand } from './nvme-command.ts';
import type { GateNamespace, GateVolume } from '../ports/gate-namespace.ts';
import type { SubsystemView } from './subsystem-view.ts';
import { ALL_NAMESPACES, CNS, CODE, type Code, DNR, SQE_BYTES, VERSION_1_4 } from './wire/constants.ts';

export const PAGE_BYTES = 4096;
export const SERIAL_BYTES = 20;
const MODEL = 'RSIO gate';
const IDS = { EUI64: 1, NGUID: 2, UUID: 3, COMMAND_SET: 4 } as const;

/** The parts of a controller that Identify shows. */
export interface Identified {
  readonly id: number;
  readonly instance: ControllerInstance;
}

/** Returns the data of an Identify command, or the code that refuses it. */
export function identify(command: NvmeCommand, subsystem: SubsystemView, controller: Identified): Buffer | Code {
  const { nsid } = command;
  const cns = command.dword(10) & 0xff;
  // The upper byte of CDW11 is the command set; only the NVM command set, 0, is there.
  if (cns >= CNS.SET_NAMESPACE && command.dword(11) >>> 24 !== 0) return CODE.INVALID_FIELD | DNR;
  switch (cns) {
    case CNS.CONTROLLER:
      return controllerPage(subsystem, controller);
    case CNS.ACTIVE_LIST:
    case CNS.SET_LIST:
      return nsid >= ALL_NAMESPACES - 1 ? CODE.INVALID_NAMESPACE | DNR : activeList(subsystem, nsid);
    case CNS.NAMESPACE:
      return ofNamespace(subsystem, nsid, namespacePage, true);
    case CNS.DESCRIPTORS:
      return ofNamespace(subsystem, nsid, descriptors, false);
    case CNS.SET_NAMESPACE:
      return ofNamespace(subsystem, nsid, () => Buffer.alloc(PAGE_BYTES), false);
    case CNS.SET_CONTROLLER:
      return Buffer.alloc(PAGE_BYTES);
    default:
      return CODE.INVALID_FIELD | DNR;
  }
}

/** For a namespace that does not exist, the data is a page of zeros if `isInactive` permits it, as the specification requires for CNS 0. */
function ofNamespace(
  subsystem: SubsystemView,
  nsid: number,
  page: (namespace: GateNamespace) => Buffer,
  isInactive: boolean,
): Buffer | Code {
  const known = subsystem.namespaces.get(nsid);
  if (known !== undefined) return page(known);
  const isValid = nsid > 0 && nsid <= GATE_NAMESPACE_ID_MAX;
  return isInactive && isValid ? Buffer.alloc(PAGE_BYTES) : CODE.INVALID_NAMESPACE | DNR;
}

function activeList({ namespaces }: SubsystemView, above: number): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  const ids = [...namespaces.keys()].filter((nsid) => nsid > above).toSorted((one, other) => one - other);
  for (const [index, nsid] of ids.slice(0, PAGE_BYTES / 4).entries()) page.writeUInt32LE(nsid, 4 * index);
  return page;
}

function controllerPage({ options }: SubsystemView, { id, instance }: Identified): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  const isDiscovery = options.discovery !== null;
  text(page, 4, SERIAL_BYTES, options.serial);
  text(page, 24, 40, MODEL);
  text(page, 64, 8, options.version);
  // CMIC: several ports and several controllers; and namespaces have states.
  page[76] = isDiscovery ? 0x3 : 0x3 | 0x8;
  page[77] = GATE_TRANSFER_BITS;
  page.writeUInt16LE(id, 78);
  page.writeUInt32LE(VERSION_1_4, 80);
  // OAES: notices about namespaces and their states, or about the discovery log. CTRATT: host ids of 128 bits. CNTRLTYPE: I/O or discovery.
  page.writeUInt32LE(isDiscovery ? NOTICES.discovery : NOTICES.volumes, 92);
  page.writeUInt32LE(1, 96);
  page[111] = isDiscovery ? 2 : 1;
  page[258] = 3;
  page[259] = GATE_EVENTS_MAX - 1;
  // FRMW: one read-only slot. LPA: offsets in logs and the log of effects.
  page[260] = 0x3;
  page[261] = 0x6;
  // KAS in 100 ms.
  page.writeUInt16LE(10, 320);
  if (!isDiscovery) {
    page[342] = GATE_ANA_S;
    page[343] = ANA_CAPABILITIES;
    // ANAGRPMAX: the highest group, which is a namespace id. NANAGRPID: how many groups there are at most.
    page.writeUInt32LE(GATE_NAMESPACE_ID_MAX, 344);
    page.writeUInt32LE(GATE_VOLUMES_MAX, 348);
    // CIU, CIRN, CQT and CCRL: a host that has lost a controller may reset it over another controller (cross-resets.ts).
    page[135] = instance.uniquifier;
    instance.number.copy(page, 136);
    page.writeUInt16LE(GATE_QUIESCE_AFTER_KEEP_ALIVE_MS, 386);
    page[1807] = GATE_CROSS_RESET_LIMIT;
  }
  page[512] = 0x66;
  page[513] = 0x44;
  page.writeUInt16LE(GATE_QUEUE_ENTRIES, 514);
  page.writeUInt32LE(GATE_NAMESPACE_ID_MAX, 516);
  // ONCS: Compare, Dataset Management, Write Zeroes, reservations, Verify.
  page.writeUInt16LE(0x1 | 0x4 | 0x8 | 0x20 | 0x80, 520);
  // FUSES: Compare and Write, of one block (ACWU).
  page.writeUInt16LE(1, 522);
  // VWC: there is a cache; FLUSH takes one namespace.
  page[525] = 0x1 | 0x4;
  // SGLS: descriptors in any alignment, and offsets into capsules.
  page.writeUInt32LE(0x1 | (1 << 20), 536);
  page.writeUInt32LE(GATE_VOLUMES_MAX, 540);
  page.write(options.nqn, 768, 223, 'utf8');
  page.writeUInt32LE((SQE_BYTES + GATE_IN_CAPSULE_BYTES) / 16, 1792);
  page.writeUInt32LE(1, 1796);
  page[1803] = 1;
  return page;
}

function namespacePage({ nsid, volume, reservations }: GateNamespace): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  const blocks = BigInt(Math.floor(volume.sizeBytes / volume.blockSizeBytes));
  for (const at of [0, 8, 16]) page.writeBigUInt64LE(blocks, at);
  page[24] = volume.canDiscard ? 0x1 : 0;
  // NMIC: several controllers may use the namespace. RESCAP: all types of reservations, which can be kept; keys are ignored as in version
  // 1.3. DLFEAT: discarded blocks read as zeros, and Write Zeroes may deallocate.
  page[30] = 0x1;
  page[31] = reservations === null ? 0 : 0xff;
  page[33] = volume.canDiscard ? 0x1 | 0x8 : 0;
  page.writeUInt32LE(nsid, 92);
  page[99] = volume.readonly ? 0x1 : 0;
  nguid(volume).copy(page, 104);
  page[130] = Math.log2(volume.blockSizeBytes);
  return page;
}

function descriptors({ volume }: GateNamespace): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  const id = nguid(volume);
  page.set([IDS.NGUID, 16], 0);
  id.copy(page, 4);
  page.set([IDS.UUID, 16], 20);
  id.copy(page, 24);
  page.set([IDS.COMMAND_SET, 1], 40);
  return page;
}

/** The id of a volume is a UUID, which names its content at every gate. */
function nguid({ id }: GateVolume): Buffer {
  const bytes = Buffer.alloc(16);
  Buffer.from(id.replaceAll('-', ''), 'hex').copy(bytes);
  return bytes;
}

function text(page: Buffer, at: number, lengthBytes: number, value: string): void {
  page.write(value.slice(0, lengthBytes).padEnd(lengthBytes), at, lengthBytes, 'latin1');
}
