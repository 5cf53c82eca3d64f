// Decides which answers to an exploration are accepted: takes datagrams with their origins, and returns servers and findings. Pure.
// Invariant: an accepted answer arrived at the socket from which the nonce of the answer was sent, and came from an address that the server
// lists. An accepted answer belongs to the requested namespace and, if a key is set, has a valid signature. Every other answer becomes a
// finding.

import { discoveryKey } from '../auth/keys.ts';
import { addressKey } from '@rsio/base/lib/subnet';
import { DISCOVERY_ANSWERS_MAX } from './limits.ts';
import { PROTOCOL_VERSIONS } from '../wire/features.ts';
import { type DiscoveryDrop, decodeDiscovery, type Offer, type OfferedInterface } from './discovery-datagram.ts';
import type { DatagramPeer } from './datagram-sockets.ts';
import type { ExploreLocal, FoundServer, Heard } from './exploration.ts';
import type { Findings } from './finding.ts';

const DROPPED: Readonly<Record<Exclude<DiscoveryDrop, 'version'>, string>> = {
  foreign: 'is not an RSIO datagram',
  truncated: 'is truncated',
  oversized: 'claims a longer message than an answer may have',
  malformed: 'is malformed',
};

interface Asked {
  readonly local: ExploreLocal;
  readonly atMs: number;
}

export class Answers {
  readonly key: Buffer | null;
  private readonly namespaceid: number | null;
  private readonly findings: Findings;
  private readonly onFound: (server: FoundServer) => void;
  private readonly asked = new Map<string, Asked>();
  private readonly found = new Map<string, FoundServer>();
  private readonly answering = new Set<string>();
  private kept = 0;

  constructor(namespacekey: string | null, namespaceid: number | null, findings: Findings, onFound: (server: FoundServer) => void) {
    this.key = namespacekey === null ? null : discoveryKey(namespacekey);
    this.namespaceid = namespaceid;
    this.findings = findings;
    this.onFound = onFound;
  }

  sent(nonce: Buffer, local: ExploreLocal, nowMs: number): void {
    this.asked.set(nonce.toString('hex'), { local, atMs: nowMs });
  }

  take(datagram: Buffer, from: DatagramPeer, local: ExploreLocal, nowMs: number): void {
    const received = decodeDiscovery(datagram, this.key);
    if (received.kind === 'drop') {
      this.dropped(received.reason, datagram.length, from);
      return;
    }
    const asked = received.kind === 'offer' ? this.asked.get(Buffer.from(received.message.nonce).toString('hex')) : undefined;
    if (received.kind !== 'offer' || asked?.local !== local) {
      const sentence = `A datagram from ${from.address} matches no request sent from ${local.name}`;
      this.findings.add(
        'not-asked-for',
        from.address,
        sentence,
        'if it repeats, find the machine that sends old answers from that address',
      );
      return;
    }
    const { message, signature } = received;
    const who = `Server ${message.server} at ${from.address}`;
    if (this.key !== null && signature === 'none') {
      const remedy = `set namespacekey in its rssrvcfg, or remove it here`;
      this.findings.add('unsigned', from.address, `${who} does not sign its answers, but a namespacekey is set here`, remedy);
    } else if (this.key !== null && signature === 'wrong') {
      const sentence = `${who} signs its answers with a different namespacekey`;
      this.findings.add('wrongly-signed', from.address, sentence, 'make namespacekey the same on both sides');
    } else if (this.isOurs(message, from, who)) {
      this.answering.add(peerKey(from));
      this.keep(message, { local: local.name, localAddress: local.address, from: from.address, roundTripMs: nowMs - asked.atMs });
    }
  }

  hasAnswered(peer: DatagramPeer): boolean {
    return this.answering.has(peerKey(peer));
  }

