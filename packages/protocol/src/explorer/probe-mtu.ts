// Measures the MTU of a path with discovery requests of growing size. The answer to a request is as large as the request. The kernel
// forbids fragmentation of the datagrams until a router reports a smaller MTU for the path. Invariants: a size counts only if an answer of
// exactly that size arrived. Across routers, each size is tried only once. If every size gets an answer across a router, the result is
// unknown, because the kernel may have fragmented the datagrams.

import { discoveryKey } from '../auth/keys.ts';
import type { Timer } from '@rsio/base/lib/clock';
import {
  DATAGRAM_HEADERS_BYTES,
  DATAGRAM_MAX_BYTES,
  DISCOVERY_NONCE_BYTES,
  DISCOVERY_REQUEST_BYTES,
  PROBE_DATAGRAM_TIMEOUT_MS,
  PROBE_DATAGRAM_TRIES,
} from './limits.ts';
import { PROTOCOL_VERSIONS } from '../wire/features.ts';
import { decodeDiscovery, encodeDiscover } from './discovery-datagram.ts';
import { isOnLink } from './candidates.ts';
import type { DatagramPeer, DatagramSocket, DatagramSockets } from './datagram-sockets.ts';
import type { ProbeCandidate, ProbePorts } from './probe-report.ts';

export interface MtuResult {
  /**
   * Largest MTU for which a datagram was answered. Null if the server answers no datagram, or if every size was answered across a router.
   */
  readonly bytes: number | null;
  /** First MTU for which no datagram was answered; null if every size was answered, or if the result is unknown. */
  readonly failedBytes: number | null;
}

const UNKNOWN: MtuResult = { bytes: null, failedBytes: null };
const COMMON_MTUS: readonly number[] = [1400, 1420, 1450, 1492, 1500, 4000, 9000];
const SMALLEST_MTU = DISCOVERY_REQUEST_BYTES + DATAGRAM_HEADERS_BYTES;

/** `ownBytes` is the MTU of the candidate's local interface. */
export async function measureMtu(
  candidate: ProbeCandidate,
  ownBytes: number,
  ports: ProbePorts,
  sockets: DatagramSockets,
): Promise<MtuResult> {
  if (ownBytes < SMALLEST_MTU) return UNKNOWN;
  const sizes = [SMALLEST_MTU, ...COMMON_MTUS.filter((size) => size > SMALLEST_MTU && size < ownBytes), ownBytes];
  const asker = new MtuAsker(candidate, ports);
  try {
    await asker.open(sockets);
  } catch {
    return UNKNOWN;
  }
  let bytes: number | null = null;
  try {
    for (const size of new Set(sizes)) {
      if (!(await asker.goesThrough(size))) return bytes === null ? UNKNOWN : { bytes, failedBytes: size };
      bytes = size;
    }
    // If a router reported a smaller MTU earlier, the kernel fragments the datagrams, and every size gets an answer.
    return isOnLink(candidate) ? { bytes, failedBytes: null } : UNKNOWN;
  } finally {
    asker.close();
  }
}

class MtuAsker {
  private readonly candidate: ProbeCandidate;
  private readonly ports: ProbePorts;
  private readonly key: Buffer | null;
  private readonly tries: number;
  private socket: DatagramSocket | null = null;
  private nonce: Buffer = Buffer.alloc(0);
  private sizeBytes = 0;
  private answered: (() => void) | null = null;

  constructor(candidate: ProbeCandidate, ports: ProbePorts) {
    this.candidate = candidate;
    this.ports = ports;
    this.key = ports.namespacekey === null ? null : discoveryKey(ports.namespacekey);
    this.tries = isOnLink(candidate) ? PROBE_DATAGRAM_TRIES : 1;
  }

  async open(sockets: DatagramSockets): Promise<void> {
    const handler = {
      onDatagram: (datagram: Buffer, from: DatagramPeer) => this.heard(datagram, from),
      onFailed: () => undefined,
    };
    this.socket = await sockets.open({ address: this.candidate.local.address, port: 0 }, handler);
  }

  close(): void {
    this.socket?.close();
  }

  async goesThrough(mtuBytes: number): Promise<boolean> {
    this.sizeBytes = Math.min(mtuBytes - DATAGRAM_HEADERS_BYTES, DATAGRAM_MAX_BYTES);
    // On a link without routers, try again, because the loss may have been random.
    for (let attempt = 0; attempt < this.tries; attempt++) if (await this.ask()) return true;
    return false;
  }

  private ask(): Promise<boolean> {
    const { clock, random } = this.ports;
    this.nonce = random(DISCOVERY_NONCE_BYTES);
    const message = { versions: PROTOCOL_VERSIONS, nonce: this.nonce, namespaceid: null, answerBytes: this.sizeBytes };
    return new Promise((resolve) => {
      let timer: Timer | null = null;
      const end = (isThrough: boolean): void => {
        timer?.cancel();
        this.answered = null;
        resolve(isThrough);
      };
      timer = clock.after(PROBE_DATAGRAM_TIMEOUT_MS, () => end(false));
      this.answered = () => end(true);
      this.socket?.send(encodeDiscover(message, this.key, this.sizeBytes), this.candidate.remote, () => end(false));
    });
  }

  private heard(datagram: Buffer, from: DatagramPeer): void {
    const received = decodeDiscovery(datagram, this.key);
    if (received.kind !== 'offer' || datagram.length !== this.sizeBytes || from.address !== this.candidate.remote.address) return;
    if (this.nonce.equals(received.message.nonce) && (this.key === null || received.signature === 'right')) this.answered?.();
  }
}
