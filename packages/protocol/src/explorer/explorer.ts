// Runs one exploration: sends several rounds of requests from every local interface, and listens for a bounded time. Each round consists of
// broadcasts and requests to given addresses. Invariant: an exploration ends in bounded time and leaves no socket and no timer behind.

import { isIPv4 } from 'node:net';
import { toRsError } from '@rsio/base/lib/errors';
import { isLoopback4 } from '@rsio/base/lib/subnet';
import { DISCOVERY_NONCE_BYTES, DISCOVERY_REQUEST_BYTES, DISCOVERY_ROUNDS, DISCOVERY_TARGETS_MAX, DISCOVERY_WAIT_MS } from './limits.ts';
import { PROTOCOL_VERSIONS } from '../wire/features.ts';
import { Answers } from './answers.ts';
import { encodeDiscover } from './discovery-datagram.ts';
import type { DatagramPeer, DatagramSocket } from './datagram-sockets.ts';
import type { Exploration, ExploreLocal, ExploreOptions } from './exploration.ts';
import { Findings } from './finding.ts';

interface LocalSocket {
  readonly local: ExploreLocal;
  readonly socket: DatagramSocket;
}

/** Completes after `durationMs`. Problems of the machine or the network become findings and never reject the promise. */
export async function explore(options: ExploreOptions): Promise<Exploration> {
  const { clock, durationMs = DISCOVERY_WAIT_MS } = options;
  const findings = new Findings();
  const answers = new Answers(options.namespacekey, options.namespaceid, findings, (server) => options.onFound?.(server));
  const ears = await openSockets(options, answers, findings);
  const targets = options.targets.slice(0, DISCOVERY_TARGETS_MAX);
  if (targets.length < options.targets.length) {
    const sentence = `${options.targets.length} addresses were given; only the first ${DISCOVERY_TARGETS_MAX} are asked`;
    findings.add('too-many', 'addresses', sentence, 'give fewer addresses at a time');
  }
  const rounds = Array.from({ length: DISCOVERY_ROUNDS }, (_, round) => (round * durationMs) / 2 / DISCOVERY_ROUNDS);
  const timers = rounds.map((delayMs) =>
    clock.after(delayMs, () => {
      for (const ear of ears) ask(ear, targets, options, answers, findings);
    }),
  );
  await new Promise<void>((resolve) => {
    clock.after(ears.length === 0 ? 0 : durationMs, resolve);
  });
  for (const timer of timers) timer.cancel();
  for (const { socket } of ears) socket.close();
  reportSilent(targets, ears, answers, findings);
  return { servers: answers.close(), findings: findings.list };
}

async function openSockets({ locals, sockets, clock }: ExploreOptions, answers: Answers, findings: Findings): Promise<LocalSocket[]> {
  if (locals.length === 0) findings.add('cannot-ask', 'interfaces', 'No local interface to explore from', 'add an [interface] section');
  const ears: LocalSocket[] = [];
  for (const local of locals) {
    const cannot = (reason: string): void => {
      const sentence = `Cannot explore from ${local.name} (${local.address}): ${reason}`;
      findings.add('cannot-ask', local.name, sentence, 'correct its address or connect its cable');
    };
    const handler = {
      onDatagram: (datagram: Buffer, from: DatagramPeer) => answers.take(datagram, from, local, clock.monotonicMs()),
      onFailed: cannot,
    };
    try {
      ears.push({ local, socket: await sockets.open({ address: local.address, port: 0 }, handler) });
    } catch (thrown) {
      cannot(toRsError(thrown).message);
    }
  }
  return ears;
}

/**
 * Sends the requests of one round from one local interface. These requests share a new nonce. Each answer repeats the nonce, which shows
 * the round that caused the answer.
 */
function ask(
  { local, socket }: LocalSocket,
  targets: readonly DatagramPeer[],
  options: ExploreOptions,
  answers: Answers,
  findings: Findings,
): void {
  const { namespaceid, port, clock, random } = options;
  const nonce = random(DISCOVERY_NONCE_BYTES);
  const message = { versions: PROTOCOL_VERSIONS, nonce, namespaceid, answerBytes: 0 };
  const datagram = encodeDiscover(message, answers.key, DISCOVERY_REQUEST_BYTES);
  const near = targets.filter(({ address }) => canAsk(local.address, address));
  const peers = local.broadcast === null ? near : [{ address: local.broadcast, port }, ...near];
  if (peers.length === 0) {
    const sentence = `${local.name} (${local.address}) has no broadcast address, and no given address can be asked from it`;
    findings.add('no-broadcast', local.name, sentence, "give a server's address");
  }
  answers.sent(nonce, local, clock.monotonicMs());
  for (const peer of peers) {
    socket.send(datagram, peer, (reason) => {
      const sentence = `${local.name} (${local.address}) cannot send to ${peer.address}: ${reason}`;
      findings.add('cannot-ask', `${local.name} -> ${peer.address}`, sentence, 'check the address, the cable and the routes');
    });
  }
}

/**
 * False if `local` is a loopback address and `target` is not, because the kernel sends no datagram from a loopback address to another
 * machine.
 */
function canAsk(local: string, target: string): boolean {
  return isIPv4(local) === isIPv4(target) && (!isLoopback(local) || isLoopback(target));
}

function isLoopback(address: string): boolean {
  return isLoopback4(address) || address === '::1';
}

function reportSilent(targets: readonly DatagramPeer[], ears: readonly LocalSocket[], answers: Answers, findings: Findings): void {
  for (const target of targets) {
    const { address, port } = target;
    if (answers.hasAnswered(target)) continue;
    if (!ears.some(({ local }) => canAsk(local.address, address))) {
      const sentence = `${address} was not asked: no local interface can reach it`;
      findings.add('cannot-ask', address, sentence, 'add an interface that can reach it');
      continue;
    }
    const remedy = `check that rssrv runs there with explore = yes and the same namespacekey, and that no firewall blocks UDP port ${port}`;
    findings.add('no-answer', address, `${address} port ${port} did not answer`, remedy);
  }
}