  /**
   * Returns the servers, sorted by namespaceid, serverid and instance. Adds a finding if two servers of a namespace have the same serverid.
   */
  close(): FoundServer[] {
    const servers = [...this.found.values()].toSorted(
      (one, other) => one.namespaceid - other.namespaceid || one.serverid - other.serverid || (one.instance < other.instance ? -1 : 1),
    );
    servers.forEach((server, index) => {
      const before = servers[index - 1];
      if (before?.namespaceid !== server.namespaceid || before.serverid !== server.serverid) return;
      const both = [before, server].map(({ server: name, heard }) => `${name} (${heard[0]?.from ?? ''})`).join(' and ');
      this.findings.add(
        'same-id',
        `serverid ${server.serverid}`,
        `Two servers have serverid ${server.serverid} in namespaceid ${server.namespaceid}: ${both}`,
        'if one is a copy, rsadm identity new there makes another server of it; if the server has just restarted, explore again',
      );
    });
    return servers;
  }

  private dropped(reason: DiscoveryDrop, lengthBytes: number, from: DatagramPeer): void {
    if (reason === 'version') {
      const sentence = `The peer at ${from.address} answers in a newer discovery format`;
      this.findings.add('newer-version', from.address, sentence, 'update this machine');
      return;
    }
    const sentence = `A datagram of ${lengthBytes} bytes from ${from.address} ${DROPPED[reason]}`;
    this.findings.add('unreadable', from.address, sentence, `check which program uses ${from.address} port ${from.port}`);
  }

  private isOurs(offer: Offer, from: DatagramPeer, who: string): boolean {
    const { namespaceid, version, interfaces } = offer;
    if (this.namespaceid !== null && namespaceid !== this.namespaceid) {
      const sentence = `${who} answers for namespaceid ${namespaceid} instead of ${this.namespaceid}`;
      this.findings.add('other-namespace', from.address, sentence, 'correct namespaceid on one of the two sides');
      return false;
    }
    if (!PROTOCOL_VERSIONS.includes(version)) {
      const sentence = `${who} speaks protocol version ${version}; this machine speaks ${PROTOCOL_VERSIONS.join(', ')}`;
      this.findings.add('no-common-version', from.address, sentence, 'update the older of the two');
      return false;
    }
    if (!interfaces.some(({ address }) => addressKey(address) === addressKey(from.address))) {
      const own = interfaces.map(({ address }) => address).join(', ');
      const sentence = `${who} does not list that address among its own: ${own === '' ? 'it lists none' : own}`;
      const remedy =
        'if addresses are translated on the way, write a [server] section by hand; otherwise find the machine that impersonates it';
      this.findings.add('other-address', from.address, sentence, remedy);
      return false;
    }
    return true;
  }

  private keep(offer: Offer, heard: Heard): void {
    const { version: _version, nonce: _nonce, ...server } = offer;
    const key = `${server.namespaceid} ${server.serverid} ${server.instance}`;
    const known = this.found.get(key);
    if (known !== undefined && !isSameServer(known, server)) {
      const sentence = `Two answers for server ${server.server} at ${heard.from} contradict each other`;
      this.findings.add(
        'contradiction',
        heard.from,
        sentence,
        'explore again; if it persists, find the machine that impersonates the server',
      );
      return;
    }
    const ways = known?.heard ?? [];
    const before = ways.find((way) => way.from === heard.from && way.localAddress === heard.localAddress);
    if (before === undefined && this.kept === DISCOVERY_ANSWERS_MAX) {
      this.findings.add(
        'too-many',
        'answers',
        `More than ${DISCOVERY_ANSWERS_MAX} answers arrived`,
        'explore a single namespaceid or a single address',
      );
      return;
    }
    if (before === undefined) this.kept++;
    const isFaster = before === undefined || heard.roundTripMs < before.roundTripMs;
    const found: FoundServer = {
      ...server,
      isSigned: this.key !== null,
      heard: isFaster ? [...ways.filter((way) => way !== before), heard] : ways,
    };
    this.found.set(key, found);
    if (before === undefined) this.onFound(found);
  }
}

/** Ignores speed and MTU, which may change between two answers; the last answer counts. */
function isSameServer(known: FoundServer, server: Omit<Offer, 'version' | 'nonce'>): boolean {
  return (
    known.server === server.server && known.namespace === server.namespace && placesOf(known.interfaces) === placesOf(server.interfaces)
  );
}

function placesOf(interfaces: readonly OfferedInterface[]): string {
  return JSON.stringify(interfaces.map(({ name, address, port }) => [name, address, port]));
}

function peerKey({ address, port }: DatagramPeer): string {
  return `${address} ${port}`;
}
