// Probes one candidate path: reachability, handshake, round trip, rate in both directions, MTU, and the device that really carries the
// data. Linux's routing chooses the device that carries the data; the byte counters show the chosen device. Invariants: a probe never
// becomes a path or a session, and ends in bounded time. The report includes the measurements and every failure. The report names a device
// only if the counters show that the device carried the data.

import { RsError } from '@rsio/base/lib/errors';
import { addressKey } from '@rsio/base/lib/subnet';
import { OP } from '../wire/frames.ts';
import type { Welcome } from '../wire/messages.ts';
import { Findings } from './finding.ts';
import { type ByteCounters, interfaceOf } from './interfaces.ts';
import { PROBE_PINGS } from './limits.ts';
import { burst } from './probe-burst.ts';
import { ProbeLink } from './probe-link.ts';
import { measureMtu } from './probe-mtu.ts';
import type { ProbeCandidate, ProbeExpectation, ProbeLogin, ProbePorts, ProbeReport } from './probe-report.ts';

type Measured = { -readonly [K in keyof ProbeReport]: ProbeReport[K] };

/**
 * Errors of the network or the server become the report's `failure` and never reject the promise. Without login data, only reachability,
 * CHALLENGE and MTU are checked. If `expected.namespaceid` is null, the probe asks for namespaceid 0; most servers refuse with a message
 * that names their own namespaceid.
 */
export async function probeCandidate(
  candidate: ProbeCandidate,
  login: ProbeLogin | null,
  expected: ProbeExpectation,
  ports: ProbePorts,
): Promise<ProbeReport> {
  const findings = new Findings();
  const measured: Measured = {
    candidate,
    failure: null,
    failureCode: null,
    connectMs: null,
    handshakeMs: null,
    server: null,
    cipher: null,
    roundTripMs: null,
    readBytesPerSecond: null,
    writeBytesPerSecond: null,
    mtuBytes: null,
    device: interfaceOf(candidate.local.address, ports.machine)?.device ?? null,
    leavesBy: null,
    arrivesBy: null,
    findings: [],
  };
  const probe = new Probe(measured, login, expected, ports, findings);
  try {
    await probe.connection();
  } catch (error) {
    if (!(error instanceof RsError)) throw error;
    measured.failure = error.message;
    measured.failureCode = error.code;
  }
  // Measure the MTU even after a failure, because the loss of large packets may have caused the failure.
  if (measured.connectMs !== null) await probe.mtu();
  return { ...measured, findings: findings.list };
}

class Probe {
  private readonly measured: Measured;
  private readonly login: ProbeLogin | null;
  private readonly expected: ProbeExpectation;
  private readonly ports: ProbePorts;
  private readonly findings: Findings;
  private readonly name: string;

  constructor(measured: Measured, login: ProbeLogin | null, expected: ProbeExpectation, ports: ProbePorts, findings: Findings) {
    this.measured = measured;
    this.login = login;
    this.expected = expected;
    this.ports = ports;
    this.findings = findings;
    const { local, remote } = measured.candidate;
    this.name = `${local.name} -> ${remote.address}`;
  }

  async connection(): Promise<void> {
    const { measured, ports } = this;
    const startMs = ports.clock.monotonicMs();
    const link = await ProbeLink.open(measured.candidate, ports);
    measured.connectMs = ports.clock.monotonicMs() - startMs;
    try {
      const welcome = await this.handshake(link);
      if (welcome !== null) await this.measure(link, welcome);
    } finally {
      link.close();
    }
  }

  /** Performs the handshake. Returns WELCOME, or null if there is no login data or the server does not support probes. */
  private async handshake(link: ProbeLink): Promise<Welcome | null> {
    const { measured, ports, expected, login } = this;
    const startMs = ports.clock.monotonicMs();
    const { local } = measured.candidate;
    const { server, serverid, instance } = await link.greet(login, expected.namespaceid ?? 0, local.name, ports);
    measured.handshakeMs = ports.clock.monotonicMs() - startMs;
    measured.server = { server, serverid, instance, isProved: false, interfaces: null, keyUsed: null, clockOffMs: null };
    if (expected.serverid !== null && serverid !== expected.serverid) {
      throw new RsError(
        'E_CONFIG',
        `Server ${server} answers there with serverid ${serverid} instead of ${expected.serverid}: correct the address`,
      );
    }
    if (login === null) return null;
    if (!link.canProve) {
      const sentence = `Server ${server} does not support probes: neither its key nor the path's rate was tested`;
      this.findings.add('not-measured', this.name, sentence, 'update the server');
      return null;
    }
    const refusal = login.refusals?.get(instance);
    if (refusal !== undefined) throw refusal;
    const welcome = await link.prove().catch((error: unknown) => {
      if (error instanceof RsError && error.code === 'E_AUTH') login.refusals?.set(instance, error);
      throw error;
    });
    measured.handshakeMs = ports.clock.monotonicMs() - startMs;
    const keyUsed = welcome.keyUsed === undefined ? null : welcome.keyUsed === 0 ? 'old' : 'new';
    const clockOffMs = welcome.wallMs === undefined ? null : welcome.wallMs - ports.clock.wallMs();
    measured.server = { server, serverid, instance, isProved: true, interfaces: welcome.interfaces, keyUsed, clockOffMs };
    measured.cipher = link.cipher;
    if (expected.isNamed === true) this.checkNamed(server, welcome);
    return welcome;
  }

