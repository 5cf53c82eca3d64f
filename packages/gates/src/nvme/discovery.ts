// The discovery log: which subsystems a host may log in to, and at which addresses. Pure. Offsets follow NVMe Base 2.0, figure 294, and
// NVMe/TCP 1.0, 3.4.

import { isIPv6 } from 'node:net';
import { GATE_ADMIN_ENTRIES, GATE_PORT_IDS } from '../limits.ts';
import { CNTLID_ANY } from './wire/constants.ts';

export interface DiscoveryEntry {
  readonly nqn: string;
  readonly address: string;
  readonly port: number;
  /** Number of the address; each address is a port of the subsystem. */
  readonly portId: number;
  readonly tls: boolean;
}

const ENTRY_BYTES = 1024;
const TRANSPORT_TCP = 3;
const FAMILY = { IPV4: 1, IPV6: 2 } as const;
const NVM_SUBSYSTEM = 2;
/** TREQ: whether the transport must be secure. */
const SECURITY = { REQUIRED: 1, NOT_REQUIRED: 2 } as const;
/** SECTYPE, in the first byte of TSAS. */
const TSAS_AT = 768;
const SECTYPE_TLS_1_3 = 2;

/** Returns the number of a gate's address, which no other gate of the same subsystem uses. */
export function portIdOf(gateNumber: number, address: number): number {
  return (gateNumber - 1) * GATE_PORT_IDS + address;
}

export function discoveryLog(generation: number, entries: readonly DiscoveryEntry[]): Buffer {
  const log = Buffer.alloc(ENTRY_BYTES * (1 + entries.length));
  log.writeBigUInt64LE(BigInt(generation), 0);
  log.writeBigUInt64LE(BigInt(entries.length), 8);
  for (const [index, entry] of entries.entries()) writeEntry(log.subarray(ENTRY_BYTES * (index + 1)), entry);
  return log;
}

function writeEntry(bytes: Buffer, { nqn, address, port, portId, tls }: DiscoveryEntry): void {
  bytes[0] = TRANSPORT_TCP;
  bytes[1] = isIPv6(address) ? FAMILY.IPV6 : FAMILY.IPV4;
  bytes[2] = NVM_SUBSYSTEM;
  bytes[3] = tls ? SECURITY.REQUIRED : SECURITY.NOT_REQUIRED;
  bytes.writeUInt16LE(portId, 4);
  bytes.writeUInt16LE(CNTLID_ANY, 6);
  bytes.writeUInt16LE(GATE_ADMIN_ENTRIES, 8);
  bytes.write(String(port).padEnd(32), 32, 32, 'latin1');
  bytes.write(nqn, 256, 255, 'utf8');
  bytes.write(address.padEnd(256), 512, 256, 'latin1');
  if (tls) bytes[TSAS_AT] = SECTYPE_TLS_1_3;
}
