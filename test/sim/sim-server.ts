// A simulated server machine: its listener proves connections and hands them to the process of their session after a while; listener and
// processes can be killed, stopped and ended in order. It keeps rules S9 and S10: a new session of a node begins only when the old one's
// process is gone, sockets on their way to it included; a new listener admits nobody until its predecessor's processes are gone.

import { wholeFrame } from '@rsio/protocol/auth/handshake-frames';
import { type Proven, type Refusal, refuseFrame, ServerHandshake, type ServerIdentity } from '@rsio/protocol/auth/handshake-server';
import { BufferPool } from '@rsio/protocol/lib/buffer-pool';
import { OLD_SESSION_WAIT_MS, PORT_DEFAULT, PROOF_TIMEOUT_MS } from '@rsio/protocol/limits';
import type { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import { Decoder } from '@rsio/protocol/wire/decoder';
import { FEATURE } from '@rsio/protocol/wire/features';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import { SimProcess, type SimClock } from './sim-clock.ts';
import type { SimEnd, SimLink } from './sim-link.ts';
import type { SimHost } from './sim-network.ts';
import { type SimList, SimSession, type SessionHost } from './sim-session.ts';
import { EVENT, type Trace } from './trace.ts';

export interface ServerPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly nodekey: string;
  readonly sessions: SessionHost;
  /** Longest time a proven socket takes to its process, ms. */
  readonly handOverMs: number;
}

type Refuse = (refusal: Pick<Refusal, 'code' | 'sentence'>) => void;

const KILL_MAX_MS = 50;
const handshakeBodies = new BufferPool(1024 * 1024);

export class SimServer implements SimHost {
  readonly name: string;
  readonly serverid: number;
  readonly sessions = new Map<string, SimSession>();
  isListening = true;
  /** The listener of now. */
  listener: SimProcess;
  private readonly ports: ServerPorts;
  /** Addresses that it listens on, those taken out of its list, and the number of the list. */
  private readonly addresses: readonly string[];
  private readonly unlisted = new Set<string>();
  private generation = 1;
  private instance = 0;
  /** Nodes whose old session is being ended: a second newcomer is told to come again. */
  private readonly inTransition = new Set<string>();
  /** Processes of earlier listeners that are not gone yet. */
  private leftOver = new Set<SimSession>();

  constructor(name: string, serverid: number, addresses: readonly string[], ports: ServerPorts) {
    this.addresses = addresses;
    this.name = name;
    this.serverid = serverid;
    this.ports = ports;
    this.listener = new SimProcess(ports.clock);
  }

  /** It listens, stands nowhere still, and is ending nothing. */
  get isGood(): boolean {
    if (!this.isListening || this.listener.isPaused || this.inTransition.size > 0 || this.leftOver.size > 0) return false;
    for (const session of this.sessions.values()) if (session.process.isPaused || session.isEnding) return false;
    return true;
  }

  /** Takes an interface out of the list, never the last one; gives its address, or null. */
  unlist(): string | null {
    const listed = this.addresses.filter((address) => !this.unlisted.has(address));
    if (listed.length < 2) return null;
    const address = this.ports.random.pick(listed);
    this.unlisted.add(address);
    this.listChanged();
    return address;
  }

  list(address: string): void {
    this.unlisted.delete(address);
    this.listChanged();
  }

  private listChanged(): void {
    this.generation++;
    for (const session of this.sessions.values()) session.listChanged();
  }

  accept(link: SimLink): void {
    const { listener } = this;
    link.server.owner = listener;
    listener.after(0, () => this.prove(link.server));
  }

  /** The listener is killed; the processes notice and exit (S10), and another listener starts after `downMs`. */
  killListener(downMs: number): void {
    if (!this.isListening) return;
    const { clock, random } = this.ports;
    this.isListening = false;
    this.instance++;
    this.listener.kill();
    this.inTransition.clear();
    for (const session of this.sessions.values()) {
      session.isOrphan = true;
      this.leftOver.add(session);
      clock.after(random.unit() * KILL_MAX_MS, () => session.kill());
    }
    this.sessions.clear();
    clock.after(downMs, () => this.startListener());
  }

  private startListener(): void {
    // What its predecessor left is ended before anybody is admitted; a process that stands still is killed all the same.
    for (const session of this.leftOver) session.kill();
    this.listener = new SimProcess(this.ports.clock);
    this.isListening = true;
  }

  private get identity(): ServerIdentity {
    const instance = this.instance.toString(16).padStart(32, '0');
    const { name, serverid } = this;
    return { namespaceid: 1, server: name, serverid, instance, serverkey: null, versions: [1], features: [FEATURE.DIGEST] };
  }