  private checkNamed(server: string, { interfaces }: Welcome): void {
    const { address, port } = this.measured.candidate.remote;
    if (interfaces.some((one) => one.port === port && addressKey(one.address) === addressKey(address))) return;
    throw new RsError(
      'E_CONFIG',
      `Server ${server} authenticates at ${address} but does not list that address: find the machine that relays its traffic; if addresses are translated on the way, write a [server] section by hand`,
    );
  }

  private async measure(link: ProbeLink, welcome: Welcome): Promise<void> {
    const { measured, ports } = this;
    for (let count = 0; count < PROBE_PINGS; count++) {
      const roundTripMs = await link.ping();
      measured.roundTripMs = Math.min(roundTripMs, measured.roundTripMs ?? roundTripMs);
    }
    const setting = { welcome, seqs: [], clock: ports.clock, roundTripMs: measured.roundTripMs ?? 0 };
    const before = ports.counters();
    const written = await burst(link, OP.WRITE, setting);
    measured.writeBytesPerSecond = (written.bytes / written.durationMs) * 1000;
    const between = ports.counters();
    const read = await burst(link, OP.READ, setting);
    measured.readBytesPerSecond = (read.bytes / read.durationMs) * 1000;
    const after = ports.counters();
    const { device } = measured;
    // Traffic within this machine goes through lo, regardless of which interface has the address.
    if (device === null || interfaceOf(measured.candidate.remote.address, ports.machine) !== null) return;
    measured.leavesBy = carrierOf('sentBytes', written.bytes, device, before, between);
    measured.arrivesBy = carrierOf('receivedBytes', read.bytes, device, between, after);
    this.judgeDevice(device);
  }

  private judgeDevice(device: string): void {
    const { leavesBy, arrivesBy } = this.measured;
    const remedy = `give ${device} its own subnet, or route by source address: rsconfig doctor shows how`;
    if (leavesBy !== null && leavesBy !== device) {
      this.findings.add('wrong-device', this.name, `Path ${this.name} leaves by ${leavesBy}, not by ${device}`, remedy);
    } else if (arrivesBy !== null && arrivesBy !== device) {
      this.findings.add(
        'wrong-device',
        this.name,
        `Traffic from the server on path ${this.name} arrives by ${arrivesBy}, not by ${device}`,
        remedy,
      );
    }
  }

  async mtu(): Promise<void> {
    const { measured, ports } = this;
    const { candidate } = measured;
    const ownBytes = interfaceOf(candidate.local.address, ports.machine)?.mtuBytes ?? null;
    if (ports.sockets === null || ownBytes === null) return;
    const { bytes, failedBytes } = await measureMtu(candidate, ownBytes, ports, ports.sockets);
    measured.mtuBytes = bytes;
    if (failedBytes === null) return;
    const sentence = `Packets of ${failedBytes} bytes do not get through on path ${this.name}, but packets of ${bytes} bytes do; the MTU of ${measured.device} is ${ownBytes}`;
    const remedy = `set the MTU of ${measured.device}, of the switch and of the server's interface to the same value`;
    this.findings.add('mtu', this.name, sentence, remedy);
  }
}

type Counters = ReadonlyMap<string, ByteCounters>;

/**
 * A device is accepted as the carrier of a burst if its byte counter grew by at least this share of the burst. A smaller growth may come
 * from other traffic or from a late update of the counter.
 */
const CARRIED_SHARE = 0.5;

/**
 * Returns the device that carried the burst of `bytes`, according to its byte counter. Several counters may show the burst, for example
 * those of a bridge and its card. Among several devices, returns `expected` if possible, otherwise the device whose counter grew most.
 * Returns null if no counter shows the burst.
 */
export function carrierOf(
  direction: keyof ByteCounters,
  bytes: number,
  expected: string,
  before: Counters,
  after: Counters,
): string | null {
  const grown = [...after].map(([device, counters]) => ({
    device,
    grownBytes: counters[direction] - (before.get(device)?.[direction] ?? counters[direction]),
  }));
  const carriers = grown.filter(({ grownBytes }) => grownBytes > 0 && grownBytes >= bytes * CARRIED_SHARE);
  if (carriers.some(({ device }) => device === expected)) return expected;
  return carriers.toSorted((one, other) => other.grownBytes - one.grownBytes)[0]?.device ?? null;
}
