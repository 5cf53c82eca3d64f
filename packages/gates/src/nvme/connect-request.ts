// Reads a Connect command and its data. Pure. Source: NVMe over Fabrics, 3.3 (Connect), with the limits of the gate. Invariant: a request that
// this file returns lies within the bounds of queues and names.

import { isHostName } from '../ports/host-name.ts';
import { GATE_ADMIN_ENTRIES, GATE_QUEUE_ENTRIES } from '../limits.ts';
import type { NvmeCommand } from './nvme-command.ts';
import { CODE, type Code, DNR } from './wire/constants.ts';

/** The fields of a Connect command and of its data. */
export interface ConnectRequest {
  readonly qid: number;
  readonly entries: number;
  readonly keepAliveMs: number;
  readonly hasFlowControl: boolean;
  readonly hostId: string;
  readonly cntlid: number;
  readonly nqn: string;
  readonly hostNqn: string;
}

const CONNECT_BYTES = 1024;
const FLOW_CONTROL_OFF = 0x04;

/** Returns the fields of a Connect command; a code if they are wrong. */
export function connectRequest(command: NvmeCommand): ConnectRequest | Code {
  if (!command.isConnect || !command.isInCapsule) return CODE.SEQUENCE_ERROR | DNR;
  if (command.dataBytes !== CONNECT_BYTES) return CODE.CONNECT_PARAMETERS | DNR;
  if (command.sqe.readUInt16LE(40) !== 0) return CODE.CONNECT_FORMAT | DNR;
  const { buffer, sqe } = command;
  const qid = sqe.readUInt16LE(42);
  const entries = sqe.readUInt16LE(44) + 1;
  if (entries < 2 || entries > (qid === 0 ? GATE_ADMIN_ENTRIES : GATE_QUEUE_ENTRIES)) return CODE.CONNECT_PARAMETERS | DNR;
  const [nqn, hostNqn] = [textAt(buffer, 256), textAt(buffer, 512)];
  if (nqn === null || hostNqn === null || !isHostName(hostNqn)) return CODE.CONNECT_PARAMETERS | DNR;
  return {
    qid,
    entries,
    nqn,
    hostNqn,
    keepAliveMs: sqe.readUInt32LE(48),
    hasFlowControl: (sqe[46]! & FLOW_CONTROL_OFF) === 0,
    hostId: buffer.toString('hex', 0, 16),
    cntlid: buffer.readUInt16LE(16),
  };
}

/** The first dword of the answer to a refused Connect. Bit 16: the wrong parameter is in the data of the command. */
export function wrongPlace(code: Code): number {
  return code === CODE.CONNECT_BUSY || code === (CODE.SEQUENCE_ERROR | DNR) ? 0 : 1 << 16;
}

/** Returns the NQN in a field of 256 bytes; null if it is empty, too long or has no end. */
function textAt(buffer: Buffer, at: number): string | null {
  const end = buffer.subarray(at, at + 224).indexOf(0);
  return end <= 0 ? null : buffer.toString('utf8', at, at + end);
}
