// Facts about a healthy client with one server, two interfaces on separate cards, and rsiod running with the manual's sample file. Each
// test changes one fact, so that the client has a fault.

import { parseIni } from '@rsio/common/config/reader/ini-document';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { RsError } from '@rsio/base/lib/errors';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { ProbeReport } from '@rsio/protocol/explorer/probe-report';
import type { DoctorFacts, FileFacts, PathFacts } from '../doctor/gather/facts.ts';
import { sampleRscltcfg } from '@rsio/common/testing/sample-rscltcfg';
import { AT_MS, rep } from './views.ts';

export const CONFIG_FILE = '/etc/rscltcfg';

export const SAMPLE = sampleRscltcfg({ key: '0xbig-2-and-some-more' });

export function fileFacts(text: string, changes: Partial<FileFacts> = {}): FileFacts {
  const base = { path: CONFIG_FILE, document: parseIni(text), trouble: null, warnings: [], mode: 0o600, modifiedMs: AT_MS };
  try {
    const config = parseRscltConfig(text, CONFIG_FILE);
    return { ...base, problems: [], warnings: config.warnings, config, ...changes };
  } catch (error) {
    if (!(error instanceof RsError)) throw error;
    return { ...base, problems: error.context['problems'] as FileFacts['problems'], config: null, ...changes };
  }
}

export function card(device: string, address: string, changes: Partial<MachineInterface> = {}): MachineInterface {
  return {
    device,
    address,
    prefixLength: 24,
    broadcast: null,
    mtuBytes: 1500,
    linkMbps: 1000,
    hasCarrier: true,
    isLoopback: false,
    ...changes,
  };
}

export function report(changes: Partial<ProbeReport> = {}): ProbeReport {
  return {
    candidate: {
      local: { name: 'if0', address: '192.168.45.20', prefixLength: 24 },
      remote: { name: 'big-9-1', address: '192.168.45.10', port: 5000 },
    },
    failure: null,
    failureCode: null,
    connectMs: 0.21,
    handshakeMs: 1.2,
    device: 'eth0',
    server: {
      server: 'big-9',
      serverid: 1,
      instance: '00112233445566770011223344556677',
      isProved: true,
      interfaces: [],
      keyUsed: null,
      clockOffMs: null,
    },
    roundTripMs: 0.212,
    readBytesPerSecond: 112e6,
    writeBytesPerSecond: 111e6,
    mtuBytes: 1500,
    cipher: null,
    leavesBy: null,
    arrivesBy: null,
    findings: [],
    ...changes,
  };
}

/** Returns the facts about the path from interface `if0` or `if1` to the server's interface in the same subnet. */
export function pathFacts(index: 0 | 1, changes: Partial<PathFacts> = {}): PathFacts {
  return {
    namespace: 'osl',
    nodename: 'big-2',
    interface: `if${index}`,
    local: `192.168.${45 + index}.20`,
    section: `big-9-${index + 1}`,
    address: `192.168.${45 + index}.10`,
    port: 5000,
    route: { device: `eth${index}` },
    unreached: null,
    tcpMtuBytes: null,
    report: report({ leavesBy: `eth${index}`, arrivesBy: `eth${index}` }),
    ...changes,
  };
}

export function doctorFacts(changes: Partial<DoctorFacts> = {}): DoctorFacts {
  const paths = changes.paths ?? [pathFacts(0), pathFacts(1)];
  const interfaces = [0, 1].map((position) => ({
    position,
    name: `if${position}`,
    address: `192.168.${45 + position}.20`,
    port: 5000,
    reps: [rep({ address: `192.168.${45 + position}.10` })],
  }));
  return {
    rootOption: '',
    startCommand: 'rsiod',
    file: fileFacts(SAMPLE),
    machine: { interfaces: [card('eth0', '192.168.45.20'), card('eth1', '192.168.46.20')], standsOn: {}, tables: [254, 255], routers: {} },
    silent: [],
    paths,
    pathsNotTried: 0,
    leftOut: [],
    explored: [],
    daemon: {
      socket: '/run/rsio/rsiod/control',
      nbdSocket: '/run/rsio/rsiod/nbd',
      trouble: null,
      view: {
        program: 'rsiod',
        version: '1.0.0',
        control: 1,
        methods: [],
        pid: 4711,
        nodename: 'big-2',
        startedMs: AT_MS,
        configuredMs: AT_MS,
      },
      status: { interfaces, waiting: [], logs: [], mirrors: [] },
      socketMode: 0o600,
      isNbdSocketThere: true,
      livePid: 4711,
      openFilesMax: 1_048_576,
    },
    volumes: { failing: [], deadMounts: [], inSharedPools: [], copies: [] },
    mirrors: [],
    servers: [],
    gates: [],
    aoeGates: [],
    applications: { answer: null, enabledUnits: [] },
    backups: [],
    upkeep: { disks: [], certificate: null },
    nowMs: AT_MS,
    system: {
      programs: ['nbd-client'],
      hasKernelNbd: true,
      sendBufferMaxBytes: 4_194_304,
      receiveBufferMaxBytes: 6_291_456,
      windowScaling: true,
    },
    version: '1.0.0',
    ...changes,
  };
}
