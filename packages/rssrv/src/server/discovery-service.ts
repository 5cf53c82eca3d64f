// Opens the UDP sockets that the configuration requires, and answers discovery datagrams on them. The class DiscoveryResponder, which is
// pure, makes the answers. Invariant: a failure of a UDP socket causes only a warning and never affects sessions.

import { OneByOne } from '@rsio/base/structures/one-by-one';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { printEndpoint } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import { type DiscoveryIdentity, type DiscoveryOutcome, DiscoveryResponder } from '@rsio/protocol/explorer/discovery-responder';
import { type DatagramPeer, type DatagramSocket, type DatagramSockets, udpSockets } from '@rsio/protocol/explorer/datagram-sockets';
import { interfaceOf, type MachineInterface, machineInterfaces, systemFacts } from '@rsio/protocol/explorer/interfaces';
import { addressKeyOf, answeringAddresses, type DiscoveryAddress, discoveryAddresses, KnownAddresses } from './discovery-addresses.ts';
import { DISCOVERY_DROPS_LOG_MS, DISCOVERY_FACTS_MS } from './limits.ts';

export interface DiscoveryPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly sockets: DatagramSockets;
  /** The machine's current interfaces. */
  machine(): MachineInterface[];
  /** Id of this run of the listener: 32 hex digits. */
  readonly instance: string;
}

interface BoundSocket {
  readonly at: DiscoveryAddress;
  readonly socket: DatagramSocket;
}

/** Outcomes that are not logged. A request for another namespace is normal. */
const ORDINARY: ReadonlySet<DiscoveryOutcome> = new Set(['answered', 'namespace']);

export class DiscoveryService {
  private readonly ports: DiscoveryPorts;
  private readonly sockets = new Map<string, BoundSocket>();
  private readonly known = new KnownAddresses();
  /** Executes the calls of `follow` one after another, so that no socket is opened twice. */
  private readonly changes = new OneByOne();
  private config: RssrvConfig | null = null;
  private responder: DiscoveryResponder | null = null;
  private machine: readonly MachineInterface[] = [];
  private machineAtMs = 0;
  private reported = new Map<string, number>();
  private dropsTimer: Timer | null = null;
  private isClosed = false;

  constructor(ports: DiscoveryPorts) {
    this.ports = ports;
  }

  /** Opens and closes sockets to match `config`. Resolves with a warning for each failed socket; never rejects. */
  follow(config: RssrvConfig): Promise<string[]> {
    return this.changes.run(() => this.followNow(config)).catch((thrown: unknown) => [`Exploration: ${toRsError(thrown).message}`]);
  }

  /** Records that a client has proved its identity from `address`. */
  proved(address: string): void {
    this.known.proved(address);
  }

  close(): void {
    this.isClosed = true;
    this.dropsTimer?.cancel();
    for (const { socket } of this.sockets.values()) socket.close();
    this.sockets.clear();
  }

  private async followNow(config: RssrvConfig): Promise<string[]> {
    this.config = config;
    this.refresh();
    const wanted = new Map(discoveryAddresses(config, this.machine).map((at) => [addressKeyOf(at.address, at.port), at]));
    for (const [key, { socket }] of [...this.sockets]) {
      if (wanted.has(key)) continue;
      socket.close();
      this.sockets.delete(key);
    }
    const problems: string[] = [];
    const opened: string[] = [];
    for (const at of wanted.values()) {
      if (this.sockets.has(addressKeyOf(at.address, at.port))) continue;
      const problem = await this.open(at);
      if (problem === null) opened.push(printEndpoint(at.address, at.port));
      else problems.push(problem);
    }
    if (opened.length > 0) this.ports.log.info(`Exploration is answered on ${opened.join(', ')}`);
    return problems;
  }

