// Phase 6 of the listener: the listening sockets, connections before and after the proof of their key, probes, and discovery.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { systemDiscovery } from '../server/discovery-service.ts';
import { ListeningSockets } from '../server/listening-sockets.ts';
import { ProvenConnections } from '../server/proven-connections.ts';
import { ProbeConnections } from '../session/probe-connections.ts';
import type { Clients } from './clients.ts';
import type { Content } from './content.ts';
import type { Foundation } from './foundation.ts';
import type { Holders } from './holders.ts';
import type { Storage } from './storage.ts';

export type Front = ReturnType<typeof newFront>;

export function newFront(earlier: Foundation & Holders & Storage & Content & Clients) {
  const { clock, log, limitedLog, identity, current, fences, holds, lists, admissions, refusals, signals } = earlier;
  const probes = new ProbeConnections(clock, log, limitedLog);
  const discovery = systemDiscovery(clock, log, identity.instance);
  const parts = { clock, log, identity, current, fences, holds, lists, admissions, refusals, discovery, probes };
  const unproven = new ProvenConnections(parts).newLimiter();
  const sockets = new ListeningSockets({
    clock,
    log,
    connected: (socket, listeningSocket) => unproven.connected(socket, listeningSocket),
    addressCame: signals.addressCame.send,
  });
  /** Answers discovery datagrams on all interfaces with a listening socket. */
  const explore = async (config: RssrvConfig, warn = (sentence: string) => log.warn(sentence)): Promise<void> => {
    const interfaces = sockets.listening(config.interfaces);
    for (const sentence of await discovery.follow({ ...config, interfaces })) warn(sentence);
  };
  signals.addressCame.listen(() => void explore(current.config));
  return { probes, discovery, unproven, sockets, explore };
}
