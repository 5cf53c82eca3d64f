// Complete views, as a daemon returns them, for the tests of rsconfig.
// Each test changes only the part that it checks.

import type { AttachmentView, NamespaceView, PathView, RepView, ServerView, VolumeView } from '@rsio/api/rsiod/methods';
import type { MirrorSummary } from '@rsio/api/views/mirror-views';

export const AT_MS = Date.UTC(2010, 8, 14, 15, 2, 32);

export function volume(changes: Partial<VolumeView> = {}): VolumeView {
  return {
    name: 'tvol1',
    universe: 0,
    id: '7d444840-9dc0-11d1-b245-5ffdce74fad2',
    blocks: 2_097_152,
    blockSizeBytes: 512,
    readonly: false,
    shared: false,
    holders: [],
    mirror: null,
    follows: null,
    ...changes,
  };
}

export function path(changes: Partial<PathView> = {}): PathView {
  return {
    number: 6,
    interface: 'if0',
    localAddress: '192.168.10.1',
    address: '192.168.10.9',
    port: 5000,
    state: 'up',
    tx: 'ok',
    rx: 'ok',
    sinceMs: AT_MS,
    lastError: null,
    lastErrorMs: null,
    retries: 0,
    roundTripMs: 0.2116,
    cipher: null,
    tls: false,
    ...changes,
  };
}

export function rep(changes: Partial<RepView> = {}): RepView {
  return { ...path(changes), position: 0, section: 'big-9-1', ...changes };
}

export function server(changes: Partial<ServerView> = {}): ServerView {
  return {
    position: 0,
    name: 'big-5',
    sections: ['big-5-1'],
    serverid: 1,
    instance: '0011223344556677',
    release: '1.0.0',
    clockOffMs: 0,
    state: 'connected',
    addresses: [{ section: 'big-5-1', address: '192.168.10.9', port: 5000 }],
    limits: { slots: 256, windowBytes: 33_554_432 },
    volumes: [volume(), volume({ name: 'ora_db', blocks: 10_485_760 })],
    paths: [path()],
    ...changes,
  };
}

export function namespace(changes: Partial<NamespaceView> = {}): NamespaceView {
  return { position: 0, name: 'osl', namespaceid: 200, nodename: 'big-6', servers: [server()], ...changes };
}

export function attachment(changes: Partial<AttachmentView> = {}): AttachmentView {
  return {
    namespace: 'osl',
    name: 'oracle',
    universe: 0,
    id: '7d444840-9dc0-11d1-b245-5ffdce74fad2',
    byId: 'rsio-200-7d444840-9dc0-11d1-b245-5ffdce74fad2',
    state: 'attached',
    readonly: false,
    shared: false,
    blocks: 31_457_280,
    blockSizeBytes: 512,
    servers: 1,
    rawDevice: '/dev/av0/roracle',
    blockDevice: '/dev/av0/oracle',
    ...changes,
  };
}

/** A mirror on big-9 and big-8 with the witness pi-1. All replicas are in sync, and no client has attached the mirror. */
export function mirror(changes: Partial<MirrorSummary> = {}): MirrorSummary {
  const at = (server: string, serverid: number) => ({ server, serverid });
  const replica = { volume: 'db', universe: 0, inSync: true, isReachable: true, isSilent: false, copy: null };
  const voter = { answers: true, isSilent: false, trouble: null };
  return {
    namespace: 'osl',
    name: 'db',
    universe: 0,
    mirror: 'a'.repeat(32),
    state: 'known',
    sizeBytes: 20 * 1024 ** 3,
    replicas: [
      { ...at('big-9', 1), ...replica },
      { ...at('big-8', 2), ...replica },
    ],
    voters: [
      { ...at('big-9', 1), ...voter },
      { ...at('big-8', 2), ...voter },
      { ...at('pi-1', 3), ...voter },
    ],
    majority: 2,
    holder: null,
    ...changes,
  };
}