  private async open(at: DiscoveryAddress): Promise<string | null> {
    const { address, port, isBroadcast, interfaceName } = at;
    const key = addressKeyOf(address, port);
    const where = `UDP ${printEndpoint(address, port)} (interface ${interfaceName}${isBroadcast ? ', broadcast' : ''})`;
    try {
      const socket = await this.ports.sockets.open(
        { address, port },
        {
          onDatagram: (datagram, from) => this.onDatagram(at, datagram, from),
          onFailed: (reason) => {
            this.sockets.delete(key);
            this.ports.log.warn(`Exploration is not answered on ${where} any more (${reason}): send SIGHUP to try again`);
          },
        },
      );
      if (this.isClosed) socket.close();
      else this.sockets.set(key, { at, socket });
      return null;
    } catch (thrown) {
      const { message, context } = toRsError(thrown);
      const reason = context['errno'] === 'EADDRINUSE' ? 'another program uses the port: stop it' : `${message}: correct that`;
      return `Exploration is not answered on ${where}: ${reason}, or give clients the addresses of this server`;
    }
  }

  private onDatagram(at: DiscoveryAddress, datagram: Buffer, from: DatagramPeer): void {
    const nowMs = this.ports.clock.monotonicMs();
    // Link speeds, MTUs and cabling may have changed since the last refresh.
    if (nowMs - this.machineAtMs > DISCOVERY_FACTS_MS) this.refresh();
    const answer = this.responder?.answerTo(datagram, from.address, nowMs) ?? null;
    if (answer === null) this.dropsTimer ??= this.ports.clock.after(DISCOVERY_DROPS_LOG_MS, () => this.reportDrops());
    else
      this.answeringSocket(at, from)?.send(answer, from, (reason) => {
        this.ports.log.debug(`Exploration of ${printEndpoint(from.address, from.port)} could not be answered: ${reason}`);
      });
  }

  /** Returns the socket that sends the answer. A socket on a broadcast address can only receive. */
  private answeringSocket(at: DiscoveryAddress, from: DatagramPeer): DatagramSocket | undefined {
    const { address, port, isBroadcast } = at;
    if (!isBroadcast) return this.sockets.get(addressKeyOf(address, port))?.socket;
    const addresses = answeringAddresses(address, from.address, this.config?.interfaces ?? [], this.machine);
    return addresses.map((one) => this.sockets.get(addressKeyOf(one, port))?.socket).find((socket) => socket !== undefined);
  }

  /** Rereads the machine's interfaces and updates the answers. */
  private refresh(): void {
    const { config } = this;
    if (config === null) return;
    this.machine = this.ports.machine();
    this.machineAtMs = this.ports.clock.monotonicMs();
    const { explore, namespacekey } = config.namespace;
    if (explore === 'no') return;
    const identity = { offered: this.offered(config), explore, namespacekey };
    if (this.responder === null) this.responder = new DiscoveryResponder(identity, (address) => this.known.has(address));
    else this.responder.change(identity);
  }

  private offered({ namespace, server, interfaces }: RssrvConfig): DiscoveryIdentity['offered'] {
    return {
      namespace: namespace.name,
      namespaceid: namespace.namespaceid,
      server: server.name,
      serverid: server.serverid,
      instance: this.ports.instance,
      interfaces: interfaces.map(({ name, address, port }) => {
        const found = interfaceOf(address, this.machine);
        return { name, address, port, linkMbps: found?.linkMbps ?? null, mtuBytes: found?.mtuBytes ?? null };
      }),
    };
  }

  /** Logs how many datagrams were dropped since the last report. */
  private reportDrops(): void {
    this.dropsTimer = null;
    const parts: string[] = [];
    for (const [outcome, count] of Object.entries(this.responder?.counts ?? {})) {
      const more = count - (this.reported.get(outcome) ?? 0);
      this.reported.set(outcome, count);
      if (more > 0 && !ORDINARY.has(outcome as DiscoveryOutcome)) parts.push(`${more} ${outcome}`);
    }
    if (parts.length > 0) this.ports.log.warn(`Discovery datagrams without an answer: ${parts.join(', ')}`);
  }
}

/** Answers on the sockets of this machine. `instance`: id of this run of the listener. */
export function systemDiscovery(clock: Clock, log: Log, instance: string): DiscoveryService {
  return new DiscoveryService({ clock, log, sockets: udpSockets, machine: () => machineInterfaces(systemFacts), instance });
}