  /** Takes a connection that nothing was read from. */
  private prove(end: SimEnd): void {
    if (end.isClosed) return;
    const handshake = new ServerHandshake(this.identity, this.ports.random.bytes);
    let isChallenged = false;
    let proven: Proven | null = null;
    const deadline = this.listener.after(PROOF_TIMEOUT_MS, () => end.destroy(true));
    const answer = (frame: Buffer): void => end.send(frame, 0, frame.length, () => undefined);
    const refuse: Refuse = (refusal) => {
      if (end.isClosed) return;
      answer(refuseFrame(refusal));
      end.end();
    };
    const take = (frame: Buffer): void => {
      const outcome = isChallenged
        ? handshake.onProof(frame, (session, node) => this.secretOf(session, node))
        : handshake.onHello(frame, () => this.ports.nodekey);
      isChallenged = true;
      if (outcome.kind === 'challenge') answer(outcome.frame);
      else if (outcome.kind === 'refuse') refuse(outcome);
      else proven = outcome;
    };
    const decoder = new Decoder(
      {
        bodyBegins: () => undefined,
        frame: (header, body, offset) => take(wholeFrame(header, body, offset)),
        malformed: (reason) => {
          throw new Error(`The client's handshake is malformed: ${reason}`);
        },
      },
      handshakeBodies,
    );
    end.handler = {
      onBytes: (bytes, offset, lengthBytes) => {
        decoder.push(bytes, offset, lengthBytes);
        if (proven === null) return;
        // Nothing is read from it until its process has it.
        deadline.cancel();
        end.handler = null;
        this.proven(end, proven, refuse);
      },
      onClosed: () => {
        deadline.cancel();
        decoder.stop();
      },
    };
  }

  private secretOf(session: Uint8Array, node: string): Buffer | null {
    const served = this.sessions.get(node);
    return served !== undefined && Buffer.from(session).toString('hex') === served.id ? served.secret : null;
  }

  private proven(end: SimEnd, proven: Proven, refuse: Refuse): void {
    const { node } = proven.hello;
    const old = this.sessions.get(node);
    if (proven.kind === 'join') {
      if (old === undefined) refuse({ code: 'E_NO_SESSION', sentence: 'The session has just ended' });
      else this.handOver(old, end, proven);
      return;
    }
    if (this.inTransition.has(node)) {
      refuse({ code: 'E_DRAINING', sentence: 'The last session is just being ended' });
      return;
    }
    if (old !== undefined && old.instance > proven.hello.instance) {
      refuse({ code: 'E_REPLACED', sentence: 'This instance was replaced by a later one' });
      return;
    }
    if (old === undefined) this.begin(end, proven);
    else this.replace(old, end, proven, refuse);
  }

  /** S9: the new session begins when the old one's process is gone, or the newcomer is told to come again. */
  private replace(old: SimSession, end: SimEnd, proven: Proven & { kind: 'new' }, refuse: Refuse): void {
    const { node } = proven.hello;
    const { instance } = this;
    this.inTransition.add(node);
    let isSettled = false;
    const timer = this.listener.after(OLD_SESSION_WAIT_MS, () => {
      isSettled = true;
      this.inTransition.delete(node);
      refuse({ code: 'E_DRAINING', sentence: 'The last session still has I/O running' });
    });
    old.whenGone.push(() => {
      timer.cancel();
      if (isSettled || this.instance !== instance) return;
      this.listener.after(0, () => {
        this.inTransition.delete(node);
        this.begin(end, proven);
      });
    });
    old.end('E_NO_SESSION', 'The client began a new session');
  }

  private begin(end: SimEnd, proven: Proven & { kind: 'new' }): void {
    if (end.isClosed) return;
    const { node, instance } = proven.hello;
    const { trace, clock } = this.ports;
    const list = (): SimList => ({
      interfaces: this.addresses.filter((address) => !this.unlisted.has(address)).map(interfaceAt),
      generation: this.generation,
    });
    const session = new SimSession(clock, this.ports.sessions, list, node, instance, proven.sessionSecret);
    this.sessions.set(node, session);
    trace.note(EVENT.SESSION, this.serverid, session.life, instance);
    if (trace.isOn) trace.say(`${this.name}: session of ${node} begins, life ${session.life}`);
    session.whenGone.push(() => {
      if (this.sessions.get(node) === session) this.sessions.delete(node);
      this.leftOver.delete(session);
      if (trace.isOn) trace.say(`${this.name}: process of ${node}, life ${session.life}, is gone`);
    });
    this.handOver(session, end, proven);
  }

  private handOver(session: SimSession, end: SimEnd, proven: Proven): void {
    const { welcomeKey, transcript, features, proof } = proven;
    session.take(end, this.ports.random.unit() * this.ports.handOverMs, {
      welcomeKey,
      transcript,
      arrivedAt: interfaceAt(end.localAddress),
      digest: features.includes(FEATURE.DIGEST),
      dead: proof.dead,
    });
  }
}

export function interfaceAt(address: string): ServerInterface {
  return { name: `if-${address}`, address, port: PORT_DEFAULT };
}
